"""The pool: a process that dies costs the job that it was at, and nothing is asked of it twice without need."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sim.pool import SHORT, Died, Pool, RayLost

pytestmark = pytest.mark.ray


class Hand:
    """Does what a job says: die so many times, wait, raise; and says in a file that it was asked."""

    def __init__(self) -> None:
        self.stopped = False

    def work(self, job: dict[str, Any]) -> tuple[int, float]:
        with (job["folder"] / job["name"]).open("a") as file:
            file.write(".")
        if len((job["folder"] / job["name"]).read_text()) <= job.get("dies", 0):
            os._exit(3)
        if "raises" in job:
            raise job["raises"]
        until = time.monotonic() + job.get("seconds", 0.0)
        while time.monotonic() < until and not self.stopped:
            time.sleep(0.01)
        return os.getpid(), job.get("value", 0.0)

    def stop(self) -> None:
        self.stopped = True


def jobs(folder: Path, **asked: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, words in asked.items():
        yield name, {"folder": folder, "name": name, **words}


def run(pool: Pool, given: Iterator[tuple[str, Any]]) -> dict[str, Any]:
    return dict(pool.run(lambda worker: next(given, None), lambda: None))


def times(folder: Path) -> dict[str, int]:
    return {path.name: len(path.read_text()) for path in folder.iterdir()}


def test_every_job_is_done_once_by_processes_that_stay(ray_here: None, tmp_path: Path) -> None:
    asked = {f"job{number}": {"value": number / 2} for number in range(30)}
    done = run(Pool(Hand, 2, 0), jobs(tmp_path, **asked))
    assert {name: value for name, (_, value) in done.items()} == {name: one["value"] for name, one in asked.items()}
    assert len({process for process, _ in done.values()}) <= 2
    assert set(times(tmp_path).values()) == {1}


def test_a_death_costs_one_job_which_is_done_again(ray_here: None, tmp_path: Path) -> None:
    """The job that waited behind it is done again as well, and no death is counted against it."""
    asked = {f"job{number}": {} for number in range(12)} | {"dies": {"dies": 2}} | {f"more{at}": {} for at in range(4)}
    pool = Pool(Hand, 1, 2)
    done = run(pool, jobs(tmp_path, **asked))
    assert not [name for name, ended in done.items() if isinstance(ended, Died)]
    assert pool.deaths == Counter(dies=2)
    assert times(tmp_path)["dies"] == 3
    assert set(done) == set(asked)


def test_a_job_that_kills_its_process_every_time_is_told_and_the_others_are_done(
    ray_here: None, tmp_path: Path
) -> None:
    done = run(Pool(Hand, 2, 1), jobs(tmp_path, a={}, bad={"dies": 99}, b={}, c={}))
    assert isinstance(done["bad"], Died)
    assert done["bad"].times == 2
    assert "died" in done["bad"].why
    assert times(tmp_path) == {"a": 1, "bad": 2, "b": 1, "c": 1}


def test_an_exception_is_itself_and_not_tried_again(ray_here: None, tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="mine"):
        run(Pool(Hand, 1, 5), jobs(tmp_path, a={"raises": KeyError("mine")}))
    assert times(tmp_path) == {"a": 1}


@pytest.mark.parametrize(("seconds", "most"), [(SHORT + 0.3, 1), (0.0, 2)])
def test_only_short_jobs_wait_behind_another(ray_here: None, tmp_path: Path, seconds: float, most: int) -> None:
    """One that waited behind a long one would wait in vain while another process is free."""
    pool, given = Pool(Hand, 1, 0), jobs(tmp_path, **{f"job{at}": {"seconds": seconds} for at in range(4)})
    waiting = []

    def next_job(worker: int) -> tuple[str, Any] | None:
        waiting.append(len(pool.workers[worker].calls) + 1)
        return next(given, None)

    assert len(dict(pool.run(next_job, lambda: None))) == 4
    assert max(waiting) == most


def test_stopping_ends_what_runs_and_begins_nothing(ray_here: None, tmp_path: Path) -> None:
    pool, began = Pool(Hand, 2, 0), time.monotonic()
    endless = {"seconds": 200.0}
    given = jobs(tmp_path, a=endless, b=endless)

    def look() -> None:
        if len(times(tmp_path)) == 2 and not pool.stopped:
            pool.stop()

    done = dict(pool.run(lambda worker: next(given, None), look))
    assert set(done) == {"a", "b"}
    assert time.monotonic() - began < 100


def test_a_ray_that_is_gone_is_told(ray_here: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = Pool(Hand, 1, 0)
    monkeypatch.setattr(pool.node, "dead_processes", lambda: [("raylet", None)])
    with pytest.raises(RayLost, match="its raylet ended"):
        run(pool, jobs(tmp_path, a={"seconds": 30.0}))
