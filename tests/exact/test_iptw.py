"""A treatment effect by weighted sums is that of the pooled rows: lifelines with weights and a robust variance."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from sim.checks import Refused
from sim.exact.iptw import Target, WeightedCox, effective, imbalance
from sim.exact.newton import NotEstimable
from sim.exact.sums import Rows, solve


def patients(n: int = 240) -> pd.DataFrame:
    """Patients of whom the sicker are treated more often; distinct times."""
    rng = np.random.default_rng(6)
    x = rng.normal(size=(n, 2))
    treated = rng.random(n) < expit(x @ [0.8, -0.5] - 0.2)
    time = rng.exponential(np.exp(-x @ [0.6, 0.3] + 0.5 * treated))
    frame = pd.DataFrame(x, columns=["a", "b"]).assign(treated=treated.astype(float))
    return frame.assign(time=time, event=(rng.random(n) < 0.7).astype(float))


def sites(frame: pd.DataFrame, many: int) -> list[Rows]:
    """Any split of the rows."""
    parts = [frame[np.arange(len(frame)) % many == at] for at in range(many)]
    return [
        {
            "x": part[["a", "treated", "b"]].to_numpy(),
            "time_days": part["time"].to_numpy(),
            "event": part["event"].to_numpy(),
        }
        for part in parts
    ]


def weights(frame: pd.DataFrame, target: Target, stabilised: bool) -> np.ndarray:
    """Weights from scikit-learn's logistic regression on the pooled rows."""
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-13, max_iter=200)
    chance = model.fit(frame[["a", "b"]], frame["treated"]).predict_proba(frame[["a", "b"]])[:, 1]
    treated = frame["treated"].to_numpy() > 0
    if target is Target.att:
        return np.where(treated, 1.0, chance / (1 - chance))
    share = treated.mean() if stabilised else 1.0
    other = 1 - share if stabilised else 1.0
    return np.where(treated, share / chance, other / (1 - chance))


@pytest.mark.parametrize(
    ("target", "stabilised", "many"), [(Target.ate, False, 1), (Target.ate, True, 4), (Target.att, False, 3)]
)
def test_the_weighted_effect_is_lifelines(target: Target, stabilised: bool, many: int) -> None:
    frame = patients()
    analysis = WeightedCox(("a", "treated", "b"), 1, (0.0, 1.0), target, stabilised)
    found, _ = solve(analysis, sites(frame, many))
    weight = weights(frame, target, stabilised)
    pooled = frame[["treated", "time", "event"]].assign(w=weight)
    model = CoxPHFitter().fit(pooled, "time", "event", weights_col="w", robust=True)
    np.testing.assert_allclose(found["beta"], model.params_, atol=1e-6)
    np.testing.assert_allclose(np.sqrt(found["robust"][0]), model.standard_errors_, atol=1e-6)
    np.testing.assert_allclose(found["covariance"], model.variance_matrix_, atol=1e-6)


def test_what_the_arms_hold_is_counted() -> None:
    frame = patients()
    found, _ = solve(WeightedCox(("a", "treated", "b"), 1, (0.0, 1.0)), sites(frame, 3))
    weight, treated = weights(frame, Target.ate, False), frame["treated"].to_numpy() > 0
    for arm in (0, 1):
        w = weight[treated == arm]
        assert effective(found)[arm] == pytest.approx(w.sum() ** 2 / (w**2).sum())
    before, after = imbalance(found)
    for at, name in enumerate("ab"):
        x = frame[name].to_numpy()
        plain = x[treated].mean() - x[~treated].mean()
        assert before[at] == pytest.approx(plain / x.std())
        weighted = [np.average(x[treated == arm], weights=weight[treated == arm]) for arm in (0, 1)]
        assert after[at] == pytest.approx((weighted[1] - weighted[0]) / x.std())
    assert abs(after).max() < abs(before).max() / 3


def test_a_product_with_the_treatment_is_refused() -> None:
    frame = patients()
    rows = [
        {**one, "x": np.column_stack([one["x"], one["x"][:, 1] * (one["x"][:, 0] > 0.5)])} for one in sites(frame, 2)
    ]
    with pytest.raises(NotEstimable, match=r"propensity score of 'treated': column 'product'.* task\.without"):
        solve(WeightedCox(("a", "treated", "b", "product"), 1, (0.0, 1.0)), rows)


def test_no_event_is_refused() -> None:
    with pytest.raises(Refused, match="no event at any site"):
        solve(WeightedCox(("a", "treated", "b"), 1, (0.0, 1.0)), sites(patients().assign(event=0.0), 2))
