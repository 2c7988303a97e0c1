"""Tasks by the name they have in a config."""

from sim.tasks.classify import Classify, Response
from sim.tasks.hazard import HazardSettings
from sim.tasks.task import TaskSettings

TASKS: dict[str, type[TaskSettings]] = {"classify": Classify, "response": Response, "hazard": HazardSettings}
