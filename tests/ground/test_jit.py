"""Where machine code is kept, and by what it is known."""

import os
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from sim import jit

PROGRAM = "from sim.jit import KEPT, numba; print(KEPT, numba.config.CACHE_DIR)"


def chosen(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=100)


def test_the_users_own_folder_is_keyed_by_the_sources_too(tmp_path: Path) -> None:
    told = chosen(NUMBA_CACHE_DIR=str(tmp_path)).stdout
    assert told == f"True {tmp_path}/fedtrial-{os.getuid()}/{jit.key()}\n"


def test_the_key_follows_every_source_that_is_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A loop that only a *called* function holds: numba itself would take the old code."""
    monkeypatch.setattr(jit, "__file__", str(tmp_path / "jit.py"))
    (tmp_path / "local").mkdir()
    source = tmp_path / "local" / "passes.py"
    keys = []
    for text in ("from sim.jit import fast\nx = 1\n", "from sim.jit import fast\nx = 2\n"):
        source.write_text(text)
        keys.append(jit.key())
    (tmp_path / "other.py").write_text("nothing is compiled here\n")
    assert keys[0] != keys[1] == jit.key()
    monkeypatch.setenv("NUMBA_OPT", "0")
    assert jit.key() != keys[1]


def test_a_cache_that_cannot_be_written_is_looked_for_elsewhere(tmp_path: Path) -> None:
    told = chosen(NUMBA_CACHE_DIR="/proc/x", XDG_CACHE_HOME="/proc/y", TMPDIR=str(tmp_path)).stdout
    assert told.startswith(f"True {tmp_path}/fedtrial-")


def test_without_any_place_loops_are_compiled_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jit, "private", lambda parent, size: None)
    assert jit.cache() == ""


def test_a_switched_off_compiler_is_refused_in_words() -> None:
    told = chosen(NUMBA_DISABLE_JIT="1")
    assert told.returncode != 0
    assert "NUMBA_DISABLE_JIT is set" in told.stderr
    command = [sys.executable, "-m", "sim", "run", "rounds=1"]
    told = subprocess.run(
        command, env=os.environ | {"NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True, timeout=100
    )
    assert told.returncode == 2
    assert told.stderr.startswith("Refused: NUMBA_DISABLE_JIT is set")


def test_machine_code_is_where_numba_looks() -> None:
    assert Path(numba.config.CACHE_DIR).name == jit.key()
