"""Coefficients of exact analyses in the records are those of a regression on the pooled training rows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from sklearn.linear_model import LogisticRegression

from sim.checks import Refused
from sim.config.compose import experiment
from sim.records.outcome import how_it_ended
from sim.run.run import Prepared, prepare, rehearse
from sim.tasks.cox import Cox

LUNG = ["cohort=lung", "task=cox", "partition=natural", "algorithm=cox_webdisco"]


def pooled(prepared: Prepared) -> pd.DataFrame:
    """Training rows of all sites with their features as recorded, in single precision as the engine holds them."""
    federation = prepared.federation
    train = np.concatenate([np.arange(first, end) for first, end, *_ in federation.bounds])
    assert federation.recipe is not None
    x = federation.x[train].astype(float) * federation.recipe.scale[0] + federation.recipe.mean[0]
    frame = pd.DataFrame(x, columns=federation.features)
    frame = frame.loc[:, frame.max() - frame.min() > 1e-9]
    return frame.assign(**{name: federation.y[name][train] for name in ("time_days", "event")})


@pytest.mark.parametrize("executor", ["inprocess", "ray"])
def test_hazard_ratios_are_lifelines(executor: str) -> None:
    asked = experiment([*LUNG, f"executor={executor}"])
    prepared = prepare(asked)
    run = rehearse(asked, prepared)
    model = CoxPHFitter().fit(pooled(prepared), "time_days", "event")
    rows = pd.DataFrame(run.info["estimates"]["rows"]).set_index("name").loc[model.params_.index]
    np.testing.assert_allclose(rows["coefficient"], model.params_, rtol=1e-5, atol=1e-7)
    bounds = np.exp(model.confidence_intervals_.to_numpy())
    np.testing.assert_allclose(rows[["low", "high"]], bounds, rtol=1e-4)
    assert run.info["estimates"]["left_out"] == ["ecog missing"]


def test_bytes_are_those_of_the_sums() -> None:
    few = "task.without=[ecog,karnofsky_patient,karnofsky_physician,meal_kcal,weight_loss_lb]"
    run = rehearse(experiment([*LUNG, few, "algorithm.stratified=true"]))
    width = len(run.info["estimates"]["rows"])
    assert isinstance(prepare(experiment(LUNG)).task, Cox)
    assert set(run.rounds["bytes_up"].iloc[1:-1] / run.rounds["sites"].iloc[1:-1]) == {
        8 * (1 + width + width * (width + 1) // 2)
    }


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Settings of a table of three hospitals; at the smallest, everyone is treated."""
    rng = np.random.default_rng(2)
    age, hospital = rng.normal(60, 9, 320).round(), np.repeat(["north", "south", "west"], (180, 110, 30))
    treated = (rng.random(320) < 1 / (1 + np.exp(-(age - 60) / 12))) | (hospital == "west")
    days = rng.exponential(300 * np.exp(-(age - 60) / 40 + 0.5 * treated)).round(3) + 0.5
    table = pd.DataFrame({"hospital": hospital, "age": age, "treated": treated.astype(int), "days": days})
    path = tmp_path_factory.mktemp("trial") / "trial.csv"
    table.assign(died=(rng.random(320) < 0.8).astype(int)).to_csv(path, index=False)
    return [
        f"cohort.path={path}",
        *("cohort=tabular", "cohort.site=hospital", "cohort.time=days", "cohort.event=died", "partition=natural"),
        *("task=cox", "rounds=30"),
    ]


def test_a_treatments_effect_in_a_table_of_ones_own_is_lifelines(trial: list[str]) -> None:
    asked = experiment([*trial, "algorithm=cox_iptw", "algorithm.treatment=treated"])
    prepared = prepare(asked)
    run, frame = rehearse(asked, prepared), pooled(prepared)
    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-13, max_iter=200)
    treated = frame["treated"].round().to_numpy()
    chance = model.fit(frame[["age"]] - 60, treated).predict_proba(frame[["age"]] - 60)[:, 1]
    weight = np.where(treated > 0, 1 / chance, 1 / (1 - chance))
    columns = frame[["treated", "time_days", "event"]].assign(treated=treated, w=weight)
    pool = CoxPHFitter().fit(columns, "time_days", "event", weights_col="w", robust=True)
    found = run.info["estimates"]
    (row,) = found["rows"]
    assert row["coefficient"] == pytest.approx(pool.params_["treated"], abs=1e-6)
    assert row["robust_se"] == pytest.approx(pool.standard_errors_["treated"], abs=1e-6)
    assert (row["low"], row["high"]) == pytest.approx(np.exp(pool.confidence_intervals_.iloc[0]), rel=1e-5)
    assert found["interval_from"] == "robust_se"
    assert found["left_out"] == []


def test_a_site_without_a_fit_of_its_own_is_named(trial: list[str]) -> None:
    run = rehearse(experiment([*trial, "algorithm=meta", "algorithm.effects=random"]))
    assert "1 of 3 sites" in run.info["estimates"]["notes"][0]
    assert run.info["estimates"]["notes"][0].endswith("west")
    assert set(run.rounds["bytes_up"]) == {0, 3 * 8 * (2 + 3)}
    assert all(0 <= row["i2"] <= 1 for row in run.info["estimates"]["rows"])


def test_the_lead_site_alone_answers_in_the_end(trial: list[str]) -> None:
    run = rehearse(experiment([*trial, "algorithm=odach", "algorithm.lead=south"]))
    assert run.rounds["sites"].tolist() == [0, 3, 3, 1]
    assert run.info["estimates"]["notes"][0] == "Lead site: south"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["algorithm=newton", "cohort=lung", "task=cox"], "algorithm=cox_webdisco"),
        (["algorithm=cox_webdisco", "cohort.patients=600"], "task=cox"),
        (["algorithm=newton", "cohort.patients=600", "net=mlp"], "net=linear"),
        (["algorithm=newton", "cohort.patients=600", "system.dropout=0.1"], "system.dropout=0"),
        (["algorithm=newton", "cohort.patients=600", "rounds=2"], "converge in 2 rounds"),
        (["algorithm=newton", "cohort.patients=600", "aggregator=median"], "aggregator"),
        (["algorithm=newton", "cohort.patients=600", "weighting=sites"], "weighting=patients"),
        (["algorithm=cox_iptw", "cohort=lung", "task=cox"], "algorithm.treatment='': allowed"),
        (["algorithm=cox_iptw", "cohort=lung", "task=cox", "algorithm.treatment=age_years"], "allowed are 0 and 1"),
        (["algorithm=odal", "cohort.patients=600", "algorithm.lead=nowhere"], "algorithm.lead='nowhere': allowed"),
        (["algorithm=odac", "cohort.patients=600"], "task=cox"),
        (["algorithm=cox_iptw", "algorithm.target=att", "algorithm.stabilised=true"], "cannot be stabilised"),
    ],
)
def test_what_is_no_exact_fit_is_refused(settings: list[str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        rehearse(experiment(settings))


def table(path: Path, n: int = 90, **columns: object) -> list[str]:
    """Settings of a table of three hospitals with an age, a label, days and deaths, and what else is given."""
    rng = np.random.default_rng(5)
    age = rng.normal(60, 9, n).round()
    made = {
        "hospital": rng.choice(["north", "south", "west"], n),
        "age": age,
        "male": rng.integers(0, 2, n),
        "ill": (rng.random(n) < 1 / (1 + np.exp(-(age - 60) / 10))).astype(int),
        "days": np.ceil(rng.exponential(300 * np.exp(-(age - 60) / 30))),
        "died": (rng.random(n) < 0.7).astype(int),
    }
    pd.DataFrame(made | {name: values(made) for name, values in columns.items()}).to_csv(path, index=False)
    return ["cohort=tabular", f"cohort.path={path}", "cohort.site=hospital", "partition=natural", "rounds=60"]


LABEL = ["task=classify", "cohort.label=ill", "cohort.drop=[days,died]"]
SURVIVAL = ["task=cox", "cohort.time=days", "cohort.event=died", "cohort.drop=[ill]"]


@pytest.mark.parametrize(
    ("column", "settings", "words"),
    [
        (lambda made: made["ill"] * 3, [*LABEL, "algorithm=newton"], "column 'sign' tells the outcomes apart"),
        (
            lambda made: (made["ill"] > 0) & (made["age"] > 68),  # all with it are ill, not all who are ill have it
            [*LABEL, "algorithm=newton"],
            "column 'sign' tells the outcomes apart",
        ),
        (
            lambda made: (made["died"] == 0) & (made["age"] > 58),  # nobody with it dies
            [*SURVIVAL, "algorithm=cox_webdisco"],
            "column 'sign' tells the outcomes apart",
        ),
        (
            lambda made: (made["died"] == 0) & (made["age"] > 58),
            [*SURVIVAL, "algorithm=cox_webdisco", "algorithm.stratified=true"],
            "column 'sign' tells the outcomes apart",
        ),
        (lambda made: 1 - made["male"], [*LABEL, "algorithm=newton"], "column 'sign' cannot be told from"),
        (lambda made: made["age"] * 12, [*SURVIVAL, "algorithm=cox_webdisco"], "column 'sign' cannot be told from"),
    ],
)
def test_an_effect_without_a_limit_is_refused_by_name(
    tmp_path: Path, column: object, settings: list[str], words: str
) -> None:
    asked = table(tmp_path / "t.csv", sign=lambda made: np.asarray(column(made)).astype(int))
    with pytest.raises(Refused, match=words):
        rehearse(experiment([*asked, *settings]))


def test_a_penalty_keeps_such_an_effect_in_bounds(tmp_path: Path) -> None:
    asked = table(tmp_path / "t.csv", sign=lambda made: made["ill"] * 3)
    for method in (["algorithm=lasso"], ["algorithm=newton", "algorithm.ridge=1"]):
        rows = rehearse(experiment([*asked, *LABEL, *method])).info["estimates"]["rows"]
        assert all(abs(row["coefficient"]) < 100 for row in rows)


def test_the_lasso_of_a_survival_time_runs_on_a_table_and_says_how_it_ended(tmp_path: Path) -> None:
    run = rehearse(experiment([*table(tmp_path / "t.csv"), *SURVIVAL, "algorithm=lasso"]))
    assert run.info["estimates"]["ratio"] == "hazard"
    assert "features are left" in run.info["estimates"]["notes"][0]
    assert how_it_ended(run.info) == f"Complete after round {run.rounds['round'].max()}"
    strong = table(tmp_path / "strong.csv", sign=lambda made: np.round(np.log(made["days"]), 2))
    many = rehearse(experiment([*strong, *SURVIVAL, "algorithm=lasso"]))
    assert "end of the path" in many.info["estimates"]["notes"][1]


def test_stratified_is_for_survival_times(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="Set task=cox"):
        rehearse(experiment([*table(tmp_path / "t.csv"), *LABEL, "algorithm=lasso", "algorithm.stratified=true"]))
