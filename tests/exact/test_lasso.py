"""The lasso by sums is scikit-learn's on the pooled rows, for any penalty and split."""

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from sim.arrays import Floats
from sim.exact.lasso import Lasso
from sim.exact.newton import Logistic
from sim.exact.sums import Rows, State, exchanges

NAMES = ("a", "b", "c", "d", "(intercept)")


def rows() -> tuple[Floats, Floats]:
    """Four features of which two have an effect, ones last; labels."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(300, 4))
    y = (rng.random(300) < expit(x @ [1.0, -0.7, 0.0, 0.0] + 0.4)).astype(float)
    return np.column_stack([x, np.ones(300)]), y


def fitted(many: int, **settings: float) -> State:
    x, y = rows()
    sites: list[Rows] = [{"x": x[at::many], "y": y[at::many]} for at in range(many)]
    analysis = Lasso(Logistic(NAMES, site_intercepts=False), NAMES, **settings)
    *_, last = exchanges(analysis, lambda seen, _: [analysis.statistics(one, seen) for one in sites], 300)
    return last.state


@pytest.mark.parametrize(("penalty", "many"), [(0.01, 1), (0.05, 3), (0.15, 7)])
def test_one_penalty_is_scikit_learns(penalty: float, many: int) -> None:
    x, y = rows()
    model = LogisticRegression(l1_ratio=1.0, C=1 / (300 * penalty), solver="saga", tol=1e-12, max_iter=100_000)
    model.fit(x[:, :-1], y)
    found = fitted(many, penalty=penalty)["beta"]
    np.testing.assert_allclose(found, [*model.coef_[0], model.intercept_[0]], atol=1e-6)
    assert (found[:-1] == 0).tolist() == (np.abs(model.coef_[0]) < 1e-9).tolist()


def test_the_path_begins_where_no_feature_is_left_and_bic_finds_the_effects() -> None:
    state = fitted(3)
    assert (fitted(3, penalty=float(state["first"]) * 1.0001)["beta"][:-1] == 0).all()
    assert (fitted(3, penalty=float(state["first"]) * 0.99)["beta"][:-1] != 0).sum() == 1
    assert (state["beta"] != 0).tolist() == [True, True, False, False, True]


def test_the_split_changes_nothing() -> None:
    np.testing.assert_allclose(fitted(1)["beta"], fitted(9)["beta"], atol=1e-9)
