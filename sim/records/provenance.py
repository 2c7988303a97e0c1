"""Where a number came from: versions, commit, machine."""

import functools
import hashlib
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGE = Path(__file__).parents[1]
TELLING = ("cli/", "report/", "verify/")  # code that shows numbers and does not make them


@functools.cache
def code() -> str:
    """Fingerprint of the code that makes the numbers; part of every run id."""
    mixed = hashlib.blake2b(digest_size=8)
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(TELLING):
            mixed.update(name.encode() + b"\0" + path.read_bytes())
    return mixed.hexdigest()


@functools.cache
def commit() -> str:
    """Git commit of the code, with "+changes" when files differ from it; "unknown" outside a checkout."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=PACKAGE, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != PACKAGE.parent.resolve():
            return "unknown"
        return git("rev-parse", "--short=12", "HEAD") + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    names = ("fedtrial", "torch", "numpy", "numba", "pandas", "scipy", "ray", "hydra-core")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def machine() -> dict[str, str]:
    """Kind of machine; its name is left out."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "vector": torch.backends.cpu.get_cpu_capability(),
    }


def processor() -> str:
    """Model name of the CPU where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
