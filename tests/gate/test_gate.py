"""`fedtrial gate` as continuous integration meets it: a wrong sign, a slow kernel, a harmless change, too few seeds."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sim.cli.main import main
from sim.lazy import Tensor
from sim.methods.algorithms.scaffold import Scaffold
from sim.methods.contract import Local, Message, State
from tests.toy import ROOT

GATE = """
seeds: 5
most_seeds: 6
margins: {auroc: 0.02, loss: 0.05}
overrides: [cohort.patients=600, cohort.sites=4, task=response, rounds=8, local.epochs=2, evaluation.every=8]
methods:
  FedAvg: [algorithm=fedavg]
  SCAFFOLD: [algorithm=scaffold]
"""
SIGN = ("(at.x - w) / (at.lr * at.norm[:, None])", "(w - at.x) / (at.lr * at.norm[:, None])")
MAIN = "from sim.cli.main import main\nimport sys\nsys.argv = ['fedtrial', *sys.argv[1:]]\n{}\nmain()\n"
SLOW = """
import time
from sim.local.fused import Fused
run = Fused.run
def slow(self, *words, **others):
    began = time.process_time()
    made = run(self, *words, **others)
    while time.process_time() - began < 0.02:
        pass
    return made
Fused.run = slow
"""


def gate(
    folder: Path, *words: str, patch: str = "", tree: Path = ROOT, code: int, **told: str
) -> subprocess.CompletedProcess[str]:
    """The command in `folder`, with the code of `tree`; its exit code must be `code`."""
    paths = {"PYTHONPATH": str(tree), "GITHUB_ACTIONS": "", "GITHUB_STEP_SUMMARY": ""}
    command = [sys.executable, "-c", MAIN.format(patch), "gate", *words, "--workers", "1"]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | paths | told, capture_output=True, text=True, timeout=250
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The command in this process; what it prints, if its exit code is `code`."""
    monkeypatch.setenv("GITHUB_ACTIONS", "")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.chdir(folder)

    def run(*words: str, code: int) -> str:
        monkeypatch.setattr(sys, "argv", ["fedtrial", "gate", *words, "--workers", "1"])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        assert ended.value.code == code, said.out + said.err
        return said.out + said.err

    return run


def nan(self: Scaffold, w: Tensor, at: Local) -> tuple[Message, State]:
    """Uploads that are no numbers."""
    return {"delta": w * float("nan"), "control": w}, {"control": w}


def breaks(self: Scaffold, w: Tensor, at: Local) -> tuple[Message, State]:
    """A machine that is short of memory."""
    raise MemoryError("no room")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a gate and the baseline that its first run made."""
    made = tmp_path_factory.mktemp("gate")
    (made / "mine.yaml").write_text(GATE)
    files = ["--json", "first.json", "--junit", "first.xml"]
    done = gate(made, "mine.yaml", *files, code=3, GITHUB_STEP_SUMMARY=str(made / "first.md"))
    assert "results/baselines/mine.json was written: review and commit it." in done.stdout
    return made


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package, beside links to what it reads."""
    made = tmp_path_factory.mktemp("tree")
    shutil.copytree(ROOT / "sim", made / "sim", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("configs", "datasets", "experiments", "constraints.txt"):
        (made / name).symlink_to(ROOT / name)
    return made


def test_the_first_run_says_to_machines_that_there_was_no_baseline(folder: Path) -> None:
    content = json.loads((folder / "first.json").read_text())
    assert (content["exit_code"], content["verdict"]) == (3, "cannot judge")
    assert [(one["what"], one["outcome"]) for one in content["findings"]] == [("baseline", "not comparable")]
    assert content["baseline"]["reason"] == "first baseline"
    (case,) = ElementTree.parse(folder / "first.xml").iter("testcase")
    assert case.find("failure") is not None
    assert (folder / "first.md").read_text().startswith("## Gate mine: cannot judge")


@pytest.mark.parametrize(
    "words",
    [["--seeds", "1"], ["--exact"], ["--speed", "2"], ["--inconclusive", "warn"], ["--json", "x"], ["--junit", "x"]],
)
def test_an_update_compares_nothing(words: list[str], here: Callable[..., str]) -> None:
    told = here("mine.yaml", "--update", "--reason", "why", *words, code=2)
    assert f"Refused: {words[0]} beside --update" in told


def test_nothing_changed(folder: Path, tmp_path: Path) -> None:
    files = {"json": tmp_path / "gate.json", "junit": tmp_path / "gate.xml"}
    page = tmp_path / "summary.md"
    page.write_text("An earlier step.\n")
    words = ["results/baselines/mine.json", "--json", str(files["json"]), "--junit", str(files["junit"]), "--exact"]
    done = gate(folder, *words, code=0, GITHUB_STEP_SUMMARY=str(page))
    assert "Gate mine: pass" in done.stdout
    content = json.loads(files["json"].read_text())
    tiers = {(one["tier"], one["method"]) for one in content["findings"]}
    assert tiers == {
        (tier, name) for tier in ("validity", "exact", "quality", "speed") for name in ("FedAvg", "SCAFFOLD")
    }
    assert content["exit_code"] == 0
    cases = [case.attrib["name"] for case in ElementTree.parse(files["junit"]).iter("testcase")]
    assert cases.count("quality: auroc") == cases.count("quality: loss") == 2
    assert page.read_text().startswith("An earlier step.\n## Gate mine: pass")


def test_a_harmless_edit_passes_and_a_wrong_sign_is_named(folder: Path, copied: Path) -> None:
    file = copied / "sim" / "methods" / "algorithms" / "scaffold.py"
    right = file.read_text()
    assert right.count(SIGN[0]) == 1
    file.write_text(right.replace('"""', '"""As before. ', 1) + "\n# Nothing else.\n")
    assert "pass" in gate(folder, "mine.yaml", "--exact", tree=copied, code=0).stdout
    file.write_text(right.replace(*SIGN))
    done = gate(folder, "mine.yaml", tree=copied, code=1, GITHUB_ACTIONS="true")
    lines = done.stdout.splitlines()
    token = lines[0].removeprefix("::stop-commands::")
    assert lines.index(f"::{token}::") < min(lines.index(line) for line in lines if line.startswith("::error "))
    annotations = [line for line in done.stdout.splitlines() if line.startswith("::error ")]
    assert annotations
    assert all("::SCAFFOLD: " in line for line in annotations)
    assert "Gate mine: regression" in done.stdout


def test_a_slow_kernel_fails_where_speed_is_asked_for(folder: Path) -> None:
    done = gate(folder, "mine.yaml", "--speed", "4", patch=SLOW, code=1)
    assert "fail: FedAvg: round: " in done.stdout
    assert "times as slow; allowed 4." in done.stdout


def test_three_seeds_cannot_judge(here: Callable[..., str]) -> None:
    assert "3 seeds: fewer than 5 decide nothing." in here("mine.yaml", "--seeds", "3", code=3)
    assert "inconclusive" in here("mine.yaml", "--seeds", "3", "--inconclusive", "warn", code=0)


@pytest.mark.parametrize(
    ("upload", "code", "says"),
    [
        (nan, 1, "fail: SCAFFOLD: runs: seeds 0, 1, 2, 3 and 4 diverged"),
        (breaks, 4, "error: SCAFFOLD: runs: seeds 0, 1, 2, 3 and 4 failed: MemoryError in round 1: no room"),
    ],
)
def test_runs_that_break_are_named_and_make_no_baseline(
    upload: object, code: int, says: str, folder: Path, here: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "results" / "baselines" / "mine.json"
    before = path.read_bytes()
    monkeypatch.setattr(Scaffold, "upload", upload)
    assert says in here("mine.yaml", code=code)
    assert "Nothing was written" in here("mine.yaml", "--update", "--reason", "a rush", code=code)
    assert path.read_bytes() == before


def test_other_margins_are_reviewed_by_an_update(
    folder: Path, here: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(GATE.replace("auroc: 0.02", "auroc: 0.5"))
    assert "not comparable: gate: margins" in here("mine.yaml", code=3)
    said = here("mine.yaml", "--update", "--reason", "a <wide> margin", code=0)
    assert "Reason: a \\<wide\\> margin" in said
    assert "| gate | margins |" in said
    assert json.loads((tmp_path / "results/baselines/mine.json").read_text())["reason"] == "a <wide> margin"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing.json"], "no such baseline"),
        (["nothing.yaml"], "no such file"),
        (["mine.yaml", "--update"], "--update and --reason must be given together"),
        (["mine.yaml", "--reason", "x"], "--update and --reason must be given together"),
        (["mine.yaml", "--inconclusive", "ignore"], "allowed fail, warn"),
        (["mine.yaml", "--seeds", "7"], "--seeds=7: allowed [0, 6]"),
        (["mine.yaml", "--speed", "0.5"], "--speed=0.5: allowed >= 1"),
        (["mine.yaml", "--json", "/proc/x/y.json"], "cannot be written to"),
    ],
)
def test_refusals(here: Callable[..., str], words: list[str], says: str) -> None:
    assert says in here(*words, code=2)
