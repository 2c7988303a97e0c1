"""Choice of predictors among the columns of a sheet."""

from collections.abc import Collection, Mapping, Sequence

from sim.checks import Refused, one_of

RESERVED = ("patient", "site", "split", "label", "classes", "time_days", "event")  # columns of the cohort's own table


def choose_predictors(
    columns: Collection[str],
    roles: Mapping[str, str],
    features: Sequence[str],
    categorical: Sequence[str],
    groups: Sequence[str],
    drop: Sequence[str],
) -> list[str]:
    """Predictors, in the order of `features` or, if that is empty, of `columns`: then every column not used otherwise.

    roles   setting of the cohort -> column that it names; "" = none
    groups  columns of patient groups, which predict only if they are `features`

    Raises Refused for a column that does not exist, has two uses, or has a reserved name, and if none is left.
    """
    used = {column: f"cohort.{role}" for role, column in roles.items() if column}
    for column, setting in used.items():
        one_of(setting, column, columns)
    listed = {"features": features, "categorical": categorical, "groups": groups, "drop": drop}
    for setting, named in listed.items():
        for column in named:
            one_of(f"cohort.{setting}", column, columns)
    left_out = {*used, *drop}
    chosen = list(dict.fromkeys(features)) or [c for c in columns if c not in left_out.union(groups)]
    for column in chosen:
        if column in left_out:
            use = used.get(column, "cohort.drop")
            raise Refused(f"cohort.features: {column!r} is {use} too. Name it in one place.")
    for column in (*chosen, *groups):
        if column in RESERVED:
            raise Refused(
                f"Column {column!r} cannot be a predictor or a group: the cohort has a column of that name. Rename it."
            )
    for column in categorical:
        one_of("cohort.categorical", column, chosen, "Only predictors can be categorical.")
    if not chosen:
        raise Refused("No predictors are left. Shorten cohort.drop, or name cohort.features.")
    return chosen
