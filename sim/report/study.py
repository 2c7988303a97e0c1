"""What a report is made from: the records of all runs of one study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from sim.checks import Refused, one_of, within
from sim.dial import Dial
from sim.metrics import METRICS

RUNS = ("run", "method", "reference", "scenario", "seed", "status", "folder")
REFERENCES = ("local", "pooled", "oracle")  # in the order tables list them

Json = Mapping[str, object]


@dataclass(frozen=True)
class StudyRecords:
    """One question and the runs that answer it."""

    name: str
    question: str
    metric: str  # primary metric, a key of METRICS
    margin: float  # >= 0, in units of the metric; a run reaches the target at the pooled model's value less this
    runs: pd.DataFrame  # one row a run: RUNS; reference "" = federated; status "done" | "diverged"
    rounds: pd.DataFrame  # sim.frames.ROUNDS
    sites: pd.DataFrame  # sim.frames.SITES: test rows of `metric` at least; references may have their last round only
    settings: Mapping[str, Json]  # run id -> resolved settings
    provenance: Mapping[str, str]  # command, commit, versions, machine, ... in the order shown
    published: Mapping[str, float] = field(default_factory=dict)  # method -> value of the primary metric elsewhere
    dials: Sequence[Dial] = ()  # their labels are scenarios of `runs`

    def __post_init__(self) -> None:
        one_of(f"{self.name}: metric", self.metric, METRICS)
        within(f"{self.name}: margin", self.margin, 0)
        missing = [column for column in RUNS if column not in self.runs]
        if missing or self.runs.empty:
            raise Refused(f"{self.name}: a report needs runs with columns {', '.join(RUNS)}; missing: {missing}.")
        twice = self.runs.duplicated(["scenario", "method", "seed"])
        if twice.any():
            cell = self.runs.loc[twice, ["scenario", "method", "seed"]].iloc[0].tolist()
            raise Refused(f"{self.name}: two runs stand for the same scenario, method and seed {cell}.")
