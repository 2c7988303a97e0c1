"""Tasks: entries of the `task` config group."""

from sim.tasks.classify import Classify, Mortality, Response
from sim.tasks.cox import CoxSettings
from sim.tasks.hazard import HazardSettings
from sim.tasks.multiclass import CancerType, MulticlassSettings, Stage
from sim.tasks.poisson import PoissonSettings
from sim.tasks.regress import Regress
from sim.tasks.task import TaskSettings

TASKS: dict[str, type[TaskSettings]] = {
    "response": Response,
    "mortality": Mortality,
    "classify": Classify,
    "stage": Stage,
    "cancer_type": CancerType,
    "multiclass": MulticlassSettings,
    "hazard": HazardSettings,
    "cox": CoxSettings,
    "poisson": PoissonSettings,
    "regress": Regress,
}
