"""Where machine code is kept, and by what it is known."""

import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import pytest

from sim import jit
from sim.local.shuffle import each

PROGRAM = "from sim.jit import kept, numba; print(kept(), numba.config.CACHE_DIR)"


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
    assert jit.kept() is bool(numba.config.CACHE_DIR)
    assert Path(numba.config.CACHE_DIR).name == jit.key()


@jit.exact
def successor(number: int) -> int:
    return number + 1


@jit.exact
def twice_removed(number: int) -> int:
    return successor(successor(number))


def test_a_loop_calls_another_and_is_compiled_once_whoever_asks_first() -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(twice_removed, range(8))) == list(range(2, 10))
    assert len(twice_removed.dispatcher.signatures) == 1
    # Machine code that was kept from an earlier run has no need of the inner loop.
    assert successor.dispatcher is None or len(successor.dispatcher.signatures) == 1


def test_a_loop_travels_by_its_name() -> None:
    assert pickle.loads(pickle.dumps(each)) is each
