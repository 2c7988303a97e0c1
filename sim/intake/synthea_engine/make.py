"""Making a cohort with the engine, part by part; each is written to disk at once, so that a stopped job resumes."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as arrow_parquet

from sim.cohort.clinical.conform import ARROW, conform, write
from sim.cohort.clinical.schema import columns
from sim.files import make_folder, sync
from sim.intake.synthea_engine.engine import Simulated, fingerprint, require_package, simulate
from sim.intake.synthea_engine.plan import MakeSettings, Stratum, next_part, strata
from sim.processes import run_jobs
from sim.progress import bar

FAULTS = b"fedtrial_faults"  # metadata key of a part's file: the people on whom a module failed


@dataclass(frozen=True)
class MadeCohort:
    """The cohort that was written."""

    table: pd.DataFrame
    people: int  # simulated up to the last patient of every city and cancer
    left_out: int  # of them, on whom a module failed


def make_cohort(settings: MakeSettings, out: Path) -> MadeCohort:
    """Write the cohort to `out`, as a whole.

    Parts are written to a folder beside it and kept: a larger cohort of the same seed starts from them.
    """
    require_package()
    store = make_folder(out.with_name(f"{out.name}.parts") / fingerprint())
    all_strata = strata(settings)
    for stratum in all_strata:
        resume(stratum, store)
    with bar(f"{out.name}: patients", settings.patients) as watch:
        watch(sum(stratum.found for stratum in all_strata))
        for part, harvest in run_jobs(simulate, lambda: next_part(all_strata), settings.workers or os.cpu_count() or 1):
            write_part(harvest, store / f"{part.name}.parquet")
            stratum = next(
                stratum for stratum in all_strata if (stratum.city, stratum.cancer) == (part.city, part.cancer)
            )
            stratum.finish(part.first // stratum.people, len(harvest.rows), harvest.faults)
            watch(sum(stratum.found for stratum in all_strata))
    found = pa.concat_tables([first_patients(stratum, store) for stratum in all_strata])
    table = conform(found.to_pandas(ignore_metadata=True), str(out))
    draft = out.with_name(f".{out.name}.draft")
    write(table, draft)
    sync(draft)
    draft.replace(out)
    return MadeCohort(table, *count_people(table, all_strata))


def resume(stratum: Stratum, store: Path) -> None:
    """Load the finished parts of a stratum from disk; an unreadable file is ignored."""
    for path in sorted(store.glob(f"{stratum.city}-{stratum.cancer}-*.parquet")):
        first, last = (int(word) for word in path.stem.split("-")[-2:])
        if last - first == stratum.people and first % stratum.people == 0:
            try:
                about = arrow_parquet.read_metadata(path)
            except (pa.ArrowException, OSError):
                continue
            faults = json.loads((about.metadata or {}).get(FAULTS, b"{}"))
            stratum.finish(
                first // stratum.people, about.num_rows, {int(number): why for number, why in faults.items()}
            )


def write_part(harvest: Simulated, path: Path) -> None:
    """Write a part, through a draft that is renamed, so that no partial file is left."""
    schema = pa.schema([pa.field(name, ARROW[column.kind]) for name, column in columns().items()])
    table = pa.Table.from_pylist(harvest.rows, schema=schema.with_metadata({FAULTS: json.dumps(harvest.faults)}))
    draft = path.with_name(f".{path.name}.draft")
    arrow_parquet.write_table(table, draft)
    sync(draft)
    draft.replace(path)


def first_patients(stratum: Stratum, store: Path) -> pa.Table:
    """The first `quota` patients of a stratum, in the order of people."""
    parts = [arrow_parquet.read_table(store / f"{stratum.part(number).name}.parquet") for number in stratum.whole]
    return pa.concat_tables([part.replace_schema_metadata() for part in parts]).slice(0, stratum.quota)


def count_people(table: pd.DataFrame, all_strata: Sequence[Stratum]) -> tuple[int, int]:
    """People simulated up to the last patient of every city and cancer, and on how many of them a module failed."""
    stratum, number = table["patient_id"].str.rsplit("-", n=1).str[0], table["patient_id"].str.rsplit("-", n=1).str[1]
    last = number.astype(int).groupby(stratum).max()
    faults = [fault <= last[f"{one.city}-{one.cancer}"] for one in all_strata for fault in one.faults]
    return int((last + 1).sum()), sum(faults)
