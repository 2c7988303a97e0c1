"""A million patients of twelve cancers, made once: published margins, survival, trends and effects are in them."""

import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from scipy.stats import chisquare

from sim.analyses.trends import percent_change
from sim.cohort.calibrated import published
from sim.cohort.calibrated.marginals import marginals
from sim.cohort.calibrated.source import Calibrated
from sim.cohort.table import Cohort

LARGE = ("breast", "prostate", "lung", "colorectal", "melanoma", "pancreas")  # each above 5 % of the table's cases
RARE = ("ovary", "aml", "glioblastoma", "sarcoma", "male_breast", "merkel")
TERMS = ("age_years", "male", "frail", "marker_1", "marker_2", "score_z", "response")


@pytest.fixture(scope="module")
def million() -> Cohort:
    return Calibrated(cancers=["all"], patients=1_000_000, sites=1, het=0.0, tau=0.0, years=10).load(0)


@pytest.fixture(scope="module")
def margins(million: Cohort) -> pd.DataFrame:
    return marginals(million)


def of(million: Cohort, name: str, most: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """First patients with a cancer, observed and true."""
    rows = np.flatnonzero((million.table["cancer"] == name).to_numpy())[:most]
    assert million.truth is not None
    return million.table.iloc[rows].reset_index(drop=True), million.truth.iloc[rows].reset_index(drop=True)


def test_a_patient_costs_little_more_than_the_random_numbers_behind_it() -> None:
    plain = Calibrated(cancers=["all"], patients=100_000, sites=1, het=0.0, tau=0.0)
    plain.load(0)  # solves the baselines

    def seconds(work: Callable[[], object]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    def best(work: Callable[[], object]) -> float:
        return min(seconds(work) for _ in range(3))

    # 32 numbers a patient: 2.3 times as long on the machine this was written on, which is .7 s a million.
    drawing = best(lambda: np.random.default_rng(0).standard_normal((100_000, 32)))
    assert best(lambda: plain.load(1)) < 20 * drawing


def test_shares_of_cancers_sexes_stages_and_markers_are_the_published_ones(margins: pd.DataFrame) -> None:
    found = margins[margins["quantity"].str.contains("share")]
    # share of cases, male share, three stages of ten staged cancers, two markers, and one of them in distant stage
    assert len(found) == 12 + 12 + 10 * 3 + 12 * 2 + 1
    p, n = found["published"], found["patients"]
    # 4.5 binomial standard errors, since 79 shares are compared at once; half a patient of slack for p = 0, 1.
    assert (np.abs(found["simulated"] - p) <= 4.5 * np.sqrt(p * (1 - p) / n) + 0.5 / n).all()


def test_ages_are_the_published_ones(million: Cohort, margins: pd.DataFrame) -> None:
    age = million.table.groupby("cancer", observed=True)["age_years"].agg(["mean", "std", "size"])
    # Truncated normal laws have light tails: the standard error of an sd is below sd / sqrt(n) as that of a mean is.
    for name, figures in published.cancers().items():
        mean, sd = figures["age_years"].value
        found = age.loc[name]
        assert abs(found["mean"] - mean) < 4.5 * sd / np.sqrt(found["size"]), name
        assert abs(found["std"] - sd) < 4.5 * sd / np.sqrt(found["size"]), name
    told = margins[margins["quantity"] == "age_years mean"].set_index("cancer")
    assert np.allclose(told["simulated"], age.loc[told.index, "mean"])


@pytest.mark.parametrize("name", [*LARGE, *RARE])
def test_survival_by_stage_is_the_published_one(margins: pd.DataFrame, name: str) -> None:
    table = margins[(margins["cancer"] == name) & margins["quantity"].str.startswith("5-year")]
    assert len(table) == (1 if name in ("aml", "glioblastoma") else 3)
    gap = np.abs(table["simulated"] - table["published"])
    assert (gap < (0.02 if name in LARGE else 0.04)).all(), table
    # and no further off than chance and the sample behind the baselines allow; 1 is taken as .999
    published = np.minimum(table["published"], 0.999)
    se = np.sqrt(published * (1 - published) / table["patients"])
    assert (np.abs(table["simulated"] - published) < 3.5 * se + 0.0005).all(), table


@pytest.mark.parametrize("name", [*LARGE, *RARE])
def test_cox_finds_the_true_hazard_ratios(million: Cohort, name: str) -> None:
    table, truth = of(million, name, 30_000)
    assert million.effects is not None
    true = million.effects[million.effects["cancer"] == name].set_index("term")["log_hazard"]
    data = pd.DataFrame({term: truth[term] if term in truth else table[term] for term in TERMS if term in table})
    data["response"] = table["response"]  # whether they did, not the chance that the truth holds
    data = data.astype(float)
    data = data.loc[:, data.std() > 0]
    data = data.assign(time=table["time_days"], event=table["died"] & (truth["cause"] == "cancer"))
    found = CoxPHFitter().fit(data.assign(stage=truth["stage"].cat.codes), "time", "event", strata=["stage"]).summary
    assert set(TERMS) - set(found.index) <= {"male"}
    expected = true.loc[found.index]
    off = np.abs(found["coef"] - expected) / found["se(coef)"]
    assert (off < 3).all(), found[["coef", "se(coef)"]].assign(expected=expected)
    # so that the test can fail: frailty is found at all, and in the frequent cancers closely
    assert found.loc["frail", "se(coef)"] < (0.1 if name in LARGE else 0.35)


def test_the_hazard_ratios_are_those_of_the_tables() -> None:
    # cancers.yaml, lung: .10 per 10 years, .15, .8, ln .60, ln .55, .20; population.yaml: responders ln .55
    cohort = Calibrated(cancers=["lung"], patients=100).load(0)
    assert cohort.effects is not None
    lung = cohort.effects.set_index("term")
    expected = [0.010, 0.15, 0.8, np.log(0.60), np.log(0.55), 0.20, np.log(0.55)]
    np.testing.assert_allclose(lung.loc[list(TERMS), "log_hazard"], expected)
    # response: -.01 a year, -.5, .25 (population.yaml); new .25 against .30, with the marker .80 (cancers.yaml)
    logit = [np.log(p / (1 - p)) for p in (0.30, 0.80, 0.25)]
    found = lung.loc[["age_years", "frail", "score_z", "treated", "treated_marker"], "log_odds"]
    np.testing.assert_allclose(found, [-0.01, -0.5, 0.25, logit[2] - logit[0], logit[1] - logit[2]])


def change(years: pd.Series) -> tuple[float, float]:
    """Log annual change of counts and its standard error."""
    counts = years.value_counts().sort_index()
    apc = percent_change(counts.index.to_numpy(dtype=float), counts.to_numpy(dtype=float))
    slope = np.log1p(apc.mean / 100)
    return slope, (np.log1p(apc.high / 100) - slope) / 1.96


STRATA = {  # cancers.yaml: percent a year
    "lung": ("lung", None, -2),
    "colorectal from 50": ("colorectal", "old", -1),
    "colorectal under 50": ("colorectal", "young", 2.5),
    "pancreas": ("pancreas", None, 1),
    "merkel": ("merkel", None, 3),
    "prostate distant": ("prostate", "distant", 4),
    "prostate not distant": ("prostate", "near", 0),
    "breast": ("breast", None, 0),
    "sarcoma": ("sarcoma", None, 0),
}


@pytest.mark.parametrize("case", STRATA)
def test_new_cases_change_as_published(million: Cohort, case: str) -> None:
    name, part, percent = STRATA[case]
    table, truth = of(million, name, 1_000_000)
    chosen = {
        None: np.ones(len(table), dtype=bool),
        "young": table["age_years"] < 50,
        "old": table["age_years"] >= 50,
        "distant": truth["stage"] == "distant",
        "near": truth["stage"] != "distant",
    }[part]
    slope, se = change(table["diagnosis_year"][chosen])
    assert abs(slope - np.log1p(percent / 100)) < 3 * se
    assert se < 0.008  # 2,700 Merkel carcinomas: sqrt(12 / (100 n)) = .0067


def test_years_are_whole_and_the_same_for_all(million: Cohort) -> None:
    years = million.table.loc[million.table["cancer"] == "breast", "diagnosis_year"]  # no trend
    counts = years.value_counts()
    assert set(counts.index) == set(range(2016, 2026))
    assert chisquare(counts).pvalue > 1e-3


def test_notes_tell_the_trends(million: Cohort) -> None:
    told = dict(pair.split("=") for pair in million.notes["annual_percent_change"].split(", "))
    assert {name: float(told[name]) for name in ("lung", "merkel", "breast", "pancreas")} == {
        "lung": -2,
        "merkel": 3,
        "breast": 0,
        "pancreas": 1,
    }
    for name in ("colorectal", "prostate"):  # mixtures of ages and of stages
        slope, se = change(of(million, name, 1_000_000)[0]["diagnosis_year"])
        assert abs(slope - np.log1p(float(told[name]) / 100)) < 3 * se + 0.0005
