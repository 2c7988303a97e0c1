"""Folders of this user alone: temporary ones that outlive nobody, and lasting ones that nobody else writes to."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from sim import scratch as module
from sim.checks import Refused
from sim.scratch import ours, private, scratch, short_place

OPEN_AND_WAIT = """
import sys, time
from sim.scratch import scratch
with scratch(sys.argv[1]) as folder:
    print(folder, flush=True)
    time.sleep(100)
"""


def test_a_folder_of_a_killed_run_is_swept_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN_AND_WAIT, str(tmp_path)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        dead, alive = (Path(child.stdout.readline().strip()) for child in children if child.stdout)
        children[0].send_signal(signal.SIGKILL)
        children[0].wait()
        assert dead.exists()
        long_ago = time.time() - 2 * module.FRESH
        for folder in (dead, alive):
            os.utime(folder, (long_ago, long_ago))
        with scratch(str(tmp_path)) as own:
            assert not dead.exists()
            assert alive.exists()
            assert own.stat().st_mode & 0o777 == 0o700
        assert not own.exists()
    finally:
        for child in children:
            child.kill()
            child.wait()


def test_the_place_for_sockets_is_short_whatever_tmpdir_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for folder in (tmp_path / "with a very long name such as batch systems give to scratch folders", Path("/tmp/é")):
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        assert short_place() == "/tmp"
    monkeypatch.setattr(os, "access", lambda place, mode: False)
    with pytest.raises(Refused, match="Set TMPDIR to a shorter path"):
        short_place()


def test_a_private_folder_is_shut_and_carries_the_users_number(tmp_path: Path) -> None:
    folder = private(tmp_path / "new", 10)
    assert folder == tmp_path / "new" / f"fedtrial-{os.getuid()}"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_others_may_write_to_is_not_taken(tmp_path: Path) -> None:
    folder = tmp_path / f"fedtrial-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    assert private(tmp_path, 10) is None


def test_a_link_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"fedtrial-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    assert private(tmp_path, 10) is None


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_somebody_else_is_not_taken(tmp_path: Path) -> None:
    folder = tmp_path / f"fedtrial-{os.getuid()}"
    folder.mkdir(mode=0o700)
    os.chown(folder, 4321, 4321)
    assert not ours(folder)
    assert private(tmp_path, 10) is None


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full")
def test_a_full_disk_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "wb", buffering=0) as full:
        monkeypatch.setattr(tempfile, "TemporaryFile", lambda dir, buffering: full)
        assert private(tmp_path, 10) is None
