"""Where a run was computed: a changed line, a file that git does not know and another package each show."""

import getpass
import json
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.records import environment
from sim.records.environment import changes, commit, in_checkout, packages


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A checkout with one commit, in which the code is said to lie."""
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / environment.LOCK).write_text("torch==1\n")
    name = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "."], [*name, "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    forget()
    yield tmp_path
    forget()


def forget() -> None:
    """A process asks once: every question here is as if in a process of its own."""
    for asked in (commit, changes, packages, in_checkout):
        asked.cache_clear()


def test_a_clean_checkout_is_its_commit(checkout: Path) -> None:
    assert changes() == ""
    assert len(commit()) == 12


def test_what_differs_from_the_commit_has_a_fingerprint_of_its_own(checkout: Path) -> None:
    found = set()
    for file, text in (("a.py", "x = 2\n"), ("a.py", "x = 3\n"), ("b.py", "y = 1\n"), ("b.py", "y = 2\n")):
        (checkout / file).write_text(text)
        forget()
        assert commit().endswith("+changes")
        found.add(changes())
    assert len(found) == 4
    assert "" not in found


def test_the_lock_file_is_told_by_its_content(checkout: Path) -> None:
    first = packages()
    (checkout / environment.LOCK).write_text("torch==2\n")
    forget()
    assert packages()["lock"] != first["lock"]
    assert packages()["installed"] == first["installed"]


def test_outside_a_checkout_nothing_is_claimed(checkout: Path) -> None:
    shutil.rmtree(checkout / ".git")
    assert (commit(), changes()) == ("unknown", "")


def test_a_checkout_around_the_code_is_not_its_own(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / "inside").mkdir()
    monkeypatch.setattr(environment, "ROOT", checkout / "inside")
    assert commit() == "unknown"
    assert packages()["lock"] == ""


def test_facts_name_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_MINE", "hunter2")
    told = json.dumps(environment.facts())
    for word in filter(None, ("hunter2", "SECRET_OF_MINE", platform.node(), getpass.getuser(), str(Path.home()))):
        assert not re.search(rf"\b{re.escape(word)}\b", told), word
