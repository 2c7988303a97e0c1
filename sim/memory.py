"""Available memory of the machine, its container and this process, for refusals."""

import os
import resource
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")  # limits of a container
CGROUPS = (GROUP / "memory.max", GROUP / "memory/memory.limit_in_bytes")


def machine_bytes() -> int:
    """Memory of this machine, or of the container if that has less."""
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in CGROUPS:
        try:
            sizes.append(int(path.read_text()))
        except (OSError, ValueError):  # no container, or one without a limit: "max"
            continue
    return min(sizes)


def free_bytes() -> float:
    """Bytes that this process may still use (limits of machine, container and process); infinite if unknown."""
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
