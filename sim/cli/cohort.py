"""What a cohort and a partition look like, on the terminal and as a figure."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from sim.analyses.learnable import FEWEST, MOST_ROWS, learnable, patients_by_cancer
from sim.analyses.run import check_figure_path
from sim.assets import root
from sim.cohort.calibrated.marginals import marginals
from sim.cohort.clinical.source import Clinical
from sim.cohort.table import Cohort
from sim.config.compose import experiment
from sim.files import ready
from sim.partition.affinity import Affinity
from sim.partition.affinity_settings import AffinityColumns
from sim.partition.base import digest
from sim.partition.case_mix import column_skews
from sim.partition.describe import describe, skew
from sim.report.partition_figure import partition_figure
from sim.run.prepare import gather
from sim.shift.summary import changed_columns

SHOWN = 30  # sites in a printed table


def cohort(console: Console, name: str, overrides: Sequence[str]) -> None:
    """Card, columns, patients per site, marginals."""
    wanted = experiment([f"cohort={name}", *overrides])
    made = wanted.cohort.load(wanted.seed)
    for card in (root() / "datasets" / name / "card.md", wanted.cohort.card()):
        if card and card.is_file():
            console.print(Markdown(card.read_text(encoding="utf-8")))
    console.print(columns(made))
    console.print(per_site(made))
    for key, note in made.notes.items():
        console.print(f"{key}: {note}", markup=False)
    if made.name == "calibrated":
        console.print(rows(marginals(made), "Marginals: published and simulated"))
    if isinstance(wanted.cohort, Clinical):
        console.print(rows(patients_by_cancer(made), "Who the patients are"))
    told = learnable(made)
    title = "What can be learned: ridge regression (logistic; survival: Cox), pooled, five folds"
    if len(made.table) > MOST_ROWS:
        title += f", about {MOST_ROWS:,} rows"
    console.print(rows(told, title) if len(told) else f"What can be learned: no outcome has {FEWEST} of either answer.")


def columns(made: Cohort) -> Table:
    """One row a column of the observed table."""
    table = Table("column", "kind", "values", "not recorded", "predicts", title=f"{made.name}: {len(made.table)} rows")
    for name in made.table.columns:
        series = made.table[name]
        if isinstance(series.dtype, pd.CategoricalDtype):
            kind, shown = "category", ", ".join(map(str, series.cat.categories[:6]))
        elif series.nunique() <= 2 and pd.api.types.is_bool_dtype(series):
            kind, shown = "yes or no", f"{series.mean():.1%} yes"
        elif pd.api.types.is_numeric_dtype(series):
            kind, shown = "number", f"{series.min():.4g} to {series.max():.4g}, mean {series.mean():.4g}"
        else:
            kind, shown = "name", f"{series.nunique()} different"
        predicts = ", ".join(outcome for outcome, names in made.predictors.items() if name in names)
        cells = (str(name), kind, shown, f"{series.isna().mean():.1%}", predicts or "–")
        table.add_row(*map(Text, cells))
    return table


def per_site(made: Cohort) -> Table:
    """Rows and events of every site the cohort came with, or the classes that occur there; the largest, if many."""
    sites = made.table["site"].to_numpy(dtype=str)
    parts = {}
    for outcome in made.outcomes:
        known = made.known(outcome)
        frame = describe(made.about(outcome), outcome, sites[known]).set_index("site")
        kind = "classes" if "classes" in frame else "events"
        parts[f"{outcome} {kind}"] = frame[kind]
    size = pd.Series(sites).value_counts(sort=False).rename("rows").rename_axis("site")
    table = pd.DataFrame({"rows": size, **parts}).fillna(0).astype(int).rename_axis("site").reset_index()
    shown = rows(largest(table), "Sites as they came")
    shown.caption = caption(table)
    return shown


def largest(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of sites that are printed."""
    return frame.loc[frame["rows"].nlargest(SHOWN, keep="first").index.sort_values()]


def caption(frame: pd.DataFrame) -> str | None:
    """What is printed of a table of sites, if not all of it."""
    return f"the {SHOWN} largest of {len(frame)} sites" if len(frame) > SHOWN else None


def rows(frame: pd.DataFrame, title: str) -> Table:
    """A data frame as a table, numbers with three decimals."""
    table = Table(*frame.columns, title=title)
    for values in frame.itertuples(index=False):
        table.add_row(*(Text(f"{value:.3f}" if isinstance(value, float) else str(value)) for value in values))
    return table


def partition(console: Console, overrides: Sequence[str], figure: Path | None) -> None:
    """Sites (the largest, if many), skew of every column against chance, fingerprint and figure."""
    check_figure_path(figure)
    wanted = experiment(overrides)
    held, made, outcome, sites, external, sides = gather(wanted)
    frame = describe(made, outcome, sites)
    table = rows(largest(frame), f"{type(wanted.partition).__name__} partition of {made.name}, outcome {outcome}")
    table.caption = caption(frame)
    console.print(table)
    if external:
        console.print(f"External, kept out of training: {', '.join(external)}.", markup=False)
    if wanted.partition.overlap:
        console.print(sides.leak.in_words())
    far, none = skew(frame), f"{(frame['events'] == 0).sum()} without an event"
    if "classes" in frame:
        none = f"{(frame['classes'] == 1).sum()} with one class alone"
    console.print(
        f"{len(frame)} sites of {frame['rows'].min()} to {frame['rows'].max()} rows, {far.effective_sites:.1f} "
        f"effective; {none}. "
        f"Outcome skew: total variation {far.total_variation:.3f}, "
        f"Jensen-Shannon {far.jensen_shannon:.4f} bit."
    )
    title = "Skew by column; by_chance: the same sites with patients dealt at random"
    console.print(rows(column_skews(made, outcome, sites), title))
    if made is not held:
        console.print(rows(changed_columns(held, made, sites), "Shift: share of rows changed, in all and over sites"))
        if "faults" in made.notes:
            console.print(f"Faults: {made.notes['faults']}.", markup=False)
    mark = digest(made, sites)
    console.print(f"Partition: {mark}")
    path = figure or Path(wanted.results.dir) / f"partition-{mark[:12]}.svg"
    ready(path.parent)
    columns = wanted.partition.columns if isinstance(wanted.partition, Affinity) else AffinityColumns()
    partition_figure(made, outcome, sites, frame, columns.demographic).savefig(path)
    console.print(f"Figure: {path}", soft_wrap=True)
