"""`fedtrial methods`: the catalogue on the terminal, and its pages."""

from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from sim.catalogue.entry import entries
from sim.catalogue.pages import page, write_pages
from sim.catalogue.table import table


def print_methods(console: Console, name: str, folder: Path | None) -> None:
    """The table of all entries, the pages of those of one name, or all pages as files."""
    if folder is not None:
        console.print(f"{write_pages(folder)} pages in {folder}.")
    elif name:
        for entry in entries(name):
            console.print(Markdown(page(entry, drawn=False)))
    else:
        shown = Table("axis", "entry", "what it does", "down", "up", "kept at a site", "tier", "certificates")
        for row in table():
            site = ", ".join(row.site)
            shown.add_row(row.axis, row.name, row.does, row.down, row.up, site, row.tier, str(row.proofs))
        console.print(shown)
        console.print("down, up: models per site and round. One entry: fedtrial methods NAME.")
