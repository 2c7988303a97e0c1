"""Making a cohort with the engine: how many people of which city and cancer, part by part, resumable.

A part is a range of people of one city with the gate of one cancer raised. Its rows are written to disk as soon as they
are there. The cohort is the first patients of each city and cancer in the order of people, so it is the same whatever
the size of the parts, the number of workers and the order in which they finish.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import count, takewhile
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as arrow_parquet
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sim.checks import Refused, nearest, one_of, within
from sim.cohort.conform import ARROW, conform, write
from sim.cohort.schema import columns
from sim.cohort.synthea.engine import CANCERS, CITIES, PACKAGE, VERSION, Part, fingerprint, patients, require
from sim.cohort.synthea.person import Row
from sim.compose import plain
from sim.progress import bar
from sim.records import ready, sync
from sim.sweep import spread

BARREN = 2000  # people of a city without one patient, after which something is wrong


@dataclass
class Making:
    """What is asked of the engine."""

    cancer: list[str] = field(default_factory=lambda: list(CANCERS))
    patients: int = 4000  # >= 1 a city and cancer; with cancer, in the whole cohort, dealt evenly
    cities: list[str] = field(default_factory=lambda: ["boston", "houston", "los_angeles", "new_york"])
    seed: int = 0
    workers: int = 0  # processes; 0 = one a core, 1 = without Ray
    people: int = 100  # >= 1; simulated in one go: what is lost when stopped, no effect on who the patients are

    def __post_init__(self) -> None:
        for name, known in (("cancer", CANCERS), ("cities", CITIES)):
            given = getattr(self, name)
            for word in given:
                one_of(name, word, known)
            if not given or len(set(given)) < len(given):
                raise Refused(f"{name}={','.join(given)}: name at least one, each once, of {', '.join(known)}.")
        within("workers", self.workers, 0)
        within("people", self.people, 1)
        within("patients", self.patients, len(self.cancer) * len(self.cities))


class Arm:
    """One city and cancer: its share of the patients and the parts that hold them."""

    def __init__(self, city: str, cancer: str, quota: int, making: Making) -> None:
        self.city, self.cancer, self.quota = city, cancer, quota
        self.seed, self.people = making.seed, making.people
        self.rows: dict[int, int] = {}  # number of a finished part -> patients in it
        self.busy: set[int] = set()  # parts that a worker has

    def part(self, number: int) -> Part:
        """Part number 0, 1, ..."""
        return Part(self.seed, self.city, self.cancer, number * self.people, (number + 1) * self.people)

    @property
    def whole(self) -> list[int]:
        """Numbers of the finished parts before the first that is not."""
        return list(takewhile(self.rows.__contains__, count()))

    @property
    def found(self) -> int:
        """Patients that are sure to be in the cohort."""
        return min(sum(self.rows[number] for number in self.whole), self.quota)

    def next(self) -> int | None:
        """The first part that is neither finished nor begun, if those will hardly do."""
        if self.found == self.quota:
            return None
        there = self.rows.keys() | self.busy
        first = next(number for number in count() if number not in there)
        found, simulated = sum(self.rows.values()), len(self.rows) * self.people
        if simulated >= BARREN and not found:
            raise Refused(f"{self.city}, {self.cancer}: no patient among {simulated} people; see {PACKAGE} {VERSION}.")
        coming = len(self.busy) * self.people * (found + 1) / (simulated + 3)  # three people a patient until we know
        return first if found + coming < self.quota or max(there) > first else None


def settings(words: Sequence[str]) -> Making:
    """From words such as `cancer=breast,lung patients=4000`; raises Refused."""
    known = {one.name: one for one in fields(Making)}
    given: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Refused(f"{word}: not a setting. Write key=value, such as patients=4000.")
        if name not in known:
            raise Refused(f"{name}: no such setting; allowed are {', '.join(known)}.{nearest(name, known)}")
        listed = [part.strip() for part in value.strip("[]").split(",") if part.strip()]
        given[name] = listed if name in ("cancer", "cities") else value
    try:
        made = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Making), given))
    except OmegaConfBaseException as error:
        raise Refused(plain(error)) from None
    assert isinstance(made, Making)
    return made


def arms(making: Making) -> list[Arm]:
    """Every city and cancer, sorted; the first ones take what does not divide evenly."""
    pairs = [(city, cancer) for city in sorted(making.cities) for cancer in sorted(making.cancer)]
    share, rest = divmod(making.patients, len(pairs))
    return [Arm(*pair, share + (at < rest), making) for at, pair in enumerate(pairs)]


def make(making: Making, out: Path) -> pd.DataFrame:
    """Write the cohort to `out`; returns its table.

    Parts lie in a folder beside it and stay there: a larger cohort of the same seed starts from them.
    """
    require()
    store = ready(out.with_name(f"{out.name}.parts") / fingerprint())
    wanted = arms(making)
    for arm in wanted:
        arm.rows = finished(arm, store)
    with bar(f"{out.name}: patients", making.patients) as watch:
        watch(sum(arm.found for arm in wanted))
        for part, rows in spread(patients, lambda: deal(wanted), making.workers or os.cpu_count() or 1):
            keep(rows, store / f"{part.name}.parquet")
            arm = next(arm for arm in wanted if (arm.city, arm.cancer) == (part.city, part.cancer))
            number = part.first // arm.people
            arm.busy.remove(number)
            arm.rows[number] = len(rows)
            watch(sum(arm.found for arm in wanted))
    found = pa.concat_tables([chosen(arm, store) for arm in wanted])
    table = conform(found.to_pandas(ignore_metadata=True), str(out))
    draft = out.with_name(f".{out.name}.draft")
    write(table, draft)
    sync(draft)
    draft.replace(out)
    return table


def deal(wanted: Sequence[Arm]) -> Part | None:
    """The next part of the first arm that lacks patients."""
    for arm in wanted:
        number = arm.next()
        if number is not None:
            arm.busy.add(number)
            return arm.part(number)
    return None


def finished(arm: Arm, store: Path) -> dict[int, int]:
    """Patients in each part of an arm that is on disk whole; a broken file is as if it were not there."""
    rows = {}
    for path in store.glob(f"{arm.city}-{arm.cancer}-*.parquet"):
        first, last = (int(word) for word in path.stem.split("-")[-2:])
        if last - first == arm.people and first % arm.people == 0:
            try:
                rows[first // arm.people] = arrow_parquet.read_metadata(path).num_rows
            except (pa.ArrowException, OSError):
                continue
    return rows


def keep(rows: Sequence[Row], path: Path) -> None:
    """Write a part: whole or not at all."""
    schema = pa.schema([pa.field(name, ARROW[column.kind]) for name, column in columns().items()])
    draft = path.with_name(f".{path.name}.draft")
    arrow_parquet.write_table(pa.Table.from_pylist(list(rows), schema=schema), draft)
    sync(draft)
    draft.replace(path)


def chosen(arm: Arm, store: Path) -> pa.Table:
    """The first patients of an arm in the order of people."""
    parts = [arrow_parquet.read_table(store / f"{arm.part(number).name}.parquet") for number in arm.whole]
    return pa.concat_tables(parts).slice(0, arm.quota)


def simulated(table: pd.DataFrame) -> int:
    """People up to the last patient of every city and cancer."""
    number = table["patient_id"].str.rsplit("-", n=1)
    return int((number.str[1].astype(int) + 1).groupby(number.str[0]).max().sum())
