"""Sweeps: every footing is prepared once, nothing is kept behind one's back, finished runs are skipped."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim.checks import Refused
from sim.cohort.calibrated.source import Calibrated
from sim.cohort.table import Cohort
from sim.config.compose import experiment
from sim.config.experiment import Experiment
from sim.records.store import finished
from sim.run.check import PreparedCache
from sim.run.run import footing, prepare, rehearse, run_id
from sim.run.sweep import batches, run_all, several
from tests.toy import SMALL

load = Calibrated.load


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Seeds of the cohorts that were loaded, in order."""
    seeds: list[int] = []

    def counted(self: Calibrated, seed: int) -> Cohort:
        seeds.append(seed)
        return load(self, seed)

    monkeypatch.setattr(Calibrated, "load", counted)
    return seeds


def grid() -> list[Experiment]:
    """Two methods on two seeds, the patients changing from run to run."""
    first = experiment([*SMALL, "rounds=1"])
    methods = [first, replace(first, algorithm=experiment(["algorithm=scaffold"]).algorithm)]
    return [replace(method, seed=seed) for method in methods for seed in (1, 2)]


def test_every_footing_is_prepared_once(loaded: list[int], tmp_path: Path) -> None:
    told: list[int] = []
    homes = run_all(grid(), tmp_path, 1, told.append)
    assert loaded == [1, 2]
    assert told == [0, 1, 2, 3, 4]
    assert [home.name for home in homes] == [run_id(one) for one in grid()]


def test_a_finished_sweep_loads_nothing(loaded: list[int], tmp_path: Path) -> None:
    homes = run_all(grid(), tmp_path, 1, lambda done: None)
    loaded.clear()
    told: list[int] = []
    assert run_all(grid(), tmp_path, 1, told.append) == homes
    assert run_all(grid(), tmp_path, 8, told.append) == homes  # and starts no process
    assert told == [4, 4]
    assert loaded == []


def test_a_sweep_goes_on_where_it_was_left(loaded: list[int], tmp_path: Path) -> None:
    run_all(grid()[:3], tmp_path, 1, lambda done: None)
    loaded.clear()
    told: list[int] = []
    run_all(grid(), tmp_path, 1, told.append)
    assert loaded == [2]
    assert told == [3, 4]


def test_a_run_that_is_asked_for_twice_is_computed_once(loaded: list[int], tmp_path: Path) -> None:
    first = grid()[0]
    homes = run_all([first, first], tmp_path, 1, lambda done: None)
    assert homes[0] == homes[1]
    assert loaded == [1]


def test_data_that_change_under_a_sweep_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first run is kept; the second would have another name than it was asked by."""
    state = {"files": "before"}
    monkeypatch.setattr(Calibrated, "fingerprint", lambda self, seed: state["files"])

    def edit(done: int) -> None:
        state["files"] = "after" if done else "before"

    with pytest.raises(Refused, match="its code or data changed"):
        run_all(grid()[:2], tmp_path, 1, edit)
    state["files"] = "before"
    assert finished(tmp_path / run_id(grid()[0]))


def test_what_is_prepared_may_be_passed_on(loaded: list[int], small: Experiment) -> None:
    """With the same bits."""
    prepared = prepare(small)
    given, own = rehearse(small, prepared), rehearse(small)
    assert loaded == [1, 1]
    assert given.id == own.id
    assert given.sites.equals(own.sites)
    assert given.info["data"] == prepared.cohort.digest


def test_preparing_keeps_nothing(loaded: list[int], small: Experiment) -> None:
    one, other = prepare(small), prepare(small)
    assert loaded == [1, 1]
    assert one is not other
    np.testing.assert_array_equal(one.federation.x, other.federation.x)


def test_the_latest_preparation_is_given_again_until_the_footing_changes(loaded: list[int], small: Experiment) -> None:
    preparing = PreparedCache()
    assert preparing(small) is preparing(replace(small, rounds=9))
    preparing(replace(small, seed=2))
    preparing(small)
    assert loaded == [1, 2, 1]


def test_a_worker_prepares_once_for_its_runs(loaded: list[int]) -> None:
    wanted = {run_id(one): one for one in grid() if one.seed == 1}
    assert [run.id for run in several(wanted)] == list(wanted)
    assert loaded == [1]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_batches_hold_every_run_once_and_one_footing_each(workers: int, small: Experiment) -> None:
    wanted = {f"{seed}-{rounds}": replace(small, seed=seed, rounds=rounds) for rounds in range(1, 8) for seed in (1, 2)}
    made = batches(wanted, workers)
    assert Counter(name for batch in made for name in batch) == Counter(list(wanted))
    assert all(len({footing(one) for one in batch.values()}) == 1 for batch in made)
    assert len(made) == (2 if workers == 1 else min(14, -(-4 * workers // 2) * 2))
    assert batches({}, workers) == []


def test_the_record_says_which_data_were_seen(small: Experiment, tmp_path: Path) -> None:
    (home,) = run_all([small], tmp_path, 1, lambda done: None)
    info = json.loads((home / "run.json").read_text())
    assert info["data"] == prepare(small).cohort.digest
    assert info["run"] == home.name


def test_multirun_prepares_each_footing_once(
    loaded: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from sim.cli.run import launch

    monkeypatch.chdir(tmp_path)
    words = ["-m", "algorithm=fedavg,scaffold", "cohort.patients=300", "rounds=1", "seed=3"]
    launch(words)
    assert loaded == [3]
    launch(words)
    assert loaded == [3]
    assert capsys.readouterr().out.count("Records: ") == 4
