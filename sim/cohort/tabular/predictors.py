"""Choice of predictors among the columns of a sheet."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet

from sim.checks import Refused, one_of
from sim.cohort.tabular.form import ROW_NAMES

# Columns of the cohort's own table.
RESERVED = ("patient", "site", "split", "label", "classes", "time_days", "event", "outcome_value", "outcome_count")


def choose_predictors(
    columns: Collection[str],
    roles: Mapping[str, str],
    features: Sequence[str],
    categorical: Sequence[str],
    groups: Sequence[str],
    drop: Sequence[str],
    dates: Sequence[str] = (),
) -> list[str]:
    """Predictors, in the order of `features` or, if that is empty, of `columns`: all not used otherwise, no row names.

    roles   setting of the cohort -> column that it names; "" = none
    groups  columns of patient groups, which predict only if they are `features`

    Raises Refused for a column that does not exist, has two uses, or has a reserved name, and if none is left.
    """
    known = frozenset(columns)
    used = {column: f"cohort.{role}" for role, column in roles.items() if column}
    for column, setting in used.items():
        each_of(setting, [column], known)
    listed = {"features": features, "categorical": categorical, "dates": dates, "groups": groups, "drop": drop}
    for setting, named in listed.items():
        each_of(f"cohort.{setting}", named, known)
    left_out = {*used, *drop}
    chosen = list(dict.fromkeys(features)) or [c for c in columns if c not in left_out.union(groups, [ROW_NAMES])]
    for column in chosen:
        if column in left_out:
            use = used.get(column, "cohort.drop")
            raise Refused(f"cohort.features: {column!r} is {use} too. Name it in one place.")
    for column in (*chosen, *groups):
        if column in RESERVED:
            raise Refused(
                f"Column {column!r} cannot be a predictor or a group: the cohort has a column of that name. Rename it."
            )
    each_of("cohort.categorical", categorical, frozenset(chosen), "Only predictors can be categorical.")
    each_of("cohort.dates", dates, frozenset(chosen), "Only predictors are read as dates.")
    for column in sorted(set(categorical) & set(dates)):
        raise Refused(f"cohort.dates: {column!r} is in cohort.categorical too. Name it in one of them.")
    if not chosen:
        raise Refused("No predictors are left. Shorten cohort.drop, or set cohort.features.")
    return chosen


def each_of(setting: str, named: Sequence[str], allowed: AbstractSet[str], remedy: str = "") -> None:
    """Refuse the first of the names that is not allowed; linear in their number, as a table may have thousands."""
    for name in named:
        if name not in allowed:
            one_of(setting, name, allowed, remedy)
