"""What the documents promise: an algorithm in one class, commands that exist, links that lead somewhere."""

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim.assets import root
from sim.checks import Refused
from sim.config.compose import cells, experiment
from sim.config.experiment import GROUPS
from sim.config.many import experiments
from sim.config.words import without_launcher
from sim.methods import algorithms
from tests.toy import SMALL

PAGES = [root() / "README.md", *sorted((root() / "docs").glob("*.md"))]


@pytest.fixture
def tables() -> Iterator[None]:
    """The tables of entries, as they were before once the test is over."""
    before = {group: dict(entries) for group, entries in GROUPS.items()}
    yield
    for group, entries in before.items():
        GROUPS[group].clear()
        GROUPS[group].update(entries)


def test_the_examples_of_every_axis_run(tables: None, tmp_path: Path) -> None:
    """The Python blocks of docs/add-an-algorithm.md, as one module: their own assertions must hold."""
    text = (root() / "docs" / "add-an-algorithm.md").read_text()
    script = tmp_path / "examples_of_the_docs.py"
    script.write_text("\n".join(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)))
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module
    try:
        spec.loader.exec_module(module)
        shown = {getattr(entry, "axis", "server") for entry in vars(module).values() if isinstance(entry, type)}
        with pytest.raises(Refused, match=r"algorithm\.share=2"):
            experiment([*SMALL, "algorithm=halfstep", "algorithm.share=2"])
    finally:
        del sys.modules[script.stem]
    assert shown >= {"algorithm", "uplink", "attack", "aggregator", "server", "personal", "system"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_compose(page: Path) -> None:
    """Every `fedtrial run` in a document is a valid configuration."""
    text = page.read_text().replace("\\\n", " ")
    for line in re.findall(r"^fedtrial run (.*)$", text, flags=re.MULTILINE):
        words = [word for word in shlex.split(line, comments=True) if not word.startswith("-")]
        _, settings = without_launcher([word for word in words if word != "job"])
        experiments(cells(settings))


def test_readme_names_every_entry_of_every_group() -> None:
    text = (root() / "README.md").read_text()
    for group, entries in GROUPS.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{group}`"))
        for name in entries:
            assert name in row, f"{group}={name}"


def test_the_tables_are_one() -> None:
    assert set(algorithms.ALGORITHMS) <= set(GROUPS["algorithm"])
