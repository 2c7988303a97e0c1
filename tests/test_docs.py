"""What the documents promise: an algorithm in one class, commands that exist, links that lead somewhere."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import Tensor

from sim.assets import root
from sim.checks import Refused, within
from sim.config.compose import cells, experiment
from sim.config.experiment import GROUPS
from sim.methods import algorithms
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Local, Message, State
from sim.run.run import rehearse
from tests.toy import SMALL

PAGES = [root() / "README.md", *sorted((root() / "docs").glob("*.md"))]


@dataclass
class HalfStep(Algorithm):
    """Sites move half as far as FedAvg's: the example of docs/add-an-algorithm.md."""

    share: float = 0.5  # (0, 1]

    def __post_init__(self) -> None:
        within("algorithm.share", self.share, 0, 1, open_low=True)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """Part of the way."""
        return {"delta": self.share * (w - at.x)}, {}


def test_an_algorithm_is_one_class_and_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(GROUPS["algorithm"], "halfstep", HalfStep)
    run = rehearse(experiment([*SMALL, "algorithm=halfstep", "algorithm.share=0.25"]))
    assert run.info["settings"]["algorithm"] == {"is": "halfstep", "share": 0.25}
    # The same as FedAvg with a server rate of a quarter.
    other = rehearse(experiment([*SMALL, "server.lr=0.25"]))
    assert run.rounds["loss"].to_numpy() == pytest.approx(other.rounds["loss"].to_numpy(), abs=1e-6)
    with pytest.raises(Refused, match=r"algorithm\.share=2"):
        experiment([*SMALL, "algorithm=halfstep", "algorithm.share=2"])


def test_the_example_in_the_docs_is_the_one_tested() -> None:
    text = (root() / "docs" / "add-an-algorithm.md").read_text()
    for line in ("class HalfStep(Algorithm):", 'return {"delta": self.share * (w - at.x)}, {}'):
        assert line in text


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
        for cell in cells([word for word in words if word != "job"]):
            experiment(cell)


def test_readme_names_every_entry_of_every_group() -> None:
    text = (root() / "README.md").read_text()
    for group, entries in GROUPS.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{group}`"))
        for name in entries:
            assert name in row, f"{group}={name}"


def test_the_tables_are_one() -> None:
    assert set(algorithms.ALGORITHMS) <= set(GROUPS["algorithm"])
