"""Time and peak memory of a command, stage by stage: `--profile`.

Code wraps its work in `with stage("training"):`, which costs nothing unless a profile is kept. Stages may be nested;
every second is counted once, in the innermost open stage.
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

PERIOD = 0.2  # seconds between samples of memory; a sample takes some milliseconds
REST = "rest"  # time outside every stage
PROC = Path("/proc")


@dataclass
class Profile:
    """Seconds and peak memory of stages, in the order in which they first began."""

    seconds: dict[str, float] = field(default_factory=dict)
    peak: dict[str, int] = field(default_factory=dict)  # bytes, this process and all its descendants
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
        """Attribute time and memory inside to a stage."""
        self.seconds.setdefault(name, 0.0)
        self.add_time()
        self.stack = [*self.stack, name]  # a new list, since the other thread reads it
        try:
            yield
        finally:
            self.add_time()
            if name not in self.peak:  # too short for a sample by the other thread
                self.sample_memory()
            self.stack = self.stack[:-1]

    def add_time(self) -> None:
        """Add the time since the last call to the innermost open stage."""
        moment = time.perf_counter()
        self.seconds[self.now] = self.seconds.get(self.now, 0.0) + moment - self.since
        self.since = moment

    def sample_memory(self) -> None:
        """Record the memory now in use for the innermost open stage."""
        used = memory(os.getpid())
        if used:
            self.peak[self.now] = max(self.peak.get(self.now, 0), used)

    def watch(self) -> None:
        """Sample memory every PERIOD until the profile is over; body of a thread."""
        while not self.over.wait(PERIOD):
            self.sample_memory()

    def table(self) -> Table:
        """Seconds, share of the total and peak memory, one row per stage; the rest and the total last."""
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
    """Context whose time and memory belong to a stage; does nothing unless this thread keeps a profile."""
    if _active is None or _active.thread != threading.get_ident():
        return nullcontext()
    return _active.stage(name)


@contextmanager
def profiled(wanted: bool, console: Console) -> Iterator[None]:
    """If `wanted`, keep a profile from the start of the process and print it at the end."""
    global _active
    if not wanted:
        yield
        return
    profile = _active = Profile(since=time.perf_counter() - process_age())
    watcher = threading.Thread(target=profile.watch, daemon=True)
    watcher.start()
    try:
        yield
        profile.add_time()
        profile.sample_memory()
    finally:
        _active = None
        profile.over.set()
        watcher.join()
    console.print(profile.table())


def process_age() -> float:
    """Seconds since this process started; 0 on a system without /proc."""
    try:
        ticks = float(fields(PROC / "self" / "stat")[19])  # starttime, field 22 of proc(5)
        return float((PROC / "uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return 0.0


def fields(path: Path) -> list[str]:
    """Fields of a stat file from the state on; the process name before it may hold blanks and brackets."""
    return path.read_text().rpartition(")")[2].split()


def memory(root: int) -> int:
    """Proportional set size of a process and all its descendants, bytes; 0 on a system without /proc."""
    below: dict[int, list[int]] = {}
    for path in PROC.glob("[0-9]*/stat"):
        try:
            below.setdefault(int(fields(path)[1]), []).append(int(path.parent.name))
        except (OSError, ValueError, IndexError):
            continue  # the process has ended meanwhile
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
