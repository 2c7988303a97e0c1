"""The environment of a run: commit, packages, machine. It identifies no person."""

import functools
import hashlib
import os
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import distributions, version
from pathlib import Path

from sim.lazy import torch
from sim.records.provenance import PACKAGE

ROOT = PACKAGE.parent
LOCK = "constraints.txt"  # in a checkout
NUMBERS = ("fedtrial", "torch", "numpy", "numba", "pandas", "scipy", "ray", "hydra-core")  # packages they depend on
READ = 2**20  # bytes up to which the content of an untracked file is hashed; of larger files, the size


def facts() -> dict[str, str | dict[str, str]]:
    """All of it, as run.json has it."""
    return {
        "commit": commit(),
        "changes": changes(),
        "packages": packages(),
        "versions": versions(),
        "machine": machine(),
    }


@functools.cache
def commit() -> str:
    """Git commit of the code, with "+changes" when files differ from it; "unknown" outside a checkout."""
    head = git("rev-parse", "--short=12", "HEAD").decode().strip()
    return head + ("+changes" if changes() else "") if head else "unknown"


@functools.cache
def changes() -> str:
    """Fingerprint of all differences from the commit, including untracked files; "" if there are none."""
    different = git("diff", "HEAD", "--binary")
    names = git("ls-files", "--others", "--exclude-standard", "-z").split(b"\0")[:-1]
    unknown = [ROOT / os.fsdecode(name) for name in names]
    if not different and not unknown:
        return ""
    return fingerprint([different, *map(content, unknown)])


@functools.cache
def in_checkout() -> bool:
    """Whether the code is at the top of a git checkout, and not somewhere inside another one."""
    top = os.fsdecode(said("rev-parse", "--show-toplevel")).strip()
    return bool(top) and Path(top).resolve() == ROOT.resolve()


def git(*words: str) -> bytes:
    """Output of git for the checkout of the code; empty if there is none."""
    return said(*words) if in_checkout() else b""


def said(*words: str) -> bytes:
    """Output of git in the folder of the code; empty if git fails."""
    try:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return b""


def content(path: Path) -> bytes:
    """Name and content of a file; of a large one, its size."""
    size = path.stat().st_size if path.is_file() else 0
    return f"{path.relative_to(ROOT)} {size} ".encode() + (path.read_bytes() if 0 < size <= READ else b"")


@functools.cache
def versions() -> dict[str, str]:
    """Versions of the packages that the numbers depend on."""
    return {"python": platform.python_version(), **{name: version(name) for name in NUMBERS}}


@functools.cache
def packages() -> dict[str, str]:
    """Fingerprints of the lock file, empty outside a checkout, and of all installed packages with their versions."""
    lock = ROOT / LOCK
    installed = {f"{one.name.lower()}=={one.version}" for one in distributions() if one.name}
    return {
        "lock": fingerprint([lock.read_bytes()]) if lock.is_file() else "",
        "installed": fingerprint(name.encode() for name in sorted(installed)),
    }


def fingerprint(parts: Iterable[bytes]) -> str:
    """BLAKE2 of some parts and their limits."""
    found = hashlib.blake2b(digest_size=8)
    for part in parts:
        found.update(len(part).to_bytes(8, "little") + part)
    return found.hexdigest()


def machine() -> dict[str, str]:
    """Kind of machine; its name is left out."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "vector": torch.backends.cpu.get_cpu_capability(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "no accelerator",
    }


def processor() -> str:
    """Model name of the CPU, if the system reports it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
