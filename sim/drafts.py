"""Draft folders: written under a hidden name and renamed when complete; those of killed writers are removed.

A writer holds a lock on its draft, which the kernel releases when the process dies, for whatever reason. Because a
network file system may not support locks, a draft's name contains the machine that created it.
"""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

REPORT = "report"  # name of the draft of a page; that of a run is its id
DRAFT = re.compile(rf"\.(?:{REPORT}|[0-9a-f]{{12}})-(?:([0-9a-f]{{6}})-)?\w{{8}}")
FILE = re.compile(r"\..+\.\d+\.draft")  # of `sim.files.replace_whole`, which takes some milliseconds
NEW = 2.0  # seconds within which a draft need not be locked yet
OLD = 3600.0  # seconds after which a draft of another machine is taken for abandoned


def machine() -> str:
    """Six characters that identify this machine."""
    return hashlib.blake2b(platform.node().encode(), digest_size=3).hexdigest()


@contextmanager
def draft(folder: Path, name: str) -> Iterator[Path]:
    """A new hidden folder in `folder`, removed afterwards unless it was renamed."""
    made = Path(tempfile.mkdtemp(prefix=f".{name}-{machine()}-", dir=folder))
    handle = os.open(made, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks: nobody can take one to sweep it either
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
        os.close(handle)


def sweep_drafts(folder: Path) -> None:
    """Remove the drafts in `folder` whose writers are gone."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        found = DRAFT.fullmatch(path.name)
        with suppress(OSError):
            if FILE.fullmatch(path.name) and time.time() - path.lstat().st_mtime > OLD:
                path.unlink()
        if found and path.is_dir() and not path.is_symlink():
            with suppress(OSError):  # another process sweeps too, or the file system has no locks
                if time.time() - path.stat().st_mtime > (NEW if found[1] == machine() else OLD):
                    remove(path)


def remove(path: Path) -> None:
    """Remove a draft that no process holds; OSError if one does."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(handle)
