"""An answer on the terminal."""

from collections.abc import Hashable, Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.analyses.run import Report
from sim.analyses.sums import Wire
from sim.analyses.tables import Part

MOST_ROWS = 40  # rows of a table that are printed; all of them are in the JSON


def show(console: Console, found: Report) -> None:
    """Title, tables, what crossed the wire, and notes."""
    seeds = f"seed {found.seeds[0]}" if len(found.seeds) == 1 else f"seeds {found.seeds[0]} to {found.seeds[-1]}"
    where = f"{found.rows:,} rows at {found.sites} site{'s' * (found.sites > 1)}"
    about = f"{found.cohort}, {found.outcome}" if found.outcome else found.cohort
    head = f"{found.title}: {about}; {where}, {seeds}"
    console.print(Text(head, style="bold"))
    for part in found.parts:
        console.print(table(part))
    if len(found.seeds) > 1:
        console.print(Text(f"Of seed {found.seeds[0]}:", style="dim"))
    console.print(wires(found))
    for note in found.first.notes:
        console.print(Text(note, style="dim"))


def table(part: Part) -> Table:
    """One part; intervals stand in one column."""
    columns = [name for name in part.frame.columns if name not in ("high", "bias high")]
    titles = {"low": "95 % interval", "bias low": "95 % interval of bias"}
    made = Table(title=Text(part.title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for at, name in enumerate(columns):
        made.add_column(Text(titles.get(name, name)), justify="right" if at else "left", no_wrap=not at)
    for row in part.frame.head(MOST_ROWS).to_dict(orient="records"):
        made.add_row(*(Text(cell(part, str(name), row)) for name in columns))
    if len(part.frame) > MOST_ROWS:
        made.caption = f"{len(part.frame) - MOST_ROWS} more rows: --json FILE"
    return made


def cell(part: Part, name: str, row: Mapping[Hashable, object]) -> str:
    """A cell; the low end of an interval brings the high one along."""
    here = part.cell(name, row[name])
    high = {"low": "high", "bias low": "bias high"}.get(name)
    return f"{here} to {part.cell(high, row[high])}" if high and here != "–" else here


def wires(found: Report) -> Table:
    """What crossed the wire."""
    made = Table(title="What one site sends and receives", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("step", "rounds", "bytes up", "bytes down"):
        made.add_column(name, justify="left" if name == "step" else "right")
    for name, wire in found.first.wires.items():
        made.add_row(Text(name), *numbers(wire))
    return made


def numbers(wire: Wire) -> tuple[str, str, str]:
    """Rounds and bytes."""
    return f"{wire.rounds}", f"{wire.bytes_up:,}", f"{wire.bytes_down:,}"
