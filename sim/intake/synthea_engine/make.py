"""Making a cohort with the engine: part by part, each written to disk as soon as it is there, so that it can go on."""

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

FAULTS = b"fedtrial_faults"  # key of a part's metadata: the people on whom a module failed


@dataclass(frozen=True)
class MadeCohort:
    """A cohort that was written."""

    table: pd.DataFrame
    people: int  # simulated up to the last patient of every city and cancer
    left_out: int  # of them, on whom a module failed


def make_cohort(making: MakeSettings, out: Path) -> MadeCohort:
    """Write the cohort to `out`.

    Parts lie in a folder beside it and stay there: a larger cohort of the same seed starts from them.
    """
    require_package()
    store = make_folder(out.with_name(f"{out.name}.parts") / fingerprint())
    wanted = strata(making)
    for arm in wanted:
        resume(arm, store)
    with bar(f"{out.name}: patients", making.patients) as watch:
        watch(sum(arm.found for arm in wanted))
        for part, harvest in run_jobs(simulate, lambda: next_part(wanted), making.workers or os.cpu_count() or 1):
            write_part(harvest, store / f"{part.name}.parquet")
            arm = next(arm for arm in wanted if (arm.city, arm.cancer) == (part.city, part.cancer))
            arm.finish(part.first // arm.people, len(harvest.rows), harvest.faults)
            watch(sum(arm.found for arm in wanted))
    found = pa.concat_tables([first_patients(arm, store) for arm in wanted])
    table = conform(found.to_pandas(ignore_metadata=True), str(out))
    draft = out.with_name(f".{out.name}.draft")
    write(table, draft)
    sync(draft)
    draft.replace(out)
    return MadeCohort(table, *count_people(table, wanted))


def resume(arm: Stratum, store: Path) -> None:
    """Take in the parts of an arm that are on disk whole; a broken file is as if it were not there."""
    for path in sorted(store.glob(f"{arm.city}-{arm.cancer}-*.parquet")):
        first, last = (int(word) for word in path.stem.split("-")[-2:])
        if last - first == arm.people and first % arm.people == 0:
            try:
                about = arrow_parquet.read_metadata(path)
            except (pa.ArrowException, OSError):
                continue
            told = json.loads((about.metadata or {}).get(FAULTS, b"{}"))
            arm.finish(first // arm.people, about.num_rows, {int(number): why for number, why in told.items()})


def write_part(harvest: Simulated, path: Path) -> None:
    """Write a part: whole or not at all."""
    schema = pa.schema([pa.field(name, ARROW[column.kind]) for name, column in columns().items()])
    table = pa.Table.from_pylist(harvest.rows, schema=schema.with_metadata({FAULTS: json.dumps(harvest.faults)}))
    draft = path.with_name(f".{path.name}.draft")
    arrow_parquet.write_table(table, draft)
    sync(draft)
    draft.replace(path)


def first_patients(arm: Stratum, store: Path) -> pa.Table:
    """The first patients of an arm in the order of people."""
    parts = [arrow_parquet.read_table(store / f"{arm.part(number).name}.parquet") for number in arm.whole]
    return pa.concat_tables([part.replace_schema_metadata() for part in parts]).slice(0, arm.quota)


def count_people(table: pd.DataFrame, wanted: Sequence[Stratum]) -> tuple[int, int]:
    """People up to the last patient of every city and cancer, and how many of them failed."""
    arm, number = table["patient_id"].str.rsplit("-", n=1).str[0], table["patient_id"].str.rsplit("-", n=1).str[1]
    last = number.astype(int).groupby(arm).max()
    faults = [fault <= last[f"{one.city}-{one.cancer}"] for one in wanted for fault in one.faults]
    return int((last + 1).sum()), sum(faults)
