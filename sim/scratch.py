"""Folders that only this user can access: temporary ones, removed with their process, and permanent ones for caches."""

import fcntl
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sim.checks import Refused

PREFIX = "fedtrial-"
LOCK = ".lock"  # held by the owner of a folder; the kernel lets go of it when the owner dies, however it dies
FRESH = 60.0  # seconds that a folder is left alone in which nothing is locked yet
SOCKET = 103 if sys.platform == "darwin" else 107  # bytes of the path of a socket
# What Ray adds to the folder it is given, with a process id of seven digits.
RAY_ADDS = len("/r/session_2000-01-01_00-00-00_000000_0000000/sockets/plasma_store")
SHARED_MEMORY = "/dev/shm"


@contextmanager
def scratch(parent: str | None = None) -> Iterator[Path]:
    """A new folder in `parent` (None: where temporary files go), removed afterwards.

    Folders that killed processes of this user left in the same place, or in shared memory, are removed first.
    """
    parent = parent or tempfile.gettempdir()
    sweep(parent, SHARED_MEMORY)
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent, ignore_cleanup_errors=True) as folder,
        (Path(folder) / LOCK).open("w") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder)


def sweep(*places: str) -> None:
    """Remove folders of `scratch` whose owner is gone; those of other users, and what is in use, stay."""
    for place in set(places):
        for folder in Path(place).glob(f"{PREFIX}*"):
            with suppress(OSError):
                if ours(folder) and time.time() - folder.stat().st_mtime > FRESH and abandoned(folder / LOCK):
                    shutil.rmtree(folder, ignore_errors=True)


def abandoned(lock: Path) -> bool:
    """Whether no process holds the lock; OSError if there is none."""
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def short_place() -> str:
    """A parent folder for a Ray session with a short enough path for its sockets; refuses if there is none."""
    room = SOCKET - RAY_ADDS - len(f"/{PREFIX}12345678")
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp", SHARED_MEMORY):
        if place.isascii() and len(place) <= room and os.access(place, os.W_OK | os.X_OK):
            return place
    raise Refused(
        f"TMPDIR={tempfile.gettempdir()}: Ray needs a folder for temporary files with a path of at most {room} "
        "characters, and /tmp cannot be written to. Set TMPDIR to a shorter path, or use no Ray: executor=inprocess, "
        "--workers 1."
    )


def ours(folder: Path) -> bool:
    """Whether this is a folder, not a link, that belongs to this user and that nobody else may write to."""
    state = folder.lstat()
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.getuid() and not state.st_mode & 0o022


def private(parent: Path, size: int) -> Path | None:
    """Folder in `parent` that only this user can open and that has room for `size` bytes; None if there can be none."""
    folder = parent / f"{PREFIX}{os.getuid()}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not ours(folder):
            return None
        folder.chmod(0o700)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:  # a full disk takes an empty file
            probe.write(bytes(size))
    except OSError:
        return None
    return folder
