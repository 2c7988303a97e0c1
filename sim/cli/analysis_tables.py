"""Print the result of an analysis on the terminal."""

from collections.abc import Hashable, Mapping

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sim.analyses.run import AnalysisReport
from sim.analyses.tables import AnswerTable
from sim.exact.sums import Traffic
from sim.text import NOT_KNOWN

MOST_ROWS = 40  # rows of a table that are printed; all of them are in the JSON


def print_report(console: Console, found: AnalysisReport) -> None:
    """Print title, tables, what one site sent and received, and notes."""
    seeds = f"seed {found.seeds[0]}" if len(found.seeds) == 1 else f"seeds {found.seeds[0]} to {found.seeds[-1]}"
    where = f"{found.rows:,} rows at {found.sites} site{'s' * (found.sites > 1)}"
    about = f"{found.cohort}, {found.outcome}" if found.outcome else found.cohort
    head = f"{found.title}: {about}; {where}, {seeds}"
    console.print(Text(head, style="bold"))
    for table in found.tables:
        console.print(answer_table(table))
    if len(found.seeds) > 1:
        console.print(Text(f"Of seed {found.seeds[0]}:", style="dim"))
    console.print(traffic_table(found))
    for note in found.first.notes:
        console.print(Text(note, style="dim"))


def answer_table(table: AnswerTable) -> Table:
    """One table of an answer, with each interval in one column."""
    columns = [name for name in table.frame.columns if name not in ("high", "bias high")]
    titles = {"low": "95 % interval", "bias low": "95 % interval of bias"}
    made = Table(title=Text(table.title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for at, name in enumerate(columns):
        made.add_column(Text(titles.get(name, name)), justify="right" if at else "left", no_wrap=not at)
    for row in table.frame.head(MOST_ROWS).to_dict(orient="records"):
        made.add_row(*(Text(cell(table, str(name), row)) for name in columns))
    if len(table.frame) > MOST_ROWS:
        made.caption = f"{len(table.frame) - MOST_ROWS} more rows: --json FILE"
    return made


def cell(table: AnswerTable, name: str, row: Mapping[Hashable, object]) -> str:
    """The text of a cell; in the column of an interval's lower bound it holds both bounds."""
    here = table.cell(name, row[name])
    high = {"low": "high", "bias low": "bias high"}.get(name)
    return f"{here} to {table.cell(high, row[high])}" if high and here != NOT_KNOWN else here


def traffic_table(found: AnalysisReport) -> Table:
    """Rounds and bytes of every step of the analysis."""
    made = Table(title="What one site sends and receives", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in ("step", "rounds", "bytes up", "bytes down"):
        made.add_column(name, justify="left" if name == "step" else "right")
    for name, traffic in found.first.traffic.items():
        made.add_row(Text(name), *traffic_cells(traffic))
    return made


def traffic_cells(traffic: Traffic) -> tuple[str, str, str]:
    """Rounds, bytes sent and bytes received as text."""
    return f"{traffic.rounds}", f"{traffic.bytes_up:,}", f"{traffic.bytes_down:,}"
