"""Hydra's face of a fedtrial sweep: `hydra/launcher=fedtrial` hands all cells to the pool that studies use as well.

Hydra finds it by the name of the package that it lies in. It is imported whenever Hydra starts, and loads nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


@dataclass
class LauncherConf:
    """The `hydra/launcher` entry `fedtrial`; sim.run.sweep.Launch has the ranges."""

    _target_: str = "hydra_plugins.fedtrial_launcher.FedtrialLauncher"
    workers: int = 0
    on_error: str = "continue"
    retries: int = 2


class FedtrialLauncher(Launcher):
    """Carries out the cells of one `fedtrial run -m`."""

    def __init__(self, workers: int, on_error: str, retries: int) -> None:
        self.settings = (workers, on_error, retries)
        self.words: Sequence[str] = ()

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take the overrides of the sweep, which are noted for `fedtrial resume`; a cell needs no task of Hydra's.

        As they are written: `${seed}` stands for the seed of each cell, and not for that of this config.
        """
        self.words = cast(list[str], OmegaConf.to_container(config.hydra.overrides.task, resolve=False))

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """The end of every cell, in order: completed with "done" or how it diverged, or failed with the reason."""
        from sim.cli.sweep import sweep
        from sim.run.sweep import Launch

        swept = sweep(job_overrides, Launch(*self.settings), self.words)
        return [
            JobReturn(
                overrides=cell,
                task_name="fedtrial run",
                working_dir=str(swept.folders[run] / run),
                status=JobStatus.COMPLETED if run in swept.done else JobStatus.FAILED,
                _return_value=swept.done[run].info["status"] if run in swept.done else RuntimeError(swept.why(run)),
            )
            for cell, run in zip(job_overrides, swept.runs, strict=True)
        ]


ConfigStore.instance().store(group="hydra/launcher", name="fedtrial", node=LauncherConf, provider="fedtrial")
