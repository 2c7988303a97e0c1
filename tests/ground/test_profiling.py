"""Profiles: every second counted once, memory of the whole process tree, nothing when nobody asks."""

import io
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from rich.console import Console

from sim import profiling
from sim.profiling import Profile, memory, process_age, profiled, stage


def told(wanted: bool) -> str:
    out = io.StringIO()
    with profiled(wanted, Console(file=out, width=120)), stage("outer"):
        time.sleep(0.05)
        for _ in range(2):
            with stage("inner"):
                time.sleep(0.05)
    return out.getvalue()


def test_off_is_nothing_at_all() -> None:
    assert isinstance(stage("training"), nullcontext)
    assert told(False) == ""
    assert isinstance(stage("training"), nullcontext)


def test_a_second_is_counted_once() -> None:
    profile = Profile()
    with profile.stage("outer"):
        time.sleep(0.1)
        for _ in range(2):
            with profile.stage("inner"):
                time.sleep(0.1)
        time.sleep(0.1)
    assert list(profile.seconds) == ["outer", "rest", "inner"]
    # sleeps are never short, and on a busy machine up to some hundredths long
    assert 0.2 <= profile.seconds["outer"] < 0.4
    assert 0.2 <= profile.seconds["inner"] < 0.4
    assert profile.seconds["rest"] < 0.05


def test_an_error_closes_the_stage() -> None:
    profile = Profile()
    with pytest.raises(KeyError), profile.stage("outer"), profile.stage("inner"):
        raise KeyError("x")
    assert profile.now == "rest"


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="no /proc")
def test_memory_counts_the_processes_below() -> None:
    import os

    before = memory(os.getpid())
    words = "x = bytearray(b'1') * (200 << 20); print('up', flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    grown = memory(os.getpid()) - before
    child.communicate(b"\n")
    assert 180 << 20 <= grown < 300 << 20  # less what the kernel takes back from this process meanwhile
    assert before > 10 << 20


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc")
def test_the_start_of_the_process_counts() -> None:
    assert process_age() > 0.1


def test_the_table_names_stages_shares_and_memory() -> None:
    text = told(True)
    for word in ("stage", "seconds", "share", "peak memory", "outer", "inner", "rest", "100%"):
        assert word in text
    assert text.index("outer") < text.index("inner") < text.index("rest")


def test_a_system_without_proc_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(profiling, "PROC", tmp_path)
    text = told(True)
    assert "not known" in text
    assert "–" in text
    assert process_age() == 0.0
