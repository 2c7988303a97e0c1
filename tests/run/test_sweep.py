"""Sweeps: every footing is prepared once, nothing is kept behind one's back, finished runs are skipped."""

import json
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sim.checks import Refused
from sim.cohort.calibrated.source import Calibrated
from sim.cohort.table import Cohort
from sim.config.compose import experiment
from sim.config.experiment import Experiment
from sim.engine.executors import InProcess, OnRay
from sim.records.store import Run, finished
from sim.records.unfinished import claim
from sim.run.cell import Cell, CellBody
from sim.run.cells import Cells, Ended
from sim.run.check import PreparedCache
from sim.run.run import prepare, rehearse, run_id
from sim.run.schedule import Schedule
from sim.run.sweep import Launch, ends, here, run_all
from sim.run.workload import seconds, worth_ray
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


def test_what_a_process_left_that_was_killed_as_it_tidied_is_swept(tmp_path: Path) -> None:
    """A run is written and its working folder still there: by the next call, which has nothing to compute."""
    (home,) = run_all(grid()[:1], tmp_path, 1, lambda done: None)
    with claim(tmp_path, home.name):
        pass
    assert len(list(tmp_path.iterdir())) == 2
    run_all(grid()[:1], tmp_path, 1, lambda done: None)
    assert list(tmp_path.iterdir()) == [home]


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
    assert sum(finished(tmp_path / run_id(one)) for one in grid()[:2]) == 1


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


@pytest.mark.parametrize("sent", [False, True])
def test_a_worker_prepares_once_for_its_cells_or_takes_what_it_is_sent(
    loaded: list[int], tmp_path: Path, sent: bool
) -> None:
    """And computes in its own process, where Ray would wait for the cores that the workers have."""
    wanted = [replace(one, executor=OnRay(2)) for one in grid() if one.seed == 1]
    packed = pickle.dumps(prepare(wanted[0])) if sent else b""
    body = CellBody()
    made = [body.work(Cell(one, tmp_path, packed if one is wanted[0] else b"")) for one in wanted]
    assert loaded == [1]
    assert [run.id for run in made if isinstance(run, Run)] == [run_id(one) for one in wanted]
    alone = rehearse(replace(wanted[0], executor=InProcess(threads=1)))
    assert isinstance(made[0], Run)
    assert made[0].sites.equals(alone.sites)


def test_a_worker_stays_with_its_data_and_takes_the_longest_first() -> None:
    footings = {"a": "x", "b": "y", "c": "x", "d": "y", "e": "z", "f": "x"}
    seconds = {"a": 1.0, "b": 5.0, "c": 2.0, "d": 5.0, "e": 3.0, "f": 1.0}
    schedule = Schedule(footings, seconds)
    assert schedule.left == 17
    assert [schedule.take(0) for _ in range(3)] == ["b", "d", "c"]  # y has 10 s, x 4, z 3
    assert schedule.take(1) == "e"
    assert schedule.take(1) == "a"  # none is fresh: it shares x, and takes the first of equal ones
    assert [schedule.take(0), schedule.take(1), schedule.take(0)] == ["f", None, None]
    assert schedule.left == 0
    assert Schedule({}, {}).take(0) is None


def test_work_is_estimated_to_the_right_power_of_ten() -> None:
    small = experiment([*SMALL, "rounds=30"])
    prepared = prepare(small)
    few, many = seconds(small, prepared), seconds(replace(small, rounds=300), prepared)
    assert 0.01 < few < 0.5
    assert few * 5 < many < few * 10
    steps = replace(small, local=replace(small.local, steps=10**6))
    assert 30 < seconds(steps, prepared) < 3000  # 210 million steps


def test_ray_is_started_where_its_start_is_shorter_than_what_it_saves() -> None:
    assert not worth_ray(1e9, 1)
    assert not worth_ray(10, 2)
    assert worth_ray(20, 2)
    assert worth_ray(10, 64)


def test_what_proves_long_goes_on_in_a_pool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The estimate was short; after one cell in this process it is known that the others take a minute."""
    clock = iter(range(0, 10**6, 60))
    monkeypatch.setattr("sim.run.sweep.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("sim.run.sweep.cores", lambda: 2)
    asked: list[int] = []

    def pooled(cells: Cells, workers: int, retries: int, tick: object) -> Iterator[Ended]:
        asked.append(workers)
        return here(cells, 0)

    monkeypatch.setattr("sim.run.sweep.pooled", pooled)
    wanted = {run_id(one): one for one in grid()}
    made = list(ends(wanted, dict.fromkeys(wanted, tmp_path), Launch(), {}))
    assert [one.failed for one in made] == [""] * 4
    assert asked == [2]
    assert len(list(tmp_path.glob("*/DONE"))) == 4


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
    told = capsys.readouterr().out
    assert told.count(": computed. accuracy 0.") == told.count(": read. accuracy 0.") == 2
