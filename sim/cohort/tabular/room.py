"""Room in memory for the cells of a file: what does not fit is refused, with the arithmetic, while it is read."""

import resource
from pathlib import Path

from sim.checks import Refused

COPIES = 6  # of a file's text that live at once: as read, without blanks, with gaps marked, joined, typed, features
MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")  # limits of a container


def free_bytes() -> float:
    """Bytes that this process may still take: of the machine, its container and its own limit; infinite if unknown."""
    found = [float("inf")]
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines())
        found.append(int(lines["MemAvailable"].split()[0]) * 1024)
    except (OSError, KeyError, ValueError):
        pass  # no such system file: macOS
    try:
        most, used = ((GROUP / f"memory.{name}").read_text().strip() for name in ("max", "current"))
        found.append(int(most) - int(used))
    except (OSError, ValueError):
        pass  # not in a container, or one without a limit
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        found.append(limit)
    return max(min(found), 0.0)


def refuse_too_large(path: Path, rows: int, columns: int, size: float, free: float) -> None:
    """Refuse a file of which so many rows take `size` bytes as text, if its copies do not fit into `free` bytes."""
    if COPIES * size > free:
        raise Refused(
            f"{path}: {rows:,} rows or more of {columns:,} columns are {size / 1e9:.2g} GB of text; with {COPIES} "
            f"copies of it while it is read, {COPIES * size / 1e9:.2g} GB, and {free / 1e9:.2g} GB of memory are free. "
            "Give fewer rows or columns, or take a larger machine."
        )
