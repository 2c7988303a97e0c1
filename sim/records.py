"""Run records: two tidy tables and a JSON file in one folder that appears whole or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import union_categoricals

from sim.checks import Refused
from sim.engine import Round
from sim.federation import Federation
from sim.frames import ROUNDS, SITES
from sim.score import Held

LONGEST_NAME = 200  # bytes of a file; with what is put around it while it is written, file systems take 255
FILES = ("rounds.parquet", "sites.parquet", "run.json")


@dataclass(frozen=True)
class Run:
    """Everything that is kept of a run."""

    id: str
    rounds: pd.DataFrame = field(repr=False)  # columns of sim.frames.ROUNDS
    sites: pd.DataFrame = field(repr=False)  # columns of sim.frames.SITES
    info: dict[str, Any] = field(repr=False)  # run.json


def rounds_frame(run: str, rounds: list[Round]) -> pd.DataFrame:
    """One row a round."""
    names = [name for name in ROUNDS if name not in ("run", "round")]
    columns = {name: [getattr(here, name) for here in rounds] for name in names}
    frame = pd.DataFrame({"run": run, "round": [here.number for here in rounds], **columns})
    return frame.astype(ROUNDS)


def sites_frame(
    run: str,
    federation: Federation,
    held: Held,
    events: NDArray[np.bool_],
    model: str,
    judged: list[tuple[int, dict[str, NDArray[np.float64]]]],
) -> pd.DataFrame:
    """One row a (round, site, split, metric) from the metrics [S * splits] of some rounds; empty segments left out."""
    rows = np.bincount(held.segment, minlength=held.segments)
    had = np.bincount(held.segment, weights=events[held.row], minlength=held.segments)
    there = np.flatnonzero(rows)
    site, split = np.divmod(there, len(held.splits))
    scored = [(number, metric, values[there]) for number, metrics in judged for metric, values in metrics.items()]
    metrics = sorted({metric for _, metric, _ in scored})
    numbers, kinds = [number for number, _, _ in scored], [metrics.index(metric) for _, metric, _ in scored]
    times, each = len(scored), len(there)
    one = np.zeros(times * each, dtype=np.int64)
    columns = {
        "run": named([run], one),
        "round": np.repeat(np.array(numbers, dtype=np.int32), each),
        "site": named(federation.sites, np.tile(site, times)),
        "split": named(held.splits, np.tile(split, times)),
        "rows": np.tile(rows[there].astype(np.int32), times),
        "events": np.tile(had[there].astype(np.int32), times),
        "model": named([model], one),
        "metric": named(metrics, np.repeat(np.array(kinds, dtype=np.int64), each)),
        "value": np.concatenate([np.zeros(0), *(values for _, _, values in scored)]),
    }
    return pd.DataFrame(columns).astype(SITES)


def named(names: Sequence[str], code: NDArray[np.int64]) -> pd.Categorical:
    """A column of names from their numbers, kept as such; [n]."""
    return pd.Categorical.from_codes(code, pd.Index(list(names), dtype="str"))


def together(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """`sites` of several runs end to end, with one list of names for each column; pandas alone would spell them out."""
    columns = {
        name: union_categoricals([table[name] for table in tables], sort_categories=True)
        if kind == "category"
        else np.concatenate([table[name] for table in tables])
        for name, kind in SITES.items()
    }
    return pd.DataFrame(columns)


def writable(folder: Path) -> Path:
    """The folder, not made yet; refuses at once what could not be written hours later."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise Refused(f"{folder}: cannot be written to ({error.strerror}); choose another.") from None
    return folder


def writable_file(option: str, path: Path) -> None:
    """Refuse at once a file that could not be written after all was computed."""
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise Refused(f"{option}: a name of {len(path.name)} letters; allowed {LONGEST_NAME}. Choose another.")
    if path.is_dir():
        raise Refused(f"{option} {path}: is a folder. Name a file.")
    writable(path.parent)


def ready(folder: Path) -> Path:
    """The folder, made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{folder}: cannot be written to ({error.strerror}); choose another.") from None
    return writable(folder)


def write(run: Run, folder: Path) -> Path:
    """Write `folder/<run id>`: files first, then DONE with their digests, then the folder gets its name."""
    home = folder / run.id
    draft = Path(tempfile.mkdtemp(prefix=f".{run.id}-", dir=ready(folder)))
    try:
        run.rounds.to_parquet(draft / "rounds.parquet", index=False, compression="zstd")
        run.sites.to_parquet(draft / "sites.parquet", index=False, compression="zstd")
        (draft / "run.json").write_text(json.dumps(run.info, indent=2, sort_keys=True) + "\n")
        for name in FILES:
            sync(draft / name)
        (draft / "DONE").write_text(json.dumps({name: digest(draft / name) for name in FILES}, indent=2) + "\n")
        sync(draft / "DONE")
        draft.chmod(0o755)
        if home.exists():
            if finished(home):
                shutil.rmtree(draft)
                return home
            set_aside(home)
        draft.rename(home)
        sync(folder)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        raise Refused(
            f"{home}: the run could not be written ({error.strerror}); free space or set results.dir."
        ) from error
    return home


def read(home: Path) -> Run:
    """A finished run; refuses one whose files changed since."""
    if not finished(home):
        raise Refused(f"{home}: not a finished run, or its files changed after DONE was written; run it again.")
    info = json.loads((home / "run.json").read_text())
    rounds, sites = pd.read_parquet(home / "rounds.parquet"), pd.read_parquet(home / "sites.parquet")
    return Run(info["run"], rounds, sites.astype(SITES), info)


def finished(home: Path) -> bool:
    """Whether DONE is there and agrees with every file."""
    try:
        stated = json.loads((home / "DONE").read_text())
        return bool(stated == {name: digest(home / name) for name in FILES})
    except (OSError, ValueError):
        return False


def set_aside(home: Path) -> Path:
    """Move a broken run out of the way; nothing is deleted."""
    number = 1
    while (aside := home.with_name(f"{home.name}.broken-{number}")).exists():
        number += 1
    return home.rename(aside)


def digest(path: Path) -> str:
    """BLAKE2 of a file."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def sync(path: Path) -> None:
    """Have the disk hold what was written."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
