"""examples/plugin as its author uses it: installed, listed, proved, run and swept over, and its own tests."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.toy import ROOT, SMALL

TEMPLATE = ROOT / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the template; what pip makes of it lies in `site` beside it."""
    folder = tmp_path_factory.mktemp("template")
    shutil.copytree(TEMPLATE, folder / "plugin")
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    words = [*pip, "--disable-pip-version-check", "--target", str(folder / "site"), str(folder / "plugin")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return folder


def python(home: Path, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A process that has the plugin installed."""
    env = os.environ | {"PYTHONPATH": f"{home / 'site'}{os.pathsep}{ROOT}", "COLUMNS": "200"}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=cwd or home, env=env, capture_output=True, text=True, timeout=240)


def test_methods_lists_it_with_its_distribution(installed: Path) -> None:
    done = python(installed, "-m", "fedtrial", "methods")
    assert done.returncode == 0, done.stderr
    (row,) = (line for line in done.stdout.splitlines() if re.match(r". algorithm\s+. fedcm ", line))
    assert "fedtrial-fedcm" in row
    assert re.search(r"fedtrial.certificates\s+. fedcm\s+. fedtrial-fedcm 0.1.0\s+. can be used", done.stdout)


def test_composing_a_config_with_it_loads_nothing_that_takes_long(installed: Path) -> None:
    text = (
        "import sys; from sim.config.compose import experiment; print(type(experiment(['algorithm=fedcm']).algorithm))"
    )
    done = python(installed, "-c", f"{text}; print({{'torch', 'numba', 'pandas', 'ray'}} & set(sys.modules))")
    assert done.stdout.split("\n")[:2] == ["<class 'fedtrial_fedcm.algorithm.FedCM'>", "set()"], done.stderr


def test_verify_proves_it(installed: Path) -> None:
    done = python(installed, "-m", "fedtrial", "verify", "--only", "fedcm")
    assert done.returncode == 0, done.stderr
    assert "6 of 6 certificates hold" in done.stdout


def test_a_sweep_takes_it_beside_our_own(installed: Path) -> None:
    words = ["-m", "fedtrial", "run", "-m", "algorithm=fedavg,fedcm", *SMALL, f"results.dir={installed / 'runs'}"]
    done = python(installed, *words)
    assert done.returncode == 0, done.stderr
    assert "Cell 2 of 2 (algorithm=fedcm): computed" in done.stdout
    again = python(installed, "-m", "fedtrial", "run", "algorithm=fedcm", *SMALL, f"results.dir={installed / 'runs'}")
    assert again.returncode == 0, again.stderr
    assert len(list((installed / "runs").iterdir())) == 2  # read, not computed again


def test_its_own_tests_pass(installed: Path) -> None:
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", "."]
    done = python(installed, *words, "tests", cwd=installed / "plugin")
    assert done.returncode == 0, done.stdout


def test_its_workflow_runs_what_the_readme_says() -> None:
    steps = yaml.safe_load((TEMPLATE / ".github" / "workflows" / "check.yml").read_text())["jobs"]["check"]["steps"]
    commands = [step["run"] for step in steps if "run" in step]
    text = (TEMPLATE / "README.md").read_text()
    assert {"fedtrial verify --only fedcm", "fedtrial gate gates/fedcm.yaml"} <= set(commands)
    for command in commands:
        assert command.removesuffix(" -q") in text, command


def test_its_gate_is_made_of_settings() -> None:
    gate = yaml.safe_load((TEMPLATE / "gates" / "fedcm.yaml").read_text())
    assert gate["methods"]["FedCM"][0] == "algorithm=fedcm"
    assert gate["most_seeds"] >= gate["seeds"] >= 5


def test_the_gate_guards_it(installed: Path) -> None:
    words = ["-m", "fedtrial", "gate", "gates/fedcm.yaml", "--workers", "1"]
    first = python(installed, *words, cwd=installed / "plugin")
    assert first.returncode == 3, first.stdout + first.stderr
    assert "results/baselines/fedcm.json was written" in first.stdout
    again = python(installed, *words, cwd=installed / "plugin")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Gate fedcm: pass" in again.stdout
