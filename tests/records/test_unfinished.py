"""One living process at a time works on a run, and everybody can tell where a run is."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from sim.checks import Refused
from sim.records import unfinished
from sim.records.store import Run, write
from sim.records.unfinished import (
    LOCK,
    STATUS,
    TRACEBACK,
    State,
    claim,
    clear,
    report_failure,
    report_progress,
    status,
    sweep_killed,
    working_folder,
)
from tests.toy import ROOT

RUN = "0123456789ab"
OWNER = """
import sys, time
from pathlib import Path
from sim.records.unfinished import claim
with claim(Path(sys.argv[1]), sys.argv[2]) as home:
    print("none" if home is None else "mine", flush=True)
    time.sleep(60)
"""


@contextmanager
def owner(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that has claimed the run."""
    words = [sys.executable, "-c", OWNER, str(folder), RUN]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "mine\n"
        try:
            yield child
        finally:
            child.kill()


def test_one_living_process_has_a_run_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    with owner(tmp_path) as child:
        with claim(tmp_path, RUN) as home:
            assert home is None
        told = status(tmp_path, RUN)
        assert (told.state, told.attempt) == (State.RUNNING, 1)
        assert f":{child.pid}:" in told.owner
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert status(tmp_path, RUN).state is State.PENDING
        with claim(tmp_path, RUN) as home:
            assert home == working_folder(tmp_path, RUN)
            assert (status(tmp_path, RUN).state, status(tmp_path, RUN).attempt) == (State.RUNNING, 2)
            with claim(tmp_path, RUN) as again:
                assert again is None
    assert status(tmp_path, RUN).state is State.PENDING


def test_a_run_that_nobody_began_is_pending(tmp_path: Path) -> None:
    told = status(tmp_path, RUN)
    assert (told.state, told.owner, told.attempt) == (State.PENDING, "", 0)
    assert not list(tmp_path.iterdir())


def test_progress_is_told_at_most_once_a_second(tmp_path: Path) -> None:
    with claim(tmp_path, RUN) as home:
        assert home is not None
        report_progress(home, 3, 50)
        assert status(tmp_path, RUN).round == 0  # status.json has just been written
        os.utime(home / STATUS, (time.time() - 5, time.time() - 5))
        report_progress(home, 4, 50)
        report_progress(home, 5, 50)
        told = status(tmp_path, RUN)
        assert (told.round, told.rounds, told.state) == (4, 50, State.RUNNING)
        assert time.time() - told.heartbeat < 5


def test_a_failed_run_keeps_its_reason_until_it_is_begun_again(tmp_path: Path) -> None:
    with claim(tmp_path, RUN) as home:
        assert home is not None
        report_failure(home, "site north, round 3: no rows", "Traceback: here")
    told = status(tmp_path, RUN)
    assert (told.state, told.why) == (State.FAILED, "site north, round 3: no rows")
    assert (home / TRACEBACK).read_text() == "Traceback: here"
    with claim(tmp_path, RUN) as home:
        assert home is not None
        assert status(tmp_path, RUN).state is State.RUNNING
        assert status(tmp_path, RUN).why == ""
        assert not (home / TRACEBACK).exists()


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    with pytest.raises(KeyError), claim(tmp_path, RUN):
        raise KeyError
    assert status(tmp_path, RUN).state is State.PENDING
    with claim(tmp_path, RUN) as home:
        assert home is not None


@pytest.mark.parametrize(("told", "state"), [("done", State.DONE), ("diverged in round 3: x.", State.DIVERGED)])
def test_a_written_run_is_done_or_diverged(told: str, state: State, tmp_path: Path) -> None:
    with claim(tmp_path, RUN) as home:
        assert home is not None
        write(Run(RUN, pd.DataFrame({"run": [RUN]}), pd.DataFrame({"run": [RUN]}), {"status": told}), tmp_path)
        clear(home)
    assert status(tmp_path, RUN).state is state
    assert status(tmp_path, RUN).why == ("" if told == "done" else told)
    assert [path.name for path in tmp_path.iterdir()] == [RUN]


def test_who_waits_for_a_folder_that_is_removed_gets_a_new_one(tmp_path: Path) -> None:
    with claim(tmp_path, RUN) as home:
        assert home is not None
        clear(home)
        with claim(tmp_path, RUN) as other:  # the lock of the first one is that of a folder that is gone
            assert other == home
    assert status(tmp_path, RUN).state is State.PENDING


def test_the_working_folder_of_a_written_run_is_swept_unless_somebody_has_it(tmp_path: Path) -> None:
    with claim(tmp_path, RUN) as home:
        assert home is not None
        sweep_killed(tmp_path)
        write(Run(RUN, pd.DataFrame({"run": [RUN]}), pd.DataFrame({"run": [RUN]}), {"status": "done"}), tmp_path)
        sweep_killed(tmp_path)
        assert home.exists()
    sweep_killed(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [RUN]


def test_what_a_kill_leaves_of_a_removal_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with claim(tmp_path, RUN) as home:
        assert home is not None
        monkeypatch.setattr(unfinished.shutil, "rmtree", lambda *_, **__: None)
        clear(home)
    (left,) = tmp_path.iterdir()
    os.utime(left, (time.time() - 60, time.time() - 60))
    monkeypatch.undo()
    sweep_killed(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("locks", [True, False])
def test_an_owner_elsewhere_lives_as_long_as_there_are_signs_of_it(
    locks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine, whose locks do not reach here, and a file system without locks."""

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(unfinished, "SETTLE", 0.01)
    if not locks:
        monkeypatch.setattr(fcntl, "flock", no_locks)
    with claim(tmp_path, RUN) as home:
        assert home is not None
        said = json.loads((home / STATUS).read_text())
    (home / STATUS).write_text(json.dumps(said | {"state": "running", "owner": "abcdef:1:0"}))
    with claim(tmp_path, RUN) as other:
        assert other is None
    assert status(tmp_path, RUN).state is State.RUNNING
    os.utime(home / LOCK, (time.time() - 600, time.time() - 600))
    assert status(tmp_path, RUN).state is State.PENDING
    with claim(tmp_path, RUN) as other:
        assert other == home
        with claim(tmp_path, RUN) as third:
            assert third is None


def test_signs_of_life_come_while_nothing_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "BEAT", 0.01)
    with claim(tmp_path, RUN) as home:
        assert home is not None
        os.utime(home / LOCK, (0, 0))
        time.sleep(0.2)
        assert time.time() - status(tmp_path, RUN).heartbeat < 10


@pytest.mark.parametrize("text", ["", "{", "[]", '{"state": "asleep"}', '{"state": "running", "speed": 3}'])
def test_a_damaged_status_is_that_of_a_run_which_was_not_begun(text: str, tmp_path: Path) -> None:
    home = working_folder(tmp_path, RUN)
    home.mkdir()
    (home / STATUS).write_text(text)
    assert status(tmp_path, RUN).state is State.PENDING
    with claim(tmp_path, RUN) as mine:
        assert mine == home
        assert status(tmp_path, RUN).attempt == 1


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    working_folder(tmp_path, RUN).write_text("a file")
    with pytest.raises(Refused, match=f"{RUN}.*results.dir"), claim(tmp_path, RUN):
        pass


def test_a_folder_that_is_removed_between_two_looks_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner clears it after mkdir found it there, and before anybody asks whether it is a folder."""
    home, make = working_folder(tmp_path, RUN), os.mkdir
    seen = []

    def late(path: Path, mode: int = 0o777) -> None:
        if Path(path) == home and not seen:
            seen.append(path)
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        make(path, mode)

    monkeypatch.setattr(os, "mkdir", late)
    with claim(tmp_path, RUN) as mine:
        assert (mine, len(seen)) == (home, 1)
