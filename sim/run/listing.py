"""Every run of a folder, finished or not: its folder, the settings that distinguish it, and its result."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sim.checks import Refused
from sim.metrics import METRICS
from sim.records.begun import all_begun
from sim.records.outcome import read_outcome
from sim.records.settings import with_seed
from sim.records.unfinished import State, Status, status

RUN = re.compile(r"([0-9a-f]{12})(\.unfinished)?")
ENDED = (State.DONE, State.DIVERGED)


@dataclass(frozen=True)
class Listed:
    """One run of a folder."""

    run: str  # id
    status: Status
    labels: Mapping[str, str]  # the settings that distinguish it
    metrics: Mapping[str, float] = field(default_factory=dict)  # means over sites, test patients, last round
    info: Mapping[str, Any] = field(default_factory=dict, repr=False)  # run.json of a finished one

    @property
    def rounds(self) -> tuple[int, int]:
        """Its current round and its number of rounds; for a finished run, its last round."""
        if not self.info:
            return self.status.round, self.status.rounds
        whole = int(self.info["settings"]["rounds"])
        stop = self.info.get("stopped")
        return int(stop["round"]) if stop else whole, whole

    def json(self) -> dict[str, Any]:
        """As `fedtrial runs --json` prints it."""
        at, whole = self.rounds
        words = asdict(self.status) | {"state": self.status.state.value, "round": at, "rounds": whole}
        return {"run": self.run, "labels": dict(self.labels), **words, "metrics": dict(self.metrics)}


def listing(folder: Path, cells: Mapping[str, Mapping[str, str]]) -> list[Listed]:
    """The runs that are in a folder or were started there; `cells` are those of its study, run id -> labels."""
    there = {found[1] for path in folder.iterdir() if (found := RUN.fullmatch(path.name))}
    begun = {run: words for one in all_begun(folder) for run, words in one.runs.items()}
    order = [*cells, *(run for run in begun if run not in cells)]
    order += sorted(there.difference(order))
    if not order:
        raise Refused(
            f"{folder}: no runs in it. Name the folder of a study, or the folder of sweeps and runs (results.dir)."
        )
    every = {run: read(folder, run) for run in order}
    apart = differences({run: one.info["settings"] for run, one in every.items() if one.info})
    named = {run: {"settings": words} for run, words in begun.items()} | dict(cells)
    return [
        Listed(run, one.status, named.get(run) or {"settings": apart.get(run, "")}, one.metrics, one.info)
        for run, one in every.items()
    ]


def read(folder: Path, run: str) -> Listed:
    """A run, without the settings that distinguish it."""
    state = status(folder, run)
    if state.state not in ENDED:
        return Listed(run, state, {})
    found = read_outcome(folder / run)
    return Listed(run, state, {}, found.metrics, found.info)


def differences(settings: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Run id -> the settings that it does not share with all others, as text; the seed is one of them."""
    every = {run: with_seed(one) for run, one in settings.items()}
    names: Iterable[str] = dict.fromkeys(name for one in every.values() for name in one)
    apart = [name for name in names if len({one.get(name) for one in every.values()}) > 1]
    return {run: " ".join(f"{name}={one[name]}" for name in apart if name in one) for run, one in every.items()}


def primary(every: Iterable[Listed]) -> str:
    """The metric of a listing: the first of METRICS that a run has and for which higher is better, or any."""
    found = [name for name in METRICS if any(name in one.metrics for one in every)]
    return next((name for name in found if METRICS[name].better == "higher"), next(iter(found), ""))
