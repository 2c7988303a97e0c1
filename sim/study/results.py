"""The records of all runs of a study, read back for its report."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sim.checks import Refused, one_of, within
from sim.metrics import BACKDOOR, METRICS
from sim.records.digest import of_json
from sim.records.store import Run, read, together
from sim.study.dial import Dial
from sim.study.resamples import resamples
from sim.study.study import Study
from sim.study.tuning import choose, final_loss, in_words

INDEX = "study.json"
RUNS = ("run", "method", "reference", "scenario", "seed", "status", "folder")
ABSENT = RUNS[:5]

# Test rows over all other rows of a site, of site "" all sites, where seeds split the same patients again; 0 where they
# draw fresh ones, NaN where the split is the same for all seeds too.
OVERLAPS = ("run", "site", "overlap")

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
    # sim.records.schema.SITES: test rows of `metric` and of BACKDOOR, of references at least in the last round
    sites: pd.DataFrame
    settings: Mapping[str, Json]  # run id -> resolved settings
    provenance: Mapping[str, str]  # command, commit, versions, machine, ... in the order of the page
    published: Mapping[str, float] = field(default_factory=dict)  # method -> published value of the primary metric
    dials: Sequence[Dial] = ()  # their labels are scenarios of `runs`
    overlaps: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=list(OVERLAPS))
    )  # none = fresh patients
    resamples: Mapping[str, pd.DataFrame] = field(default_factory=dict)  # run id -> see `sim.study.resamples`
    stopped: Mapping[str, int] = field(default_factory=dict)  # run id -> round in which early stopping ended it
    convex: bool = True  # whether the pooled model is the optimum of its task in every run
    absent: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=list(ABSENT))
    )  # cells that have no records: they failed, or are not there yet
    epsilons: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict
    )  # run id -> "sites" or "records" -> epsilon of the worst site, of runs with noise
    why: Mapping[str, str] = field(default_factory=dict)  # run id -> why it diverged or failed

    def __post_init__(self) -> None:
        one_of(f"{self.name}: metric", self.metric, METRICS)
        within(f"{self.name}: margin", self.margin, 0)
        missing = [column for column in RUNS if column not in self.runs]
        if missing or self.runs.empty:
            raise Refused(f"{self.name}: a report needs runs with columns {', '.join(RUNS)}; missing: {missing}.")
        twice = self.runs.duplicated(["scenario", "method", "seed"])
        if twice.any():
            cell = self.runs.loc[twice, ["scenario", "method", "seed"]].iloc[0].tolist()
            raise Refused(f"{self.name}: two runs have the same scenario, method and seed {cell}.")


def read_study(folder: Path) -> StudyRecords:
    """Records of a study from its folder: study.json and the runs it names.

    Refuses a folder without a readable study.json or with a changed one, and a run that is missing or whose files
    changed.
    """
    study, content = read_index(folder)
    every = pd.DataFrame(content["runs"])
    listing = there(folder, every)
    found = {name: test_rows(read(folder / name), study.metric) for name in listing["run"].unique()}
    if study.tune:
        every = choose(every, {name: final_loss(run) for name, run in found.items()})
        listing = there(folder, every)
    runs = [found[name] for name in listing["run"].unique()]
    status = {run.id: "done" if run.info["status"] == "done" else "diverged" for run in runs}
    listing["status"] = listing["run"].map(status)
    listing["folder"] = listing["run"]
    resampled = {run.id: resamples(run, folder / run.id, study.metric) for run in runs}
    first, failed = runs[0].info, content.get("failed", {})
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
            **absent(every, listing, failed),
            **({"tuned": in_words(study.tune)} if study.tune else {}),
            **halted(runs),
            "commit": first["commit"],
            "code": ", ".join(sorted({run.info["code"] for run in runs})),
            "versions": ", ".join(f"{name} {number}" for name, number in first["versions"].items()),
            "machine": ", ".join(first["machine"].values()),
            "seeds": str(study.seeds),
            "compute": f"{sum(run.info['wall_seconds'] for run in runs):.0f} s over all runs",
        },
        published=study.published,
        dials=study.dials,
        overlaps=pd.concat([overlaps(run) for run in runs], ignore_index=True),
        resamples={run: found for run, found in resampled.items() if found is not None},
        stopped={run.id: run.info["stopped"]["round"] for run in runs if run.info.get("stopped")},
        convex=all(run.info["convex"] for run in runs),
        epsilons={run.id: known for run in runs if (known := epsilons(run))},
        absent=without(every, listing),
        why=failed | {run.id: run.info["status"] for run in runs if run.info["status"] != "done"},
    )


def read_index(folder: Path) -> tuple[Study, dict[str, Any]]:
    """The study of a folder, and the content of its study.json; refuses a missing, damaged or changed file."""
    try:
        content = json.loads((folder / INDEX).read_text())
        stated = content.pop("digest")
        study, _ = Study.of(content["study"]), content["runs"][0]["run"]
        if stated != of_json(content):
            raise Refused(
                f"{folder / INDEX}: changed since it was written. Run the study again; finished runs are kept."
            )
    except OSError:
        raise Refused(f"{folder}: no study.json in it. Run `fedtrial study NAME` first, or name its folder.") from None
    except (UnicodeDecodeError, json.JSONDecodeError, TypeError, AttributeError, LookupError) as error:
        raise Refused(f"{folder / INDEX}: damaged ({error}). Run the study again; finished runs are kept.") from None
    return study, content


def epsilons(run: Run) -> dict[str, float]:
    """Epsilon at the worst site, of whole sites and of records; empty for a run without noise, inf without a bound."""
    found = {whose: cost["epsilon"]["max"] for whose, cost in run.info.get("privacy", {}).items()}
    return {whose: np.inf if value is None else float(value) for whose, value in found.items()}


def overlaps(run: Run) -> pd.DataFrame:
    """Overlap of the test patients of a run with those of other seeds, per site and overall; columns OVERLAPS."""
    held = run.info["sites"]
    rows = np.array([[part["rows"] for part in parts.values()] for parts in held.values()])  # [S][train, valid, test]
    rows = np.concatenate([rows.sum(0, keepdims=True), rows])
    test, every = rows[:, 2], rows.sum(1)
    shared = np.divide(test, every - test, out=np.full(len(test), np.nan), where=every > test)
    if run.info["patients"] == "fresh":
        shared = np.zeros(len(test))
    elif run.info["split"] == "fixed":
        shared = np.full(len(test), np.nan)
    return pd.DataFrame({"run": run.id, "site": ["", *held], "overlap": shared})


def there(folder: Path, every: pd.DataFrame) -> pd.DataFrame:
    """The cells whose runs have a folder; the others failed, or the study is still running."""
    found = {run for run in every["run"].unique() if (folder / run).is_dir()}
    listing = every[every["run"].isin(found)].reset_index(drop=True)
    if listing.empty or (listing["reference"] != "").all():
        raise Refused(f"{folder}: none of its federated runs is finished yet. Wait for the study, or run it again.")
    return listing


def without(every: pd.DataFrame, listing: pd.DataFrame) -> pd.DataFrame:
    """The cells whose runs are not in the listing, columns ABSENT."""
    return every.loc[~every["run"].isin(listing["run"]), list(ABSENT)]


def absent(every: pd.DataFrame, listing: pd.DataFrame, failed: Mapping[str, str]) -> dict[str, str]:
    """How many runs a page is based on, and which failed and why; empty if all are finished."""
    if len(listing) == len(every):
        return {}
    lost = without(every, listing)
    words = [
        f"{', '.join(filter(None, (method, scenario)))}, seed {seed} failed: {failed[run]}"
        for run, method, scenario, seed in lost[["run", "method", "scenario", "seed"]].itertuples(index=False)
        if run in failed
    ]
    waiting = int((~lost["run"].isin(list(failed))).sum())
    words += [f"{waiting} not finished yet"] if waiting else []
    return {"missing": f"{len(listing)} of {len(every)} are finished; {'; '.join(words)}"}


def halted(runs: Sequence[Run]) -> dict[str, str]:
    """How many runs early stopping ended; empty where none. An analysis that is complete was not stopped."""
    stops = [stop for run in runs if (stop := run.info.get("stopped")) and stop["patience"]]
    if not stops:
        return {}
    at, patience = [stop["round"] for stop in stops], sorted({stop["patience"] for stop in stops})
    when = f"after round {min(at)}" if min(at) == max(at) else f"after rounds {min(at)} to {max(at)}"
    waited = ", ".join(map(str, patience))
    return {
        "stopped": f"{len(stops)} of {len(runs)} runs {when}, with no lower validation loss in {waited} scorings; "
        "their last values are used for all later rounds"
    }


def test_rows(run: Run, metric: str) -> Run:
    """A run with only those rows of `sites` that a report reads: all rows of many large runs would fill the memory."""
    sites = run.sites
    read = (
        (sites["split"] == "test") & sites["metric"].isin([metric, BACKDOOR]) & (sites["model"] == run.info["deploys"])
    )
    return replace(run, sites=sites[read])
