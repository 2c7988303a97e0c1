"""SIGINT and SIGTERM: a run ends with a checkpoint and in words, and the same command goes on from there."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import pytest

from sim.run.signals import Stopped, finishing, stoppable
from tests.toy import ROOT

LONG = ["cohort.patients=300", "cohort.sites=3", "rounds=400000", "evaluation.every=1000"]
LARGE = ["cohort.patients=2000000"]  # takes some seconds to make
LATE = """
import signal, sys

class Late:
    def find_spec(self, name, *rest):
        if name == "typer":
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Late())
"""
WAIT = 120.0  # seconds, at most


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    """`fedtrial run`."""
    command = [sys.executable, "-m", "sim", "run", *words, f"results.dir={folder}"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait(until: Callable[[], bool], child: subprocess.Popen[str]) -> None:
    """Wait until something is there, as long as the child lives."""
    end = time.monotonic() + WAIT
    while not until():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


def rounds_told(folder: Path) -> int:
    """The round that was last reported of the only run."""
    told = [json.loads(path.read_text())["round"] for path in folder.glob("*.unfinished/status.json")]
    return max(told, default=0)


def ended(folder: Path, number: int, *words: str) -> tuple[int, str]:
    """Exit code and standard error of a run that gets a signal in its rounds."""
    before = rounds_told(folder)
    with started(folder, *LONG, *words) as child:
        try:
            wait(lambda: rounds_told(folder) > before, child)
            child.send_signal(number)
            _, told = child.communicate(timeout=WAIT)
        finally:
            child.kill()
    return child.returncode, told


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_with_a_checkpoint_and_what_to_type_next(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    found, told = ended(tmp_path, number)
    assert found == code, told
    assert "Traceback" not in told
    (after,) = re.findall(r"checkpoint after round (\d+) of 400000", told)
    assert told.rstrip().endswith(f"fedtrial run {' '.join(LONG)} results.dir={tmp_path}")
    found, told = ended(tmp_path, number)  # the same command
    assert f"goes on after round {after}." in told
    assert int(re.findall(r"checkpoint after round (\d+) of", told)[0]) > int(after)


@pytest.mark.ray
def test_a_signal_ends_a_run_on_ray_in_words(tmp_path: Path) -> None:
    found, told = ended(tmp_path, signal.SIGTERM, "executor=ray")
    assert found == 143, told
    assert "Traceback" not in told
    assert "***" not in told  # as the stack dumps of Ray's own handler begin
    assert "has a checkpoint after round" in told


def test_a_signal_before_the_rounds_ends_in_words(tmp_path: Path) -> None:
    with started(tmp_path, *LARGE) as child:
        try:
            time.sleep(3)
            child.send_signal(signal.SIGTERM)
            _, told = child.communicate(timeout=WAIT)
        finally:
            child.kill()
    assert child.returncode in (143, -signal.SIGTERM), told  # the latter while Python itself starts
    assert told in ("Stopped by SIGTERM.\n", "")


def test_the_first_signal_is_noted_and_the_second_ends_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def work() -> None:
        with finishing() as asked:
            os.kill(os.getpid(), signal.SIGTERM)
            assert asked.number == signal.SIGTERM
            assert "once more ends at once" in capfd.readouterr().err
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped) as stopped:
        work()
    assert stopped.value.code == 130
    assert signal.getsignal(signal.SIGTERM) is before


def test_elsewhere_a_signal_ends_at_once() -> None:
    with pytest.raises(Stopped) as stopped, stoppable():
        os.kill(os.getpid(), signal.SIGTERM)
    assert stopped.value.code == 143
    assert not isinstance(stopped.value, Exception)


@pytest.mark.parametrize("block", [finishing, stoppable])
def test_a_signal_that_python_drops_ends_the_next_block(block: Callable[[], AbstractContextManager[object]]) -> None:
    """An exception in the callback of a weak reference, where an import often is, ends nothing."""

    def work() -> None:
        with stoppable():
            with suppress(KeyboardInterrupt):  # as Python does there
                signal.raise_signal(signal.SIGINT)
            with block():
                pytest.fail("it went on")

    with pytest.raises(Stopped, match="SIGINT"):
        work()
    with block():
        pass


@pytest.mark.parametrize("command", ["sim", "fedtrial"])
def test_a_signal_while_modules_load_leaves_no_traceback(command: str, tmp_path: Path) -> None:
    late = tmp_path / "sitecustomize.py"  # stands for a module that loads slowly: the first that the command needs
    late.write_text(LATE)
    paths = os.pathsep.join([str(tmp_path), str(ROOT)])
    child = subprocess.run(
        [sys.executable, "-m", command, "--version"], capture_output=True, env=os.environ | {"PYTHONPATH": paths}
    )
    assert child.returncode == -signal.SIGINT
    assert child.stderr == b""
