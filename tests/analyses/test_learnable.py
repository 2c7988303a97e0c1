"""The baseline that says whether a cohort has anything to learn: its fit, and its verdicts on made-up patients."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

from sim.analyses.learnable import auroc_with_error, c_error_at_chance, learnable, patients_by_cancer
from sim.analyses.ridge import RIDGE, fit, fit_cox
from sim.cli.main import app
from sim.cohort.outcomes import Binary, Survival
from sim.cohort.table import Cohort
from sim.config.compose import experiment
from sim.metrics.survival import harrell_c
from sim.random import stream


def made(patients: int) -> Cohort:
    """Two cancers: of one the stage decides who dies, of the other nothing does; the age never does."""
    rng = stream(1, "learnable-test")
    stage = rng.integers(0, 4, patients)
    kind = np.where(rng.random(patients) < 0.5, "breast", "lung")
    dies = rng.random(patients) < np.where(kind == "breast", np.array([0.05, 0.15, 0.4, 0.8])[stage], 0.5)
    table = pd.DataFrame(
        {
            "patient": [f"p{number}" for number in range(patients)],
            "site": "here",
            "cancer_type": pd.Categorical(kind),
            "age_years": rng.normal(60, 10, patients),
            "sex": pd.Categorical(np.where(rng.random(patients) < 0.5, "female", "male")),
            "stage": pd.Categorical.from_codes(stage, categories=["I", "II", "III", "IV"]),
            "mortality_5y": pd.array(dies, dtype="boolean"),
            "time_days": np.where(dies, rng.uniform(1, 1826, patients), 3000.0),
            "died": dies,
        }
    )
    table.loc[rng.random(patients) < 0.2, "mortality_5y"] = pd.NA
    outcomes = {"survival": Survival("time_days", "died"), "mortality_5y": Binary("mortality_5y")}
    return Cohort("made", table, outcomes, dict.fromkeys(outcomes, ("cancer_type", "age_years", "sex", "stage")))


def test_the_fit_is_ridge_logistic_regression() -> None:
    rng = stream(2, "learnable-test")
    x = rng.normal(size=(400, 5))
    event = rng.random(400) < 1 / (1 + np.exp(-(x @ [1.0, -2.0, 0.0, 0.5, 0.0] - 1)))
    theirs = LogisticRegression(C=1 / RIDGE, tol=1e-10, max_iter=1000).fit(x, event)
    assert fit(x, event) == pytest.approx(theirs.coef_[0], abs=1e-5)
    # A column that separates the classes stays finite.
    assert np.isfinite(fit(np.column_stack([x, event * 1.0]), event)).all()


def test_the_error_of_an_area_is_that_of_many_draws() -> None:
    rng = stream(3, "learnable-test")
    areas, errors = [], []
    for _ in range(400):
        event = rng.random(200) < 0.3
        score = rng.normal(size=200) + event
        area, error = auroc_with_error(score, event)
        assert area == pytest.approx(roc_auc_score(event, score))
        areas.append(area)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(areas), rel=0.15)


def test_verdicts_follow_the_law_of_the_patients() -> None:
    table = learnable(made(3000)).set_index(["cancer", "predictors"])["learnable"]
    assert table.loc[("breast", "all known at diagnosis")] == "yes"
    assert table.loc[("breast", "without stage, T, N, M, size")] == "no"
    assert table.loc[("lung", "all known at diagnosis")] == "no"
    assert table.loc[("lung", "without stage, T, N, M, size")] == "no"


def test_too_few_events_are_not_judged() -> None:
    assert learnable(made(60)).empty


def test_who_they_are() -> None:
    cohort = made(3000)
    table = patients_by_cancer(cohort).set_index("cancer")
    breast = cohort.table[cohort.table["cancer_type"] == "breast"]
    assert table.loc["breast", "patients"] == len(breast)
    assert table.loc["breast", "all"] == f"{breast['mortality_5y'].dropna().mean():.0%}"
    shares = [float(word.strip(" %")) for word in table.loc["breast", "I / II / III / IV / unknown"].split("/")]
    assert shares == pytest.approx([25, 25, 25, 25, 0], abs=3)
    deaths = [float(word.strip(" %")) for word in table.loc["breast", "of whom dead at 5 y"].split("/")[:4]]
    assert deaths == pytest.approx([5, 15, 40, 80], abs=6)


def test_the_fit_of_times_is_the_partial_likelihood() -> None:
    """Columns a thousand times as large, so that the ridge weighs nothing beside lifelines' fit without one."""
    from lifelines import CoxPHFitter

    rng = stream(4, "learnable-test")
    x = rng.normal(size=(300, 3))
    time = rng.exponential(np.exp(-(x @ [1.0, 0.0, -0.5])))
    event = rng.random(300) < 0.7
    frame = pd.DataFrame(x).assign(time=time, event=event)
    theirs = CoxPHFitter().fit(frame, "time", "event").params_.to_numpy()
    assert 1000 * fit_cox(1000 * x, time, event) == pytest.approx(theirs, abs=1e-4)


@pytest.mark.parametrize("events", [100, 50])
def test_the_error_of_c_by_chance_is_that_of_many_draws(events: int) -> None:
    """Exact where all hundred patients have the event; a good account where half are censored."""
    rng = stream(5, "learnable-test")
    site, event = np.zeros(100, dtype=np.int64), np.arange(100) < events
    drawn = [harrell_c(rng.normal(size=100), rng.exponential(size=100), event, site, 1)[0] for _ in range(400)]
    assert c_error_at_chance(events) == pytest.approx(np.std(drawn), rel=0.1)


@pytest.mark.parametrize(("name", "low", "high"), [("lung", 0.60, 0.68), ("calibrated", 0.73, 0.79)])
def test_survival_is_judged_by_c_where_five_years_are_not_known(name: str, low: float, high: float) -> None:
    """NCCTG: 0.65 by Cox on age, sex and performance (lifelines); calibrated: the pooled model of docs/tasks.md."""
    table = learnable(experiment([f"cohort={name}"]).cohort.load(0)).set_index(["outcome", "predictors"])
    row = table.loc[("survival", "all known at diagnosis")]
    assert low < float(row["C, survival"].split(" ± ")[0]) < high
    assert row["learnable"] == "yes"


def test_a_large_cohort_is_judged_by_some_of_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim.analyses.learnable.MOST_ROWS", 1000)
    table = learnable(made(4000))
    assert 1100 > table.loc[table["predictors"] == "all known at diagnosis", "known of"].sum() > 600


@pytest.mark.parametrize("name", ["lung", "calibrated"])
def test_describe_tells_what_can_be_learned(name: str) -> None:
    done = CliRunner().invoke(app, ["cohort", "describe", name])
    assert done.exit_code == 0
    for part in ("What can be learned", "C, survival", "survival events"):
        assert part in done.stdout
    assert ("Marginals: published and simulated" in done.stdout) == (name == "calibrated")
