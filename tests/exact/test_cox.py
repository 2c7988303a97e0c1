"""Cox regression by sums over risk sets is that of the pooled rows, for any split into sites."""

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from lifelines.datasets import load_rossi

from sim.arrays import Floats
from sim.exact.cox import StratifiedCox, WebDISCO
from sim.exact.sums import Rows, State, solve
from tests.exact.lung import lung, split

ROSSI = ("fin", "age", "race", "wexp", "mar", "paro", "prio")
# scikit-survival's and R's values, which lifelines gives as well.
EFRON = (-0.379422166, -0.057437743, 0.313899788, -0.149795698, -0.433703878, -0.084871083, 0.091497081)
BRESLOW = (-0.37902189, -0.05724593, 0.31412977, -0.15111460, -0.43278257, -0.08498284, 0.09111154)


def fitted(analysis: WebDISCO | StratifiedCox, sites: list[Rows]) -> State:
    return solve(analysis, sites)[0]


@pytest.mark.parametrize("sites", [1, 2, 7, 40])
@pytest.mark.parametrize(("efron", "known"), [(True, EFRON), (False, BRESLOW)])
def test_rossi_is_the_published_fit_for_any_split(sites: int, efron: bool, known: tuple[float, ...]) -> None:
    rossi = load_rossi()
    where = np.random.default_rng(sites).integers(0, sites, len(rossi))
    found = fitted(WebDISCO(ROSSI, efron), split(rossi, ROSSI, "week", "arrest", where))
    np.testing.assert_allclose(found["beta"], known, atol=1e-8 if efron else 5e-8)


def test_standard_errors_are_lifelines() -> None:
    rossi = load_rossi()
    found = fitted(WebDISCO(ROSSI), split(rossi, ROSSI, "week", "arrest", np.arange(len(rossi)) % 5))
    model = CoxPHFitter().fit(rossi, "week", "arrest")
    np.testing.assert_allclose(np.sqrt(np.diag(found["covariance"])), model.standard_errors_, rtol=1e-6)


def untied(n: int = 300) -> tuple[pd.DataFrame, Floats]:
    """Patients with distinct times, and a weight for each."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=(n, 3))
    time = rng.exponential(np.exp(-x @ [0.5, -0.3, 0.0]))
    frame = pd.DataFrame(x, columns=["a", "b", "c"]).assign(time=time, event=rng.random(n) < 0.7)
    return frame, rng.uniform(0.5, 4.0, n)


def test_the_weighted_fit_and_its_robust_variance_are_lifelines() -> None:
    frame, weight = untied()
    sites = split(frame, ("a", "b", "c"), "time", "event", np.arange(len(frame)) % 3)
    for at, rows in enumerate(sites):
        sites[at] = {**rows, "weight": weight[at::3]}
    found = fitted(WebDISCO(("a", "b", "c")), sites)
    model = CoxPHFitter().fit(frame.assign(w=weight), "time", "event", weights_col="w", robust=True)
    np.testing.assert_allclose(found["beta"], model.params_, atol=1e-7)
    np.testing.assert_allclose(np.sqrt(np.diag(found["robust"])), model.standard_errors_, atol=1e-7)


@pytest.mark.parametrize(("efron", "known"), [(True, (0.01704533, -0.51321852)), (False, (0.01701289, -0.51256479))])
def test_lung_is_rs_fit(efron: bool, known: tuple[float, float]) -> None:
    table, site = lung()
    found = fitted(WebDISCO(("age", "sex"), efron), split(table, ("age", "sex"), "time", "status", site))
    np.testing.assert_allclose(found["beta"], known, atol=1e-7)


def test_a_baseline_for_each_site_is_lifelines_stratified_fit() -> None:
    table, site = lung()
    found = fitted(StratifiedCox(("age", "sex")), split(table, ("age", "sex"), "time", "status", site))
    np.testing.assert_allclose(found["beta"], (0.01698975, -0.55688107), atol=1e-7)
    np.testing.assert_allclose(np.sqrt(np.diag(found["covariance"])), (0.00932878, 0.17162093), atol=1e-7)


def test_a_site_without_events_changes_nothing_of_the_stratified_fit() -> None:
    table, site = lung()
    sites = split(table, ("age", "sex"), "time", "status", site)
    quiet = {**sites[0], "event": np.zeros(len(sites[0]["event"]))}
    one, other = (fitted(StratifiedCox(("age", "sex")), some) for some in (sites, [*sites, quiet]))
    np.testing.assert_allclose(one["beta"], other["beta"], atol=1e-12)
