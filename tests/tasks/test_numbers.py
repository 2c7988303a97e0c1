"""Counts and numbers as outcomes of a table of one's own, from the file to the coefficients."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, PoissonRegressor

from sim.checks import Refused
from sim.config.compose import experiment
from sim.run.run import Prepared, prepare, rehearse


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    """Three hospitals; written to the test's folder as well."""
    rng = np.random.default_rng(5)
    age, treated = rng.normal(60, 9, 240).round(), rng.integers(0, 2, 240)
    frame = pd.DataFrame({"hospital": np.repeat(["a", "b", "c"], 80), "age": age, "treated": treated})
    frame["visits"] = rng.poisson(np.exp(0.02 * (age - 60) - 0.4 * treated + 0.5))
    frame["score"] = (70 - 0.3 * (age - 60) + 4 * treated + rng.normal(0, 5, 240)).round(1)
    frame.to_csv(tmp_path / "table.csv", index=False)
    return frame


def settings(folder: Path, task: str, *more: str) -> list[str]:
    """A run on the table; the other outcome is left out."""
    role, column, other = ("count", "visits", "score") if task == "poisson" else ("value", "score", "visits")
    table = f"cohort.path={folder / 'table.csv'}"
    cohort = ["cohort=tabular", table, "cohort.site=hospital", f"cohort.{role}={column}", f"cohort.drop=[{other}]"]
    return [*cohort, f"task={task}", "partition=natural", "rounds=20", *more]


def training(prepared: Prepared) -> tuple[pd.DataFrame, np.ndarray]:
    """Recorded features and outcome of the training rows of all sites."""
    federation = prepared.federation
    rows = np.concatenate([np.arange(first, end) for first, end, *_ in federation.bounds])
    assert federation.recipe is not None
    x = federation.x[rows].astype(float) * federation.recipe.scale[0] + federation.recipe.mean[0]
    return pd.DataFrame(x, columns=federation.features), federation.y["value"][rows]


@pytest.mark.parametrize("task", ["poisson", "regress"])
def test_newtons_coefficients_are_scikit_learns(task: str, table: pd.DataFrame, tmp_path: Path) -> None:
    asked = experiment(settings(tmp_path, task, "algorithm=newton"))
    prepared = prepare(asked)
    run, (x, y) = rehearse(asked, prepared), training(prepared)
    poisson = PoissonRegressor(alpha=0, solver="newton-cholesky", tol=1e-12, max_iter=100)
    model = (poisson if task == "poisson" else LinearRegression()).fit(x - 60 * (x.columns == "age"), y)
    rows = pd.DataFrame(run.info["estimates"]["rows"]).set_index("name")
    np.testing.assert_allclose(rows.loc[list(x.columns), "coefficient"], model.coef_, rtol=1e-5, atol=1e-7)
    assert run.info["estimates"]["ratio"] == ("rate" if task == "poisson" else None)
    assert run.rounds["round"].max() <= (8 if task == "poisson" else 2)


@pytest.mark.parametrize("task", ["poisson", "regress"])
def test_one_full_step_a_round_ends_at_newtons_fit(task: str, table: pd.DataFrame, tmp_path: Path) -> None:
    """Averaged full-batch steps are gradient descent on the pooled rows, so both have one optimum."""
    gradient = ["rounds=80", "local.batch=0", "local.epochs=1", "local.lr=0.4"]
    averaged, newton = (
        rehearse(experiment(settings(tmp_path, task, *more))).sites for more in (gradient, ["algorithm=newton"])
    )
    last = [one[one["round"] == one["round"].max()]["value"].to_numpy() for one in (averaged, newton)]
    np.testing.assert_allclose(*last, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("task", "change", "words"),
    [
        ("poisson", {"visits": 1.5}, "no whole number from 0"),
        ("poisson", {"visits": -1}, "no whole number from 0"),
        ("regress", {"score": "high"}, "score"),
        ("regress", {"score": ""}, "is not recorded"),
    ],
)
def test_what_is_no_such_outcome_is_refused(
    task: str, change: dict[str, object], words: str, table: pd.DataFrame, tmp_path: Path
) -> None:
    (column, value), *_ = change.items()
    table[column] = table[column].astype(object)
    table.loc[7, column] = value
    table.to_csv(tmp_path / "table.csv", index=False)
    with pytest.raises(Refused, match=words):
        prepare(experiment(settings(tmp_path, task)))


def test_a_task_of_another_kind_is_refused(table: pd.DataFrame, tmp_path: Path) -> None:
    asked = experiment([*settings(tmp_path, "regress"), "task=classify"])
    with pytest.raises(Refused, match="yes-or-no"):
        prepare(asked)
    with pytest.raises(Refused, match="needs a count"):
        prepare(experiment([*settings(tmp_path, "regress"), "task=poisson"]))
