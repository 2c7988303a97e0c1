"""Estimates in one or two exchanges have the known values on the lung2 table of Penncil/pda."""

import numpy as np
import pytest

from sim.exact.cox import StratifiedCox, WebDISCO
from sim.exact.newton import Logistic, NotEstimable
from sim.exact.one_shot import MetaAnalysis, Surrogate, own_fit
from sim.exact.sums import Rows, solve
from tests.exact.lung import lung, split

GLM = ("(intercept)", "age", "sex")
COX = ("age", "sex")


def logistic() -> Logistic:
    return Logistic(GLM, site_intercepts=False)


def binary() -> list[Rows]:
    """The sites with a column of ones first; status is the outcome."""
    table, site = lung()
    sites = split(table, ("age", "sex"), "time", "status", site)
    return [{"x": np.column_stack([np.ones(len(one["x"])), one["x"]]), "y": one["event"]} for one in sites]


def survival() -> list[Rows]:
    table, site = lung()
    return split(table, COX, "time", "status", site)


def test_every_sites_own_logistic_fit() -> None:
    known = [(1.974692, 0.000282125, -1.991870), (-0.630767, 0.0352001, -0.468715), (-2.785905, 0.05728107, -0.575037)]
    for rows, values in zip(binary(), known, strict=True):
        np.testing.assert_allclose(own_fit(logistic(), rows, 3)["beta"], values, atol=1e-6)


def test_odal_is_the_known_fit() -> None:
    found, traffic = solve(Surrogate(logistic(), GLM, lead=0), binary())
    np.testing.assert_allclose(found["centre"], (-0.55999688, 0.03177726, -1.02620246), atol=1e-6)
    np.testing.assert_allclose(found["beta"], (-0.53323753, 0.03188684, -1.04837793), atol=1e-6)
    np.testing.assert_allclose(np.sqrt(np.diag(found["covariance"])), (1.07255, 0.017011, 0.308445), rtol=2e-3)
    assert traffic.bytes_up == 8 * ((3 + 6 + 1) + (3 + 6) + (3 + 6))


def test_odal_of_first_order_is_the_known_fit() -> None:
    found, _ = solve(Surrogate(logistic(), GLM, lead=0, second=False), binary())
    np.testing.assert_allclose(found["beta"], (-0.53610301, 0.03195091, -1.05003514), atol=1e-6)


def test_odach_is_the_known_fit() -> None:
    found, _ = solve(Surrogate(StratifiedCox(COX), COX, lead=0), survival())
    np.testing.assert_allclose(found["centre"], (0.01631661, -0.53216217), atol=1e-6)
    np.testing.assert_allclose(found["beta"], (0.01698944, -0.55686922), atol=1e-6)


@pytest.mark.parametrize("lead", [0, 1, 2])
def test_odach_is_near_the_stratified_fit_whoever_leads(lead: int) -> None:
    found, _ = solve(Surrogate(StratifiedCox(COX), COX, lead), survival())
    np.testing.assert_allclose(found["beta"], (0.01698975, -0.55688107), atol=4e-5)


def test_odac_is_the_known_fit() -> None:
    """As R's pda has it: sums over all sites take ties as Breslow's, the lead site's likelihood as Efron's."""
    found, _ = solve(Surrogate(StratifiedCox(COX), COX, 0, across=WebDISCO(COX, efron=False)), survival())
    np.testing.assert_allclose(found["beta"], (0.01701158, -0.5125606), atol=1e-6)


def test_odac_with_one_rule_for_ties_is_near_the_pooled_fit() -> None:
    found, _ = solve(Surrogate(StratifiedCox(COX), COX, 0, across=WebDISCO(COX)), survival())
    np.testing.assert_allclose(found["beta"], (0.01704533, -0.51321852), atol=4e-5)


def test_one_coefficient_of_a_fixed_effect_is_the_inverse_variance_mean() -> None:
    sites = [{**rows, "x": rows["x"][:, :1]} for rows in survival()]
    found, _ = solve(MetaAnalysis(StratifiedCox(("age",)), ("age",)), sites)
    own = [own_fit(StratifiedCox(("age",)), rows, 1) for rows in sites]
    weight = 1 / np.array([one["covariance"][0] for one in own])
    np.testing.assert_allclose(found["beta"], weight @ [one["beta"][0] for one in own] / weight.sum())
    np.testing.assert_allclose(found["covariance"], 1 / weight.sum())


def test_sites_alike_have_one_mean_whatever_the_model() -> None:
    one = binary()[1]
    for random in (False, True):
        found, _ = solve(MetaAnalysis(logistic(), GLM, random), [one] * 4)
        own = own_fit(logistic(), one, 3)
        np.testing.assert_allclose(found["beta"], own["beta"], rtol=1e-9)
        np.testing.assert_allclose(np.diag(found["covariance"]), own["covariance"][[0, 3, 5]] / 4, rtol=1e-9)


def test_a_site_without_a_fit_is_left_out() -> None:
    separated = {"x": np.array([[1.0, age, age % 2] for age in range(40, 60)]), "y": np.repeat([0.0, 1.0], 10)}
    silent = {"x": separated["x"], "y": np.zeros(20)}
    found, _ = solve(MetaAnalysis(logistic(), GLM), [separated, *binary(), silent])
    assert found["fitted"].tolist() == [0, 1, 1, 1, 0]
    np.testing.assert_array_equal(found["beta"], solve(MetaAnalysis(logistic(), GLM), binary())[0]["beta"])
    with pytest.raises(NotEstimable, match="no site"):
        solve(MetaAnalysis(logistic(), GLM), [separated, silent])


def test_a_site_without_events_has_no_cox_fit() -> None:
    quiet = {**survival()[0], "event": np.zeros(len(survival()[0]["event"]))}
    assert np.isnan(own_fit(StratifiedCox(COX), quiet, 2)["beta"]).all()
