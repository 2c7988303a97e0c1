"""fedtrial from Python; `import fedtrial` has these names."""

from sim.api.arrays import cohort
from sim.api.runs import Run, run, sweep
from sim.api.settings import experiment
from sim.checks import Refused
from sim.config.experiment import Experiment

__all__ = ["Experiment", "Refused", "Run", "cohort", "experiment", "run", "sweep"]
