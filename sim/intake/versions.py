"""Tables of a Synthea CSV export and the names of their columns from 2017 to 2026."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sim.checks import Refused, did_you_mean
from sim.intake.stream import header


@dataclass(frozen=True)
class TableColumns:
    """Columns of one table: our name -> names in exports, any case; the first that exists is used.

    2018 renamed DATE of encounters and medications to START, 2022 that of procedures.
    """

    needed: Mapping[str, tuple[str, ...]]
    welcome: Mapping[str, tuple[str, ...]]
    optional: bool = True  # whether an export without it can be imported


TABLES: Mapping[str, TableColumns] = {
    "patients": TableColumns(
        {"id": ("ID",), "birth": ("BIRTHDATE",), "death": ("DEATHDATE",), "sex": ("GENDER",)},
        {
            "race": ("RACE",),
            "ethnicity": ("ETHNICITY",),
            "state": ("STATE",),  # from 2018
            "city": ("CITY",),  # from 2018
            "county": ("COUNTY",),  # from 2020
            "income": ("INCOME",),  # from 2023
        },
        optional=False,
    ),
    "conditions": TableColumns(
        {"day": ("START",), "patient": ("PATIENT",), "code": ("CODE",)},
        {"encounter": ("ENCOUNTER",), "text": ("DESCRIPTION",)},
        optional=False,
    ),
    "encounters": TableColumns(
        {"id": ("ID",), "day": ("START", "DATE"), "patient": ("PATIENT",)},
        {"organization": ("ORGANIZATION",), "provider": ("PROVIDER",)},
    ),
    "observations": TableColumns(
        {"day": ("DATE", "START"), "patient": ("PATIENT",), "code": ("CODE",), "value": ("VALUE",)},
        {"unit": ("UNITS",)},
    ),
    "procedures": TableColumns(
        {"day": ("START", "DATE"), "patient": ("PATIENT",), "code": ("CODE",)}, {"reason": ("REASONCODE",)}
    ),
    "medications": TableColumns(
        {"day": ("START", "DATE"), "patient": ("PATIENT",), "code": ("CODE",)}, {"reason": ("REASONCODE",)}
    ),
}


@dataclass(frozen=True)
class TableFile:
    """A table of an export."""

    path: Path
    columns: Mapping[str, str]  # our name -> name in the header


def find_tables(folder: Path) -> dict[str, TableFile]:
    """Tables of a folder, `.csv` or `.csv.gz`; raises Refused with the table or column that is missing."""
    if not os.path.isdir(folder):  # unlike Path.is_dir, False for a name that is too long
        raise Refused(f"{folder}: no such folder. Name the one with patients.csv, such as synthea/output/csv.")
    paths = {name: find_table(folder, name) for name in TABLES}
    for name, table in TABLES.items():
        if paths[name] is None and not table.optional:
            raise Refused(f"{folder}: no {name}.csv or {name}.csv.gz.{hint(folder, name)}")
    return {
        name: TableFile(path, match_columns(path, TABLES[name])) for name, path in paths.items() if path is not None
    }


def find_table(folder: Path, name: str) -> Path | None:
    """File of a table, in any case; None if there is none. Refuses two files of one table."""
    found = [path for path in sorted(folder.iterdir()) if path.name.lower() in (f"{name}.csv", f"{name}.csv.gz")]
    if len(found) > 1:
        raise Refused(f"{folder}: {' and '.join(path.name for path in found)} are the same table. Keep one.")
    return found[0] if found else None


def hint(folder: Path, name: str) -> str:
    """Remedy for a folder without the table: where it is, or how to export it."""
    deeper = sorted(path.parent for pattern in ("csv", "csv.gz") for path in folder.glob(f"**/{name}.{pattern}"))
    if deeper:
        return f" There is one in {deeper[0]}: name that folder."
    if any(folder.glob("*.json")) or any(folder.glob("*.ndjson")):
        return " It holds JSON: use `fedtrial cohort import fhir`."
    return " Export with exporter.csv.export = true, and check exporter.csv.included_files and excluded_files."


def match_columns(path: Path, table: TableColumns) -> dict[str, str]:
    """Our name -> name in the header; refuses a missing or repeated column."""
    names = header(path)
    given = [name.strip().upper() for name in names]
    theirs = dict(zip(given, names, strict=True))
    found = {}
    for ours, wanted in (table.needed | table.welcome).items():  # type: ignore[operator]
        name = next((name for name in wanted if name in theirs), None)
        if name:
            if given.count(name) > 1:
                raise Refused(f"{path}, line 1: column {name} occurs twice. Keep one, or export again.")
            found[ours] = theirs[name]
        elif ours in table.needed:
            has = ", ".join(theirs.values())
            raise Refused(
                f"{path}: no column {' or '.join(wanted)}; it has {has}.{did_you_mean(wanted[0], theirs)} "
                "Synthea's own export has it; columns are separated by commas."
            )
    return found
