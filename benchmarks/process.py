"""A process that is measured: started, watched, and ended with all of its descendants."""

import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from marks import VARIABLE

POLL, EVERY, GRACE = 0.1, 2.0, 10.0  # seconds: between looks, between readings of memory, to leave in peace


@dataclass(frozen=True)
class Watched:
    """What was seen of a process that told its rounds through `marks.Marks`."""

    launched: float  # system's monotonic clock, s
    ends: list[float]  # end of each round on the same clock, s
    scores: list[float]  # of each round
    memory: int  # peak bytes of the process and its descendants, shared pages counted once; 0 where unknown
    failure: str  # why it stopped early; "" = it did not

    def seconds(self, warm: int) -> list[float]:
        """Rounds after the first `warm` ones, s each; the first round has no known beginning and is always warm."""
        gaps = [high - low for low, high in zip(self.ends, self.ends[1:], strict=False)]
        return gaps[max(warm, 1) - 1 :]

    def start_up(self, warm: int) -> float:
        """From launch to the end of the first round, less one measured round, s."""
        return max(0.0, self.ends[0] - self.launched - statistics.median(self.seconds(warm)))


def watch(command: Sequence[str], env: Mapping[str, str], rounds: int, timeout: float, log: Path) -> Watched:
    """Run a command until it ends or its time is over; what it prints goes to `log`."""
    with tempfile.TemporaryDirectory(prefix="marks-") as folder, log.open("w") as out:
        marks = Path(folder) / "marks"
        marks.touch()
        own = {**env, VARIABLE: str(marks)}
        launched = time.monotonic()
        child = subprocess.Popen(command, env=own, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        family: dict[int, int] = {}
        try:
            memory = look(child, family, marks, rounds, launched + timeout)
            late = child.poll() is None
        finally:
            end(child, family | tree(child.pid))
        told = [line.split() for line in marks.read_text().splitlines()]
    failure = ""
    if late:
        failure = f"stopped after {timeout:g} s"
    elif child.returncode or len(told) < rounds:
        failure = last_words(log) or f"exit status {child.returncode} after {len(told)} of {rounds} rounds"
    return Watched(launched, [float(at) for at, _ in told], [float(score) for _, score in told], memory, failure)


def look(child: "subprocess.Popen[bytes]", family: dict[int, int], marks: Path, rounds: int, until: float) -> int:
    """Watch a process to its end or to a time; fills `family` and gives its peak memory, bytes.

    Memory is read every two seconds, and once more after the last round, before the process lets go of it.
    """
    peak, looked, seen = 0, 0.0, marks.with_name(marks.name + ".seen")
    while child.poll() is None and time.monotonic() < until:
        done = not seen.exists() and len(marks.read_bytes().splitlines()) >= rounds
        if done or time.monotonic() > looked + EVERY:
            family |= tree(child.pid)
            peak, looked = max(peak, sum(map(proportional, family))), time.monotonic()
        if done:
            seen.touch()
        time.sleep(POLL)
    return peak


def tree(pid: int) -> dict[int, int]:
    """A process and its descendants, each with the tick it began at; only itself where /proc does not tell."""
    found, ask = {}, [pid]
    while ask:
        here = ask.pop()
        found[here] = began(here)
        with suppress(OSError):
            for thread in Path(f"/proc/{here}/task").iterdir():
                ask += [int(word) for word in (thread / "children").read_text().split()]
    return found


def began(pid: int) -> int:
    """Clock tick at which a process began, which tells it from a later one with the same number; -1 = ended."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return -1
    return -1 if words[0] == "Z" else int(words[19])


def proportional(pid: int) -> int:
    """Bytes of a process, a page shared by n processes counted 1/n; 0 where the system does not tell."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    return 0


def end(child: "subprocess.Popen[bytes]", family: Mapping[int, int]) -> None:
    """End a child and whatever it started and left behind, by number; those that end by themselves have time to."""
    left = dict(family)
    for way in (None, signal.SIGTERM, signal.SIGKILL):
        if way is not None:
            if child.poll() is None:
                child.send_signal(way)
            for pid in left:
                if pid != child.pid:
                    with suppress(ProcessLookupError):
                        os.kill(pid, way)
        until = time.monotonic() + (0.0 if way is None and child.poll() is None else GRACE)
        while True:
            left = {pid: tick for pid, tick in left.items() if pid != child.pid and 0 <= tick == began(pid)}
            if not left and child.poll() is not None:
                return
            if time.monotonic() >= until:
                break
            time.sleep(POLL)


def last_words(log: Path, longest: int = 200) -> str:
    """The last line of a log that says something."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    said = [line for line in lines if "Error" in line] or lines
    return said[-1][:longest] if said else ""
