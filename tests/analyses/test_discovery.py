"""Biomarker search: scores equal pooled ones, choices equal scipy's, true features are found."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit

from sim.analyses.answer_discovery import summarise_discovery
from sim.analyses.discovery import MEAN, POOLED, Discovery, WayResult, discovery
from sim.analyses.features import panel
from sim.analyses.figures import discovery_figure
from sim.analyses.scores import informative, z_scores
from sim.analyses.searches import JOINT, LARGEST, META, SUMS, stouffer
from sim.analyses.selection import SelectionQuality, compare, discoveries, jaccard, p_values, stability
from sim.analyses.sites import group_by_site
from sim.checks import Refused
from sim.cohort.outcomes import Binary
from sim.cohort.table import Cohort


def cohort(rows: int = 2000, features: int = 100, sites: int = 8, seed: int = 1, size: float = 0.3) -> Cohort:
    """Expression-like features in blocks of 20 with neighbours correlated .5, ten of them with an effect."""
    rng = np.random.default_rng(seed)
    g = rng.normal(size=(rows, features))
    for at in range(features):
        if at % 20:
            g[:, at] = 0.5 * g[:, at - 1] + np.sqrt(0.75) * g[:, at]
    true = np.arange(10) * (features // 10) + 3
    site, age = rng.choice(sites, rows, p=np.arange(1, sites + 1) / sum(range(sites + 1))), rng.normal(60, 10, rows)
    logit = 0.03 * (age - 60) + 0.2 * (site - 4) + g[:, true] @ (size * rng.choice([-1, 1], 10))
    names = [f"gene_{at + 1:04d}" for at in range(features)]
    table = pd.DataFrame(
        {"patient": np.arange(rows), "site": [f"s{at}" for at in site], "age_years": age}
        | {"response": rng.random(rows) < expit(logit)}
        | dict(zip(names, g.T, strict=True))
    )
    notes = {"true_features": ", ".join(names[at] for at in true)} if size else {}
    predictors = {"response": ("age_years", *names)}
    return Cohort("made", table, {"response": Binary("response")}, predictors, notes=notes)


def search(made: Cohort, halves: int = 0, rate: float = 0.05) -> Discovery:
    """Biomarker discovery in a cohort made by `cohort`."""
    held = group_by_site(made, made.table["site"].to_numpy(dtype=str))
    return discovery(panel(held, "response", "gene_"), rate, halves, 1)


@pytest.fixture(scope="module")
def found() -> Discovery:
    return search(cohort(), halves=4)


def row(found: Discovery, way: str) -> WayResult:
    return next(one for one in found.rows if one.way == way)


def test_scores_are_those_of_the_whole_information_matrix() -> None:
    made = cohort(rows=700, features=40, sites=3)
    sites = panel(group_by_site(made, made.table["site"].to_numpy(dtype=str)), "response", "gene_").sites
    z, _ = z_scores(("age",), sites)
    indicator = np.repeat(np.eye(3), [len(one["y"]) for one in sites], axis=0)
    x = np.hstack([np.concatenate([one["x"] for one in sites]), indicator])
    g, y = (np.concatenate([one[name] for one in sites]) for name in ("g", "y"))
    beta = np.zeros(x.shape[1])
    for _ in range(30):
        p = expit(x @ beta)
        beta = beta + np.linalg.solve((x * (p * (1 - p))[:, None]).T @ x, x.T @ (y - p))
    w = p * (1 - p)
    for at in (0, 3, 19):
        both = np.column_stack([g[:, at], x])
        information = (both * w[:, None]).T @ both
        variance = 1 / np.linalg.inv(information)[0, 0]
        assert z[at] == pytest.approx(g[:, at] @ (y - p) / np.sqrt(variance), abs=1e-8)


def test_sums_are_pooled_rows(found: Discovery) -> None:
    assert found.pooled_gap < 1e-9
    assert row(found, SUMS).found == row(found, POOLED).found


def test_true_features_are_found_and_the_joint_model_tells_neighbours_apart(found: Discovery) -> None:
    screened, joint = row(found, SUMS), row(found, JOINT)
    assert screened.found.recall == 1
    assert joint.found.recall >= 0.9
    assert joint.found.false < 0.2 < screened.found.false
    assert screened.far < 0.25
    assert row(found, LARGEST).found.recall < screened.found.recall
    assert row(found, MEAN).found.recall < row(found, META).found.recall
    assert joint.stable.mean > row(found, MEAN).stable.mean


def test_without_effects_almost_nothing_is_chosen() -> None:
    chosen = [row(search(cohort(rows=800, seed=seed, size=0.0)), SUMS).found.chosen for seed in range(12)]
    assert np.mean(np.array(chosen) > 0) < 0.35  # .05 expected under independence; binomial 12 gives 4 with p = .0002
    assert np.isnan(row(search(cohort(rows=800, size=0.0)), SUMS).found.recall)


def test_choices_are_scipys() -> None:
    rng = np.random.default_rng(2)
    for rate in (0.05, 0.2):
        p = np.concatenate([rng.random(300), rng.random(20) * 1e-3])
        np.testing.assert_array_equal(discoveries(p, rate), stats.false_discovery_control(p) <= rate)
    assert not discoveries(np.full(5, 0.9), 0.05).any()
    assert p_values(np.array([1.959964, np.nan])) == pytest.approx([0.05, 1], abs=1e-6)


def test_judgement_by_hand() -> None:
    chosen, true = np.array([1, 1, 0, 0], dtype=bool), np.array([1, 0, 1, 1], dtype=bool)
    assert compare(chosen, true) == SelectionQuality(2, pytest.approx(1 / 3), 0.5)
    assert compare(~chosen & ~true, true) == SelectionQuality(0, 0, 0)


def test_stability_by_hand() -> None:
    # Two choices of one of two features, never the same: 1 - (2 * .25) / (.5 * .5) = -1
    assert stability(np.array([[1, 0], [0, 1]], dtype=bool)).mean == pytest.approx(-1)
    assert stability(np.array([[1, 0, 0]] * 3, dtype=bool)) == pytest.approx((1, 1, 1))
    assert np.isnan(stability(np.zeros((3, 4), dtype=bool)).mean)
    with pytest.raises(Refused, match="at least 2"):
        stability(np.ones((1, 3), dtype=bool))
    # {a, b}, {b, c}, {}: 1/3, 0, 0
    assert jaccard(np.array([[1, 1, 0], [0, 1, 1], [0, 0, 0]], dtype=bool)) == pytest.approx(1 / 9)


def test_stability_of_chance_is_zero_within_its_interval() -> None:
    rng = np.random.default_rng(3)
    inside = [abs(stability(rng.random((100, 50)) < 0.2).mean) < 0.05 for _ in range(20)]
    assert all(inside)
    values = [stability(rng.random((100, 50)) < 0.2) for _ in range(200)]
    assert 0.85 < np.mean([one.low <= 0 <= one.high for one in values]) <= 1


def test_stouffer_by_hand() -> None:
    z = np.array([[1.0, np.nan, np.nan], [2.0, 3.0, np.nan]])
    # weights 3 and 4: (3 + 8) / 5
    assert stouffer(z, np.array([9.0, 16.0])) == pytest.approx([2.2, 3, np.nan], nan_ok=True)


def test_a_panel_that_a_site_lacks() -> None:
    """A feature that one site does not measure is judged by the others alone."""
    made = cohort()
    table = made.table.copy()
    table.loc[table["site"] == "s3", "gene_0004"] = np.nan
    holed = panel(group_by_site(replace(made, table=table), table["site"].to_numpy(dtype=str)), "response", "gene_")
    z, _ = z_scores(holed.covariates, holed.sites)
    assert holed.scope == (100, 1 / 800, 10, False, ())
    others = panel(group_by_site(made, made.table["site"].to_numpy(dtype=str)), "response", "gene_")
    whole, _ = z_scores(others.covariates, others.sites)
    assert 2 < abs(z[3]) < abs(whole[3])
    np.testing.assert_allclose(np.delete(z, 3), np.delete(whole, 3), atol=1e-9)


def test_a_covariate_that_a_site_lacks_whole_is_no_obstacle() -> None:
    """Its flag for gaps is the same in all patients of each site, where an intercept has said it already."""
    made = cohort(rows=400, features=40)
    table = made.table.assign(extra=np.where(made.table["site"] == "s3", np.nan, made.table["age_years"] % 7))
    wide = replace(made, table=table, predictors={"response": ("extra", *made.predictors["response"])})
    held = group_by_site(wide, table["site"].to_numpy(dtype=str))
    assert panel(held, "response", "gene_").covariates == ("extra", "age_years")
    assert search(wide).pooled_gap < 1e-9


def test_few_patients_find_little_and_are_not_refused() -> None:
    """Halves in which a rare category, or an outcome, does not occur: what cannot be told there is not chosen."""
    made = cohort(rows=60, features=40, sites=4)
    rare = pd.Categorical(np.where(np.arange(60) == 7, "rare", "usual"), categories=["usual", "rare"])
    few = replace(made, table=made.table.assign(kind=rare), predictors={"response": ("kind", "age_years")})
    found = search(few, halves=6)
    assert row(found, SUMS).found.chosen <= 2
    names, sites = informative(("a", "b"), [{"x": np.array([[1.0, 2], [1, 3]]), "y": np.array([0.0, 1])}])
    assert names == ["b"]
    np.testing.assert_array_equal(sites[0]["x"], [[2], [3]])
    silent = [{"x": np.array([[1.0], [2]]), "y": np.ones(2)}]
    assert informative(("a",), silent)[0] == []


def test_features_need_no_covariates_beside_them() -> None:
    made = cohort(rows=400, features=40)
    bare = replace(made, predictors={"response": tuple(name for name in made.table if name.startswith("gene_"))})
    found = search(bare)
    assert found.pooled_gap < 1e-9
    assert found.scope == (40, 0, 10, False, ())


def test_features_that_nobody_measures_are_left_out_and_named() -> None:
    made = cohort(rows=400, features=40)
    unknown = {"response": ("age_years", "gene_0001")}  # a predictor is recorded for someone, other columns need not be
    table = made.table.assign(gene_0002=np.nan, gene_0004=1.0)
    found = search(replace(made, table=table, predictors=unknown))
    assert found.scope == (38, 0, 9, False, ("gene_0002", "gene_0004"))
    assert "Left out" in summarise_discovery(found).notes[0]
    none = replace(made, table=made.table.assign(**dict.fromkeys(made.table.filter(like="gene_"), 1.0)))
    with pytest.raises(Refused, match="every column that starts with 'gene_'"):
        search(none)


def test_order_of_rows_does_not_matter(found: Discovery) -> None:
    made = cohort()
    order = np.random.default_rng(0).permutation(len(made.table))
    again = search(replace(made, table=made.table.iloc[order].reset_index(drop=True)), halves=4)
    assert summarise_discovery(again).tables[0].frame.equals(summarise_discovery(found).tables[0].frame)
    assert again.chosen == found.chosen


def test_figure_and_bytes(found: Discovery) -> None:
    assert len(discovery_figure([found, found]).axes) == 3
    sent = row(found, SUMS).traffic
    assert sent is not None
    # null model: 1 + 1 + 1 numbers a round; scores: 100 + 100 + 1 x 100
    assert sent.bytes_up == 8 * (3 * (sent.rounds - 1) + 300)


def test_refusals() -> None:
    made = cohort(rows=200, features=40)
    held = group_by_site(made, made.table["site"].to_numpy(dtype=str))
    with pytest.raises(Refused, match="'snp_'.*age_years"):
        panel(held, "response", "snp_")
    wrong = replace(made, notes={"true_features": "gene_9999"})
    with pytest.raises(Refused, match="gene_9999"):
        panel(group_by_site(wrong, made.table["site"].to_numpy(dtype=str)), "response", "gene_")
