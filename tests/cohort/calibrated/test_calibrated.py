"""The calibrated cohort: published margins, known effects, rows that never change, dials that move what they say."""

from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from scipy.special import logit
from scipy.stats import beta, chi2_contingency, kstest, norm
from sklearn.metrics import roc_auc_score

from sim.checks import Refused
from sim.cohort.calibrated import published
from sim.cohort.calibrated.baseline_hazards import baselines
from sim.cohort.calibrated.blocks import BLOCK
from sim.cohort.calibrated.centres import apportion, centres
from sim.cohort.calibrated.marginals import marginals
from sim.cohort.calibrated.published import law
from sim.cohort.calibrated.source import Calibrated
from sim.cohort.outcomes import Binary, Categorical, Survival
from sim.cohort.table import Cohort


def plain(cancers: list[str], patients: int, **more: object) -> Calibrated:
    """Centres that are all alike."""
    return Calibrated(cancers=cancers, patients=patients, het=0.0, tau=0.0, **more)


def centre(consortium: int, number: int, het: float, tau: float, cancers: tuple[str, ...]) -> SimpleNamespace:
    """Effects of one centre."""
    every = centres(consortium, number + 1, het, tau, cancers)
    return SimpleNamespace(**{effect.name: getattr(every, effect.name)[number] for effect in fields(every)})


def rows(cohort: Cohort, site: str, count: int) -> pd.DataFrame:
    """First rows of a site, observed and true."""
    mine = (cohort.table["site"] == site).to_numpy()
    both = pd.concat([cohort.table[mine], cohort.truth[mine].add_prefix("true_")], axis=1)
    return both.head(count).reset_index(drop=True)


def equal_shares(table: pd.DataFrame, column: str) -> float:
    """p-value of the hypothesis that a column has the same law at every site."""
    return float(chi2_contingency(pd.crosstab(table["site"], table[column])).pvalue)


# --- a patient never changes ------------------------------------------------------------------------------------------


def test_rows_do_not_depend_on_how_many_patients_or_centres_there_are():
    few = Calibrated(cancers=["all"], patients=700, sites=2, sizes=[1, 1]).load(3)
    more = Calibrated(cancers=["all"], patients=4 * BLOCK + 37, sites=3, sizes=[2, 1, 1]).load(3)
    for site, number in (("centre-1", 0), ("centre-2", 1)):
        short = rows(few, site, 350)
        pd.testing.assert_frame_equal(short, rows(more, site, 350), check_exact=True)
        # patient = site index * 2^32 + row: the contract of the table
        assert short["patient"].tolist() == [number * 2**32 + row for row in range(350)]


def test_a_row_in_a_later_block_is_the_same_when_its_block_is_cut_short():
    whole = Calibrated(patients=2 * BLOCK, sites=1).load(0)
    cut = Calibrated(patients=BLOCK + 5, sites=1).load(0)
    short, long = (rows(cohort, "centre-1", BLOCK + 5) for cohort in (cut, whole))
    pd.testing.assert_frame_equal(short, long, check_exact=True)


def test_a_small_centre_is_the_same_among_a_thousand_and_alone():
    """Whatever block its rows fall into, and whoever else is in that block."""
    many = Calibrated(cancers=["all"], patients=40_000, sites=1000).load(3)
    for number in (0, 7, 998):
        name = f"centre-{number + 1}"
        sizes = [1.0] * (number + 1)
        few = Calibrated(cancers=["all"], patients=20 * (number + 1), sites=number + 1, sizes=sizes).load(3)
        short, long = rows(few, name, 20), rows(many, name, 20)
        count = min(len(short), len(long))
        assert count >= 3
        pd.testing.assert_frame_equal(short.head(count), long.head(count), check_exact=True)


def test_another_seed_draws_other_patients_of_the_same_centres():
    first, second = (Calibrated(patients=12_000, sites=3, sizes=[1, 1, 1]).load(seed) for seed in (0, 1))
    assert not np.isin(first.table["age_years"], second.table["age_years"]).any()
    treated = [cohort.table.groupby("site")["treated"].mean().to_numpy() for cohort in (first, second)]
    # Difference of two shares of 4000 each: sd <= sqrt(2 * .25 / 4000) = .011; 5 sd.
    assert np.abs(treated[0] - treated[1]).max() < 0.056
    # and the centres are told apart by it: practice spreads by .67 on the logit, .14 on the share, ten times that sd
    assert np.ptp(treated[0]) > 0.056


def test_another_consortium_has_other_centres_and_the_same_underlying_patients():
    first, second = (Calibrated(patients=500, consortium=number) for number in (0, 1))
    assert centre(0, 0, 0.7, 0.3, ("breast",)).practice != centre(1, 0, 0.7, 0.3, ("breast",)).practice
    assert not first.load(0).table["age_years"].equals(second.load(0).table["age_years"])
    alike = [plain(["breast"], 500, consortium=number).load(0) for number in (0, 1)]
    pd.testing.assert_frame_equal(alike[0].table, alike[1].table, check_exact=True)


def test_dials_keep_the_draw_of_a_patient():
    # score_z is a quantile of one uniform that no effect of a centre touches.
    scores = [Calibrated(patients=300, sites=1, het=het).load(0).truth["score_z"] for het in (0.0, 0.7, 1.5)]
    assert scores[0].equals(scores[1])
    assert scores[0].equals(scores[2])


@pytest.mark.parametrize("weights", [[1, 1, 1], [8, 4, 2, 1], [1e-3, 1, 7.3]])
def test_sizes_add_up_and_never_shrink(weights):
    weights = np.array(weights, dtype=float)
    sizes = np.array([apportion(total, weights) for total in range(len(weights), 400)])
    assert (sizes.sum(1) == np.arange(len(weights), 400)).all()
    assert (sizes >= 1).all()
    assert (np.diff(sizes, axis=0) >= 0).all()


def test_sizes_follow_the_weights():
    # 6000 in the proportion 8 : 4 : 2 : 1
    assert apportion(6000, np.array([8.0, 4.0, 2.0, 1.0])).tolist() == [3200, 1600, 800, 400]


# --- published margins ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mixed() -> pd.DataFrame:
    return marginals(plain(["all"], 20_000).load(1))


def test_ages_are_the_truncated_normal_with_the_published_moments():
    age = plain(["merkel"], 50_000).load(0).table["age_years"]
    assert age.between(18, 95).all()
    assert abs(age.mean() - 76) < 0.2  # mean 76, sd 11 (cancers.yaml); se of the mean .05, of the sd .035
    assert abs(age.std() - 11) < 0.15
    location, scale = law(("merkel",)).age_normal[0]
    assert location > 77  # without moment matching the cut at 95 would pull the mean a year down
    cut = norm(location, scale)
    low, high = cut.cdf(18), cut.cdf(95)
    assert kstest(age, lambda x: (cut.cdf(x) - low) / (high - low)).pvalue > 1e-4


def test_triple_negative_is_twice_as_likely_in_black_women():
    table = plain(["breast"], 60_000).load(0).table
    black = (table["race"] == "black").to_numpy()
    share = table["marker_1"].groupby(black).mean()
    odds = share / (1 - share)
    # odds ratio 2.1 (population.yaml); se of its log sqrt(1/1450 + 1/5300 + ...) = .032; 4 se
    assert abs(np.log(odds[True] / odds[False]) - np.log(2.1)) < 0.13
    assert abs(table["marker_1"].mean() - 0.112) < 0.006  # cancers.yaml; se .0013


def test_marginals_name_their_source_and_refuse_other_cohorts(mixed):
    assert list(mixed.columns) == ["cancer", "quantity", "published", "simulated", "patients", "source"]
    lung = mixed[(mixed["cancer"] == "lung") & mixed["quantity"].str.startswith("5-year")]
    assert lung["source"].tolist() == ["R seer", "M seer", "R seer"]  # marks of cancers.yaml, value by value
    table = pd.DataFrame({"patient": [0, 1], "site": ["a", "b"], "x": [0.0, 1.0], "y": [True, False]})
    own = Cohort("own", table, {"y": Binary("y")}, {"y": ("x",)})
    with pytest.raises(Refused, match="cohort=own"):
        marginals(own)


# --- known effects ----------------------------------------------------------------------------------------------------


def exact(columns: list[np.ndarray], value: np.ndarray) -> np.ndarray:
    """Coefficients of a linear law without noise; fails if there is noise."""
    x = np.stack(columns, axis=1).astype(float)
    found, *_ = np.linalg.lstsq(x, value, rcond=None)
    np.testing.assert_allclose(x @ found, value, atol=1e-8)
    return found


@pytest.mark.parametrize(
    ("name", "marker", "age", "rates"),  # cancers.yaml: predictive, mean age; control, new with marker, new without
    [("colorectal", "marker_1", 66.0, (0.33, 0.44, 0.05)), ("pancreas", "marker_2", 70.0, (0.094, 0.65, 0.25))],
)
def test_response_is_the_published_law_plus_the_shifts_of_the_centre(name, marker, age, rates):
    cohort = Calibrated(cancers=[name], patients=4000, sites=2, sizes=[1, 1], het=0.7, tau=0.6).load(0)
    for number in (0, 1):
        mine = (cohort.table["site"] == f"centre-{number + 1}").to_numpy()
        table, truth, at = cohort.table[mine], cohort.truth[mine], centre(0, number, 0.7, 0.6, (name,))
        treated = table["treated"].to_numpy()
        columns = [np.ones(len(table)), treated, treated & truth[marker], table["frail"], table["age_years"] - age]
        found = exact([*columns, truth["score_z"]], logit(truth["response"].to_numpy()))
        control, with_marker, without = logit(rates)
        on_treated, on_score, on_both, _ = at.concept
        published = [control, without - control, with_marker - without, -0.5, -0.01, 0.25]  # and population.yaml
        shifts = [at.response, on_treated, on_both, 0, 0, on_score]
        np.testing.assert_allclose(found, np.add(published, shifts), atol=1e-7)


def test_risk_of_death_is_the_published_law_plus_the_shifts_of_the_centre():
    cohort = Calibrated(cancers=["melanoma"], patients=4000, sites=1, het=0.7, tau=0.6).load(0)
    table, truth, at = cohort.table, cohort.truth, centre(0, 0, 0.7, 0.6, ("melanoma",))
    columns = [(table["age_years"] - 64) / 10, table["male"] - 0.577, table["frail"] - 0.15]
    columns += [truth["marker_1"], truth["marker_2"], truth["score_z"], table["response"]]
    columns += [truth["stage"] == stage for stage in ("local", "regional", "distant")]
    found = exact(columns, truth["survival_cancer"].to_numpy())
    # cancers.yaml, melanoma; responders ln .55 (population.yaml)
    effects = np.array([0.12, 0.20, 0.7, np.log(1.15), np.log(1.1), 0.35 + at.concept[3], np.log(0.55)])
    np.testing.assert_allclose(found[:7], effects, atol=1e-7)
    np.testing.assert_allclose(found[7:], np.log(baselines(("melanoma",))[0]) + at.hazard, atol=1e-7)


def test_times_to_death_from_cancer_follow_the_weibull_law():
    truth = plain(["aml"], 20_000, sites=1).load(0).truth
    # Shape .7 (cancers.yaml): exp(survival_cancer) (t / 5 years)^.7 is a unit exponential variable.
    hazard = np.exp(truth["survival_cancer"]) * (truth["time_cancer_days"] / (5 * 365.25)) ** 0.7
    assert kstest(hazard, "expon").pvalue > 1e-3


def test_other_deaths_follow_the_gompertz_law():
    cohort = plain(["glioblastoma"], 20_000, sites=1).load(0)
    table, truth = cohort.table, cohort.truth
    # Cumulative hazard up to the end of each follow-up, .017 e^(.087 (a - 65) + .35 (male - .5) + .6 frail) a year
    # (population.yaml); its sum is the expected number of deaths, and the variance of that number (counting process).
    rate = 0.017 * np.exp(0.087 * (table["age_years"] - 65) + 0.35 * (table["male"] - 0.5) + 0.6 * table["frail"])
    expected = (rate / 0.087 * np.expm1(0.087 * table["time_days"] / 365.25)).sum()
    seen = (table["died"] & (truth["cause"] == "other")).sum()
    assert expected > 400
    assert abs(seen - expected) < 4 * np.sqrt(expected)


def test_the_stored_gain_is_what_a_trial_would_find():
    cohort = Calibrated(cancers=["melanoma"], patients=40_000, randomised=True).load(0)
    table, truth = cohort.table, cohort.truth
    assert abs(table["treated"].mean() - 0.5) < 0.0125  # a fair coin: se .0025, 5 se
    for marker in (False, True):
        here = truth["marker_1"] == marker
        arms = table["response"][here].groupby(table["treated"][here]).agg(["mean", "var", "size"])
        trial = arms.loc[True, "mean"] - arms.loc[False, "mean"]
        assert abs(trial - truth["cate"][here].mean()) < 4 * np.sqrt((arms["var"] / arms["size"]).sum())


def test_practice_is_confounded_unless_randomised():
    for randomised, differs in ((False, True), (True, False)):
        table = plain(["lung"], 20_000, randomised=randomised).load(0).table
        # Practice treats the frail less, log odds -.6 (population.yaml): 15 points, twenty standard errors.
        p = chi2_contingency(pd.crosstab(table["frail"], table["treated"])).pvalue
        assert (p < 1e-6) == differs


def test_no_observed_column_is_as_good_as_the_truth():
    cohort = Calibrated(patients=20_000).load(0)
    label = cohort.events("response")
    oracle = roc_auc_score(label, cohort.truth["response"])
    known = pd.get_dummies(cohort.table[list(cohort.predictors["response"])]).astype(float).fillna(0.0)
    single = [roc_auc_score(label, known[column]) for column in known]
    best = max(max(one, 1 - one) for one in single)
    assert oracle > best + 0.02
    # A calibrated probability: mean equals the share, to 4 standard errors of a share of 20,000.
    assert abs(cohort.truth["response"].mean() - label.mean()) < 4 * 0.5 / np.sqrt(20_000)
    # The AUROC of a calibrated p follows from the law of p: E[p (1 - p') 1(p > p')] / (E p E(1 - p)).
    p = np.sort(cohort.truth["response"].to_numpy())
    implied = (p * np.cumsum(1 - p)).sum() / (p.sum() * (1 - p).sum())
    assert abs(oracle - implied) < 4 * 0.004  # se with 6,700 events of 20,000 (Hanley and McNeil 1982)


# --- observed and truth are apart -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def usual() -> Cohort:
    return Calibrated(cancers=["lung", "colorectal"], patients=12_000).load(0)


def test_predictors_hold_neither_outcomes_nor_truth(usual):
    assert usual.outcomes == {
        "response": Binary("response"),
        "survival": Survival("time_days", "died"),
        "survival_cancer": Survival("time_days", "hidden_cause_cancer"),
        "stage": Categorical("stage"),
        "cancer_type": Categorical("cancer"),
    }
    for known in usual.predictors.values():
        assert not {"response", "time_days", "died", "hidden_cause_cancer", "patient", "site"} & set(known)
        assert set(known) <= set(usual.table.columns)
    for outcome in ("response", "survival", "survival_cancer"):
        assert {"treated", "treated_marker"} <= set(usual.predictors[outcome])
    assert not {"stage", "treated", "treated_marker"} & set(usual.predictors["stage"])
    assert usual.predictors["cancer_type"] == ("age_years", "race", "insurance", "frail")
    assert {known for columns in usual.predictors.values() for known in columns} <= set(usual.table.columns)
    assert not {"cate", "cause", "time_cancer_days"} & set(usual.table.columns)
    assert set(usual.outcomes) - {"cancer_type"} <= set(usual.truth.columns)


@pytest.mark.parametrize(
    ("cancers", "absent"),
    [
        (["breast"], {"cancer", "male"}),
        (["lung"], {"cancer"}),
        (["aml"], {"cancer", "stage"}),
        (["aml", "glioblastoma"], {"stage"}),
        (["breast", "male_breast"], set()),
        (["aml", "breast"], set()),
    ],
)
def test_constant_columns_are_no_predictors(cancers, absent):
    cohort = Calibrated(cancers=cancers, patients=400).load(0)
    columns = {"cancer", "age_years", "male", "race", "insurance", "stage", "frail", "marker_1", "marker_2", "score_z"}
    assert set(cohort.predictors["response"]) == (columns | {"treated", "treated_marker"}) - absent


def test_records_differ_from_the_truth_where_centres_err(usual):
    table, truth = usual.table, usual.truth
    up = table["stage"].cat.codes - truth["stage"].cat.codes
    assert set(up) == {0, 1}  # upstaged by one, never down
    assert (table["marker_1"] != truth["marker_1"]).any()
    assert (table["treated_marker"] <= table["treated"]).all()
    product = table["treated"] & table["marker_1"]  # both cancers have marker_1 as the predictive one
    assert product.equals(table["treated_marker"])


def test_treated_marker_follows_the_predictive_marker():
    table = Calibrated(cancers=["prostate"], patients=3000).load(0).table  # predictive: 2 (cancers.yaml)
    assert (table["treated"] & table["marker_2"]).equals(table["treated_marker"])
    assert not (table["treated"] & table["marker_1"]).equals(table["treated_marker"])


def test_centres_without_effects_record_without_error():
    cohort = plain(["all"], 3000).load(0)
    for column in ("stage", "marker_1", "marker_2", "score_z"):
        assert cohort.table[column].equals(cohort.truth[column]), column
    assert cohort.table["score_z"].notna().all()


def test_scores_are_missing_more_often_in_the_frail():
    table = Calibrated(patients=60_000, het=1.0, sites=1).load(0).table
    missing = table["score_z"].isna().groupby(table["frail"]).mean()
    odds = missing / (1 - missing)
    # log odds .5 (centres.yaml), blurred by the .2 of distant stage; se with 1,000 frail gaps and more: .035
    assert abs(np.log(odds[True] / odds[False]) - 0.5) < 0.15


def test_times_are_positive_and_end_with_the_follow_up(usual):
    time = usual.table["time_days"]
    assert (time > 0).all()
    assert time.max() <= (5 + 6 * 0.7 / 2 + 0.05) * 365.25  # base 5 years, half the width 6 at het .7, first visit
    dead = usual.table["died"] & (usual.truth["cause"] == "cancer")
    assert np.allclose(time[dead], usual.truth["time_cancer_days"][dead])


def test_follow_up_ends_by_cut_off_and_loss():
    cohort = plain(["breast"], 20_000, sites=1).load(0)
    years = cohort.table["time_days"] / 365.25
    # At het 0 (centres.yaml): lost at .03 a year, cut off evenly between .05 and 5.05 years, hazard 1 / (5.05 - t).
    # Cumulative hazards at the end of follow-up add up to the expected number of censored patients, and its variance.
    expected = (0.03 * years + np.log(5 / (5.05 - np.maximum(years, 0.05)))).sum()
    assert abs((~cohort.table["died"]).sum() - expected) < 4 * np.sqrt(expected)


def test_centres_measure_with_their_own_error():
    cohort = Calibrated(cancers=["lung"], patients=80_000, sites=2, sizes=[1, 1], het=1.0).load(0)
    for number in (0, 1):
        mine = (cohort.table["site"] == f"centre-{number + 1}").to_numpy()
        table, truth, at = cohort.table[mine], cohort.truth[mine], centre(0, number, 1.0, 0.3, ("lung",))
        seen = table["score_z"].notna()
        slope, offset = np.polyfit(truth["score_z"][seen], table["score_z"][seen], 1)
        noise = table["score_z"][seen] - at.offset - at.gain * truth["score_z"][seen]
        # 30,000 scores with noise .2: se .0012 of both coefficients, .0008 of the sd
        assert abs(slope - at.gain) < 0.005
        assert abs(offset - at.offset) < 0.005
        assert abs(noise.std() - 0.2) < 0.004  # centres.yaml
        for marker in ("marker_1", "marker_2"):
            found = table[marker].groupby(truth[marker]).mean()
            # 6,000 carriers or more: se of a share near .95 is .003
            assert abs(found[True] - at.sensitivity) < 0.012
            assert abs(1 - found[False] - at.specificity) < 0.006
        upstaged = (table["stage"] != truth["stage"])[truth["stage"] != "distant"].mean()
        assert abs(upstaged - at.upstage) < 4 * np.sqrt(0.08 * 0.92 / 15_000)  # .08 at most; 15,000 not distant


def test_the_mix_of_cancers_is_tilted_by_the_centre():
    names = ("breast", "lung", "colorectal")
    table = Calibrated(cancers=list(names), patients=30_000, sites=1, het=1.0).load(0).table
    weights = law(names).share * np.exp(centre(0, 0, 1.0, 0.3, names).case_mix)
    share = table["cancer"].value_counts(normalize=True)[list(names)].to_numpy()
    assert np.abs(share - weights / weights.sum()).max() < 4 * np.sqrt(0.25 / 30_000)
    tilt = centres(0, 400, 1.0, 0.0, ("lung",)).case_mix[:, 0]
    assert kstest(tilt, norm(0, 0.6).cdf).pvalue > 1e-3  # centres.yaml
    # The tilt of a cancer is the same whichever others are in the cohort.
    assert centre(0, 0, 1.0, 0.0, ("lung",)).case_mix[0] == centre(0, 0, 1.0, 0.0, names).case_mix[1]


# --- dials ------------------------------------------------------------------------------------------------------------


def test_centres_are_exchangeable_at_zero_and_only_there():
    columns = ("race", "insurance", "stage", "frail", "marker_1", "treated", "response", "died")
    alike = Calibrated(patients=24_000, sites=6, sizes=[1] * 6, het=0.0, tau=0.0).load(5).table
    p = {column: equal_shares(alike, column) for column in columns}
    assert min(p.values()) > 1e-3, p  # eight tests of true hypotheses: chance .8 % to fail, and the seed is fixed
    apart = Calibrated(patients=24_000, sites=6, sizes=[1] * 6, het=1.0, tau=0.3).load(5).table
    assert max(equal_shares(apart, column) for column in ("race", "stage", "treated", "response")) < 1e-6
    first, second = (
        np.hstack(list(vars(centre(number, number, 0.0, 0.0, ("breast", "aml"))).values())) for number in (0, 1)
    )
    np.testing.assert_array_equal(first, second)


def test_het_spreads_practice_and_stage_over_centres():
    spread = []
    for het in (0.0, 0.5, 1.0, 1.5):
        table = Calibrated(patients=40_000, sites=40, sizes=[1] * 40, het=het, tau=0.0).load(0).table
        sites = table.groupby("site")
        spread.append((sites["treated"].mean().std(), (table["stage"] == "local").groupby(table["site"]).mean().std()))
    assert (np.diff(np.array(spread), axis=0) > 0).all(), spread
    # Without effects only the binomial spread of 1000 patients is left: sqrt(.25 / 1000) = .016.
    assert spread[0][0] < 0.025
    assert spread[0][1] < 0.025


@pytest.mark.parametrize(
    ("effect", "sd"),  # centres.yaml at het = 1
    [("practice", 0.8), ("age_years", 3.0), ("stage", 0.35), ("offset", 0.25), ("hazard", 0.10), ("response", 0.25)],
)
def test_effects_of_centres_have_the_published_spread(effect, sd):
    drawn = getattr(centres(0, 400, 1.0, 0.0, ()), effect)
    assert kstest(drawn, norm(0, sd).cdf).pvalue > 1e-3
    halved = getattr(centres(0, 5, 0.5, 0.0, ()), effect)
    np.testing.assert_allclose(halved, drawn[:5] / 2)


def test_the_gain_of_assays_is_log_normal():
    drawn = np.log(centres(0, 400, 1.0, 0.0, ()).gain)
    assert kstest(drawn, norm(0, 0.15).cdf).pvalue > 1e-3  # centres.yaml


def test_assays_and_gaps_have_the_published_laws():
    at = centres(0, 400, 1.0, 0.0, ())
    for values, (a, b) in (
        (1 - at.sensitivity, (2, 40)),  # centres.yaml
        (1 - at.specificity, (2, 60)),
        *((at.missing[:, column], (2, 8)) for column in range(3)),  # score_z, marker_1, marker_2
    ):
        assert kstest(values, beta(a, b).cdf).pvalue > 1e-3


@pytest.mark.parametrize("het", [0.5, 1.0])
def test_the_mix_of_patients_has_the_published_spread(het):
    race = centres(0, 400, het, 0.0, ()).race
    # Dirichlet of total 25 / het^2 (centres.yaml), share of Black patients p = .12: variance p (1 - p) / (total + 1).
    # An sd over 400 draws of a skewed law is known to about 5 %.
    sd = np.sqrt(0.12 * 0.88 / (25 / het**2 + 1))
    assert abs(race[:, 1].std() - sd) < 0.2 * sd
    np.testing.assert_allclose(race.sum(1), 1)


def test_tau_moves_the_effect_of_treatment_and_nothing_before_it():
    settings = {"cancers": ["lung"], "patients": 4000, "sites": 8, "sizes": [1.0] * 8, "het": 0.7}
    still, moved = (Calibrated(**settings, tau=tau).load(0) for tau in (0.0, 0.6))
    before = ["age_years", "male", "race", "insurance", "stage", "frail", "marker_1", "marker_2", "score_z", "treated"]
    pd.testing.assert_frame_equal(still.table[before], moved.table[before], check_exact=True)
    gain = [cohort.truth["cate"].groupby(cohort.table["site"]).mean().std() for cohort in (still, moved)]
    assert gain[1] > 2 * gain[0]
    shifts = centres(0, 300, 0.0, 0.6, ()).concept
    assert kstest(shifts.ravel(), norm(0, 0.6).cdf).pvalue > 1e-3  # N(0, tau^2)
    assert np.abs(np.corrcoef(shifts.T) - np.eye(4)).max() < 0.25  # 1 / sqrt(300) = .058; 4 se


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"cancers": ["brest"]}, ["cohort.cancers[0]='brest'", "'breast'"]),
        ({"cancers": []}, ["cohort.cancers=[]", "at least one"]),
        ({"cancers": ["lung", "lung"]}, ["cohort.cancers", "each once"]),
        ({"cancers": ["all", "lung"]}, ["cohort.cancers", "[all]"]),
        ({"sites": 0}, ["cohort.sites=0", ">= 1"]),
        ({"patients": 3}, ["cohort.patients=3", "cohort.sites=4", "Raise"]),
        ({"sizes": [1.0, 2.0]}, ["cohort.sizes", "2 sizes", "cohort.sites=4"]),
        ({"sizes": [1.0, 2.0, -1.0, 1.0]}, ["cohort.sizes[2]=-1.0", "> 0"]),
        ({"sizes": [1.0, 2.0, float("nan"), 1.0]}, ["cohort.sizes[2]=nan", "> 0"]),
        ({"het": 1.6}, ["cohort.het=1.6", "[0, 1.5]"]),
        ({"het": -0.1}, ["cohort.het=-0.1", "[0, 1.5]"]),
        ({"tau": -1.0}, ["cohort.tau=-1.0", "[0, 2]"]),
        ({"consortium": -1}, ["cohort.consortium=-1", ">= 0"]),
    ],
)
def test_wrong_settings_are_refused_in_words(settings, words):
    with pytest.raises(Refused) as refusal:
        Calibrated(**settings)
    for word in words:
        assert word in str(refusal.value)


def test_the_settings_are_a_typed_config():
    config = OmegaConf.merge(OmegaConf.structured(Calibrated), {"cancers": ["lung"], "sizes": [1, 2, 3, 4], "het": 1})
    assert OmegaConf.to_object(config) == Calibrated(cancers=["lung"], sizes=[1.0, 2.0, 3.0, 4.0], het=1.0)


def test_every_number_has_a_mark_and_a_source():
    sources = published.load("sources.yaml")
    tables = [*published.cancers().values(), published.population(), published.centre_variation()]
    assert len(published.cancers()) == 12
    for table in tables:
        for name, figure in table.items():
            assert set(figure.mark) <= set(sources["marks"]), name
            assert len(figure.mark) in (1, len(figure.value)), name
            assert figure.source in sources["sources"], name
            assert np.isfinite(figure.value).all(), name
    used = {figure.source for table in tables for figure in table.values()}
    assert used | {"uscs", "nl_taiwan"} == set(sources["sources"])  # these two stand in comments
