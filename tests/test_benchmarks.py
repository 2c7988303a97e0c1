"""The benchmarks measure what they say: the same work as the hand-written loop, and every failure shown."""

import json
import sys
import textwrap
import time
from itertools import islice
from pathlib import Path

import aggregators
import environments
import numpy as np
import peers
import process
import pytest
import torch
from byhand import MODELS, load, loop, make
from workload import accuracy, executor, simulation, start, table, training

from sim.engine.rounds import simulate
from sim.methods.aggregators import Krum, Mean, Median

ROOT = Path(__file__).parents[1]
linux = pytest.mark.skipif(sys.platform != "linux", reason="the process tree is read from /proc")


@pytest.mark.parametrize("tier", ["fused", "stacked"])
@pytest.mark.parametrize("model", MODELS)
def test_fedtrial_and_the_hand_written_loop_do_the_same_work(model: str, tier: str) -> None:
    # At most 32 rows a site: one batch, so the order of rows, in which they differ, cannot matter.
    work = make(5, rows=[32, 20, 7, 31, 32], model=model)
    plan = simulation(work, training(tier), rounds=3)
    ours = [here.model for here in simulate(plan, executor(), start(work))][1:]
    for here, net in zip(ours, islice(loop(work), 3), strict=True):
        theirs = torch.cat([part.reshape(-1) for part in net.state_dict().values()])
        assert float((here - theirs).abs().max()) < 1e-5
        assert accuracy(work, plan, here) == pytest.approx(work.accuracy(net), abs=1 / len(work.y_test))
    assert not torch.equal(ours[0], start(work))


def test_the_file_of_the_workload_holds_all_of_it(tmp_path: Path) -> None:
    work = make(3, rows=[4, 5, 6])
    work.save(tmp_path / "work.npz")
    back = load(str(tmp_path / "work.npz"))
    assert back.model == work.model
    for name in ("x", "y", "rows", "x_test", "y_test"):
        assert np.array_equal(getattr(back, name), getattr(work, name)), name
    assert {name: part.tolist() for name, part in back.start.items()} == {
        name: part.tolist() for name, part in work.start.items()
    }
    assert [len(y) for _, y in back.sites()] == [4, 5, 6]


def watched(tmp_path: Path, script: str, rounds: int, timeout: float = 60) -> process.Watched:
    (tmp_path / "script.py").write_text(textwrap.dedent(script))
    env = {"PYTHONPATH": str(ROOT / "benchmarks")}
    return process.watch([sys.executable, str(tmp_path / "script.py")], env, rounds, timeout, tmp_path / "log")


@linux
def test_a_process_tree_is_timed_and_weighed(tmp_path: Path) -> None:
    child = "import time; kept = bytearray(80 << 20); time.sleep(60)"
    script = f"""
        import subprocess, sys, time
        from marks import Marks
        child = subprocess.Popen([sys.executable, "-c", {child!r}])
        time.sleep(1)
        marks = Marks()
        for score in (0.5, 0.6, 0.7):
            time.sleep(0.2)
            marks.round(score)
        marks.stay()
        child.kill()
    """
    seen = watched(tmp_path, script, rounds=3)
    assert not seen.failure
    assert seen.scores == [0.5, 0.6, 0.7]
    assert len(seen.seconds(1)) == 2
    assert len(seen.seconds(2)) == 1
    assert all(0.2 <= gap < 1 for gap in seen.seconds(1))
    assert seen.start_up(1) >= 1
    assert 80 << 20 <= seen.memory < 400 << 20


@linux
def test_a_late_process_is_ended_with_its_children(tmp_path: Path) -> None:
    script = """
        import pathlib, subprocess, sys, time
        child = subprocess.Popen(["sleep", "60"], start_new_session=True)
        pathlib.Path(sys.argv[0]).with_name("pid").write_text(str(child.pid))
        time.sleep(60)
    """
    began = time.monotonic()
    seen = watched(tmp_path, script, rounds=1, timeout=1.5)
    assert seen.failure == "stopped after 1.5 s"
    assert time.monotonic() - began < 10
    assert process.began(int((tmp_path / "pid").read_text())) == -1


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    assert watched(tmp_path, "raise ValueError('no such site')", 1).failure == "ValueError: no such site"
    assert watched(tmp_path, "", 2).failure == "exit status 0 after 0 of 2 rounds"


def test_a_peer_that_cannot_be_set_up_stays_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(cache: Path, requirement: str) -> None:
        raise peers.SetUpFailed(f"no matching distribution for {requirement}")

    monkeypatch.setattr(peers, "environment", refuse)
    words = ["--only", "loop,pfl", "--sites", "3", "--rounds", "2", "--json", str(tmp_path / "found.json")]
    monkeypatch.setattr(sys, "argv", ["peers.py", *words, "--cache", str(tmp_path / "cache")])
    peers.main()
    printed = capsys.readouterr().out
    assert f"| pfl-research, 1 process | failed: set-up: no matching distribution for {peers.PFL} |" in printed
    found = json.loads((tmp_path / "found.json").read_text())
    assert [row["name"] for row in found["rows"]][::3] == [peers.LOOP, f"{peers.LOOP}, again"]
    assert found["rows"][1]["failure"].startswith("set-up: no matching")
    assert set(found["medians"]) == set(found["ratios"]) == {peers.LOOP, f"{peers.LOOP}, again"}
    assert len(found["rows"][0]["seconds"]) == 2
    assert len(found["rows"][0]["accuracy"]) == 4


def test_a_failed_installation_gives_its_own_reason() -> None:
    script = "import sys; print('ERROR: no such package\\nERROR: see a page', file=sys.stderr); sys.exit(1)"
    with pytest.raises(environments.SetUpFailed, match="ERROR: no such package; ask for it"):
        environments.call([sys.executable, "-c", script], "ask for it")


@pytest.mark.parametrize(
    ("ratio", "shown"), [(0.1934, "0.19 x"), (1.0, "1.00 x"), (46.52, "46.5 x"), (160.4, "160 x"), (float("nan"), "-")]
)
def test_ratios_have_three_figures(ratio: float, shown: str) -> None:
    assert peers.factor(ratio) == shown


def test_tables_are_markdown() -> None:
    assert table(["", "a"], [["x|y", "1"]]) == "|  | a |\n| --- | ---: |\n| x/y | 1 |"


def test_rounds_under_several_rules_are_timed_in_turns() -> None:
    seconds = aggregators.round_seconds(make(12, rows=np.full(12, 20)), [Mean(), Median(), Krum()], rounds=2)
    assert len(seconds) == 3
    assert all(one > 0 for one in seconds)
