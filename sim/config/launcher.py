"""The launcher of a sweep, which Hydra creates from its settings."""

from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf.errors import OmegaConfBaseException

from sim.assets import root
from sim.checks import Refused
from sim.config.compose import explain
from sim.config.experiment import register
from sim.config.words import LAUNCHER, LAUNCHER_KEYS


def launcher(choice: Sequence[str], settings: Sequence[str]) -> Launcher:
    """The launcher, with the overrides `settings` of the sweep; `choice` holds words of `without_launcher` alone.

    `basic` is the same launcher with only this process, because Hydra's own would write folders and files for every
    cell.
    """
    register()
    words = [f"{LAUNCHER_KEYS[0]}=1"] if f"{LAUNCHER}=basic" in choice else list(choice)
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(root() / "configs"), version_base="1.3", job_name="fedtrial"):
            config = compose("config", words, return_hydra_config=True)
            config.hydra.overrides.task = list(settings)
            context = HydraContext(config_loader=GlobalHydra.instance().config_loader(), callbacks=Callbacks())
            return Plugins.instance().instantiate_launcher(context, lambda cell: None, config)
    except (HydraException, OmegaConfBaseException, OverflowError) as error:
        raise Refused(explain(error, words)) from None
