"""What is asked of the engine, and which people come next for whom.

A part is a range of people of one city with the gate of one cancer raised. The cohort is the first patients of each
city and cancer in the order of people, so it is the same whatever the size of the parts, the number of workers and the
order in which they finish.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import count, takewhile

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sim.checks import Refused, did_you_mean, one_of, within
from sim.config.refusals import plain
from sim.intake.synthea_engine.engine import CANCERS, CITIES, PACKAGE, VERSION, Part

MAX_BARREN = 2000  # people of a city without one patient, after which something is wrong
MAX_FAULTY = (
    0.02  # share of people on whom a module failed, above which something is wrong; 1.5.0: one of some thousands
)


@dataclass
class MakeSettings:
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


def parse_settings(words: Sequence[str]) -> MakeSettings:
    """From words such as `cancer=breast,lung patients=4000`; raises Refused."""
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
    """One city and cancer: its share of the patients and the parts that hold them."""

    def __init__(self, city: str, cancer: str, quota: int, making: MakeSettings) -> None:
        self.city, self.cancer, self.quota = city, cancer, quota
        self.seed, self.people = making.seed, making.people
        self.rows: dict[int, int] = {}  # number of a finished part -> patients in it
        self.faults: dict[int, str] = {}  # of finished parts: number of the person -> what failed
        self.busy: set[int] = set()  # parts that a worker has

    def part(self, number: int) -> Part:
        """Part number 0, 1, ..."""
        return Part(self.seed, self.city, self.cancer, number * self.people, (number + 1) * self.people)

    def finish(self, number: int, rows: int, faults: Mapping[int, str]) -> None:
        """Take in a part that is on disk."""
        self.busy.discard(number)
        self.rows[number] = rows
        self.faults.update(faults)

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
        if simulated >= MAX_BARREN and not found:
            raise Refused(f"{self.city}, {self.cancer}: no patient among {simulated} people; see {PACKAGE} {VERSION}.")
        if len(self.faults) > max(MAX_FAULTY * simulated, 3):
            why = f"{len(self.faults)} of {simulated} people failed, such as: {next(iter(self.faults.values()))}"
            raise Refused(f"{self.city}, {self.cancer}: {why}. Install {PACKAGE} {VERSION} anew.")
        coming = len(self.busy) * self.people * (found + 1) / (simulated + 3)  # three people a patient until we know
        return first if found + coming < self.quota or max(there) > first else None


def strata(making: MakeSettings) -> list[Stratum]:
    """Every city and cancer, sorted; the first ones take what does not divide evenly."""
    pairs = [(city, cancer) for city in sorted(making.cities) for cancer in sorted(making.cancer)]
    share, rest = divmod(making.patients, len(pairs))
    return [Stratum(*pair, share + (at < rest), making) for at, pair in enumerate(pairs)]


def next_part(wanted: Sequence[Stratum]) -> Part | None:
    """The next part of the first arm that lacks patients."""
    for arm in wanted:
        number = arm.next()
        if number is not None:
            arm.busy.add(number)
            return arm.part(number)
    return None
