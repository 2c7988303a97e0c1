"""Runs that are not included in any mean, because they diverged, failed or are not finished; listed with the answer."""

from dataclasses import dataclass

import pandas as pd

from sim.study.results import StudyRecords

SEEDS = 10  # that are listed


@dataclass(frozen=True)
class Lost:
    """Runs of one method in one scenario that were lost for the same reason."""

    method: str
    scenario: str
    asked: int  # runs of the method in the scenario
    seeds: tuple[int, ...]  # of the runs that are lost
    reason: str

    @property
    def count(self) -> str:
        """Number of lost runs out of those requested, and their seeds."""
        more = ", ..." if len(self.seeds) > SEEDS else ""
        words = ", ".join(map(str, self.seeds[:SEEDS])) + more
        return f"{len(self.seeds)} of {self.asked} (seed{'' if len(self.seeds) == 1 else 's'} {words})"


def lost_runs(records: StudyRecords) -> list[Lost]:
    """The runs that are not included in any mean, by scenario, method and reason."""
    diverged = records.runs[records.runs["status"] != "done"]
    gone = diverged.assign(reason=[records.why.get(run, "diverged") for run in diverged["run"]])
    absent = records.absent
    failed = [f"failed: {records.why[run]}" if run in records.why else "not finished yet" for run in absent["run"]]
    every = pd.concat([records.runs, absent])
    asked = every.groupby(["scenario", "method"]).size()
    lost = pd.concat([gone, absent.assign(reason=failed)])
    parts: dict[tuple[str, str, str], list[int]] = {}
    for scenario, method, reason, seed in lost[["scenario", "method", "reason", "seed"]].itertuples(index=False):
        parts.setdefault((scenario, method, reason), []).append(int(seed))
    return [
        Lost(method, scenario, int(asked[(scenario, method)]), tuple(sorted(seeds)), reason)
        for (scenario, method, reason), seeds in parts.items()
    ]
