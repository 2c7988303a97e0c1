"""Settings of a simulated cohort, and which people are simulated next.

A part is a range of people of one city with the incidence of one cancer raised. The cohort is the first patients of
each city and cancer in the order of people, so it does not depend on the size of the parts, the number of workers, or
the order in which parts finish.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import count, takewhile

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sim.checks import Refused, did_you_mean, one_of, within
from sim.config.refusals import plain
from sim.intake.synthea_engine.engine import CANCERS, CITIES, PACKAGE, VERSION, Part

MAX_BARREN = 2000  # people of a city without any patient, at which the run is refused
MAX_FAULTY = 0.02  # share of people on whom a module failed, above which the run is refused; 1.5.0: one in thousands


@dataclass
class MakeSettings:
    """Settings of `fedtrial cohort make synthea`."""

    cancer: list[str] = field(default_factory=lambda: list(CANCERS))
    patients: int = 4000  # with cancer, in the whole cohort, divided evenly; at least one per city and cancer
    cities: list[str] = field(default_factory=lambda: ["boston", "houston", "los_angeles", "new_york"])
    seed: int = 0
    workers: int = 0  # processes; 0 = one per core, 1 = without Ray
    people: int = 100  # >= 1 per part, which is lost when stopped; no effect on the patients

    def __post_init__(self) -> None:
        for name, known in (("cancer", CANCERS), ("cities", CITIES)):
            given = getattr(self, name)
            for word in given:
                one_of(name, word, known)
            if not given or len(set(given)) < len(given):
                raise Refused(f"{name}={','.join(given)}: give at least one, each once, of {', '.join(known)}.")
        within("workers", self.workers, 0)
        within("people", self.people, 1)
        within("patients", self.patients, len(self.cancer) * len(self.cities))


def parse_settings(words: Sequence[str]) -> MakeSettings:
    """Settings from words such as `cancer=breast,lung patients=4000`; raises Refused."""
    known = {one.name: one for one in fields(MakeSettings)}
    given: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Refused(f"{word}: not a setting. Write key=value, such as patients=4000.")
        if name not in known:
            raise Refused(f"{name}: no such setting; allowed are {', '.join(known)}.{did_you_mean(name, known)}")
        listed = [part.strip() for part in value.strip("[]").split(",") if part.strip()]
        given[name] = listed if name in ("cancer", "cities") else value
    try:
        made = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(MakeSettings), given))
    except OmegaConfBaseException as error:
        raise Refused(plain(error)) from None
    assert isinstance(made, MakeSettings)
    return made


class Stratum:
    """One city and cancer: its quota of patients and its parts."""

    def __init__(self, city: str, cancer: str, quota: int, settings: MakeSettings) -> None:
        self.city, self.cancer, self.quota = city, cancer, quota
        self.seed, self.people = settings.seed, settings.people
        self.rows: dict[int, int] = {}  # number of a finished part -> patients in it
        self.faults: dict[int, str] = {}  # of finished parts: number of the person -> message
        self.busy: set[int] = set()  # parts in progress

    def part(self, number: int) -> Part:
        """Part number 0, 1, ..."""
        return Part(self.seed, self.city, self.cancer, number * self.people, (number + 1) * self.people)

    def finish(self, number: int, rows: int, faults: Mapping[int, str]) -> None:
        """Record a part that is on disk."""
        self.busy.discard(number)
        self.rows[number] = rows
        self.faults.update(faults)

    @property
    def whole(self) -> list[int]:
        """Numbers of the finished parts before the first unfinished one."""
        return list(takewhile(self.rows.__contains__, count()))

    @property
    def found(self) -> int:
        """Patients that are certain to be in the cohort."""
        return min(sum(self.rows[number] for number in self.whole), self.quota)

    def next(self) -> int | None:
        """The first part neither finished nor started; None if the started parts are expected to fill the quota."""
        if self.found == self.quota:
            return None
        begun = self.rows.keys() | self.busy
        first = next(number for number in count() if number not in begun)
        found, simulated = sum(self.rows.values()), len(self.rows) * self.people
        if simulated >= MAX_BARREN and not found:
            raise Refused(f"{self.city}, {self.cancer}: no patient among {simulated} people; see {PACKAGE} {VERSION}.")
        if len(self.faults) > max(MAX_FAULTY * simulated, 3):
            why = f"{len(self.faults)} of {simulated} people failed, such as: {next(iter(self.faults.values()))}"
            raise Refused(f"{self.city}, {self.cancer}: {why}. Reinstall {PACKAGE} {VERSION}.")
        coming = len(self.busy) * self.people * (found + 1) / (simulated + 3)  # prior: three people per patient
        return first if found + coming < self.quota or max(begun) > first else None


def strata(settings: MakeSettings) -> list[Stratum]:
    """Every city and cancer, sorted; the first ones take the remainder of the division."""
    pairs = [(city, cancer) for city in sorted(settings.cities) for cancer in sorted(settings.cancer)]
    share, rest = divmod(settings.patients, len(pairs))
    return [Stratum(*pair, share + (at < rest), settings) for at, pair in enumerate(pairs)]


def next_part(all_strata: Sequence[Stratum]) -> Part | None:
    """The next part of the first stratum that lacks patients; None if no part can be started now."""
    for stratum in all_strata:
        number = stratum.next()
        if number is not None:
            stratum.busy.add(number)
            return stratum.part(number)
    return None
