"""The model that a run leaves gives the scores that the run had, on the rows as they were recorded and nothing else."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from sim.checks import Refused
from sim.cli.predict import Written, new_rows
from sim.cohort.new_rows import NewRows
from sim.config.compose import experiment
from sim.engine.rounds import Round
from sim.records.store import read, write
from sim.run.model import Kept
from sim.run.predict import predict, read_task
from sim.run.run import rehearse
from tests.held_rows import held_rows
from tests.toy import SMALL

SCORES = ("probability", "risk")


def tabular(folder: Path) -> list[str]:
    """A CSV of five hospitals with a category, flags and gaps, and the settings that read it."""
    rng = np.random.default_rng(0)
    rows = 400
    frame = pd.DataFrame(
        {
            "hospital": rng.choice(list("ABCDE"), rows),
            "number": [f"p{row}" for row in range(rows)],
            "age": rng.normal(60, 10, rows).round(1),
            "marker": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(0, 1, rows)),
            "stage": rng.choice(["I", "II", "III", ""], rows),
            "grade": rng.choice([1, 2, 3], rows),
            "sick": rng.choice(["yes", "no"], rows),
            "type": rng.choice(["a", "b", "c"], rows),
        }
    )
    frame.to_csv(folder / "patients.csv", index=False)
    file = folder / "patients.csv"
    return [
        "cohort=tabular",
        f"cohort.path={file}",
        "cohort.site=hospital",
        "cohort.patient=number",
        "cohort.categorical=[stage,grade]",
        "rounds=3",
        "seed=2",
    ]


CALIBRATED = ["cohort.patients=600", "cohort.sites=4", "rounds=3", "seed=1"]
LUNG = ["cohort=lung", "partition=iid", "partition.sites=3", "rounds=3"]
SICK = ["task=classify", "cohort.label=sick", 'cohort.positive="== yes"', "cohort.drop=[type]"]
TYPE = ["task=multiclass", "cohort.classes=type", "cohort.drop=[sick]", "net=mlp", "net.activation=tanh"]
CASES = {
    "calibrated": CALIBRATED,
    "calibrated with gaps": [*CALIBRATED, "cohort.marker_gaps=true", "net=mlp", "split.scaling=none", "local.lr=1e-3"],
    "calibrated, own constants": [*CALIBRATED, "split.scaling=site", "evaluation.every=2"],
    "calibrated, shifted": [*CALIBRATED, "shift.het=1"],
    "a table": [*SICK],
    "a table, own constants": [*SICK, "split.scaling=site"],
    "classes": [*TYPE],
    "hazard": [*LUNG, "task=hazard", "task.bins=5", "server=adam"],
    "hazard, a score for each bin": [*LUNG, "task=hazard", "task.proportional=false", "split.scaling=site"],
    "cox": [*LUNG, "task=cox", "local.batch=0"],
    "pooled": [*CALIBRATED, "algorithm=pooled"],
    "pooled network": [*CALIBRATED, "algorithm=pooled", "net=mlp", "split.scaling=none"],
    "batch norms": [*CALIBRATED, "net=mlpbn"],
    "batch norms of every site": [*CALIBRATED, "net=mlpbn", "personal=fedbn"],
    "pooled batch norms": [*CALIBRATED, "algorithm=pooled", "net=mlpbn"],
    "local": [*CALIBRATED, "algorithm=local"],
    "local cox, own constants": [*LUNG, "task=cox", "local.batch=0", "algorithm=local", "split.scaling=site"],
}  # fmt: skip


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    words = CASES[request.param]
    return [*(tabular(tmp_path) if "cohort.drop" in str(words) else []), *words, "evaluation.predictions=last"]


@pytest.mark.parametrize("settings", CASES, indirect=True)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_the_saved_model_gives_the_scores_that_the_run_had(settings: list[str], suffix: str, tmp_path: Path) -> None:
    made = rehearse(experiment(settings))
    home = write(made, tmp_path)
    rows, kept = held_rows(settings), pd.read_parquet(home / "predictions.parquet")
    assert kept["site"].tolist() == rows["at"].tolist()
    each = any(word in str(settings) for word in ("local", "fedbn", "split.scaling=site"))
    names = [column for column in kept if column.startswith(SCORES)]
    assert kept[names].nunique().min() > 10
    for site, own in rows.groupby("at", sort=False) if each else [("", rows)]:
        file = tmp_path / f"rows{suffix}"
        own.to_csv(file, index=False) if suffix == ".csv" else own.to_parquet(file)
        found = predict(home, new_rows(file, Written()), str(site))
        assert found["patient"].astype(str).tolist() == own["patient"].astype(str).tolist()
        wanted = kept[(rows["at"] == site).to_numpy()] if each else kept
        np.testing.assert_allclose(found[names], wanted[names], rtol=1e-6, atol=1e-6)


def test_predictions_are_what_the_metrics_were_made_from(tmp_path: Path) -> None:
    words = [*CALIBRATED, "evaluation.predictions=last"]
    made = rehearse(experiment(words))
    kept = pd.read_parquet(write(made, tmp_path) / "predictions.parquet")
    last = made.sites[(made.sites["round"] == 3) & (made.sites["metric"] == "brier")]
    for (site, split), rows in kept.groupby(["site", "split"], observed=True):
        brier = ((rows["probability"] - rows["label"]) ** 2).mean()
        value = last[(last["site"] == site) & (last["split"] == split)]["value"]
        assert value.item() == pytest.approx(brier, abs=1e-12)
    assert set(kept) == {"site", "split", "sex", "race", "age_band", "insurance", "label", "probability"}


def test_the_truth_has_predictions_and_no_model(tmp_path: Path) -> None:
    made = rehearse(experiment([*CALIBRATED, "algorithm=oracle", "evaluation.predictions=last"]))
    home = write(made, tmp_path)
    assert pd.read_parquet(home / "predictions.parquet")["probability"].between(0, 1).all()
    assert not list(home.glob("*.safetensors"))
    with pytest.raises(Refused, match="keeps no model: the oracle .* algorithm=pooled"):
        predict(home, NewRows(held_rows(CALIBRATED)))


def test_a_run_that_diverged_keeps_neither(tmp_path: Path) -> None:
    made = rehearse(experiment([*CALIBRATED, "local.lr=1e30", "net=mlp", "evaluation.predictions=last"]))
    assert made.info["status"] != "done"
    assert made.model is None
    assert made.predictions is None
    assert sorted(path.name for path in write(made, tmp_path).iterdir()) == [
        "DONE",
        "rounds.parquet",
        "run.json",
        "sites.parquet",
    ]


def rounds(losses: list[float]) -> list[Round]:
    import torch

    return [Round(number, torch.full((2,), float(number)), loss=loss) for number, loss in enumerate(losses)]


@pytest.mark.parametrize(
    ("losses", "best"), [([3, 1, 2], 1), ([1, np.nan, 2], 0), ([3, 1, 1], 1), ([np.nan] * 3, None)]
)
def test_the_best_model_has_the_lowest_validation_loss(losses: list[float], best: int | None) -> None:
    kept = Kept()
    for here in rounds(losses):
        kept = kept.after(here)
    assert kept.final is not None
    assert (kept.final.round, kept.final.vector.tolist()) == (2, [2.0, 2.0])
    assert (kept.best and kept.best.round) == best


def test_the_best_model_is_the_one_of_that_round(tmp_path: Path) -> None:
    """Trained for as many rounds as the best took, the same run ends at the same weights."""
    words = ["cohort.patients=200", "net=mlp", "local.lr=0.2", "local.epochs=5", "seed=4"]
    long = write(rehearse(experiment([*words, "rounds=6"])), tmp_path)
    best = json.loads((long / "model.json").read_text())["rounds"]["best"]
    loss = read(long).rounds["loss"]
    assert loss.argmin() == best
    assert 0 < best < 6
    short = write(rehearse(experiment([*words, f"rounds={best}"])), tmp_path)
    mine, other = load_file(long / "best.safetensors"), load_file(short / "model.safetensors")
    assert list(mine) == list(other) == ["0.bias", "0.weight", "2.bias", "2.weight"]
    assert all((mine[name] == other[name]).all() for name in mine)
    assert (load_file(long / "model.safetensors")["0.bias"] != mine["0.bias"]).any()


def test_weights_load_into_the_network_itself(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file as load

    home = write(rehearse(experiment([*CALIBRATED, "net=mlp"])), tmp_path)
    net = torch.nn.Sequential(torch.nn.Linear(17, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))
    net.load_state_dict(load(home / "model.safetensors"))


def test_a_site_that_did_not_train_has_no_model_of_its_own(tmp_path: Path) -> None:
    words = [*CALIBRATED, "algorithm=local", "partition.external.sites=[centre-4]"]
    home = write(rehearse(experiment(words)), tmp_path)
    about = json.loads((home / "model.json").read_text())
    assert about["model_sites"] == ["centre-1", "centre-2", "centre-3"]
    assert load_file(home / "model.safetensors")["weight"].shape == (3, 1, 17)
    rows = NewRows(held_rows(words))
    with pytest.raises(Refused, match="allowed centre-1, centre-2, centre-3.* Only a site that trained"):
        predict(home, rows, "centre-4")
    with pytest.raises(Refused, match="--site is not given.*allowed centre-1"):
        predict(home, rows)
    assert len(predict(home, rows, "centre-2")) == len(rows.table)


def test_an_external_site_scales_by_itself(tmp_path: Path) -> None:
    words = [*CALIBRATED, "partition.external.sites=[centre-4]", "split.scaling=site", "evaluation.predictions=last"]
    home = write(rehearse(experiment(words)), tmp_path)
    kept, rows = pd.read_parquet(home / "predictions.parquet"), held_rows(words)
    mine = (rows["at"] == "centre-4").to_numpy()
    found = predict(home, NewRows(rows[mine]), "centre-4")
    np.testing.assert_allclose(found["probability"], kept["probability"][mine], rtol=1e-6)
    with pytest.raises(Refused, match="every site standardises by itself"):
        predict(home, NewRows(rows))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(rehearse(experiment(CALIBRATED)), tmp_path_factory.mktemp("runs"))


def test_a_model_or_a_site_that_is_not_there_is_refused(shared: Path) -> None:
    rows = NewRows(held_rows(CALIBRATED))
    with pytest.raises(Refused, match="--model='bset': allowed best, final. Did you mean 'best'"):
        predict(shared, rows, which="bset")
    with pytest.raises(Refused, match="--site='centre-9': allowed centre-1"):
        predict(shared, rows, "centre-9")
    assert predict(shared, rows, "centre-1").equals(predict(shared, rows))
    with pytest.raises(Refused, match="not a finished run"):
        predict(shared.parent, rows)


@pytest.mark.parametrize("name", ["scaffold", "local"])
def test_the_executor_does_not_change_a_bit_of_the_model(name: str, ray_here: None) -> None:
    words = [*SMALL, f"algorithm={name}", "evaluation.predictions=last"]
    here, there = rehearse(experiment(words)), rehearse(experiment([*words, "executor=ray", "executor.workers=2"]))
    assert here.model is not None
    assert there.model is not None
    assert here.model.about == there.model.about
    for which, weights in here.model.weights.items():
        assert all((there.model.weights[which][key] == values).all() for key, values in weights.items())
    assert here.predictions is not None
    assert there.predictions is not None
    assert (here.predictions.numbers["probability"] == there.predictions.numbers["probability"]).all()


def test_a_network_that_this_version_does_not_have_is_refused(shared: Path) -> None:
    about = json.loads((shared / "model.json").read_text())
    for net, told in (
        ({"is": "spline"}, "net='spline': allowed linear, mlp"),
        ({"is": "linear", "knots": 3}, "'knots'"),
    ):
        with pytest.raises(Refused, match=f"{told}.* the version in model.json"):
            read_task(about | {"net": net})


def test_models_travel_with_the_runs_of_a_sweep(ray_here: None, tmp_path: Path) -> None:
    from sim.run.sweep import run_all

    words = [*SMALL, "evaluation.predictions=last"]
    swept = [experiment([*words, f"algorithm={name}"]) for name in ("fedavg", "local", "pooled")]
    homes = run_all(swept, tmp_path, 2, lambda done: None)
    for one, home in zip(swept, homes, strict=True):
        alone = write(rehearse(one), tmp_path / "alone")
        for name in ("model.json", "model.safetensors", "predictions.parquet"):
            assert (home / name).read_bytes() == (alone / name).read_bytes(), name
