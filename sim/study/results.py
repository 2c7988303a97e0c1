"""The records of all runs of a study, read back for its report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from sim.checks import Refused, one_of, within
from sim.metrics import METRICS
from sim.records.store import Run, read, together
from sim.study.dial import Dial
from sim.study.study import Study

RUNS = ("run", "method", "reference", "scenario", "seed", "status", "folder")

Json = Mapping[str, object]


@dataclass(frozen=True)
class StudyRecords:
    """The question of a study and the records of the runs that answer it."""

    name: str
    question: str
    metric: str  # primary metric, a key of METRICS
    margin: float  # >= 0, in units of the metric; the target is the pooled model's value less this
    runs: pd.DataFrame  # one row per cell, columns RUNS; reference "" = federated; status "done" | "diverged"
    rounds: pd.DataFrame  # sim.records.schema.ROUNDS
    sites: pd.DataFrame  # sim.records.schema.SITES; test rows of `metric`, of references at least in the last round
    settings: Mapping[str, Json]  # run id -> resolved settings
    provenance: Mapping[str, str]  # command, commit, versions, machine, ... in the order of the page
    published: Mapping[str, float] = field(default_factory=dict)  # method -> published value of the primary metric
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


def read_study(folder: Path) -> StudyRecords:
    """Records of a study from its folder: study.json and the runs it names.

    Refuses a folder without a readable study.json, and a run that is missing or whose files changed.
    """
    try:
        content = json.loads((folder / "study.json").read_text())
        study, _ = Study.of(content["study"]), content["runs"][0]["run"]
    except OSError:
        raise Refused(f"{folder}: no study.json there. Run `fedtrial study NAME` first, or name its folder.") from None
    except (UnicodeDecodeError, json.JSONDecodeError, TypeError, LookupError) as error:
        raise Refused(f"{folder / 'study.json'}: damaged ({error}). Run the study again; finished runs stay.") from None
    every = pd.DataFrame(content["runs"])
    listing = there(folder, every)
    runs = [test_rows(read(folder / name), study.metric) for name in listing["run"].unique()]
    status = {run.id: "done" if run.info["status"] == "done" else "diverged" for run in runs}
    listing["status"] = listing["run"].map(status)
    listing["folder"] = listing["run"]
    first = runs[0].info
    return StudyRecords(
        name=study.name,
        question=study.question,
        metric=study.metric,
        margin=study.margin,
        runs=listing,
        rounds=pd.concat([run.rounds for run in runs], ignore_index=True),
        sites=together([run.sites for run in runs]),
        settings={run.id: run.info["settings"] for run in runs},
        provenance={
            "command": content["command"],
            **absent(every, listing, content.get("failed", {})),
            "commit": first["commit"],
            "code": ", ".join(sorted({run.info["code"] for run in runs})),
            "versions": ", ".join(f"{name} {number}" for name, number in first["versions"].items()),
            "machine": ", ".join(first["machine"].values()),
            "seeds": str(study.seeds),
            "compute": f"{sum(run.info['wall_seconds'] for run in runs):.0f} s over all runs",
        },
        published=study.published,
        dials=study.dials,
    )


def there(folder: Path, every: pd.DataFrame) -> pd.DataFrame:
    """The cells whose runs have a folder; the others failed, or wait for a study that still runs."""
    found = {run for run in every["run"].unique() if (folder / run).is_dir()}
    listing = every[every["run"].isin(found)].reset_index(drop=True)
    if listing.empty or (listing["reference"] != "").all():
        raise Refused(f"{folder}: none of its federated runs is there yet. Wait for the study, or run it again.")
    return listing


def absent(every: pd.DataFrame, listing: pd.DataFrame, failed: Mapping[str, str]) -> dict[str, str]:
    """How many runs a page is made from, and why which failed; empty where all are there."""
    if len(listing) == len(every):
        return {}
    lost = every[~every["run"].isin(listing["run"])]
    words = [
        f"{', '.join(filter(None, (method, scenario)))}, seed {seed} failed: {failed[run]}"
        for run, method, scenario, seed in lost[["run", "method", "scenario", "seed"]].itertuples(index=False)
        if run in failed
    ]
    waiting = int((~lost["run"].isin(list(failed))).sum())
    words += [f"{waiting} not there yet"] if waiting else []
    return {"missing": f"{len(listing)} of {len(every)} are there; {'; '.join(words)}"}


def test_rows(run: Run, metric: str) -> Run:
    """A run with only those rows of `sites` that a report reads: all rows of many large runs would fill the memory."""
    sites = run.sites
    read = (sites["split"] == "test") & (sites["metric"] == metric) & (sites["model"] == run.info["deploys"])
    return replace(run, sites=sites[read])
