"""Regressions by sums over sites equal the pooled fits."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.special import expit
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

from sim.arrays import Floats
from sim.exact.glm import LeastSquares
from sim.exact.newton import NotEstimable, fit
from sim.exact.sums import Rows, pack, solve, unpack


def sites(n: int = 900, seed: int = 3) -> list[Rows]:
    """Three sites of unlike size whose intercepts differ, two covariates."""
    rng = np.random.default_rng(seed)
    x, site = rng.normal(size=(n, 2)), rng.choice(3, n, p=[0.6, 0.3, 0.1])
    y = (rng.random(n) < expit(x @ [0.8, -0.5] + np.array([-1.0, 0.5, 1.5])[site])).astype(float)
    return [{"x": x[site == at], "y": y[site == at]} for at in range(3)]


def pooled(rows: Sequence[Rows]) -> tuple[Floats, Floats, Floats, Floats]:
    """Coefficients, covariance, x and y of one regression on all rows with one indicator per site, by scikit-learn."""
    indicator = np.repeat(np.eye(len(rows)), [len(one["y"]) for one in rows], axis=0)
    x = np.hstack([np.concatenate([one["x"] for one in rows]), indicator])
    y = np.concatenate([one["y"] for one in rows])
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-13, max_iter=200, fit_intercept=False)
    beta = model.fit(x, y).coef_[0]
    p = expit(x @ beta)
    return beta, np.linalg.inv((x * (p * (1 - p))[:, None]).T @ x), x, y


def test_site_intercepts_are_the_pooled_fit_with_one_indicator_per_site() -> None:
    rows = sites()
    found = fit(("a", "b"), rows)
    beta, covariance, _, _ = pooled(rows)
    np.testing.assert_allclose(found.beta, beta[:2], atol=1e-8)
    np.testing.assert_allclose(found.covariance, covariance[:2, :2], rtol=1e-6)


def test_a_common_intercept_is_the_pooled_fit_on_real_patients() -> None:
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


def test_a_site_with_one_outcome_contributes_nothing() -> None:
    rows = sites()
    silent = {"x": np.ones((5, 2)) * [[3.0, -2.0]], "y": np.ones(5)}
    np.testing.assert_array_equal(fit(("a", "b"), [*rows, silent]).beta, fit(("a", "b"), rows).beta)


def test_a_rare_category_with_one_outcome_does_not_hide_the_others() -> None:
    """Three patients of a kind, none of whom had the outcome: their effect has no limit, the other effects do."""
    rows = sites(n=300)
    kind = [np.zeros(len(one["y"])) for one in rows]
    kind[0][np.flatnonzero(rows[0]["y"] == 0)[:3]] = 1
    wide = [{"x": np.column_stack([one["x"], k]), "y": one["y"]} for one, k in zip(rows, kind, strict=True)]
    without = [{"x": one["x"][k == 0], "y": one["y"][k == 0]} for one, k in zip(rows, kind, strict=True)]
    np.testing.assert_allclose(fit(("a", "b", "kind"), wide).beta[:2], fit(("a", "b"), without).beta, atol=1e-6)


def test_bytes_are_those_of_the_message() -> None:
    traffic = fit(("a", "b"), sites()).traffic
    assert traffic.bytes_up == traffic.rounds * 8 * (1 + 2 + 3)  # log-likelihood, gradient, triangle of the Hessian
    assert traffic.bytes_down == traffic.rounds * 8 * 2
    assert 4 <= traffic.rounds <= 8  # Newton's method; Wu et al. 2012 report 5 to 8


def test_a_far_start_still_arrives() -> None:
    """A strong effect makes the first Newton step too long; halving brings it back."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 1)) * [30.0]
    y = (rng.random(400) < expit(0.4 * x[:, 0])).astype(float)
    rows = [{"x": x[:150], "y": y[:150]}, {"x": x[150:], "y": y[150:]}]
    beta, _, _, _ = pooled(rows)
    np.testing.assert_allclose(fit(("a",), rows).beta, beta[:1], atol=1e-8)


def test_columns_that_are_not_estimable_are_refused_by_name() -> None:
    rows = sites()
    double = [{"x": np.column_stack([one["x"], one["x"] @ [1.0, 2.0]]), "y": one["y"]} for one in rows]
    with pytest.raises(NotEstimable, match="'sum' cannot be told"):
        fit(("a", "b", "sum"), double)
    flat = [{"x": np.column_stack([one["x"], np.full(len(one["y"]), 2.0)]), "y": one["y"]} for one in rows]
    with pytest.raises(NotEstimable, match="'flat'"):
        fit(("a", "b", "flat"), flat)
    perfect = [{"x": one["y"][:, None], "y": one["y"]} for one in rows]
    assert fit(("a",), perfect).of("a")[1] > 1000  # told by its standard error, as everywhere


def test_a_triangle_is_half_of_a_symmetric_matrix() -> None:
    matrix = np.array([[1.0, 2, 3], [2, 4, 5], [3, 5, 6]])
    assert len(pack(matrix)) == 6
    np.testing.assert_array_equal(unpack(pack(matrix)), matrix)


def test_least_squares_needs_more_patients_than_coefficients() -> None:
    rng = np.random.default_rng(0)
    names, x = ("a", "b", "(intercept)"), np.column_stack([rng.normal(size=(3, 2)), np.ones(3)])
    with pytest.raises(NotEstimable, match="3 patients for 3 coefficients"):
        solve(LeastSquares(names), [{"x": x, "y": rng.normal(size=3)}])
