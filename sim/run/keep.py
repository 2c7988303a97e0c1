"""One run from its settings to its folder, by one process at a time, which continues an interrupted run."""

import time
import traceback
from pathlib import Path

from sim.config.experiment import Experiment
from sim.files import writable
from sim.profiling import stage
from sim.progress import Watch
from sim.records.store import finished, write
from sim.records.unfinished import claim, clear, report_failure, sweep_killed
from sim.run.check import Preparing
from sim.run.run import prepare, rehearse, run_id
from sim.terminal import Terminal

WAIT = 1.0  # seconds between two checks of a run that another process computes


def keep(
    experiment: Experiment,
    folder: Path,
    watch: Watch = lambda number: None,
    preparing: Preparing = prepare,
) -> Path:
    """Folder of the finished run, computed only if it does not exist yet; waits while another process computes it."""
    sweep_killed(writable(folder))
    home, told = folder / run_id(experiment), False
    while not finished(home):
        with claim(folder, home.name) as working:
            if working is not None:
                compute(experiment, folder, working, watch, preparing)
                continue
        if not told:
            told = True
            Terminal(stderr=True, highlight=False).print(
                f"Another process computes run {home.name}; waiting for it.", markup=False, soft_wrap=True
            )
        time.sleep(WAIT)
    return home


def compute(experiment: Experiment, folder: Path, working: Path, watch: Watch, preparing: Preparing) -> None:
    """Compute and write a run that this process has claimed, unless its last owner has just written it.

    A failure is recorded in the working folder, and raised.
    """
    if not finished(folder / run_id(experiment)):
        try:
            run = rehearse(experiment, preparing(experiment), watch, working)
            with stage("records"):
                write(run, folder)
        except Exception as error:
            report_failure(working, str(error), traceback.format_exc())
            raise
    clear(working)
