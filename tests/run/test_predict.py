"""Whatever predicts in a run predicts from its folder: the same scores on the same rows, for every method there is."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim.checks import Refused
from sim.cohort.new_rows import NewRows
from sim.config.compose import experiment
from sim.config.groups import GROUPS
from sim.records.store import write
from sim.run.predict import predict
from sim.run.run import rehearse
from tests.held_rows import held_rows

BASE = ["cohort.patients=240", "cohort.sites=4", "rounds=2", "seed=1", "evaluation.predictions=last"]
COX = ["task=cox", "local.batch=0"]
EXACT = ["rounds=60", "net=linear"]
WORDS = {  # what a method needs beside its name
    "algorithm=cox_webdisco": [*COX, *EXACT],
    "algorithm=cox_iptw": [*COX, *EXACT, "algorithm.treatment=treated"],
    "algorithm=odac": [*COX, *EXACT],
    "algorithm=odach": [*COX, *EXACT],
    "algorithm=odal": EXACT,
    "algorithm=newton": EXACT,
    "algorithm=meta": EXACT,
    "algorithm=lasso": [*EXACT, "algorithm.penalty=0.01"],
    "algorithm=histboost": ["rounds=5", "algorithm.min_child_weight=0.1"],
    "algorithm=survivalforest": ["task=cox", "algorithm.trees=5", "algorithm.drawn=10"],
    "algorithm=fedem": ["task=response", "net=mlp"],
    "personal=fedbn": ["net=mlpbn"],
}
HEADS = [f"personal={name}" for name in ("fedper", "fedrep", "lgfedavg", "fedbabu", "ditto", "mrmtl", "finetune")]
WORDS |= {name: ["net=mlp"] for name in HEADS}
METHODS = [f"algorithm={name}" for name in GROUPS["algorithm"] if name != "oracle"]
METHODS += [f"personal={name}" for name in GROUPS["personal"] if name != "none"]


def made(words: list[str], folder: Path) -> tuple[Path, pd.DataFrame, pd.DataFrame]:
    """Folder of a run, its predictions, and the rows that they are of."""
    home = write(rehearse(experiment(words)), folder)
    return home, pd.read_parquet(home / "predictions.parquet"), held_rows(words)


@pytest.mark.parametrize("method", [*METHODS, "algorithm=oneshot algorithm.how=ensemble"])
def test_every_method_predicts_as_it_did_in_its_run(method: str, tmp_path: Path) -> None:
    words = [*BASE, *method.split(), *WORDS.get(method, [])]
    home, kept, rows = made(words, tmp_path)
    score = "probability" if "probability" in kept else "risk"
    assert kept[score].nunique() > 1
    for which in ("final", "best") if (home / "best.safetensors").exists() else ("final",):
        found = np.full(len(rows), np.nan)
        for site in rows["at"].unique():
            mine = (rows["at"] == site).to_numpy()
            found[mine] = predict(home, NewRows(rows[mine]), str(site), which)[score]
        if which == "final":
            np.testing.assert_allclose(found, kept[score], rtol=1e-6, atol=1e-7)
        assert np.isfinite(found).all()
