"""Sweeps and studies that are killed, shared and stopped for real: nothing finished is lost or done twice."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from sim.drafts import NEW
from tests.ground.ray_probe import family

TINY = ["cohort.patients=300", "rounds=2"]
ENDLESS = ["cohort.patients=300", "rounds=1000000", "evaluation.every=500000", "results.checkpoint_seconds=0.2"]
FEW = ["algorithm=fedavg,fedprox", "seed=range(2)"]
STUDY = """
question: Which?
metric: auroc
seeds: 3
overrides: [cohort.patients=300, rounds=2]
methods: {A: [algorithm=fedavg], B: [algorithm=scaffold]}
"""


@contextmanager
def started(cwd: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, gone afterwards."""
    command = [sys.executable, "-m", "sim", *words]
    child = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def fedtrial(cwd: Path, *words: str) -> tuple[int, str]:
    with started(cwd, *words) as child:
        out, err = child.communicate(timeout=280)
    return child.returncode, out + err


def wait(child: subprocess.Popen[str], happened: Callable[[], bool]) -> None:
    """Until something has happened, while the process lives."""
    until = time.monotonic() + 240
    while not happened():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < until
        time.sleep(0.02)


def finished(folder: Path) -> dict[str, tuple[int, int]]:
    """Finished runs, with what changes when a folder is written anew."""
    found = {}
    for path in folder.glob("[0-9a-f]*/DONE"):  # not those of drafts
        state = path.stat()
        found[path.parent.name] = (state.st_ino, state.st_mtime_ns)
    return found


def workers(child: subprocess.Popen[str]) -> dict[int, str]:
    """The processes of a sweep's pool, and what each is at."""
    found = {}
    for process in family(child.pid):
        try:
            title = Path(f"/proc/{process}/cmdline").read_text()
        except OSError:
            continue
        if title.startswith("ray::CellBody"):
            found[process] = title
    return found


def rounds_of(folder: Path) -> list[int]:
    """The rounds that unfinished runs say they are in."""
    return [json.loads(path.read_text())["round"] for path in folder.glob("*.unfinished/status.json")]


def test_a_sweep_killed_half_way_is_finished_by_the_second_call(tmp_path: Path) -> None:
    runs = tmp_path / "results" / "runs"
    words = ["run", "-m", "algorithm=fedavg,fedprox,scaffold,feddyn", "seed=range(25)", *TINY]
    with started(tmp_path, *words) as child:
        wait(child, lambda: len(finished(runs)) >= 50)
        child.kill()
    before = finished(runs)
    assert 50 <= len(before) < 100
    assert len(list(runs.glob("begun-*.json"))) == 1
    code, told = fedtrial(tmp_path, *words)
    assert code == 0, told
    after = finished(runs)
    assert len(after) == 100
    assert before.items() <= after.items()
    assert told.count(": read. ") == len(before)
    time.sleep(NEW)  # until it is safe to remove the draft of a run that was being written
    assert fedtrial(tmp_path, *words)[0] == 0
    assert finished(runs) == after
    assert sorted(path.name for path in runs.iterdir()) == sorted(after)  # nothing else is left


@pytest.mark.ray
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
def test_a_worker_that_is_killed_costs_one_cell_and_a_signal_ends_with_checkpoints(tmp_path: Path) -> None:
    """Both in one sweep, as Ray takes long to start: cells that never end, one worker killed, then SIGTERM."""
    runs = tmp_path / "results" / "runs"
    words = ["run", "-m", *FEW, *ENDLESS]
    with started(tmp_path, *words, "hydra.launcher.workers=2", "hydra.launcher.retries=1") as child:
        wait(child, lambda: len([number for number in rounds_of(runs) if number > 0]) == 2)
        first = set(workers(child))
        assert len(first) == 2
        os.kill(min(first), signal.SIGKILL)
        wait(child, lambda: len(set(workers(child)) - first) == 1)  # a fresh process took the cell
        wait(child, lambda: len(list(runs.glob("*.unfinished/checkpoint-*"))) >= 2)
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=200)
    assert child.returncode == 143, err
    assert "0 of 4 runs are written" in err
    assert "has a checkpoint after round" in err  # the fresh process may be asked to stop before it has begun
    assert "The same command continues from there:\n  fedtrial run -m" in err
    assert "failed" not in out + err
    code, told = fedtrial(tmp_path, "runs", str(runs), "--json")
    assert code == 0, told
    listed = json.loads(told)
    assert [one["state"] for one in listed] == ["pending"] * 4
    assert sum(one["round"] > 0 for one in listed) == 2
    assert listed[1]["labels"] == {"settings": "algorithm=fedavg seed=1"}


def test_two_processes_share_a_sweep(tmp_path: Path) -> None:
    words = ["run", "-m", "algorithm=fedavg,scaffold", "seed=range(8)", *TINY, "hydra/launcher=basic"]
    with started(tmp_path, *words) as one, started(tmp_path, *words) as other:
        told = [child.communicate(timeout=280)[0] for child in (one, other)]
    assert [one.returncode, other.returncode] == [0, 0]
    assert sum(text.count(": computed. ") for text in told) == 16  # each by one of them
    for text in told:
        ended = text.count(": computed. ") + text.count(": computed by another process. ") + text.count(": read. ")
        assert ended == 16
    assert len(finished(tmp_path / "results" / "runs")) == len(list((tmp_path / "results" / "runs").iterdir())) == 16


def test_a_cell_of_a_killed_process_is_taken_over(tmp_path: Path) -> None:
    """The second process finds it taken, waits, and computes it once the first is dead."""
    runs = tmp_path / "results" / "runs"
    long = [*TINY[:1], "rounds=15000", "evaluation.every=15000", "results.checkpoint_rounds=500"]
    with started(tmp_path, "run", *long) as one:
        wait(one, lambda: any(number > 0 for number in rounds_of(runs)))
        with started(tmp_path, "run", "-m", *long, "hydra/launcher=basic") as other:
            wait(other, lambda: len(list(runs.glob("begun-*.json"))) == 2)
            one.kill()
            out, err = other.communicate(timeout=280)
    assert other.returncode == 0, err
    assert ": computed. " in out
    assert len(finished(runs)) == 1


def test_a_study_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(STUDY)
    folder = tmp_path / "results" / "runs" / "mine"
    with started(tmp_path, "study", "./mine.yaml", "local.lr=0.05", "--workers", "1") as child:
        wait(child, lambda: len(finished(folder)) >= 2)
        child.kill()
    before = finished(folder)
    code, told = fedtrial(tmp_path, "resume", str(folder))
    assert code == 0, told
    after = finished(folder)
    assert len(after) == 15
    assert before.items() <= after.items()
    content = json.loads((folder / "study.json").read_text())
    assert content["words"] == ["local.lr=0.05"]
    assert content["command"].startswith("fedtrial study")
    assert "Page: " in told


def test_a_single_run_is_resumed_in_the_same_bits(tmp_path: Path) -> None:
    words = ["cohort.patients=300", "rounds=2000", "evaluation.every=1000", "results.checkpoint_rounds=50"]
    with started(tmp_path, "run", *words) as child:
        wait(child, lambda: bool(list((tmp_path / "results" / "runs").glob("*.unfinished/checkpoint-*"))))
        child.kill()
    (home,) = (tmp_path / "results" / "runs").glob("*.unfinished")
    code, told = fedtrial(tmp_path, "resume", str(home))
    assert code == 0, told
    assert "goes on after round" in told
    assert fedtrial(tmp_path, "run", *words, "results.dir=again")[0] == 0
    run = home.name.removesuffix(".unfinished")
    one, other = (pd.read_parquet(tmp_path / place / run / "sites.parquet") for place in ("results/runs", "again"))
    assert one.equals(other)
    code, told = fedtrial(tmp_path, "resume", "results/runs")
    assert code == 2
    assert "nothing in it is unfinished" in told
