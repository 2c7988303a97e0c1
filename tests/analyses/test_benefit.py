"""Who benefits: the truth is found, confounding is seen, intervals are those of the pooled model."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from sim.analyses.answer_benefit import summarise_benefit
from sim.analyses.benefit import Benefit, benefit
from sim.analyses.counterfactual import difference
from sim.analyses.design_matrix import design
from sim.analyses.forest import forest
from sim.analyses.site_effects import INTERACTION
from sim.analyses.sites import CohortBySite, group_by_site
from sim.arrays import Floats, Ints
from sim.checks import Refused
from sim.cohort.calibrated.published import law
from sim.cohort.calibrated.source import Calibrated
from sim.cohort.real import Lung
from sim.cohort.table import Cohort


def held(cohort: Cohort, order: Ints | None = None) -> CohortBySite:
    """A cohort at the sites that its table names, its rows in another order if one is given."""
    if order is not None:
        truth = None if cohort.truth is None else cohort.truth.iloc[order].reset_index(drop=True)
        cohort = replace(cohort, table=cohort.table.iloc[order].reset_index(drop=True), truth=truth)
    return group_by_site(cohort, cohort.table["site"].astype(str).to_numpy(dtype=str))


@pytest.fixture(scope="module")
def trial() -> Benefit:
    """A large trial at centres that do not differ: the model is the true one."""
    return benefit(held(Calibrated(patients=60000, sites=5, het=0, tau=0, randomised=True).load(1)), "response")


@pytest.fixture(scope="module")
def practice() -> Benefit:
    """The same centres when doctors choose: older and frailer patients are treated less."""
    return benefit(held(Calibrated(patients=60000, sites=5, het=0, tau=0).load(1)), "response")


def test_truth_is_the_generators(trial: Benefit) -> None:
    assert trial.true_interaction() == pytest.approx(law(("breast",)).response[0, 2], abs=1e-9)


def test_tests_that_err_leave_less_to_be_found() -> None:
    """Without error both truths are one; else the recorded marker has a smaller one, and that is what a fit finds."""
    exact = benefit(held(Calibrated(patients=3000, sites=2, het=0, tau=0.5).load(1)), "response")
    assert exact.findable_interaction() == pytest.approx(exact.true_interaction(), abs=1e-9)
    found = benefit(held(Calibrated(patients=30000, sites=2, het=1).load(1)), "response")
    assert 0.5 < found.findable_interaction() < found.true_interaction() - 0.1
    estimate, se = found.model.of(INTERACTION)
    assert abs(estimate - found.findable_interaction()) < 4 * se


def test_the_gain_of_a_patient_is_near_its_truth_where_the_model_is_right(trial: Benefit) -> None:
    assert trial.truth is not None
    for marker in (0, 1):
        assert trial.gain[trial.recorded == marker].mean() == pytest.approx(trial.chances.gain(marker).mean, abs=1e-12)
    error, spread = trial.gain_error()
    assert error < 0.02  # coefficients with standard errors of .02 to .06, times a slope of a quarter at most
    assert spread == pytest.approx((trial.truth.new - trial.truth.control).std())
    assert spread > 0.1
    blind = replace(trial, gain=np.full(len(trial.gain), (trial.truth.new - trial.truth.control).mean()))
    assert blind.gain_error()[0] == pytest.approx(spread)
    assert np.isnan(replace(trial, truth=None).gain_error()).all()


def test_truth_is_found_within_three_standard_errors(trial: Benefit, practice: Benefit) -> None:
    for found in (trial, practice):
        estimate, se = found.model.of(INTERACTION)
        assert abs(estimate - found.true_interaction()) < 3 * se
        assert 0.04 < se < 0.07
        for marker in (0, 1):
            gain = found.chances.gain(marker)
            assert abs(gain.mean - found.true_gain(marker)) < 3 * (gain.high - gain.mean) / 1.96


def test_confounding_by_indication_misleads_the_crude_comparison_only(trial: Benefit, practice: Benefit) -> None:
    crude, fair = practice.crude_gain(0), trial.crude_gain(0)
    se = (crude.high - crude.mean) / 1.96
    assert crude.mean - practice.true_gain(0) > 3 * se  # the treated were fitter
    assert abs(fair.mean - trial.true_gain(0)) < 3 * (fair.high - fair.mean) / 1.96


def test_policy_by_the_estimate_is_as_good_as_by_the_truth(trial: Benefit) -> None:
    assert trial.rule() == (False, True)  # .65 against .51 with the marker, .20 without
    rule = trial.true_value(trial.recorded)
    assert trial.truth is not None
    best = trial.true_value((trial.truth.new > trial.truth.control).astype(float))
    assert rule == pytest.approx(best, abs=1e-9)
    assert best > max(trial.true_value(np.zeros_like(trial.given)), trial.true_value(np.ones_like(trial.given)))
    value = trial.chances.policy((False, True))
    assert value.low - 0.005 < rule < value.high + 0.005


def test_chances_and_their_interval_are_those_of_the_pooled_model() -> None:
    """Delta method on all parameters at once, intercepts included, derivatives by differences."""
    cohort = Calibrated(patients=1500, sites=3, het=0.4).load(2)
    here = held(cohort)
    found = benefit(here, "response")
    rows = design(here, "response", "treated", "").sites
    x = np.concatenate([one["x"] for one in rows])
    y = np.concatenate([one["y"] for one in rows])
    site = np.repeat(np.eye(3), [len(one["y"]) for one in rows], axis=0)
    whole = np.hstack([x, site])
    theta = np.zeros(whole.shape[1])
    for _ in range(30):
        p = expit(whole @ theta)
        hessian = (whole * (p * (1 - p))[:, None]).T @ whole
        theta = theta + np.linalg.solve(hessian, whole.T @ (y - p))
    np.testing.assert_allclose(found.model.beta, theta[: x.shape[1]], atol=1e-8)

    def gain(at: Floats, marker: int) -> float:
        mine = whole[x[:, 1] == marker]
        new, old = mine.copy(), mine.copy()
        new[:, 0], new[:, 2], old[:, 0], old[:, 2] = 1, marker, 0, 0
        return float((expit(new @ at) - expit(old @ at)).mean())

    for marker in (0, 1):
        steps = 1e-5 * np.eye(len(theta))
        slope = np.array([(gain(theta + step, marker) - gain(theta - step, marker)) / 2e-5 for step in steps])
        se = np.sqrt(slope @ np.linalg.inv(hessian) @ slope)
        interval = found.chances.gain(marker)
        assert interval.mean == pytest.approx(gain(theta, marker), abs=1e-9)
        assert interval.high - interval.mean == pytest.approx(1.959964 * se, rel=1e-5)


def test_crude_numbers_by_hand(trial: Benefit) -> None:
    # 30 of 100 against 20 of 80: .05, variance .3 * .7 / 100 + .25 * .75 / 80
    found = difference(np.array([80.0, 100.0]), np.array([20.0, 30.0]))
    assert found.mean == pytest.approx(0.05)
    assert found.high - found.mean == pytest.approx(1.959964 * np.sqrt(0.21 / 100 + 0.1875 / 80), rel=1e-6)
    rows, events = trial.arms
    odds = events / (rows - events)
    estimate, se = trial.crude_interaction()
    assert estimate == pytest.approx(np.log(odds[1, 1] / odds[1, 0] / (odds[0, 1] / odds[0, 0])))
    assert se == pytest.approx(np.sqrt((1 / events + 1 / (rows - events)).sum()))


def test_order_of_rows_does_not_matter() -> None:
    cohort = Calibrated(patients=900, sites=3).load(3)
    order = np.random.default_rng(0).permutation(len(cohort.table))
    first, again = benefit(held(cohort), "response"), benefit(held(cohort, order), "response")
    np.testing.assert_array_equal(first.model.beta, again.model.beta)
    np.testing.assert_array_equal(first.chances.covariance, again.chances.covariance)
    assert first.sites.equals(again.sites)


def test_a_site_that_cannot_tell_alone_is_named_and_still_counts() -> None:
    found = benefit(held(Calibrated(patients=1200, sites=8, tau=0.6).load(0)), "response")
    silent = found.sites["estimate"].isna()
    assert 0 < silent.sum() < 8
    assert found.meta.sites == 8 - silent.sum()
    assert found.sites["patients"].sum() == 1200
    assert found.sites["truth"].std() > 0.1
    notes = " ".join(summarise_benefit(found).notes)
    assert f"{found.meta.sites} of 8 sites" in notes
    assert len(forest(found).axes) == 1


def test_without_truth_the_rest_is_reported() -> None:
    cohort = replace(Calibrated(patients=800, sites=2).load(0), truth=None)
    answer = summarise_benefit(benefit(held(cohort), "response"))
    assert all(table.frame["truth"].isna().all() for table in answer.tables)


def test_refusals() -> None:
    with pytest.raises(Refused, match="breast, lung"):
        benefit(held(Calibrated(cancers=["breast", "lung"], patients=500).load(0)), "response")
    cohort = Calibrated(patients=500, sites=2).load(0)
    with pytest.raises(Refused, match="no such column.*marker_1"):
        benefit(held(cohort), "response", marker="maker_1")
    gaps = cohort.table["marker_1"].astype("boolean").mask(cohort.table["age_years"] > 80)
    with pytest.raises(Refused, match="missing values"):
        benefit(held(replace(cohort, table=cohort.table.assign(marker_1=gaps))), "response", marker="marker_1")
    with pytest.raises(Refused, match="values other than yes and no"):
        benefit(held(cohort), "response", marker="age_years")
    with pytest.raises(Refused, match="not yes-or-no"):
        benefit(held(cohort), "survival")
    with pytest.raises(Refused, match="--treated"):
        benefit(held(Lung().load(0)), "survival")
    bare = replace(
        cohort,
        table=cohort.table.drop(columns="treated_marker"),
        outcomes={"response": cohort.outcomes["response"]},
        predictors={"response": ("age_years",)},
    )
    with pytest.raises(Refused, match="--marker"):
        benefit(held(bare), "response")
    named = benefit(held(bare), "response", marker="marker_1")
    assert named.model.names == ("treated", "marker", "treated x marker", "age_years")
    arm = cohort.table["marker_1"] & cohort.table["treated"]
    sure = replace(cohort, table=cohort.table.assign(response=cohort.table["response"] | arm))
    with pytest.raises(Refused, match="all patients of one arm had the same outcome"):
        benefit(held(sure), "response")
    none = replace(cohort, table=cohort.table.assign(treated=False))
    with pytest.raises(Refused, match="no patient has"):
        benefit(held(none), "response", marker="marker_1")


def test_gaps_of_the_marker_and_outcomes_that_nobody_wishes_for_are_refused() -> None:
    with pytest.raises(Refused, match=r"not recorded for \d+ of 500 patients.*marker_gaps=false"):
        benefit(held(Calibrated(patients=500, marker_gaps=True).load(0)), "response")
    with pytest.raises(Refused, match="'mortality_5y'.*task=response"):
        benefit(held(Calibrated(patients=500, mature_years=5).load(0)), "mortality_5y")
