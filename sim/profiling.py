"""Where a command's time and memory went, stage by stage: `--profile`.

Code says `with stage("training"):` around what it does; that costs nothing unless a profile is being kept. A second
is counted once: an inner stage's seconds are not the outer one's.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from rich import filesize
from rich.console import Console
from rich.table import Column, Table

PERIOD = 0.2  # seconds between looks at memory; a look takes some milliseconds
REST = "rest"  # what no stage claims
PROC = Path("/proc")


@dataclass
class Profile:
    """Seconds and peak memory of stages, in the order in which they were first met."""

    seconds: dict[str, float] = field(default_factory=dict)
    peak: dict[str, int] = field(default_factory=dict)  # bytes, this process and all below it
    stack: list[str] = field(default_factory=list)
    since: float = field(default_factory=time.perf_counter)
    thread: int = field(default_factory=threading.get_ident)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def now(self) -> str:
        """The innermost stage that is open."""
        return (self.stack or [REST])[-1]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Charge what happens inside to a stage."""
        self.seconds.setdefault(name, 0.0)
        self.charge()
        self.stack = [*self.stack, name]  # a new list, since the other thread reads it
        try:
            yield
        finally:
            self.charge()
            if name not in self.peak:  # too short for the other thread to have looked
                self.look()
            self.stack = self.stack[:-1]

    def charge(self) -> None:
        """Add the time since the last change to the stage that is open."""
        moment = time.perf_counter()
        self.seconds[self.now] = self.seconds.get(self.now, 0.0) + moment - self.since
        self.since = moment

    def look(self) -> None:
        """Note the memory in use against the stage that is open."""
        used = memory(os.getpid())
        if used:
            self.peak[self.now] = max(self.peak.get(self.now, 0), used)

    def watch(self) -> None:
        """Look until the profile is over; body of a thread."""
        while not self.over.wait(PERIOD):
            self.look()

    def table(self) -> Table:
        """Stage, seconds, share of the whole and peak memory; the rest and the whole last."""
        whole = sum(self.seconds.values())
        known = bool(self.peak)
        made = Table(
            "stage", *(Column(name, justify="right") for name in ("seconds", "share", "peak memory")), title="Profile"
        )
        made.caption = "memory: this process and all below it, shared pages counted once (PSS)"
        if not known:
            made.caption = f"memory: not known, for this system has no {PROC}/PID/smaps_rollup"
        for name in sorted(self.seconds, key=lambda name: name == REST):
            used = filesize.decimal(self.peak[name]) if name in self.peak else "–"
            made.add_row(name, f"{self.seconds[name]:.2f}", f"{self.seconds[name] / whole:.0%}", used)
        made.add_section()
        made.add_row("all", f"{whole:.2f}", "100%", filesize.decimal(max(self.peak.values())) if known else "–")
        return made


_active: Profile | None = None


def stage(name: str) -> AbstractContextManager[None]:
    """Context whose time and memory are a stage's; does nothing unless the thread that runs it keeps a profile."""
    if _active is None or _active.thread != threading.get_ident():
        return nullcontext()
    return _active.stage(name)


@contextmanager
def profiled(wanted: bool, console: Console) -> Iterator[None]:
    """Keep a profile, from the start of the process on, and print it at the end; nothing unless wanted."""
    global _active
    if not wanted:
        yield
        return
    profile = _active = Profile(since=time.perf_counter() - process_age())
    watcher = threading.Thread(target=profile.watch, daemon=True)
    watcher.start()
    try:
        yield
        profile.charge()
        profile.look()
    finally:
        _active = None
        profile.over.set()
        watcher.join()
    console.print(profile.table())


def process_age() -> float:
    """Seconds since this process started; 0 where the system does not tell."""
    try:
        ticks = float(fields(PROC / "self" / "stat")[19])  # starttime, field 22 of proc(5)
        return float((PROC / "uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def fields(path: Path) -> list[str]:
    """Fields of a stat file from the state on; the name before it may hold blanks and brackets."""
    return path.read_text().rpartition(")")[2].split()


def memory(root: int) -> int:
    """Proportional set size of a process and all its descendants, bytes; 0 where the system does not tell."""
    below: dict[int, list[int]] = {}
    for path in PROC.glob("[0-9]*/stat"):
        try:
            below.setdefault(int(fields(path)[1]), []).append(int(path.parent.name))
        except (OSError, ValueError, IndexError):
            continue  # it ended while we looked
    total, waiting = 0, [root]
    while waiting:
        process = waiting.pop()
        waiting += below.get(process, [])
        try:
            lines = (PROC / str(process) / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024
