"""Another `sim` than ours is refused at the start, with the file in the way; what the wheel and the command are."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import fedtrial
from fedtrial import place
from tests.toy import ROOT

IMPORT = "import fedtrial\nfedtrial.experiment"


def started(cwd: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A Python whose first folder is `cwd`, as a notebook's is."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *words], cwd=cwd, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", ["sim.py", "sim/__init__.py"])
def test_a_sim_of_the_user_s_own_is_refused_in_a_line(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("raise RuntimeError('never run')\n")
    for words, code in ((["-m", "fedtrial", "--version"], 2), (["-c", IMPORT], 1)):
        done = started(tmp_path, *words)
        assert done.returncode == code
        said = done.stderr.splitlines()[-1]
        assert str(tmp_path / name) in said
        assert f"keep {tmp_path} out of PYTHONPATH" in said
        assert "never run" not in done.stderr
        assert code == 1 or len(done.stderr.splitlines()) == 1


def test_a_folder_of_data_called_sim_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "sim").mkdir()
    done = started(tmp_path, "-m", "fedtrial", "--version")
    assert (done.returncode, done.stdout[:9]) == (0, "fedtrial ")


def test_a_sim_that_was_written_over_ours_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "sim" / "__init__.py"
    other.parent.mkdir()
    other.write_text('"""A simulator of pumps."""\n')
    monkeypatch.setattr(place, "OURS", other)
    monkeypatch.setattr(place, "place", lambda: other)
    assert "another distribution" in place.wrong_sim()
    monkeypatch.setattr(place, "place", lambda: None)
    assert "Reinstall fedtrial" in place.wrong_sim()


def test_the_wheel_holds_both_packages_and_the_command_checks_first() -> None:
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = about["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(packages) == {"sim", "fedtrial", "hydra_plugins"}
    for package in ("sim", "fedtrial", "hydra_plugins/fedtrial_launcher"):
        assert (ROOT / package / "__init__.py").is_file()
    assert not (ROOT / "hydra_plugins" / "__init__.py").exists()  # plugins of others lie in it as well
    assert about["project"]["scripts"]["fedtrial"] == "fedtrial.command:main"


def test_a_name_that_is_none_is_told() -> None:
    assert fedtrial.__version__[0].isdigit()
    assert set(dir(fedtrial)) == set(fedtrial.__all__)
    with pytest.raises(AttributeError, match="it has Experiment"):
        fedtrial.experimant  # noqa: B018
