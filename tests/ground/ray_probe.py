"""Opens a Ray session and prints, as JSON, what it listens on and where its workers look; run as a script."""

import json
import os
import sys
from pathlib import Path


def family(root: int) -> set[int]:
    """A process and all that descend from it."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
        except OSError:  # ended meanwhile
            continue
    found = {root}
    while more := {one for one, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def listening(processes: set[int]) -> dict[str, list[str]]:
    """Addresses, as the kernel writes them, on which processes listen, by the name of the program."""
    sockets: dict[str, str] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == "0A":
                sockets[f"socket:[{inode}]"] = local.split(":")[0]
    found: dict[str, list[str]] = {}
    for process in processes:
        try:
            name = Path(f"/proc/{process}/comm").read_text().strip()
            links = [os.readlink(link) for link in Path(f"/proc/{process}/fd").iterdir()]
        except OSError:
            continue
        addresses = [sockets[link] for link in links if link in sockets]
        found.setdefault(name, []).extend(addresses)
    return found


def main() -> None:
    from sim.processes import ray_session

    with ray_session(1):
        import ray
        from ray._private import ray_constants

        @ray.remote(num_cpus=1)
        def seen() -> tuple[list[str], str]:
            return sys.path, os.getcwd()

        path, folder = ray.get(seen.remote())
        found = {
            "listening": listening(family(os.getpid())),
            "path": path,
            "folder": folder,
            "uv": ray_constants.RAY_ENABLE_UV_RUN_RUNTIME_ENV,
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
