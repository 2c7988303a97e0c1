"""The outcome that a task learns: the one in the settings, or the only one of the right kind."""

from sim.checks import Refused
from sim.cohort.outcomes import Binary, Categorical, Count, Kind, Numeric, Survival
from sim.cohort.table import Cohort

WORDS: dict[Kind, str] = {
    Binary: "a yes-or-no label",
    Categorical: "a label of several classes",
    Survival: "a time and an event",
    Numeric: "a number",
    Count: "a count",
}
OVERALL = "survival"  # the outcome that is taken where a cohort has several of survival


def choose_outcome(cohort: Cohort, named: str, kind: Kind) -> str:
    """Name of an outcome of that kind: `named`, or the only one; refuses another kind, and none or several."""
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
