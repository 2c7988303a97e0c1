"""A run folder is whole or absent, and a changed file is noticed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sim.checks import Refused
from sim.config import Experiment
from sim.records import Run, finished, read, write
from sim.rehearse import keep, rehearse


@pytest.fixture
def run(small: Experiment) -> Run:
    return rehearse(small)


def test_what_is_written_is_read_back(run: Run, tmp_path: Path) -> None:
    home = write(run, tmp_path)
    again = read(home)
    assert again.rounds.equals(run.rounds)
    assert again.sites.equals(run.sites)
    assert again.info == json.loads(json.dumps(run.info))
    assert sorted(path.name for path in home.iterdir()) == ["DONE", "rounds.parquet", "run.json", "sites.parquet"]


@pytest.mark.parametrize("name", ["rounds.parquet", "sites.parquet", "run.json", "DONE"])
def test_truncated_or_flipped_files_are_noticed(name: str, run: Run, tmp_path: Path) -> None:
    home = write(run, tmp_path)
    good = (home / name).read_bytes()
    flipped = bytes([good[len(good) // 2] ^ 1])
    for bad in (good[:-2], good[: len(good) // 2] + flipped + good[len(good) // 2 + 1 :], b""):
        (home / name).write_bytes(bad)
        assert not finished(home)
        with pytest.raises(Refused, match="run it again"):
            read(home)
    (home / name).write_bytes(good)
    assert finished(home)


def test_a_broken_run_is_moved_aside_not_deleted(run: Run, tmp_path: Path) -> None:
    home = write(run, tmp_path)
    (home / "DONE").unlink()
    assert write(run, tmp_path) == home
    assert finished(home)
    assert (tmp_path / f"{run.id}.broken-1" / "sites.parquet").exists()


def test_a_finished_run_is_kept(small: Experiment, tmp_path: Path) -> None:
    home = keep(small, tmp_path)
    written = (home / "run.json").stat().st_mtime_ns
    assert keep(small, tmp_path) == home
    assert (home / "run.json").stat().st_mtime_ns == written


@pytest.mark.parametrize("after", ["sites.parquet", "run.json", "DONE"])
def test_killed_while_writing_leaves_no_finished_run(after: str, tmp_path: Path) -> None:
    """The process stops itself for good as soon as one file is on disk; a second one then finishes the run."""
    program = f"""
import os, signal, sys
from pathlib import Path
from sim import records
from sim.compose import experiment
from sim.rehearse import keep
sync = records.sync
def stop(path):
    sync(path)
    if path.name == {after!r}:
        os.kill(os.getpid(), signal.SIGKILL)
if len(sys.argv) > 2:
    records.sync = stop
print(keep(experiment(["cohort.patients=300", "rounds=1"]), Path(sys.argv[1])))
"""
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path), "stop"], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".") and finished(path)]
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert finished(Path(done.stdout.strip()))


def test_a_full_disk_is_told_and_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, os.strerror(28))  # ENOSPC

    monkeypatch.setattr("sim.records.sync", full)
    with pytest.raises(Refused, match="No space left"):
        write(run, tmp_path)
    assert not list(tmp_path.iterdir())


def test_two_writers_of_one_run_agree(run: Run, tmp_path: Path) -> None:
    first = write(run, tmp_path)
    at = (first / "DONE").stat().st_mtime_ns
    time.sleep(0.01)
    assert write(run, tmp_path) == first
    assert (first / "DONE").stat().st_mtime_ns == at
    assert [path.name for path in tmp_path.iterdir()] == [run.id]
