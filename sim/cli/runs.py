"""`fedtrial runs`, `show` and `diff`: list the runs of a folder, show one run, and compare two."""

import json
import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import filesize
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from sim.checks import Refused, one_of
from sim.cli.run_table import show, shown
from sim.metrics import METRICS
from sim.records.begun import all_begun
from sim.records.outcome import how_it_ended, read_outcome
from sim.records.settings import Flat, with_seed
from sim.records.store import finished, read
from sim.records.unfinished import TRACEBACK, State, Status, status, working_folder
from sim.run.listing import RUN, Listed, listing, primary
from sim.study.results import INDEX, read_index

SUFFIX = ".unfinished"
FACTS = ("code", "commit", "changes", "data", "partition", "versions", "machine", "threads", "executor", "tier")


def list_runs(console: Console, folder: Path, metric: str, as_json: bool) -> None:
    """Print every run of a folder, as a table or as JSON."""
    if not folder.is_dir():
        raise Refused(f"{folder}: no such folder.")
    cells: dict[str, Mapping[str, str]] = {}
    if (folder / INDEX).is_file():
        plan, content = read_index(folder)
        metric = metric or plan.metric
        names = ("method", "scenario", "tuned", "seed")
        used = [name for name in names if any(row[name] != "" for row in content["runs"])]
        cells = {row["run"]: {name: str(row[name]) for name in used} for row in content["runs"]}
    every = listing(folder, cells)
    if as_json:
        print(json.dumps([plain(one.json()) for one in every], indent=1))
        return
    if metric:
        one_of("--metric", metric, METRICS)
    console.print(table(every, metric or primary(every)))
    counts = {state: sum(one.status.state is state for one in every) for state in State}
    console.print(
        f"{len(every)} runs: {', '.join(f'{number} {state.value}' for state, number in counts.items() if number)}."
    )


def table(every: list[Listed], metric: str) -> Table:
    """Runs in rows."""
    labels = list(dict.fromkeys(name for one in every for name in one.labels))
    right = [Column(name, justify="right") for name in ("round", metric or "metric")]
    made = Table(
        "run", *(Column(name, overflow="fold") for name in labels), "status", *right, Column("", overflow="fold")
    )
    for one in every:
        at, whole = one.rounds
        cells = [Text(one.labels.get(name, "")) for name in labels]
        state = one.status.state
        value = shown(one.metrics.get(metric, math.nan)) if one.metrics else ""
        said = how_it_ended(one.info) if one.info else one.status.why
        words = "" if said == State.DONE.value else said
        made.add_row(one.run, *cells, state.value, f"{at}/{whole}" if whole else "", value, Text(words))
    return made


def show_run(console: Console, home: Path, as_json: bool) -> None:
    """Print a run: results, settings, provenance and files, or why it is not finished."""
    folder, run, state = located(home)
    done = finished(folder / run)
    place = folder / run if done else working_folder(folder, run)
    info: Mapping[str, Any] = read_outcome(place).info if done else {}
    files = {path.name: path.stat().st_size for path in sorted(place.iterdir())} if place.is_dir() else {}
    if as_json:
        print(
            json.dumps(
                {"run": run, "state": state.state.value, "why": state.why, "files": files, "info": info}, indent=1
            )
        )
        return
    if done:
        show(read(place), place)
        console.print(pairs("Settings", with_seed(info["settings"])))
        console.print(
            pairs("Provenance", facts(info) | {"seconds": str(info["wall_seconds"]), "started": info["started"]})
        )
    else:
        at = f", round {state.round} of {state.rounds}" if state.rounds else ""
        since = f", attempt {state.attempt}, begun {state.started}" if state.attempt else ""
        console.print(f"Run {run}: {state.state.value}{at}{since}.")
        if state.why:
            console.print(f"{state.why}", markup=False, soft_wrap=True)
        if (place / TRACEBACK).is_file():
            console.print((place / TRACEBACK).read_text(), markup=False, soft_wrap=True)
        known = (folder / INDEX).is_file() or all_begun(folder, run)
        further = f"fedtrial resume {shlex.quote(str(place))}" if known else "give the command that began it again."
        console.print(f"To continue: {further}", markup=False, soft_wrap=True)
    console.print(pairs(f"Files of {place}", {name: filesize.decimal(size) for name, size in files.items()}))


def diff_runs(console: Console, first: Path, second: Path, as_json: bool) -> None:
    """Print the differences between two finished runs: settings, provenance, metrics."""
    homes = [folder / run for folder, run, _ in map(located, (first, second))]
    found = [read_outcome(home) for home in homes]
    settings = apart(*(with_seed(one.info["settings"]) for one in found))
    origin = apart(*(facts(one.info) for one in found))
    names = dict.fromkeys([*found[0].metrics, *found[1].metrics])
    metrics = {name: tuple(one.metrics.get(name, math.nan) for one in found) for name in names}
    if as_json:
        whole = {"runs": [home.name for home in homes], "settings": settings, "origin": origin, "metrics": metrics}
        print(json.dumps(plain(whole), indent=1))
        return
    heads = [home.name for home in homes]
    for title, rows in (("Settings that differ", settings), ("Code, data and machine that differ", origin)):
        if not rows:
            console.print(f"{title}: none.")
            continue
        made = Table("", *(Column(head, overflow="fold") for head in heads), title=title)
        for name, values in rows.items():
            made.add_row(name, *map(Text, values))
        console.print(made)
    made = Table("metric", *heads, "difference", title="Means over sites, test patients, last round")
    for name, (a, b) in metrics.items():
        made.add_row(name, shown(a), shown(b), shown(b - a))
    console.print(made)


def located(home: Path) -> tuple[Path, str, Status]:
    """Parent folder, id and status of a run, given its folder or working folder; refuses other folders."""
    run = home.name.removesuffix(SUFFIX)
    now = status(home.parent, run)
    if not finished(home.parent / run) and not working_folder(home.parent, run).is_dir():
        remedy = "Name a run's folder, such as results/runs/0123456789ab; `fedtrial runs FOLDER` lists them."
        if RUN.fullmatch(run) and home.is_dir():
            remedy = "Give its command again: this folder is then set aside, and the run computed anew."
            raise Refused(f"{home}: the files of this run changed after it was written. {remedy}")
        raise Refused(f"{home}: no run. {remedy}")
    return home.parent, run, now


def facts(info: Mapping[str, Any]) -> Flat:
    """Provenance of a run, as a flat mapping."""
    found: Flat = {}
    for name in FACTS:
        value = info.get(name)
        if isinstance(value, Mapping):
            found |= {f"{name}.{key}": str(part) for key, part in value.items()}
        elif value not in (None, ""):
            found[name] = str(value)
    return found


def apart(first: Flat, second: Flat) -> dict[str, tuple[str, str]]:
    """Name -> the two values, if they differ; a dash if one is missing."""
    names = dict.fromkeys([*first, *second])
    both = {name: (first.get(name, "–"), second.get(name, "–")) for name in names}
    return {name: values for name, values in both.items() if values[0] != values[1]}


def pairs(title: str, rows: Mapping[str, str]) -> Table:
    """Names and values in two columns."""
    made = Table("", Column("", overflow="fold"), title=title, show_header=False)
    for name, value in rows.items():
        made.add_row(Text(name), Text(value))
    return made


def plain(value: Any) -> Any:
    """Values as JSON allows them, without infinity and NaN."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: plain(part) for name, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value
