"""Whatever predicts in a run predicts from its folder: the same scores on the same rows, for every method there is."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from sim.catalogue.entry import entries
from sim.checks import Refused
from sim.cohort.new_rows import NewRows
from sim.config.compose import experiment
from sim.exact.boosting import grown
from sim.records.model import read, read_about
from sim.records.store import write
from sim.run.predict import predict, served
from sim.run.run import rehearse
from tests.held_rows import held_rows

BASE = ["seed=1", "evaluation.predictions=last"]
BESIDE = {  # what makes a method's example short
    "histboost": ["rounds=5"],
    "survivalforest": ["algorithm.trees=4", "algorithm.drawn=10", "algorithm.min_split=6"],
    "pooled": ["cohort.patients=400"],
}
METHODS = {
    entry.name: [*entry.example, *BASE, *BESIDE.get(entry.name, ["rounds=2"] if entry.kind.trains else [])]
    for entry in entries()
    if entry.axis == "algorithm" and entry.name != "oracle"
} | {
    entry.name: [*entry.example, *BASE, "rounds=2"]
    for entry in entries()
    if entry.axis == "personal" and entry.name != "none"
}
METHODS["oneshot ensemble"] = [*METHODS["oneshot"], "algorithm.how=ensemble"]


def made(words: list[str], folder: Path) -> tuple[Path, pd.DataFrame, pd.DataFrame]:
    """Folder of a run, its predictions, and the rows that they are of."""
    home = write(rehearse(experiment(words)), folder)
    return home, pd.read_parquet(home / "predictions.parquet"), held_rows(words)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_predicts_as_it_did_in_its_run(method: str, tmp_path: Path) -> None:
    home, kept, rows = made(METHODS[method], tmp_path)
    score = "probability" if "probability" in kept else "risk"
    assert kept[score].std() > 0
    best = (home / "best.safetensors").exists()
    assert best == (method not in ("survivalforest", "pooled", "local"))
    for which in ("final", "best") if best else ("final",):
        found = np.full(len(rows), np.nan)
        for site in rows["at"].unique():
            mine = (rows["at"] == site).to_numpy()
            found[mine] = predict(home, NewRows(rows[mine]), str(site), which)[score]
        assert np.isfinite(found).all()
        if which == "final":
            np.testing.assert_allclose(found, kept[score], rtol=1e-6, atol=1e-7)


OUTSIDE = ["cohort.patients=300", "cohort.sites=4", "partition.external.sites=[centre-4]", "rounds=2", *BASE]
NORMS = [*OUTSIDE, "personal=fedbn", "net=mlpbn"]


@pytest.mark.parametrize(
    "words",
    [NORMS, [*NORMS, "personal.unseen=own"], [*OUTSIDE, "algorithm=fedem", "net=mlp"]],
    ids=["fedbn", "fedbn, statistics of its rows", "fedem"],
)
def test_rows_of_no_known_site_are_predicted_as_those_of_an_external_one(words: list[str], tmp_path: Path) -> None:
    home, kept, rows = made(words, tmp_path)
    mine = (rows["at"] == "centre-4").to_numpy()
    new = NewRows(rows[mine])
    with pytest.raises(Refused, match="column 'site' names centre-1, centre-2, centre-3.*Give --site centre-1 "):
        predict(home, NewRows(rows))
    known, unknown = (predict(home, new, site)["probability"] for site in ("centre-4", ""))
    np.testing.assert_allclose(known, kept["probability"][mine], rtol=1e-6)
    np.testing.assert_allclose(unknown, kept["probability"][mine], rtol=1e-6)
    assert (predict(home, new, "centre-1")["probability"] != unknown).any()
    about = read_about(home)
    assert about["model_sites"] == ["centre-1", "centre-2", "centre-3"]
    assert (served(about, "centre-1"), served(about, "")) == (" of centre-1", " for a site that did not train")
    with pytest.raises(Refused, match="--site='centre-9': allowed centre-1"):
        predict(home, new, "centre-9")
    if "personal.unseen=own" in words:
        with pytest.raises(Refused, match="has 1 row.*two at least"):
            predict(home, NewRows(rows[mine][:1]))


def test_with_noise_at_the_server_a_new_site_has_no_batch_norms(tmp_path: Path) -> None:
    home, _, rows = made([*NORMS, "uplink=[clip,gaussian]", "weighting=sites"], tmp_path)
    with pytest.raises(Refused, match="--site is not given.*allowed centre-1, centre-2, centre-3"):
        predict(home, NewRows(rows))


def test_trees_lie_in_their_file_as_arrays(tmp_path: Path) -> None:
    home, _, rows = made(METHODS["histboost"], tmp_path)
    about, arrays = read(home, "final")
    assert about["trees"]["is"] == "histboost"
    assert sorted(arrays) == ["base", "nodes"]
    first = load_file(home / "best.safetensors")["nodes"]
    np.testing.assert_array_equal(arrays["nodes"][: len(first)], first)  # the first trees of the same forest
    assert len(grown(first)[0]) == about["rounds"]["best"]
    with pytest.raises(Refused, match="--site='north': allowed"):
        predict(home, NewRows(rows), "north")


def test_a_model_of_the_format_before_is_read(tmp_path: Path) -> None:
    home, kept, rows = made([*OUTSIDE], tmp_path)
    about = json.loads((home / "model.json").read_text())
    old = {name: part for name, part in about.items() if name not in ("unseen", "trees")} | {"format": 1}
    (home / "model.json").write_text(json.dumps(old))
    assert read_about(home) == about | {"format": 1}
    (home / "model.json").write_text(json.dumps(old | {"format": 3}))
    with pytest.raises(Refused, match="format 3, allowed 2"):
        read_about(home)
