"""Generated benchmarks against the laws that their papers state."""

import numpy as np
import pandas as pd
import pytest

from sim.checks import Refused
from sim.cohort.generated import DIMENSION, Fcube, Synthetic
from sim.cohort.table import Cohort

FEATURES = [f"x{number}" for number in range(1, DIMENSION + 1)]


def features(whole: Cohort) -> np.ndarray:
    return whole.table[FEATURES].to_numpy()


def test_synthetic_has_its_sizes_and_variances() -> None:
    whole = Synthetic(sites=60, consortium=1).load(0)
    size = whole.table["site"].value_counts()
    assert size.min() >= 50
    assert np.log(size - 49.5).median() == pytest.approx(4, abs=0.8)
    at = (whole.table["site"] == size.index[0]).to_numpy()
    variance = features(whole)[at].var(0)
    np.testing.assert_allclose(variance, np.arange(1, 61) ** -1.2, rtol=0.2)
    assert whole.outcomes.keys() == {"label"}
    assert "class" not in whole.predictors["label"]


def test_beta_is_the_sd_between_sites_of_the_mean_of_means() -> None:
    """v_kj ~ N(B_k, 1) with B_k ~ N(0, beta^2): a site's mean over features has variance beta^2 + 1 / 60."""
    for beta in (0.0, 2.0):
        whole = Synthetic(sites=120, beta=beta, alpha=0.0, consortium=2).load(0)
        means = whole.table.groupby("site")[FEATURES].mean().to_numpy().mean(1)
        assert means.var() == pytest.approx(beta**2 + 1 / 60, rel=0.45)


def test_alpha_changes_no_class() -> None:
    """u is added to the score of every class alike: the flaw that the card tells of."""
    small, large = (Synthetic(sites=8, alpha=alpha, consortium=1).load(3) for alpha in (0.0, 50.0))
    pd.testing.assert_frame_equal(small.table, large.table)


def test_iid_sites_share_one_model_and_others_do_not() -> None:
    def agreement(source: Synthetic) -> float:
        """Balanced accuracy at every other site of one site's least-squares fit, where both labels are common."""
        whole = source.load(0)
        x, y = np.column_stack([features(whole), np.ones(len(whole.table))]), whole.table["label"].to_numpy()
        sites = [(whole.table["site"] == name).to_numpy() for name in sorted(set(whole.table["site"]))]
        sites = sorted(sites, key=lambda at: -min(y[at].sum(), (~y[at]).sum()))
        sites = [at for at in sites if min(y[at].sum(), (~y[at]).sum()) > 15]
        assert len(sites) > 3
        fit = np.linalg.lstsq(x[sites[0]], 2.0 * y[sites[0]] - 1, rcond=None)[0]
        right = ((x @ fit) > 0) == y
        return float(np.mean([right[at & y].mean() + right[at & ~y].mean() for at in sites[1:]]) / 2)

    assert agreement(Synthetic(sites=100, alpha=0, beta=0, iid=True, classes=2)) > 0.85
    assert agreement(Synthetic(sites=100, alpha=0, beta=0, classes=2)) < 0.7
    means = Synthetic(sites=20, alpha=0, beta=0, iid=True).load(0).table.groupby("site")[FEATURES].mean()
    assert np.abs(means.mean().to_numpy()).max() < 0.15


def test_rows_and_sites_do_not_change_when_there_are_more() -> None:
    few, many = Synthetic(sites=5).load(4), Synthetic(sites=9).load(4)
    pd.testing.assert_frame_equal(
        many.table[many.table["site"].isin(set(few.table["site"]))][FEATURES], few.table[FEATURES]
    )
    again, other = Synthetic(sites=5).load(4), Synthetic(sites=5).load(5)
    pd.testing.assert_frame_equal(again.table, few.table)
    assert (other.table["x1"] != few.table["x1"]).all()
    assert (other.table["patient"] == few.table["patient"]).all()


def test_fcube_is_four_pairs_of_opposite_octants() -> None:
    whole = Fcube(rows=4000).load(0)
    x = whole.table[["x1", "x2", "x3"]].to_numpy()
    assert (whole.table["label"] == (x[:, 0] < 0)).all()
    octant = (x > 0) @ np.array([4, 2, 1])
    by_site = pd.crosstab(whole.table["site"], octant)
    assert ((by_site > 0).sum(1) == 2).all()
    assert ((by_site > 0).sum(0) == 1).all()
    assert by_site.to_numpy().max() == 500
    opposite = {frozenset(np.flatnonzero(row)) for row in by_site.to_numpy() > 0}
    assert opposite == {frozenset({at, 7 - at}) for at in range(4)}
    np.testing.assert_allclose(np.abs(x).mean(0), 0.5, atol=0.02)


@pytest.mark.parametrize("rows", [8, 11, 1001])
def test_fcube_deals_rows_evenly(rows: int) -> None:
    sizes = Fcube(rows=rows).load(1).table["site"].value_counts()
    assert sizes.sum() == rows
    assert sizes.max() - sizes.min() <= 1


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Synthetic(alpha=-1), r"cohort\.alpha=-1"),
        (lambda: Synthetic(classes=1), r"cohort\.classes=1"),
        (lambda: Synthetic(iid=True), "identical sites have neither"),
        (lambda: Fcube(rows=7), r"cohort\.rows=7: allowed \[8"),
    ],
)
def test_settings_out_of_range_are_refused(make: object, words: str) -> None:
    with pytest.raises(Refused, match=words):
        make()  # type: ignore[operator]
