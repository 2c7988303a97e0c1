"""The catalogue of methods: read from the classes, and the same in docs/methods."""

from pathlib import Path

import pytest

from sim.catalogue.costs import costs, forbids
from sim.catalogue.entry import Entry, entries
from sim.catalogue.figure import draw
from sim.catalogue.pages import index, page
from sim.checks import Refused
from sim.config.compose import experiment

PAGES = Path(__file__).parents[2] / "docs" / "methods"
ALL = list(entries())


def the(name: str) -> Entry:
    return next(entries(name))


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.key)
def test_a_class_says_what_its_page_needs(entry: Entry) -> None:
    assert {"Source", "Rule"} <= set(entry.parts), "headings Source: and Rule: in the docstring of the class"
    silent = [one.name for one in entry.settings if not one.note]
    assert not silent, f"no comment beside {silent}"


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.key)
def test_pages_are_those_of_the_code(entry: Entry) -> None:
    file = PAGES / entry.axis / f"{entry.name}.md"
    assert file.exists(), "fedtrial methods --markdown docs/methods"
    drawn = (PAGES / entry.axis / f"{entry.name}.svg").exists()
    assert file.read_text() == page(entry, drawn), "fedtrial methods --markdown docs/methods"


def test_the_table_is_that_of_the_code() -> None:
    assert (PAGES / "README.md").read_text() == index(), "fedtrial methods --markdown docs/methods"


def test_no_page_is_left_of_an_entry_that_is_gone() -> None:
    assert {path.parent.name + "/" + path.stem for path in PAGES.glob("*/*.md")} == {
        f"{entry.axis}/{entry.name}" for entry in ALL
    }


def test_messages_are_counted_in_models() -> None:
    scaffold = costs(the("scaffold"))
    assert scaffold is not None
    assert (scaffold.down, scaffold.up, scaffold.site, scaffold.server) == (2, 2, ("control",), ("control",))


def test_what_does_not_go_together_is_found() -> None:
    assert "system=buffered" in forbids(the("scaffold"))
    assert "system=buffered" not in forbids(the("fedprox"))


def test_settings_are_told_with_their_ranges() -> None:
    (mu,) = (one for one in the("fedprox").settings if one.name == "mu")
    assert mu.default == "0.01"
    assert mu.note.startswith(">= 0")


def test_references_have_no_figure() -> None:
    assert draw(the("pooled")) is None


def test_a_name_that_no_axis_has_is_refused() -> None:
    with pytest.raises(Refused, match="Did you mean"):
        list(entries("scafold"))


@pytest.mark.parametrize("entry", ALL, ids=lambda entry: entry.key)
def test_the_command_of_a_page_is_one_that_can_be_typed(entry: Entry) -> None:
    experiment(entry.example)


def test_words_of_a_setting_say_what_they_mean() -> None:
    (graph,) = (one for one in the("gossip").settings if one.name == "graph")
    assert "ring: each site with the two beside it" in graph.note
