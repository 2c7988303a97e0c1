"""Virtual environments of the peers: made once, by pip, with this project's torch and numpy."""

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

MINUTES = 30
TELL = """
import json, platform, sys
from importlib import import_module
from importlib.metadata import version
import torch
told = {name: version(name) for name in sys.argv[1:] if import_module(name)}
print(json.dumps({"python": platform.python_version(), **told, "cuda": torch.version.cuda}))
"""


class SetUpFailed(RuntimeError):
    """An environment could not be made."""


def pins() -> dict[str, str]:
    """The versions that every peer shares with fedtrial; on Linux torch's build without CUDA, or none."""
    torch = version("torch").split("+")[0]
    return {"torch": f"{torch}+cpu" if sys.platform == "linux" else torch, "numpy": version("numpy")}


def environment(cache: Path, requirement: str) -> tuple[Path, dict[str, str]]:
    """Interpreter of the environment that holds a requirement, and its versions. Raises SetUpFailed.

    `requirement` is exact ("pfl[pytorch]==0.6.0"): it names the folder, so another version is another environment.
    """
    shared = pins()
    words = [requirement, *map("".join, shared.items()), f"py{sys.version_info.major}.{sys.version_info.minor}"]
    folder = cache / re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(words))
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    ready = folder / "ready.json"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        call([sys.executable, "-m", "venv", str(folder)])
        limits = folder / "constraints.txt"
        limits.write_text("".join(f"{name}=={number}\n" for name, number in shared.items()))
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-c", str(limits)]
        call([*install, *shared], "configure pip for PyTorch's index of CPU builds")
        call([*install, requirement])
        names = [re.split(r"[\[=]", requirement)[0], *shared] + (["ray"] if "simulation" in requirement else [])
        told = json.loads(call([str(python), "-c", TELL, *names]))
        if told.pop("cuda") is not None:
            shutil.rmtree(folder)
            raise SetUpFailed(f"pip brought a CUDA build of torch {told['torch']}")
        ready.write_text(json.dumps(told))
    return python, json.loads(ready.read_text())


def call(command: list[str], remedy: str = "") -> str:
    """What a command prints, or SetUpFailed with its last line."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60 * MINUTES)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SetUpFailed(str(error)) from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")]  # pip's first says what, its last where to read
        said = (errors or lines[-1:] or [f"exit status {done.returncode}"])[0][:200]
        raise SetUpFailed(f"{said}; {remedy}" if remedy else said)
    return done.stdout
