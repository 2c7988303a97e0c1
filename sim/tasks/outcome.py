"""Which outcome a task learns: the one the user named, or the only one that fits."""

from sim.checks import Refused
from sim.cohort.outcomes import Binary, Categorical, Kind, Survival
from sim.cohort.table import Cohort

WORDS: dict[Kind, str] = {
    Binary: "a yes-or-no label",
    Categorical: "a label of several classes",
    Survival: "a time and an event",
}
OVERALL = "survival"  # the survival that is meant where a cohort has others beside it


def only(cohort: Cohort, named: str, kind: Kind) -> str:
    """Name of the outcome of that kind; refuses when the name is of another kind, or none or several fit."""
    fitting = [name for name, outcome in cohort.outcomes.items() if isinstance(outcome, kind)]
    if named:
        if not isinstance(cohort.outcome(named), kind):
            raise Refused(
                f"task.outcome={named!r}: this task needs {WORDS[kind]}; cohort {cohort.name!r} has "
                f"{', '.join(fitting) or 'none'}. Choose another task or cohort."
            )
        return named
    if OVERALL in fitting:
        return OVERALL
    if len(fitting) != 1:
        raise Refused(
            f"This task needs {WORDS[kind]}; cohort {cohort.name!r} has {', '.join(fitting) or 'none'}. "
            f"{'Name one with task.outcome=' if fitting else 'Choose another task or cohort.'}"
        )
    return fitting[0]
