"""`fedtrial cohort describe`: who the patients of a cohort are, and what can be learned from them."""

from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from sim.analyses.learnable import FEWEST, MOST_ROWS, learnable, patients_by_cancer
from sim.assets import root
from sim.cli.printed_tables import printed, printed_sites
from sim.cohort.calibrated.marginals import marginals
from sim.cohort.clinical.source import Clinical
from sim.cohort.table import Cohort
from sim.config.compose import experiment
from sim.config.words import refuse_twice
from sim.partition.describe import describe
from sim.run.room import refuse_cohort


def describe_cohort(console: Console, name: str, overrides: Sequence[str]) -> None:
    """Print card, columns, patients per site, marginals and the result of a simple baseline for every outcome."""
    words = [f"cohort={name}", *overrides]
    refuse_twice(words)
    wanted = experiment(words)
    refuse_cohort(wanted)
    cohort = wanted.cohort.load(wanted.seed)
    for card in (root() / "datasets" / name / "card.md", wanted.cohort.card()):
        if card and card.is_file():
            console.print(Markdown(card.read_text(encoding="utf-8")))
    console.print(columns(cohort))
    console.print(per_site(cohort))
    for key, note in cohort.notes.items():
        console.print(f"{key}: {note}", markup=False)
    if cohort.name == "calibrated":
        console.print(printed(marginals(cohort), "Marginals: published and simulated"))
    if isinstance(wanted.cohort, Clinical):
        console.print(printed(patients_by_cancer(cohort), "Who the patients are"))
    baselines = learnable(cohort)
    if not len(baselines):
        console.print(f"What can be learned: no outcome has {FEWEST} patients of each answer.")
        return
    title = "What can be learned: ridge regression (logistic; survival: Cox), pooled, five folds"
    if len(cohort.table) > MOST_ROWS:
        title += f", about {MOST_ROWS:,} rows"
    console.print(printed(baselines, title))


def columns(cohort: Cohort) -> Table:
    """One row per column of the observed table: kind, values, share not recorded, outcomes it predicts."""
    title = f"{cohort.name}: {len(cohort.table)} rows"
    table = Table("column", "kind", "values", "not recorded", "predicts", title=title)
    for name in cohort.table.columns:
        series = cohort.table[name]
        if isinstance(series.dtype, pd.CategoricalDtype):
            kind, values = "category", ", ".join(map(str, series.cat.categories[:6]))
        elif series.nunique() <= 2 and pd.api.types.is_bool_dtype(series):
            kind, values = "yes or no", f"{series.mean():.1%} yes"
        elif pd.api.types.is_numeric_dtype(series):
            kind, values = "number", f"{series.min():.4g} to {series.max():.4g}, mean {series.mean():.4g}"
        else:
            kind, values = "name", f"{series.nunique()} different"
        predicts = ", ".join(outcome for outcome, names in cohort.predictors.items() if name in names)
        cells = (str(name), kind, values, f"{series.isna().mean():.1%}", predicts or "–")
        table.add_row(*map(Text, cells))
    return table


def per_site(cohort: Cohort) -> Table:
    """Rows per site as the cohort was recorded, and events (of a class outcome: classes that occur) per outcome."""
    sites = cohort.table["site"].to_numpy(dtype=str)
    counts = {}
    for outcome in cohort.outcomes:
        known = cohort.known(outcome)
        frame = describe(cohort.where_known(outcome), outcome, sites[known]).set_index("site")
        kind = "classes" if "classes" in frame else "events"
        counts[f"{outcome} {kind}"] = frame[kind]
    size = pd.Series(sites).value_counts(sort=False).rename("rows").rename_axis("site")
    table = pd.DataFrame({"rows": size, **counts}).fillna(0).astype(int).rename_axis("site").reset_index()
    return printed_sites(table, "Sites as they came")
