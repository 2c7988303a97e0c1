"""Unfinished runs in `<run id>.unfinished`: their owner, their progress, and why they failed.

One process at a time owns such a folder. It holds a lock, which the kernel releases when the process dies, for whatever
reason. Because a network file system may not support locks, the modification time of a file also shows that the owner
is alive.
"""

import fcntl
import json
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

from sim.checks import Refused
from sim.drafts import machine, sweep_drafts
from sim.files import make_folder
from sim.records.store import finished
from sim.scratch import abandoned

CHANGED = "its files changed after it was written; it is computed anew"
STATUS, TRACEBACK, LOCK = "status.json", "traceback.txt", "lock"
BEAT, DEAD = (
    10.0,
    60.0,
)  # seconds between signs of life, and without one after which an owner elsewhere is taken for dead
SELDOM = 1.0  # seconds between two reports of progress
TRIES, PAUSE = 4, 0.02  # at a lock, which somebody who asks for a status holds for a moment; seconds between two
SETTLE = 0.2  # seconds in which two that claim at once, where there are no locks, see each other


class State(Enum):
    """State of a run; one that was killed or interrupted is pending again."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    DIVERGED = "diverged"


@dataclass(frozen=True)
class Status:
    """What is known about a run."""

    state: State = State.PENDING
    owner: str = ""  # machine (a fingerprint), process and a word of its own of the last that worked on it
    started: str = ""  # ISO time of the last attempt
    heartbeat: float = 0.0  # seconds since 1970 of the last sign of life
    round: int = 0  # the last that was reported
    rounds: int = 0  # of a whole run
    attempt: int = 0  # how many times it was begun
    why: str = ""  # it failed or diverged


def working_folder(folder: Path, run: str) -> Path:
    """The working folder of a run until it is written to `folder/<run>`."""
    return folder / f"{run}.unfinished"


@contextmanager
def claim(folder: Path, run: str) -> Iterator[Path | None]:
    """Claim the working folder of a run, creating it if necessary; None while a living process owns it.

    The caller must then check whether the run is finished, because the last owner may have written it meanwhile. Raises
    Refused if the disk does not allow it.
    """
    home = working_folder(make_folder(folder), run)
    try:
        lock, alone = locked(home)
        mine = None if lock is None else took_over(home, alone)
    except OSError as error:
        raise Refused(f"{home}: cannot be written to ({error.strerror}); free space or set results.dir.") from error
    try:
        if lock is None or mine is None:
            yield None
        else:
            try:
                with signs_of_life(lock):
                    yield home
            finally:
                let_go(home, mine)
    finally:
        if lock is not None:
            os.close(lock)


def locked(home: Path) -> tuple[int | None, bool]:
    """Handle of the folder's lock and whether locks work; None while another process holds it.

    A file system without locks gives every process a handle.
    """
    for tried in range(TRIES):
        time.sleep(PAUSE * bool(tried))
        try:
            home.mkdir(exist_ok=True)
            handle = os.open(home / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except (FileExistsError, FileNotFoundError):  # its owner has just removed it: there for the one call only
            if home.is_file():
                raise
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        except OSError:
            return handle, False
        if same(handle, home / LOCK):
            return handle, True
        os.close(handle)  # the lock of a folder that is gone
    return None, False


def same(handle: int, path: Path) -> bool:
    """Whether the open file is still the one with this name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def took_over(home: Path, alone: bool) -> Status | None:
    """The status of this process as the new owner; None if a living process owns the folder without a lock."""
    last = told(home)
    hidden = not alone or last.owner.split(":")[0] != machine()
    if last.state is State.RUNNING and hidden and alive(home):
        return None
    mine = Status(
        state=State.RUNNING,
        owner=f"{machine()}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        round=last.round,
        rounds=last.rounds,
        attempt=last.attempt + 1,
    )
    os.utime(home / LOCK)
    put(home, mine)
    (home / TRACEBACK).unlink(missing_ok=True)
    if not alone:
        time.sleep(SETTLE)
    return mine if told(home).owner == mine.owner else None


def let_go(home: Path, mine: Status) -> None:
    """Record that no process works on the run any more, unless it failed or its folder was removed."""
    left = told(home)
    if left.owner == mine.owner and left.state is State.RUNNING:
        with suppress(OSError):
            put(home, replace(left, state=State.PENDING))


@contextmanager
def signs_of_life(lock: int) -> Iterator[None]:
    """Context that keeps the lock's modification time recent."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT):
            with suppress(OSError):
                os.utime(lock)

    beating = threading.Thread(target=beat, daemon=True)
    beating.start()
    try:
        yield
    finally:
        over.set()
        beating.join()


def alive(home: Path) -> bool:
    """Whether there was a recent sign of life; the clocks of two machines may differ in either direction."""
    try:
        return abs(time.time() - (home / LOCK).stat().st_mtime) < DEAD
    except OSError:
        return False


def told(home: Path) -> Status:
    """Content of status.json; an empty status if it cannot be read."""
    try:
        read = json.loads((home / STATUS).read_text())
        return Status(**{**read, "state": State(read["state"])})
    except (OSError, ValueError, TypeError, KeyError):
        return Status()


def put(home: Path, status: Status) -> None:
    """Write status.json, completely or not at all. It is only a report, so it is not flushed to disk."""
    draft = home / f".{STATUS}"
    try:
        draft.write_text(json.dumps(asdict(status) | {"state": status.state.value}, sort_keys=True) + "\n")
        draft.replace(home / STATUS)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def report_progress(home: Path, round: int, rounds: int) -> None:
    """Record the progress of the run; at most once a second, and not on a full disk."""
    with suppress(OSError):
        if abs(time.time() - (home / STATUS).stat().st_mtime) >= SELDOM:
            put(home, replace(told(home), round=round, rounds=rounds))


def report_failure(home: Path, why: str, traceback: str) -> None:
    """Record a run as failed, with the reason and the traceback; on a full disk it remains pending."""
    with suppress(OSError):
        if traceback:
            (home / TRACEBACK).write_text(traceback, encoding="utf-8")
        put(home, replace(told(home), state=State.FAILED, why=why))


def status(folder: Path, run: str) -> Status:
    """The status of a run, finished or not."""
    home = working_folder(folder, run)
    if finished(folder / run):
        ended = json.loads((folder / run / "run.json").read_text())["status"]
        return Status(State.DONE) if ended == "done" else Status(State.DIVERGED, why=ended)
    last = told(home)
    with suppress(OSError):
        last = replace(last, heartbeat=(home / LOCK).stat().st_mtime)
    if last.state is State.RUNNING and not held(home, last):
        last = replace(last, state=State.PENDING)
    broken = last.state is State.PENDING and (folder / run).is_dir()
    return replace(last, why=CHANGED) if broken else last


def held(home: Path, last: Status) -> bool:
    """Whether the last owner of a folder is alive."""
    with suppress(OSError):
        if last.owner.split(":")[0] == machine():
            return not abandoned(home / LOCK)
    return alive(home)


def clear(home: Path) -> None:
    """Remove a working folder; its name is free at once, and what a kill leaves of it is later removed as a draft."""
    aside = home.with_name(f".{home.stem}-{machine()}-{uuid.uuid4().hex[:8]}")
    with suppress(OSError):
        home.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)


def sweep_killed(folder: Path) -> None:
    """Remove what killed processes left in a folder of runs: drafts, and working folders of finished runs."""
    sweep_drafts(folder)
    for home in folder.glob("*.unfinished"):
        if finished(folder / home.stem):
            with claim(folder, home.stem) as mine:
                if mine is not None:
                    clear(mine)
