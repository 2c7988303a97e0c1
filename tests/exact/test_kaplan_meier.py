"""Survival curves and the log-rank test by sums are lifelines' on the pooled rows."""

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from lifelines.statistics import multivariate_logrank_test

from sim.exact.kaplan_meier import RiskSets, at_times, crossing, kaplan_meier, log_rank
from sim.exact.sums import Rows, State, solve
from tests.exact.lung import lung


def found(sites: int, groups: int) -> tuple[State, Rows]:
    """Sums over any split of the lung patients, and the pooled rows; groups by sex, or by decade of age."""
    table, _ = lung()
    group = table["sex"] if groups == 2 else (table["age"] // 10 - 4).clip(0, groups - 1)
    rows = {"time_days": table["time"].to_numpy(float), "event": table["status"].to_numpy(float)}
    rows["group"] = group.to_numpy(float)
    where = np.random.default_rng(sites).integers(0, sites, len(table))
    split = [{name: part[where == at] for name, part in rows.items()} for at in range(sites)]
    return solve(RiskSets(groups), split)[0], rows


@pytest.mark.parametrize("sites", [1, 3, 30])
def test_curves_and_intervals_are_lifelines(sites: int) -> None:
    state, rows = found(sites, 2)
    for group in (0, 1):
        mine = rows["group"] == group
        model = KaplanMeierFitter().fit(rows["time_days"][mine], rows["event"][mine])
        curve = kaplan_meier(state["deaths"][:, group], state["at_risk"][:, group])
        here = at_times(curve, state["times"], model.timeline[:-1])
        theirs = model.confidence_interval_.to_numpy()[:-1]
        np.testing.assert_allclose(here.survival, model.survival_function_.to_numpy()[:-1, 0], atol=1e-12)
        np.testing.assert_allclose(np.c_[here.low, here.high], theirs, atol=1e-9)
        assert crossing(curve.survival, state["times"]) == model.median_survival_time_


@pytest.mark.parametrize("groups", [2, 4])
def test_the_log_rank_test_is_lifelines(groups: int) -> None:
    state, rows = found(5, groups)
    test = multivariate_logrank_test(rows["time_days"], rows["group"], rows["event"])
    mine = log_rank(state["deaths"], state["at_risk"])
    assert (mine.chi2, mine.p) == pytest.approx((test.test_statistic, test.p_value), rel=1e-9)
    assert mine.df == groups - 1
    assert mine.observed.sum() == pytest.approx(mine.expected.sum())


def test_nothing_is_known_after_the_last_patient_at_risk() -> None:
    curve = kaplan_meier(np.array([1.0, 1.0, 0.0]), np.array([3.0, 1.0, 0.0]))
    np.testing.assert_allclose(curve.survival[:2], [2 / 3, 0.0])
    assert np.isnan(curve.survival[2])


def test_one_group_has_no_test() -> None:
    assert np.isnan(log_rank(np.ones((3, 1)), np.full((3, 1), 9.0)).chi2)
