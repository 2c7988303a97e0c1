"""`fedtrial methods`: the catalogue on the terminal, and its pages."""

from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Column, Table
from rich.text import Text

from sim.catalogue.brought import EntryPoint, entry_points, joined, proofs, refuse_broken, sources
from sim.catalogue.entry import AXES, entries
from sim.catalogue.pages import page, write_pages
from sim.catalogue.table import table


def print_methods(console: Console, name: str, folder: Path | None) -> None:
    """Print the table of all entries or the pages of one name, or write the pages of our own entries as files."""
    if folder is not None:
        console.print(f"{write_pages(folder)} pages in {folder}.")
    elif name:
        axes = joined(AXES)
        refuse_broken(name, axes)
        for entry in entries(name, axes):
            console.print(Markdown(page(entry, drawn=False, proofs=proofs())))
            if whose := sources().get((entry.axis, entry.name)):
                console.print(f"From {whose}.", markup=False)
    else:
        console.print(catalogue())
        announced = list(entry_points())
        if announced:
            console.print(of_plugins(announced))
        console.print("down, up: models sent per site and round. For one entry: fedtrial methods NAME.")


def catalogue() -> Table:
    """All entries of all axes; those of plugins with their distribution."""
    whose = sources()
    head = ["axis", "entry", "what it does", "down", "up", "kept at a site", "tier", "certificates"]
    shown = Table(*head, *(["from"] if whose else []))
    for row in table(joined(AXES), proofs()):
        source = [whose.get((row.axis, row.name), "fedtrial")] if whose else []
        cells = (row.axis, row.name, row.does, row.down, row.up, ", ".join(row.site), row.tier, str(row.proofs))
        shown.add_row(*map(Text, (*cells, *source)))
    return shown


def of_plugins(announced: list[EntryPoint]) -> Table:
    """The entry points of installed distributions, and why some of them cannot be used."""
    shown = Table("group", "entry", "from", Column("", overflow="fold"), title="Entry points of plugins")
    for one in announced:
        shown.add_row(*map(Text, (one.group, one.name, one.source, one.wrong or "can be used")))
    return shown
