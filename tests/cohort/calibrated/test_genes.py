"""Genes: keyed by patient and feature, correlated inside panels, few that matter, panels that centres lack."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter

from sim.analyses.discovery import discovery
from sim.analyses.features import panel
from sim.analyses.searches import JOINT
from sim.analyses.sites import group_by_site
from sim.checks import Refused
from sim.cohort.calibrated import genes
from sim.cohort.calibrated.blocks import BLOCK
from sim.cohort.calibrated.centres import centres
from sim.cohort.calibrated.source import Calibrated
from sim.cohort.outcomes import DAYS_PER_YEAR
from sim.cohort.table import Cohort


def made(cancers: list[str], patients: int, discovery: int, **more: object) -> Cohort:
    return Calibrated(
        cancers=cancers, patients=patients, discovery=discovery, **({"het": 0.0, "tau": 0.0} | more)
    ).load(0)


def features(cohort: Cohort) -> pd.DataFrame:
    return cohort.table.filter(like=genes.PREFIX)


def test_a_number_belongs_to_its_patient_and_feature() -> None:
    few = Calibrated(cancers=["lung"], patients=60, sites=2, sizes=[1, 1], discovery=50).load(3)
    more = Calibrated(cancers=["lung"], patients=BLOCK + 900, sites=3, sizes=[1, 1, 1], discovery=500).load(3)
    for site in ("centre-1", "centre-2"):
        short = features(few)[(few.table["site"] == site).to_numpy()].reset_index(drop=True)
        long = features(more)[(more.table["site"] == site).to_numpy()].head(30).reset_index(drop=True)
        there = ~(short.isna() | long[short.columns].isna())  # which panels a centre lacks is another number's matter
        assert there.to_numpy().mean() > 0.4
        assert (short.to_numpy() == long[short.columns].to_numpy())[there.to_numpy()].all()
    assert not features(few).equals(features(Calibrated(cancers=["lung"], patients=60, discovery=50).load(4)))


def test_without_discovery_nobody_changes() -> None:
    before = ["patient", "cancer", "age_years", "stage", "frail", "marker_1", "score_z", "treated"]
    one, other = (Calibrated(patients=300, discovery=count).load(0).table for count in (0, 50))
    pd.testing.assert_frame_equal(one[before], other[before], check_exact=True)


def test_features_are_standard_normal_and_neighbours_correlate_by_half() -> None:
    x = features(made(["breast"], 40_000, 60)).to_numpy(dtype=float)
    # standard errors: .005 of a mean, .0035 of an sd, .005 of a correlation; 60 and 1770 of them: 5 se
    assert np.abs(x.mean(0)).max() < 0.025
    assert np.abs(x.std(0) - 1).max() < 0.02
    place = np.arange(60)
    apart = np.abs(place[:, None] - place)
    expected = np.where(place[:, None] // 20 == place // 20, 0.5**apart, 0.0)
    assert np.abs(np.corrcoef(x.T) - expected).max() < 0.025


@pytest.mark.parametrize("count", [50, 500, 2000])
def test_ten_effects_a_cancer_half_of_them_shared(count: int) -> None:
    beta = genes.effects(count, ("breast", "lung", "merkel"))
    assert ((beta != 0).sum(1) == 10).all()
    shared = (beta != 0).all(axis=0)
    assert shared.sum() >= 5
    assert (beta[:, shared] == beta[0, shared]).all(axis=0).sum() == 5
    size = np.abs(beta[beta != 0])
    assert ((size >= 0.15) & (size <= 0.35)).all()  # population.yaml
    np.testing.assert_array_equal(beta[1:2], genes.effects(count, ("lung",)))  # whichever others are in the cohort
    assert genes.effects(0, ("lung",)).shape == (1, 0)


def test_the_spread_of_the_sum_is_exact() -> None:
    cohort = made(["breast"], 40_000, 50)
    beta = genes.effects(50, ("breast",))
    total = features(cohort).to_numpy(dtype=float) @ beta[0]
    assert total.std() == pytest.approx(genes.total_sd(beta)[0], rel=0.02)  # se of an sd: 1 / sqrt(2 n) = .35 %


def test_cox_finds_the_genes_that_matter_and_no_others() -> None:
    cohort = made(["lung"], 12_000, 50, sites=1)
    table, truth = cohort.table, cohort.truth
    assert truth is not None
    assert cohort.effects is not None
    data = features(cohort).astype(float)
    adjust = ("age_years", "frail", "marker_1", "marker_2", "score_z")
    data = data.assign(**{name: table[name].astype(float) for name in adjust})
    data = data.assign(male=table["male"].astype(float), response=table["response"].astype(float))
    data = data.assign(stage=truth["stage"].cat.codes, time=table["time_days"])
    data = data.assign(event=table["died"] & (truth["cause"] == "cancer"))
    found = CoxPHFitter().fit(data, "time", "event", strata=["stage"]).summary.filter(like=genes.PREFIX, axis=0)
    expected = cohort.effects.set_index("term")["log_hazard"].reindex(found.index, fill_value=0.0)
    assert (expected != 0).sum() == 10
    off = (found["coef"] - expected) / found["se(coef)"]
    assert (np.abs(off) < 3.5).all()  # fifty at once
    assert np.abs(expected[expected != 0] / found["se(coef)"]).min() > 6  # so that each is found


def test_response_falls_by_what_the_hazard_rises() -> None:
    cohort = made(["breast"], 4000, 50, sites=1)
    assert cohort.truth is not None
    assert cohort.effects is not None
    p = cohort.truth["response"].to_numpy()
    beta = genes.effects(50, ("breast",))[0]
    table = cohort.table
    rest = [
        np.ones(4000),
        table["treated"],
        table["treated_marker"],
        table["frail"],
        table["age_years"],
        table["score_z"],
    ]
    x = np.column_stack([*rest, features(cohort).to_numpy(dtype=float)]).astype(float)
    found, *_ = np.linalg.lstsq(x, np.log(p / (1 - p)), rcond=None)
    np.testing.assert_allclose(found[len(rest) :], -beta, atol=1e-9)


def test_survival_stays_the_published_one() -> None:
    truth = made(["colorectal"], 60_000, 50, sites=1).truth
    assert truth is not None
    for stage, published in (("local", 0.91), ("regional", 0.74), ("distant", 0.16)):  # cancers.yaml
        mine = truth["stage"] == stage
        alive = (truth["time_cancer_days"][mine] > 5 * DAYS_PER_YEAR).mean()
        assert abs(alive - published) < 3.5 * np.sqrt(published * (1 - published) / mine.sum()) + 0.0005


def test_centres_lack_panels_and_those_of_a_vendor_lack_the_same() -> None:
    lacks = np.concatenate([centres(c, 60, 1.0, 0.0, (), panels=100).panels[:, 1:] for c in range(20)])
    # .2 of panels at het = 1 (centres.yaml); 2000 draws of three vendors each carry half the variance: se near .01
    assert abs(lacks.mean() - 0.2) < 0.03
    assert not centres(0, 60, 0.0, 0.0, (), panels=100).panels.any()
    one = centres(0, 200, 1.0, 0.0, (), panels=100).panels[:, 1:].astype(float)
    alike = np.corrcoef(one)[np.triu_indices(200, 1)]
    # Two centres share a vendor in a third of pairs: the correlations have two humps, at 0 and at about .3.
    assert 0.2 < (alike > 0.17).mean() < 0.45
    assert np.median(alike[alike > 0.17]) > 0.25
    assert abs(np.median(alike[alike < 0.17])) < 0.06


def test_a_panel_is_missing_whole_and_at_whole_centres() -> None:
    cohort = made(["breast"], 900, 100, sites=30, het=1.0)
    gone = features(cohort).isna().to_numpy().reshape(900, 5, 20)
    assert (gone.all(axis=2) == gone.any(axis=2)).all()
    by_site = pd.DataFrame(gone.any(axis=2)).groupby(cohort.table["site"].to_numpy()).mean()
    assert set(np.unique(by_site)) == {0.0, 1.0}


def test_a_search_meets_the_truth() -> None:
    """The names in the cohort's notes are those that the analysis looks for."""
    cohort = made(["lung"], 8000, 50, sites=4, het=0.5)
    held = group_by_site(cohort, cohort.table["site"].to_numpy(dtype=str))
    made_panel = panel(held, "response", genes.PREFIX)
    assert made_panel.true is not None
    assert made_panel.true.sum() == 10
    found = {row.way: row.found for row in discovery(made_panel, 0.05, 0, 0).rows}
    assert found[JOINT].recall >= 0.7
    assert found[JOINT].false < 0.3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"discovery": 10}, ["cohort.discovery=10", "[20, 4000]"]),
        ({"discovery": 5000}, ["cohort.discovery=5000"]),
        ({"discovery": 2000, "patients": 1_000_000}, ["2,000,000,000 values", "268,435,456", "Lower"]),
    ],
)
def test_wrong_numbers_of_features_are_refused(settings: dict[str, int], words: list[str]) -> None:
    with pytest.raises(Refused) as refusal:
        Calibrated(**settings)
    for word in words:
        assert word in str(refusal.value)
