"""Which outcome a task learns: the one the user named, or the only one that fits."""

from sim.checks import Refused
from sim.cohort.table import Binary, Cohort, Survival


def only(cohort: Cohort, named: str, kind: type[Binary] | type[Survival]) -> str:
    """Name of the outcome of that kind; refuses when the name is of the other kind, or none or several fit."""
    word = "a yes-or-no label" if kind is Binary else "a time and an event"
    fitting = [name for name, outcome in cohort.outcomes.items() if isinstance(outcome, kind)]
    if named:
        if not isinstance(cohort.outcome(named), kind):
            raise Refused(
                f"task.outcome={named!r}: this task needs {word}; cohort {cohort.name!r} has "
                f"{', '.join(fitting) or 'none'}. Choose another task or cohort."
            )
        return named
    if len(fitting) != 1:
        raise Refused(
            f"This task needs {word}; cohort {cohort.name!r} has {', '.join(fitting) or 'none'}. "
            f"{'Name one with task.outcome=' if fitting else 'Choose another task or cohort.'}"
        )
    return fitting[0]
