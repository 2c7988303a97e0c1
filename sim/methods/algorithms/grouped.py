"""Base class of algorithms that compare two groups of patients."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused, one_of
from sim.federation.groups import Group
from sim.methods.algorithms.base import Algorithm
from sim.tasks.classify import Classification
from sim.tasks.task import Task

ROWS, POSITIVE, LOSS = 0, 1, 2  # last axis of `Local.cells`


@dataclass
class Grouped(Algorithm):
    """An algorithm that compares group 1 (patients with one level of a column) with group 0 (all others)."""

    group: str = "sex"  # a column of patient groups, see evaluation.groups
    level: str = ""  # the level that defines group 1; if empty, the second of two levels

    def refuse_task(self, task: Task) -> None:
        """Refuse a task without a yes-or-no outcome."""
        if not isinstance(task, Classification):
            raise Refused(
                f"algorithm={type(self).__name__.lower()} compares rates of a yes-or-no outcome between groups, but "
                f"{type(task).__name__} has none. Use a task of binary classification, such as task=response, or "
                "another algorithm."
            )

    def codes(
        self, groups: Mapping[str, Group], events: NDArray[np.bool_], train: NDArray[np.bool_]
    ) -> NDArray[np.int8]:
        """Group of every row, -1 where the column is not recorded; events and training rows bool [R] -> [R].

        Refuses an unknown column or level, and groups without a training row with the event.
        """
        one_of("algorithm.group", self.group, groups, "Name other columns of the cohort in evaluation.groups.")
        codes, levels = groups[self.group]
        if len(levels) < 2:
            others = ", ".join(sorted(set(groups) - {self.group})) or "another column in evaluation.groups"
            whose = "".join(levels) or "without a record"
            raise Refused(
                f"algorithm.group={self.group}: all patients are {whose}, but two groups are compared. Choose {others}."
            )
        if not self.level and len(levels) != 2:
            raise Refused(
                f"algorithm.group={self.group} has {len(levels)} levels, but two groups are compared. Set "
                f"algorithm.level to the one that is compared with all others: {', '.join(levels)}."
            )
        if self.level:
            one_of("algorithm.level", self.level, levels)
        chosen = levels.index(self.level) if self.level else 1
        found = np.where(codes < 0, -1, codes == chosen).astype(np.int8)
        for number, words in ((1, levels[chosen]), (0, f"levels other than {levels[chosen]}")):
            if not (events & train & (found == number)).any():
                raise Refused(
                    f"algorithm.group={self.group}: no training patient of {words} has the event, so the groups cannot "
                    "be compared. Choose another group or level, or use more patients."
                )
        return found
