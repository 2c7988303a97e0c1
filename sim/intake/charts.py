"""Charts of patients with a cancer, filled while an import reads their records.

Memory grows with these patients, not with the records: of all measurements before a diagnosis one is kept.
"""

from collections import Counter
from dataclasses import dataclass, field

from sim.checks import MAX_LETTERS, Refused, brief
from sim.cohort.clinical.codes import Diagnosis, Observation, Treatment, Value
from sim.cohort.clinical.schema import columns
from sim.intake.lines import Place
from sim.intake.rules import SLACK, Day, Odd, Rules

WORKUP = 183  # days after diagnosis in which the work-up determines stage, size and receptors


@dataclass
class Demographics:
    """Demographics of a patient; sex, race and ethnicity in the words of the schema, "" = not recorded."""

    birth: Day
    death: Day | None
    sex: str
    race: str
    ethnicity: str
    state: str
    city: str
    county: str
    income_usd: float | None
    place: str | Place  # file and line of the record


@dataclass
class RecordedDiagnosis:
    """A condition that is a cancer, as recorded."""

    day: Day
    what: Diagnosis  # with the stage that its record gives, if the code has none
    encounter: str
    place: str | Place
    early: int = 0  # days by which it may have been earlier, where a year or a month alone is known


@dataclass
class Case:
    """A patient's first cancer of a type. Days count from its diagnosis."""

    cancer: str
    day: Day
    encounter: str
    place: str | Place
    stage: int | None = None  # by the code or the record of the diagnosis
    histology: str | None = None
    found: dict[str, tuple[int, Value]] = field(default_factory=dict)  # column -> day of the observation, value
    late: set[str] = field(default_factory=set)  # columns with a value recorded too late for a baseline
    treated: dict[str, int] = field(default_factory=dict)  # treatment -> day of the first
    facility: str = ""
    visited: int | None = None  # day of the encounter that names the facility; -1 = that of the diagnosis itself
    early: int = 0  # days by which the diagnosis may have been earlier
    next: Day | None = None  # first day from diagnosis on of a treatment, or an encounter other than the diagnosis's


@dataclass
class Charts:
    """All charts."""

    rules: Rules
    demographics: dict[str, Demographics] = field(default_factory=dict)
    cases: dict[str, list[Case]] = field(default_factory=dict)  # patient -> cases
    comorbid: dict[str, dict[str, Day]] = field(default_factory=dict)  # patient -> column -> first day
    causes: dict[str, str] = field(default_factory=dict)  # patient -> cause of death, code or text
    first: dict[str, Day] = field(default_factory=dict)  # patient -> first day of an observation or procedure
    seen: dict[str, Day] = field(default_factory=dict)  # patient -> first day of an encounter or drug
    last: dict[str, Day] = field(default_factory=dict)  # patient -> last day of an encounter
    simulated: set[str] = field(default_factory=set)  # patients whose records Synthea wrote
    end: Day = 0  # last day of an encounter of anybody

    def comorbidity(self, patient: str, day: Day | None, column: str) -> None:
        """Add a comorbidity: the first day of each column is kept."""
        mine = self.comorbid.setdefault(patient, {})
        if day is not None:
            mine[column] = min(day, mine.get(column, day))

    def observe(self, patient: str, day: Day, one: Observation, value: Value) -> None:
        """Add an observation: kept is the first of the work-up, the last up to diagnosis, or the last (see codes.yaml).

        Of several on one day the last one read counts: Synthea writes the sub-stage first and then the stage.
        """
        for case in self.cases[patient]:
            at, (before, _) = day - case.day, case.found.get(one.column, (None, None))
            since = at >= -SLACK - case.early
            if one.when == "workup":
                fits, better = since and at <= WORKUP, before is None or at <= before
            else:
                fits, better = at <= SLACK if one.when == "latest" else since, before is None or at >= before
            if fits and better:
                case.found[one.column] = (at, value)
            elif not fits and at > 0:
                case.late.add(one.column)

    def treat(self, patient: str, day: Day, what: Treatment, why: Diagnosis | None) -> None:
        """Add a procedure or drug from diagnosis on; one given for another cancer, by `why`, does not count."""
        for case in self.cases[patient]:
            meant = case.cancer == why.cancer if why else not what.cancers or case.cancer in what.cancers
            at = max(day - case.day, 0)
            if meant and day - case.day >= -SLACK - case.early:
                case.next = min(day, case.next or day)
                for name in what.columns:
                    case.treated[name] = min(at, case.treated.get(name, at))

    def visit(self, patient: str, day: Day, encounter: str, facility: str) -> None:
        """Add an encounter. The facility is that of the diagnosis, or else of the first encounter from then on."""
        self.last[patient] = max(day, self.last.get(patient, day))
        if day:
            self.note_contact(patient, day)
        for case in self.cases[patient]:
            its = encounter != "" and encounter == case.encounter
            at = -1 if its else max(day - case.day, 0)
            if day and not its and day - case.day >= -SLACK:
                case.next = min(day, case.next or day)
            if facility and (its or day - case.day >= -SLACK) and (case.visited is None or at < case.visited):
                case.facility, case.visited = facility, at

    def note_day(self, patient: str, day: Day) -> None:
        """Record the day of an observation or procedure of any kind."""
        self.first[patient] = min(day, self.first.get(patient, day))

    def note_contact(self, patient: str, day: Day) -> None:
        """Record the day of an encounter or drug of any kind."""
        self.seen[patient] = min(day, self.seen.get(patient, day))

    def drop(self, patient: str, odd: Odd | None = None) -> None:
        """Leave a patient out; `odd` says why, None = that is counted already."""
        if odd:
            self.rules.leave_out(odd)
        self.cases.pop(patient, None)


def group_diagnoses(found: dict[str, list[RecordedDiagnosis]]) -> dict[str, list[Case]]:
    """Cases of every patient from all diagnoses, independent of the order in which they were read.

    A cancer starts with its first code. Its stage is that of the first code with a stage within the work-up; of several
    on one day, the highest.
    """
    made: dict[str, list[Case]] = {}
    for patient, rows in found.items():
        for row in sorted(rows, key=lambda row: (row.day, -(row.what.stage or 0))):
            what, mine = row.what, made.setdefault(patient, [])
            case = next((case for case in mine if case.cancer == what.cancer), None)
            if case is None:
                case = Case(what.cancer, row.day, row.encounter, row.place, early=row.early)
                mine.append(case)
            if case.stage is None and row.day - case.day <= WORKUP:
                case.stage = what.stage
            case.histology = case.histology or what.histology
    return made


def interpret(
    one: Observation, code: str, text: str, unit: str, place: str | Place, not_understood: Counter[str] | None
) -> Value | None:
    """Value of an answer in the unit of the schema, None if it carries no information.

    An answer that is not understood or out of range is refused with its place or, if `not_understood` is given,
    counted there.
    """
    answer, column = one.interpret(code, text, unit), columns()[one.column]
    value = answer.value
    low, high = column.range or (float("-inf"), float("inf"))
    fits = value is None or isinstance(value, str | bool) or low <= value <= high
    if answer.understood and fits:
        return value
    shown = f"{text or code} {unit}".strip()
    if not_understood is None:
        raise Refused(
            f"{place}: {brief(shown)} is no {one.column}; {one.allowed if fits else column.bounds}. "
            "Correct it, or use --unknown skip, which leaves such cells out and counts them."
        )
    not_understood[f"{one.column}: {shown[:MAX_LETTERS]}"] += 1
    return None
