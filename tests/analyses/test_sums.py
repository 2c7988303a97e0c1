"""Sums over sites equal pooled fits; meta-analysis against closed forms; the command."""

import json
import re
import shlex

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from typer.testing import CliRunner

from sim.analyses.meta import meta
from sim.analyses.newton import NotEstimable, fit
from sim.analyses.options import Options
from sim.analyses.run import analyse
from sim.analyses.sums import pack, unpack
from sim.assets import root
from sim.checks import Refused
from sim.cli.main import app
from sim.config.compose import experiment


def sites(n=900, seed=3):
    """Three sites of unlike size whose intercepts differ, two covariates."""
    rng = np.random.default_rng(seed)
    x, site = rng.normal(size=(n, 2)), rng.choice(3, n, p=[0.6, 0.3, 0.1])
    y = (rng.random(n) < expit(x @ [0.8, -0.5] + np.array([-1.0, 0.5, 1.5])[site])).astype(float)
    return [{"x": x[site == at], "y": y[site == at]} for at in range(3)]


def pooled(rows):
    """Coefficients and covariance of one regression on all rows, with an indicator a site: scikit-learn's."""
    indicator = np.repeat(np.eye(len(rows)), [len(one["y"]) for one in rows], axis=0)
    x = np.hstack([np.concatenate([one["x"] for one in rows]), indicator])
    y = np.concatenate([one["y"] for one in rows])
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-13, max_iter=200, fit_intercept=False)
    beta = model.fit(x, y).coef_[0]
    p = expit(x @ beta)
    return beta, np.linalg.inv((x * (p * (1 - p))[:, None]).T @ x), x, y


def test_own_intercepts_are_the_pooled_fit_with_an_indicator_a_site():
    rows = sites()
    found = fit(("a", "b"), rows)
    beta, covariance, _, _ = pooled(rows)
    np.testing.assert_allclose(found.beta, beta[:2], atol=1e-8)
    np.testing.assert_allclose(found.covariance, covariance[:2, :2], rtol=1e-6)


def test_a_common_intercept_is_the_pooled_fit_on_real_patients():
    data = load_breast_cancer()
    x = data.data[:, [1, 4, 9]]
    x = np.column_stack([np.ones(len(x)), (x - x.mean(0)) / x.std(0)])
    y = data.target.astype(float)
    cuts = [100, 350]  # any three sites
    rows = [{"x": a, "y": b} for a, b in zip(np.split(x, cuts), np.split(y, cuts), strict=True)]
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-13, max_iter=200, fit_intercept=False)
    np.testing.assert_allclose(
        fit(("1", "a", "b", "c"), rows, site_intercepts=False).beta, model.fit(x, y).coef_[0], atol=1e-8
    )


def test_a_site_with_one_outcome_says_nothing():
    rows = sites()
    silent = {"x": np.ones((5, 2)) * [[3.0, -2.0]], "y": np.ones(5)}
    np.testing.assert_array_equal(fit(("a", "b"), [*rows, silent]).beta, fit(("a", "b"), rows).beta)


def test_a_rare_category_with_one_outcome_does_not_hide_the_others():
    """Three patients of a kind, none of whom had the outcome: their effect has no limit, the other effects do."""
    rows = sites(n=300)
    kind = [np.zeros(len(one["y"])) for one in rows]
    kind[0][np.flatnonzero(rows[0]["y"] == 0)[:3]] = 1
    wide = [{"x": np.column_stack([one["x"], k]), "y": one["y"]} for one, k in zip(rows, kind, strict=True)]
    without = [{"x": one["x"][k == 0], "y": one["y"][k == 0]} for one, k in zip(rows, kind, strict=True)]
    np.testing.assert_allclose(fit(("a", "b", "kind"), wide).beta[:2], fit(("a", "b"), without).beta, atol=1e-6)


def test_bytes_are_those_of_the_message():
    traffic = fit(("a", "b"), sites()).traffic
    assert traffic.bytes_up == traffic.rounds * 8 * (1 + 2 + 3)  # log-likelihood, gradient, triangle of the Hessian
    assert traffic.bytes_down == traffic.rounds * 8 * 2
    assert 4 <= traffic.rounds <= 8  # Newton's method; Wu et al. 2012 report 5 to 8


def test_a_far_start_still_arrives():
    """A strong effect makes the first Newton step too long; halving brings it back."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 1)) * [30.0]
    y = (rng.random(400) < expit(0.4 * x[:, 0])).astype(float)
    rows = [{"x": x[:150], "y": y[:150]}, {"x": x[150:], "y": y[150:]}]
    beta, _, _, _ = pooled(rows)
    np.testing.assert_allclose(fit(("a",), rows).beta, beta[:1], atol=1e-8)


def test_what_cannot_be_told_is_refused_by_name():
    rows = sites()
    double = [{"x": np.column_stack([one["x"], one["x"] @ [1.0, 2.0]]), "y": one["y"]} for one in rows]
    with pytest.raises(NotEstimable, match="'sum' cannot be told"):
        fit(("a", "b", "sum"), double)
    flat = [{"x": np.column_stack([one["x"], np.full(len(one["y"]), 2.0)]), "y": one["y"]} for one in rows]
    with pytest.raises(NotEstimable, match="'flat'"):
        fit(("a", "b", "flat"), flat)
    perfect = [{"x": one["y"][:, None], "y": one["y"]} for one in rows]
    assert fit(("a",), perfect).of("a")[1] > 1000  # told by its standard error, as everywhere


def test_a_triangle_is_half_of_a_symmetric_matrix():
    matrix = np.array([[1.0, 2, 3], [2, 4, 5], [3, 5, 6]])
    assert len(pack(matrix)) == 6
    np.testing.assert_array_equal(unpack(pack(matrix)), matrix)


def test_meta_of_two_sites_by_hand():
    # weights 1, 1; Q = 1 + 1; C = 2 - 2 / 2 = 1; tau2 = (2 - 1) / 1; I2 = 1 / 2; weights then 1/2, 1/2
    found = meta(np.array([0.0, 2.0]), np.array([1.0, 1.0]))
    assert found[:3] == pytest.approx((2, 1, 0.5**0.5))
    assert (found.q, found.i2, found.tau2, found.random, found.random_se) == pytest.approx((2, 0.5, 1, 1, 1))


def test_meta_of_three_sites_by_hand():
    # w = 1, 4, 1: fixed 13/6; Q = (49 + 4 + 121) / 36; C = 6 - 18/6 = 3; tau2 = (Q - 2) / 3
    found = meta(np.array([1.0, 2.0, 4.0]), np.array([1.0, 0.5, 1.0]))
    tau2 = (174 / 36 - 2) / 3
    assert (found.fixed, found.q, found.tau2) == pytest.approx((13 / 6, 174 / 36, tau2))
    v = 1 / (np.array([1, 0.25, 1]) + tau2)
    assert found.random == pytest.approx(v @ [1, 2, 4] / v.sum())
    assert found.p == pytest.approx(np.exp(-174 / 72))  # chi-square with 2 degrees of freedom
    # Student's t with one degree of freedom has its 0.975 quantile at tan(0.475 pi)
    half = np.tan(0.475 * np.pi) * np.sqrt(tau2 + 1 / v.sum())
    assert (found.next_low, found.next_high) == pytest.approx((found.random - half, found.random + half))


def test_meta_of_like_sites_and_of_too_few():
    same = meta(np.full(4, 0.3), np.full(4, 0.1))
    assert (same.q, same.i2, same.tau2, same.fixed) == pytest.approx((0, 0, 0, 0.3), abs=1e-12)
    assert np.isnan(meta(np.array([1.0]), np.array([1.0])).q)
    assert np.isnan(meta(np.zeros(0), np.zeros(0)).fixed)


def test_command_writes_tables_figure_and_json(tmp_path):
    words = ["benefit", "cohort.patients=1500", "cohort.sites=3", "--seeds", "2"]
    files = ["--json", str(tmp_path / "new" / "b.json"), "--figure", str(tmp_path / "b.svg")]
    done = CliRunner().invoke(app, ["analyse", *words, *files])
    assert done.exit_code == 0, done.output
    assert "truth held" in done.output
    told = json.loads((tmp_path / "new" / "b.json").read_text())
    assert told["seeds"] == [0, 1]
    assert len(told["tables"]) == 4
    assert (tmp_path / "b.svg").read_text().startswith("<?xml")


def test_commands_answer_for_a_table_of_ones_own(tmp_path):
    """Features, a year and an outcome in a CSV; no truth, so none is told."""
    rng = np.random.default_rng(0)
    rows = 600
    genes = {f"gene_{at}": rng.normal(size=rows) for at in range(12)}
    table = pd.DataFrame({"patient": np.arange(rows), "hospital": rng.choice(["n", "s", "w"], rows), **genes})
    table["year"] = 2015 + rng.integers(0, 6, rows)
    table["responded"] = (rng.random(rows) < expit(1.5 * genes["gene_3"])).astype(int)
    table.to_csv(tmp_path / "own.csv", index=False)
    own = ["cohort=tabular", f"cohort.path={tmp_path / 'own.csv'}", "cohort.site=hospital", "cohort.label=responded"]
    for name, option in (("discovery", ["--halves", "3"]), ("trends", ["--threshold", "8"])):
        file = tmp_path / f"{name}.json"
        words = [name, *own, "cohort.patient=patient", "task=classify", *option, "--json", str(file)]
        done = CliRunner().invoke(app, ["analyse", *words, "--figure", str(tmp_path / f"{name}.png")])
        assert done.exit_code == 0, done.output
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    found = json.loads((tmp_path / "discovery.json").read_text())["tables"]["Features that go with the outcome"]
    assert found[0]["chosen"] >= 1
    assert found[0]["recall"] is None
    counts = json.loads((tmp_path / "trends.json").read_text())
    assert len(counts["tables"]["Annual change of new cases, percent"]) == 3
    assert counts["wire"]["Counts under secure summation"]["bytes_up"] == 8 * 6


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["trends", "cohort=lung", "task=hazard"], "no column diagnosis_year or dx_year"),
        (["discovery", "cohort=lung", "task=hazard"], "gene_"),
        (["benefit", "cohort=lung", "task=hazard"], "treated"),
        (["benefit", "--figure", "x.gif"], "--figure"),
        (["discovery", "--rate", "1"], "--rate"),
        (["discovery", "--halves", "1"], "--halves"),
        (["trends", "--threshold", "0"], "--threshold"),
        (["trends"], "cohort.years=10"),
        (["discovery", "cohort.discovery=50", "executor=ray"], "executor=ray: an analysis trains no model"),
        (["discovery", "cohort.discovery=50", "rounds=3"], "rounds=3"),
        (["benefit", "seed=3", "--seeds", "2"], "seed=3 and --seeds 2"),
        (["benefit", "partition.external.count=1"], "partition.external.count=1"),
        (["benefit", "partition=dirichlet"], "partition=dirichlet: it deals patients by their outcome"),
    ],
)
def test_command_refuses(words, why):
    done = CliRunner().invoke(app, ["analyse", *words])
    assert isinstance(done.exception, Refused)
    assert why in str(done.exception)


def test_the_shift_of_the_sites_is_applied():
    """Tests that err at random pull the interaction of the same patients towards zero."""
    words = ["cohort.patients=3000", "cohort.het=0", "cohort.tau=0"]
    whole, shifted = (
        analyse("benefit", [*words, *more], Options(), 0).tables[1].frame["estimate"][0]
        for more in ([], ["shift.assay.insensitivity=0.4", "shift.assay.unspecificity=0.2"])
    )
    assert 0 < shifted < whole - 0.5


def test_commands_of_the_document_compose():
    text = (root() / "docs" / "analyses.md").read_text().replace("\\\n", " ")
    lines = re.findall(r"^fedtrial analyse (.*)$", text, flags=re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        experiment([word for word in shlex.split(line, comments=True) if re.match(r"[\w.+]+=", word)])
