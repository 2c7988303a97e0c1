"""Run records: tidy tables, a JSON file and the model in one folder, written completely or not at all."""

import errno
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from sim.checks import Refused
from sim.drafts import draft
from sim.files import allowed, digest, make_folder, sync
from sim.records import model, predictions
from sim.records.model import Model
from sim.records.predictions import Predictions
from sim.records.schema import SITES

FILES = ("rounds.parquet", "sites.parquet", "run.json")  # of every run


@dataclass(frozen=True)
class Run:
    """All records of a run."""

    id: str
    rounds: pd.DataFrame = field(repr=False)  # columns of sim.records.schema.ROUNDS
    sites: pd.DataFrame = field(repr=False)  # columns of sim.records.schema.SITES
    info: dict[str, Any] = field(repr=False)  # run.json
    model: Model | None = field(default=None, repr=False)  # None: it has none, or was not read back
    predictions: Predictions | None = field(default=None, repr=False)  # None: not asked for, or not read back


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
    """Write the run to `folder/<run id>` and return that path; raises Refused if the disk does not allow it.

    The files are written first, then DONE with their digests, both in a draft folder that is renamed at the end. An
    existing finished run of that name is kept; a broken one is set aside.
    """
    home = folder / run.id
    try:
        with draft(make_folder(folder), run.id) as made:
            run.rounds.to_parquet(made / "rounds.parquet", index=False, compression="zstd")
            run.sites.to_parquet(made / "sites.parquet", index=False, compression="zstd")
            (made / "run.json").write_text(json.dumps(run.info, indent=2, sort_keys=True) + "\n")
            names = list(FILES)
            if run.model is not None:
                names += model.write(run.model, made)
            if run.predictions is not None:
                names += predictions.write(run.predictions, made)
            for name in names:
                sync(made / name)
            (made / "DONE").write_text(json.dumps({name: digest(made / name) for name in names}, indent=2) + "\n")
            sync(made / "DONE")
            made.chmod(allowed(0o777))
            if home.exists():
                if finished(home):
                    return home
                set_aside(home)
            try:
                made.rename(home)
            except OSError as error:  # another process may have written the same run meanwhile
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or not finished(home):
                    raise
            sync(folder)
    except OSError as error:
        raise Refused(
            f"{home}: the run could not be written ({error.strerror}); free space or set results.dir."
        ) from error
    return home


def read(home: Path) -> Run:
    """Tables and JSON of a finished run; refuses one whose files changed since. Model and predictions stay on disk."""
    demand(home)
    info = json.loads((home / "run.json").read_text())
    rounds, sites = pd.read_parquet(home / "rounds.parquet"), pd.read_parquet(home / "sites.parquet")
    return Run(info["run"], rounds, sites.astype(SITES), info)


def demand(home: Path) -> None:
    """Refuse a folder that is not a finished run."""
    if not finished(home):
        raise Refused(f"{home}: not a finished run, or its files changed after DONE was written; run it again.")


def finished(home: Path) -> bool:
    """Whether DONE exists, names the required files, and matches all the files that it names."""
    try:
        stated = json.loads((home / "DONE").read_text())
        return set(FILES) <= set(stated) and all(digest(home / name) == told for name, told in stated.items())
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def set_aside(home: Path) -> Path:
    """Rename the folder of a broken run to `<run id>.broken-<n>` and return the new path; nothing is deleted."""
    number = 1
    while (aside := home.with_name(f"{home.name}.broken-{number}")).exists():
        number += 1
    return home.rename(aside)
