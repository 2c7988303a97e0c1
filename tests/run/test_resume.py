"""A run that was killed ends with the same bits: every family of methods, at every write, at random moments."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sim.checks import Refused
from sim.config.compose import experiment
from sim.config.experiment import Experiment
from sim.engine.executors import OnRay
from sim.records import tensors
from sim.records.store import write
from sim.records.unfinished import TRACEBACK, State, status, working_folder
from sim.run.keep import keep
from sim.run.run import rehearse, run_id
from tests.killed_runs import content
from tests.toy import ROOT, SMALL

OFTEN = ["results.checkpoint_rounds=1", "results.checkpoint_seconds=0"]
CHOICE = ["system=powerofchoice", "system.sites=2", "system.candidates=4", "system.spread=1"]
RESUMED = {
    "fedavg": [],
    "scaffold, top entries with feedback": ["algorithm=scaffold", "uplink=[topk]", "uplink.topk.ratio=0.2"],
    "ditto": ["personal=ditto", "system.sites=4"],
    "fedper": ["personal=fedper", "net=mlp", "net.hidden=[4]"],
    "buffered": ["system=buffered", "system.spread=1", "system.dropout=0.2"],
    "power of choice": CHOICE,
    "adam at the sites": ["local.optimizer=adam", "local.state=keep"],
    "adam at the server": ["server=adam", "evaluation.every=2"],
    "median": ["aggregator=median", "attack=signflip"],
    "centred clipping": ["aggregator=centredclip", "attack=signflip"],
    "adaptive clipping, krum": ["uplink=[adaptiveclip]", "aggregator=krum", "attack=signflip"],
    "early stopping": ["evaluation.stop=2", "server=yogi"],
    "fine tuning": ["personal=finetune", "evaluation.stop=2"],
    "predictions": ["evaluation.predictions=last"],
    "ifca, power of choice": ["algorithm=ifca", *CHOICE],
    "ifca, early stopping": ["algorithm=ifca", "evaluation.stop=2"],
    "cfl": ["algorithm=cfl", "algorithm.eps1=100", "algorithm.eps2=0"],
    "fedem": ["algorithm=fedem", *CHOICE],
    "gossip": ["algorithm=gossip", "system.sites=4", "local.optimizer=adam", "local.state=keep"],
    "one-shot": ["algorithm=oneshot"],
    "each site alone": ["algorithm=local"],
}
AGAIN = {"newton": ["algorithm=newton"], "trees": ["algorithm=histboost"]}


class Killed(BaseException):
    """Stands for the end of the process."""


def asked(*words: str) -> Experiment:
    return experiment([*SMALL, "rounds=6", *OFTEN, *words])


def killed(wanted: Experiment, folder: Path, calls: int) -> Path:
    """The working folder that a run leaves which ends when it tells of its progress for so many times."""
    left = calls

    def watch(number: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    with pytest.raises(Killed):
        keep(wanted, folder, watch)
    return working_folder(folder, run_id(wanted))


@pytest.mark.parametrize("case", [*RESUMED, *AGAIN])
def test_a_killed_run_ends_with_the_same_bits(case: str, tmp_path: Path) -> None:
    wanted = asked(*(RESUMED | AGAIN)[case])
    whole = content(write(rehearse(wanted), tmp_path / "whole"))
    left = killed(wanted, tmp_path, 5)
    assert any(left.glob("checkpoint-*")) == (case in RESUMED)
    seen: list[int] = []
    assert content(keep(wanted, tmp_path, seen.append)) == whole
    assert (seen[0] > 0) == (case in RESUMED)
    assert not left.exists()


def test_a_run_goes_on_again_and_again(tmp_path: Path) -> None:
    """Also where every attempt ends after a round or two, with a checkpoint of the one before."""
    wanted = asked("algorithm=scaffold")
    whole = content(write(rehearse(wanted), tmp_path / "whole"))
    for calls in (3, 2, 3, 2):
        left = killed(wanted, tmp_path, calls)
    assert json.loads((left / "status.json").read_text())["attempt"] == 4
    assert content(keep(wanted, tmp_path)) == whole


@pytest.mark.parametrize("how", ["flipped", "cut"])
@pytest.mark.parametrize(("kind", "after"), [("checkpoint", 2), ("records", 2), ("all", 0)])
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(
    kind: str, after: int, how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = asked("personal=ditto")
    whole = content(write(rehearse(wanted), tmp_path / "whole"))
    left = killed(wanted, tmp_path, 5)
    for path in sorted(left.glob("*.safetensors")) if kind == "all" else sorted(left.glob(f"{kind}-*"))[-1:]:
        content_before = path.read_bytes()
        path.write_bytes(content_before[:-1] if how == "cut" else content_before[:-1] + bytes([content_before[-1] ^ 4]))
    assert content(keep(wanted, tmp_path)) == whole
    told = capsys.readouterr().err
    assert "changed or cut short" in told
    assert "broken-1" in told
    assert (re.findall(r"goes on after round (\d)", told) or ["0"]) == [str(after)]


def test_without_the_state_of_the_sites_the_bits_would_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests above would see a checkpoint that forgot it."""
    wanted = asked("algorithm=scaffold", "system.sites=3")
    whole = content(write(rehearse(wanted), tmp_path / "whole"))
    killed(wanted, tmp_path, 5)
    monkeypatch.setattr("sim.engine.site_state.SiteState.restore", lambda *_: None)
    assert content(keep(wanted, tmp_path)) != whole


def test_a_full_disk_ends_the_run_in_words_and_what_is_there_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = asked()
    whole = content(write(rehearse(wanted), tmp_path / "whole"))
    times, sync = 0, os.fsync

    def full(handle: int) -> None:
        nonlocal times
        times += 1
        if times > 7:  # three of every checkpoint: records, state, folder
            raise OSError(28, os.strerror(28))
        sync(handle)

    with monkeypatch.context() as disk:
        disk.setattr(tensors.os, "fsync", full)
        with pytest.raises(Refused, match="after round 3 could not be written .No space left.*after round 2 of 6"):
            keep(wanted, tmp_path)
    told = status(tmp_path, run_id(wanted))
    assert told.state is State.FAILED
    assert "No space left" in told.why
    assert "Refused" in (working_folder(tmp_path, run_id(wanted)) / TRACEBACK).read_text()
    seen: list[int] = []
    assert content(keep(wanted, tmp_path, seen.append)) == whole
    assert seen[0] == 3


def test_a_short_run_writes_no_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a checkpoint was written")

    monkeypatch.setattr("sim.run.checkpointing.write", never)
    keep(experiment(SMALL), tmp_path)
    keep(asked("results.checkpoint_rounds=0", "seed=3"), tmp_path)


def test_by_the_clock_checkpoints_take_a_small_part_of_the_time() -> None:
    from sim.run.checkpointing import SHARE, Attempt, Work

    work = Work(Path("home"), "run", 100, experiment(["results.checkpoint_seconds=0.001"]).results)
    slow = Attempt(work, "", cost=10.0)
    slow.last -= 10.0 / SHARE - 1
    assert not slow.due(50)
    slow.last -= 2
    assert slow.due(50)


@pytest.mark.ray
def test_a_run_goes_on_with_another_executor(ray_here: None, tmp_path: Path) -> None:
    wanted = asked("algorithm=scaffold", "uplink=[topk]", "uplink.topk.ratio=0.2", *CHOICE)
    whole = content(write(rehearse(wanted), tmp_path / "whole"))
    killed(replace(wanted, executor=OnRay(workers=2)), tmp_path, 3)
    killed(wanted, tmp_path, 2)
    again = content(keep(replace(wanted, executor=OnRay(workers=3)), tmp_path))
    for name in ("executor", "threads"):
        whole["run.json"][name] = again["run.json"][name]
    assert again == whole


def in_processes(how: str, folder: Path, *words: str) -> dict[str, object]:
    command = [sys.executable, "-m", "tests.killed_runs", how, str(folder), *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_kill_at_any_write_loses_nothing_that_was_there(tmp_path: Path) -> None:
    words = ["cohort.patients=300", "cohort.sites=3", "rounds=3", "executor.threads=1", *OFTEN]
    found = in_processes("points", tmp_path, *words)
    assert not found["wrong"]
    assert int(str(found["points"])) > 50
    assert int(str(found["went_on"])) > 30


def test_two_thousand_rounds_killed_ten_times_at_random(tmp_path: Path) -> None:
    words = ["cohort.patients=300", "cohort.sites=3", "rounds=2000", "executor.threads=1", "algorithm=scaffold"]
    found = in_processes("moments", tmp_path, *words, "results.checkpoint_rounds=30")
    assert (found["kills"], found["code"], found["same"]) == (10, 0, True)
    assert int(str(found["parts"])) >= 10
