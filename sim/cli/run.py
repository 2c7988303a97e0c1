"""`fedtrial run`: one experiment, or a sweep with -m. Everything is checked first; Hydra composes, and runs nothing."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import hydra
from hydra._internal.utils import get_args_parser
from hydra.core.utils import JobStatus
from omegaconf import DictConfig

from sim.assets import root
from sim.checks import Refused
from sim.config.compose import cells, experiment
from sim.config.experiment import register
from sim.config.launcher import launcher
from sim.config.plugins import choose_all
from sim.config.presets import add_presets
from sim.config.words import refuse_form, refuse_hydra, refuse_twice, without_launcher
from sim.profiling import stage

REFUSED = {  # options of Hydra's that would load other configs, or code
    "config_name": "fedtrial has its own configs. Set key=value, or a scenario.",
    "config_path": "fedtrial has its own configs. Set key=value, or a scenario.",
    "experimental_rerun": "it would load a pickle, which can run code. Give the settings again: a finished run is not "
    "computed twice.",
    "shell_completion": "use `fedtrial --install-completion`.",
}


def launch(words: Sequence[str]) -> int:
    """Run an experiment or a sweep; exit code 0, or 1 if one diverged or failed. Invalid cells are refused before."""
    asked = get_args_parser().parse_intermixed_args(list(words))  # flags may stand between settings
    for option, remedy in REFUSED.items():
        if getattr(asked, option):
            raise Refused(f"--{option.replace('_', '-')}: {remedy}")
    if asked.config_dir:
        add_presets(Path(asked.config_dir).expanduser())
    if asked.help or asked.hydra_help:
        for word in asked.overrides:  # Hydra composes for its help as well
            refuse_form(word)
            refuse_hydra(word, word.split("=")[0].lstrip("+~"))
        choose_all()
        hand_over(asked)
        return 0
    with stage("settings"):
        refuse_twice(asked.overrides)
        if asked.multirun and (asked.cfg or asked.info):
            raise Refused(
                "-m together with --cfg or --info: a sweep has many configs. Leave -m out and give one value for each "
                "setting."
            )
        wanted = None if asked.multirun else experiment(asked.overrides)
    if wanted is None:
        return swept(asked.overrides)
    if asked.cfg or asked.info:
        hand_over(asked)
        return 0
    from sim.cli.sweep import one  # what trains is loaded once the settings are right

    return one(wanted, asked.overrides)


def swept(words: Sequence[str]) -> int:
    """Run a sweep with the chosen launcher; returns the exit code."""
    choice, settings = without_launcher(words)
    chosen = cells(settings)
    ended = launcher(choice, settings).launch(chosen, 0)
    return int(any(one.status is not JobStatus.COMPLETED or one.return_value != "done" for one in ended))


def hand_over(asked: argparse.Namespace) -> None:
    """Let Hydra print its help, the config or its composition; Hydra runs nothing and receives only these options."""
    register()

    def nothing(config: DictConfig) -> None:
        """The job, which these options do not start."""

    switches = {
        "--help": asked.help,
        "--hydra-help": asked.hydra_help,
        "-m": asked.multirun,
        "--resolve": asked.resolve,
    }
    values = {"--cfg": asked.cfg, "--package": asked.package, "--info": asked.info}
    sys.argv = ["fedtrial run", *asked.overrides, *(name for name, on in switches.items() if on)]
    sys.argv += [part for name, value in values.items() if value for part in (name, value)]
    hydra.main(version_base="1.3", config_path=str(root() / "configs"), config_name="config")(nothing)()
