"""Run records: two tidy tables and a JSON file in one folder, which appears whole or not at all."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from sim.checks import Refused
from sim.files import ready, sync
from sim.records.schema import SITES

FILES = ("rounds.parquet", "sites.parquet", "run.json")


@dataclass(frozen=True)
class Run:
    """All that is kept of a run."""

    id: str
    rounds: pd.DataFrame = field(repr=False)  # columns of sim.records.schema.ROUNDS
    sites: pd.DataFrame = field(repr=False)  # columns of sim.records.schema.SITES
    info: dict[str, Any] = field(repr=False)  # run.json


def together(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The `sites` tables of several runs as one, with common categories: pandas alone would turn them into text."""
    columns = {
        name: union_categoricals([table[name] for table in tables], sort_categories=True)
        if kind == "category"
        else np.concatenate([table[name] for table in tables])
        for name, kind in SITES.items()
    }
    return pd.DataFrame(columns)


def write(run: Run, folder: Path) -> Path:
    """Write the run to `folder/<run id>` and return that path; Refused where the disk does not allow it.

    The files are written first, then DONE with their digests, both in a draft folder that is renamed at the end. A
    finished run of that name is kept; a broken one is set aside.
    """
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
    """The run in a folder; Refused where it is not finished, or a file changed since."""
    if not finished(home):
        raise Refused(f"{home}: not a finished run, or its files changed after DONE was written; run it again.")
    info = json.loads((home / "run.json").read_text())
    rounds, sites = pd.read_parquet(home / "rounds.parquet"), pd.read_parquet(home / "sites.parquet")
    return Run(info["run"], rounds, sites.astype(SITES), info)


def finished(home: Path) -> bool:
    """Whether a run folder has a DONE file that agrees with all other files."""
    try:
        stated = json.loads((home / "DONE").read_text())
        return bool(stated == {name: digest(home / name) for name in FILES})
    except (OSError, ValueError):
        return False


def set_aside(home: Path) -> Path:
    """Rename the folder of a broken run to `<run id>.broken-<n>` and return the new path; nothing is deleted."""
    number = 1
    while (aside := home.with_name(f"{home.name}.broken-{number}")).exists():
        number += 1
    return home.rename(aside)


def digest(path: Path) -> str:
    """BLAKE2b of a file, 16 bytes as hexadecimal text."""
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
