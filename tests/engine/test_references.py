"""References: pooled is the optimum, the oracle is the truth, alone is alone."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from sim.checks import Refused
from sim.config.compose import experiment
from sim.config.experiment import Experiment
from sim.records.store import Run
from sim.run.run import prepare, rehearse
from tests.toy import SMALL


def values(run: Run, metric: str) -> dict[str, float]:
    held = run.sites[(run.sites["metric"] == metric) & (run.sites["split"] == "test")]
    last = held[held["round"] == held["round"].max()]
    return dict(zip(last["site"], last["value"], strict=True))


def test_pooled_is_the_maximum_likelihood_fit_of_all_training_rows() -> None:
    wanted = experiment([*SMALL, "algorithm=pooled", "algorithm.tolerance=1e-8"])
    federation = prepare(wanted).federation
    rows, _ = federation.held("train")
    fit = LogisticRegression(C=np.inf, tol=1e-10, max_iter=5000).fit(federation.x[rows], federation.y["label"][rows])
    got = values(rehearse(wanted), "auroc")
    test, site = federation.held("test")
    score = fit.predict_proba(federation.x[test])[:, 1]
    for number, name in enumerate(federation.sites):
        label = federation.y["label"][test][site == number]
        if label.any() and not label.all():
            assert got[name] == pytest.approx(roc_auc_score(label, score[site == number]), abs=1e-9)


def test_the_oracle_scores_with_the_generator_s_own_probability() -> None:
    wanted = experiment([*SMALL, "algorithm=oracle"])
    federation = prepare(wanted).federation
    test, site = federation.held("test")
    assert federation.best is not None
    got = values(rehearse(wanted), "brier")
    for number, name in enumerate(federation.sites):
        mine = test[site == number]
        error = (federation.best[mine] - federation.y["label"][mine]) ** 2
        assert got[name] == pytest.approx(error.mean())


def test_no_model_beats_the_oracle_on_many_patients() -> None:
    wide = ["cohort.patients=20000", "cohort.sites=2", "rounds=20", "seed=0"]
    mean = {name: np.mean(list(values(rehearse(experiment([*wide, f"algorithm={name}"])), "brier").values()))
            for name in ("fedavg", "pooled", "oracle")}  # fmt: skip
    assert mean["oracle"] < mean["pooled"] < 0.25
    assert mean["oracle"] < mean["fedavg"] < 0.25


def test_the_oracle_is_refused_where_the_truth_is_unknown() -> None:
    with pytest.raises(Refused, match="only for synthetic cohorts"):
        rehearse(experiment(["cohort=lung", "task=hazard", "algorithm=oracle"]))


def test_alone_does_not_depend_on_who_else_is_there() -> None:
    """A site's own model is the same in a federation of seven and of three (features scaled by the site itself)."""
    words = ["cohort.sizes=[1,1,1]", "cohort.sites=3", "cohort.patients=600", "split.scaling=site", "rounds=4"]
    three = experiment([*words, "algorithm=local", "local.chunk=1"])
    cohort = prepare(three).cohort
    table = cohort.table[cohort.table["site"] != "centre-3"].reset_index(drop=True)
    assert cohort.truth is not None
    truth = cohort.truth[(cohort.table["site"] != "centre-3").to_numpy()].reset_index(drop=True)
    two = replace(cohort, table=table, truth=truth)

    class Two(type(three.cohort)):  # type: ignore[misc]
        def load(self, seed: int) -> object:
            return two

    fewer = replace(three, cohort=Two(sizes=[1, 1, 1], sites=3, patients=600))
    one, other = values(rehearse(three), "loss"), values(rehearse(fewer), "loss")
    assert other["centre-1"] == pytest.approx(one["centre-1"], abs=1e-6)
    assert other["centre-2"] == pytest.approx(one["centre-2"], abs=1e-6)


def test_alone_is_never_worse_on_validation_than_one_fixed_rate(small: Experiment) -> None:
    """It may choose among rates and rounds, so its own validation loss is at most that of any single choice."""
    tuned = rehearse(experiment([*SMALL, "algorithm=local"]))
    fixed = rehearse(experiment([*SMALL, "algorithm=local", "algorithm.factors=[1.0]"]))

    def loss(run: Run) -> np.ndarray:
        held = run.sites[(run.sites["metric"] == "loss") & (run.sites["split"] == "valid")]
        return held.sort_values("site")["value"].to_numpy()

    assert (loss(tuned) <= loss(fixed) + 1e-12).all()
    assert (loss(tuned) < loss(fixed)).any()


def test_a_rate_that_diverges_is_not_chosen() -> None:
    """Rates 0.3 and 1 blow up with this weight decay, 0.01 does not: every site keeps the finite model."""
    words = ["local.lr=5", "local.weight_decay=1", "rounds=10", "algorithm=local"]
    run = rehearse(experiment([*words, "algorithm.factors=[0.01,0.3,1.0]"]))
    only = rehearse(experiment([*words, "algorithm.factors=[0.01]"]))
    assert run.info["status"] == only.info["status"] == "done"
    assert np.isfinite(list(values(run, "loss").values())).all()


def test_sites_without_any_finite_model_alone_are_told_as_diverged() -> None:
    run = rehearse(experiment([*SMALL, "algorithm=local", "net=mlp", "local.lr=1e38"]))
    assert "diverged" in run.info["status"]
    assert "centre-1" in run.info["status"]
    assert run.sites.empty
