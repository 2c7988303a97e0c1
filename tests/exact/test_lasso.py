"""The lasso by sums is scikit-learn's and lifelines' on the pooled rows, for any penalty and split."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.datasets import load_rossi
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from sim.arrays import Floats
from sim.exact.cox import StratifiedCox, WebDISCO
from sim.exact.glm import LogLinear
from sim.exact.lasso import Lasso
from sim.exact.newton import Logistic, NotEstimable
from sim.exact.sums import Likelihood, Rows, State, exchanges
from tests.exact.lung import split

NAMES = ("a", "b", "c", "d", "(intercept)")
ROSSI = ("fin", "age", "race", "wexp", "mar", "paro", "prio")


def rows() -> tuple[Floats, Floats]:
    """Four features of which two have an effect, ones last; labels."""
    rng = np.random.default_rng(8)
    x = rng.normal(size=(300, 4))
    y = (rng.random(300) < expit(x @ [1.0, -0.7, 0.0, 0.0] + 0.4)).astype(float)
    return np.column_stack([x, np.ones(300)]), y


def fitted(many: int, **settings: float) -> State:
    x, y = rows()
    sites: list[Rows] = [{"x": x[at::many], "y": y[at::many]} for at in range(many)]
    return run(Logistic(NAMES, site_intercepts=False), 4, sites, **settings)


def run(likelihood: Likelihood, penalised: int, sites: list[Rows], **settings: float) -> State:
    analysis = Lasso(likelihood, NAMES if penalised == 4 else ROSSI, penalised, **settings)
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


def rossi() -> pd.DataFrame:
    """Weeks to arrest of 432 prisoners, features standardised."""
    table = load_rossi().astype(float)
    x = table[list(ROSSI)]
    return table.assign(**{name: (x[name] - x[name].mean()) / x[name].std(ddof=0) for name in ROSSI})


def cox(many: int, likelihood: type[WebDISCO] | type[StratifiedCox] = WebDISCO, **settings: float) -> State:
    table = rossi()
    sites = split(table, ROSSI, "week", "arrest", np.arange(len(table)) % many)
    return run(likelihood(ROSSI), len(ROSSI), sites, **settings)


@pytest.mark.parametrize(("penalty", "many"), [(0.005, 1), (0.02, 3), (0.03, 40)])
def test_one_penalty_of_a_partial_likelihood_is_lifelines_within_its_smoothing(penalty: float, many: int) -> None:
    model = CoxPHFitter(penalizer=penalty, l1_ratio=1.0).fit(rossi(), "week", "arrest")
    found = cox(many, penalty=penalty)["beta"]
    np.testing.assert_allclose(found, model.params_, atol=2e-4)
    assert (found == 0).tolist() == (np.abs(model.params_.to_numpy()) < 1e-5).tolist()


@pytest.mark.parametrize("likelihood", [WebDISCO, StratifiedCox])
def test_the_path_of_a_partial_likelihood_begins_where_no_feature_is_left(likelihood: type[WebDISCO]) -> None:
    first = float(cox(4, likelihood)["first"])
    assert (cox(4, likelihood, penalty=first * 1.0001)["beta"] == 0).all()
    assert (cox(4, likelihood, penalty=first * 0.999)["beta"] != 0).sum() == 1


def test_the_split_changes_nothing_of_a_partial_likelihood() -> None:
    np.testing.assert_allclose(cox(1)["beta"], cox(9)["beta"], atol=1e-9)
    assert (cox(1)["beta"] != 0).sum() == 6


def test_without_events_there_is_nothing_to_choose_by() -> None:
    sites = split(rossi().assign(arrest=0.0), ROSSI, "week", "arrest", np.arange(432) % 3)
    with pytest.raises(NotEstimable, match="no event at any site"):
        run(WebDISCO(ROSSI), len(ROSSI), sites)


def test_large_counts_have_their_conditions_met() -> None:
    """The path of a Poisson regression starts at the mean count, from where no step overflows."""
    x, _ = rows()
    y = np.random.default_rng(3).poisson(np.exp(7 + x[:, :-1] @ [0.4, 0.0, 0.0, -0.2])).astype(float)
    sites: list[Rows] = [{"x": x[at::3], "y": y[at::3]} for at in range(3)]
    beta = run(LogLinear(NAMES), 4, sites, penalty=20.0)["beta"]
    slope = x.T @ (y - np.exp(x @ beta)) / len(y)
    assert (beta != 0).tolist() == [True, False, False, True, True]
    np.testing.assert_allclose(slope[[0, 3, 4]], [20, -20, 0], atol=1e-6)
    assert (np.abs(slope[1:3]) < 20).all()
