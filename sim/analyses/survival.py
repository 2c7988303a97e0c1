"""Survival of groups of patients: Kaplan-Meier curves and the log-rank test by sums over sites."""

from dataclasses import dataclass

import numpy as np

from sim.analyses.sites import CohortBySite
from sim.arrays import Floats
from sim.checks import Refused, did_you_mean
from sim.cohort.outcomes import Survival
from sim.exact.kaplan_meier import Curve, LogRank, RiskSets, crossing, kaplan_meier, log_rank
from sim.exact.sums import Traffic, solve

MOST_GROUPS = 12
EVERY = "all patients"


@dataclass(frozen=True)
class SurvivalFound:
    """Curves of G groups on T event times, in days."""

    by: str  # column of the groups; empty = one group
    groups: tuple[str, ...]
    patients: Floats  # [G]
    times: Floats  # [T]
    at_risk: Floats  # [T, G]
    curves: tuple[Curve, ...]  # one per group
    test: LogRank
    traffic: Traffic

    def median(self, group: int) -> tuple[float, float, float]:
        """Median survival of a group in days with its interval (Brookmeyer and Crowley, Biometrics 1982), or NaN."""
        curve = self.curves[group]
        return tuple(crossing(part, self.times) for part in (curve.survival, curve.low, curve.high))  # type: ignore[return-value]


def survival(data: CohortBySite, outcome: str, by: str) -> SurvivalFound:
    """Curves of an outcome by the values of a column; refuses an outcome without a time."""
    kind = data.cohort.outcome(outcome)
    if not isinstance(kind, Survival):
        raise Refused(f"Outcome {outcome!r} has no time to an event, which a survival curve needs. Set task=cox.")
    names, code = groups(data, by)
    time = data.table[kind.time_days].to_numpy(dtype=np.float64)
    event = data.table[kind.event].to_numpy(dtype=np.float64)
    state, traffic = solve(RiskSets(len(names)), data.rows(time_days=time, event=event, group=code))
    deaths, at_risk = state["deaths"], state["at_risk"]
    return SurvivalFound(
        by=by,
        groups=names,
        patients=np.bincount(code.astype(np.int64), minlength=len(names)).astype(np.float64),
        times=state["times"],
        at_risk=at_risk,
        curves=tuple(kaplan_meier(deaths[:, at], at_risk[:, at]) for at in range(len(names))),
        test=log_rank(deaths, at_risk),
        traffic=traffic,
    )


def groups(data: CohortBySite, by: str) -> tuple[tuple[str, ...], Floats]:
    """Names of the groups and that of every row [R]; one group where `by` is empty.

    Refuses a column that is not there or has gaps, and one of too many values.
    """
    if not by:
        return (EVERY,), np.zeros(len(data.table))
    names = [str(name) for name in data.table.columns]
    if by not in names:
        raise Refused(f"--by={by}: no such column; it has {', '.join(names)}.{did_you_mean(by, names)}")
    column = data.table[by]
    if column.isna().any():
        raise Refused(
            f"--by={by}: not recorded in {int(column.isna().sum())} of {len(column)} rows, which would belong to no "
            "group. Drop these rows (cohort.incomplete=drop), or name another column."
        )
    found, code = np.unique(column.astype(str).to_numpy(dtype=str), return_inverse=True)
    if len(found) > MOST_GROUPS:
        raise Refused(
            f"--by={by}: {len(found)} different values; allowed up to {MOST_GROUPS}. Name a column with fewer values."
        )
    return tuple(f"{by}={plain(name)}" for name in found), code.astype(np.float64)


def plain(name: str) -> str:
    """A whole number that was read as a decimal one, without its point."""
    return name.removesuffix(".0")
