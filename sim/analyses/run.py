"""An analysis from its settings to its answer: cohort, sites, question, tables and figure, seed by seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from matplotlib.figure import Figure

from sim.analyses.answer_benefit import summarise_benefit
from sim.analyses.answer_discovery import summarise_discovery
from sim.analyses.answer_survival import summarise_survival
from sim.analyses.answer_trends import summarise_trends
from sim.analyses.benefit import Benefit, benefit
from sim.analyses.compatible import refuse_incompatible
from sim.analyses.discovery import Discovery, discovery
from sim.analyses.features import panel
from sim.analyses.figures import discovery_figure, trends_figure
from sim.analyses.forest import forest
from sim.analyses.options import Options
from sim.analyses.sites import CohortBySite, group_by_site
from sim.analyses.survival import SurvivalFound, survival
from sim.analyses.survival_figure import survival_figure
from sim.analyses.tables import Answer, AnswerTable, over_seeds
from sim.analyses.trends import Trends, trends
from sim.analyses.truth import annual_changes
from sim.checks import one_of
from sim.config.compose import experiment
from sim.config.many import seeded
from sim.config.words import refuse_twice
from sim.files import writable_file
from sim.run.prepare import deal

Found = TypeVar("Found")
FIGURES = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Analysis(Generic[Found]):
    """How a question is answered at one seed, put into tables, and drawn from the findings of all seeds."""

    title: str
    compute: Callable[[CohortBySite, str, int, Options], Found]  # from cohort, outcome, seed and options
    summarise: Callable[[Found], Answer]
    draw: Callable[[Sequence[Found]], Figure]  # of all seeds, or of the first
    of_outcome: bool = True  # whether it asks about the outcome of the patients
    within_sites: bool = False  # whether its chances suppose that a site is no consequence of the outcome


def compute_benefit(data: CohortBySite, outcome: str, seed: int, options: Options) -> Benefit:
    """Marker by treatment."""
    return benefit(data, outcome, options.treated, options.marker)


def compute_discovery(data: CohortBySite, outcome: str, seed: int, options: Options) -> Discovery:
    """Features that are associated with the outcome."""
    return discovery(panel(data, outcome, options.features), options.rate, options.halves, seed)


def compute_trends(data: CohortBySite, outcome: str, seed: int, options: Options) -> Trends:
    """Counts by year."""
    return trends(data, options.year, options.group, options.threshold, annual_changes(data.cohort))


def compute_survival(data: CohortBySite, outcome: str, seed: int, options: Options) -> SurvivalFound:
    """Curves of the groups."""
    return survival(data, outcome, options.by)


def first_survival(found: Sequence[SurvivalFound]) -> Figure:
    """Curves of the first seed."""
    return survival_figure(found[0])


def first_forest(found: Sequence[Benefit]) -> Figure:
    """Forest plot of the first seed."""
    return forest(found[0])


def first_trends(found: Sequence[Trends]) -> Figure:
    """Trends of the first seed."""
    return trends_figure(found[0])


ANALYSES: dict[str, Analysis] = {  # type: ignore[type-arg]
    "benefit": Analysis("Who benefits", compute_benefit, summarise_benefit, first_forest, within_sites=True),
    "discovery": Analysis("Biomarker discovery", compute_discovery, summarise_discovery, discovery_figure),
    "survival": Analysis("Survival", compute_survival, summarise_survival, first_survival),
    "trends": Analysis("Trends of rare cancers", compute_trends, summarise_trends, first_trends, of_outcome=False),
}


@dataclass(frozen=True)
class AnalysisReport:
    """What an analysis says about one or several seeds."""

    title: str
    cohort: str
    outcome: str  # empty where the analysis asks about none
    sites: int
    rows: int
    seeds: tuple[int, ...]
    tables: list[AnswerTable]
    first: Answer  # of the first seed: notes and bytes
    figure: Callable[[], Figure]

    def json(self) -> dict[str, object]:
        """Everything that is printed, as plain values; null where there is no number."""
        tables = {table.title: json_rows(table) for table in self.tables}
        wire = {name: traffic._asdict() for name, traffic in self.first.traffic.items()}
        head: dict[str, object] = {"analysis": self.title, "cohort": self.cohort, "outcome": self.outcome}
        head |= {"sites": self.sites, "rows": self.rows, "seeds": list(self.seeds)}
        return head | {"tables": tables, "wire": wire, "notes": list(self.first.notes)}


def json_rows(table: AnswerTable) -> list[dict[str, object]]:
    """Rows of a table as values that JSON has."""
    return [
        {str(name): json_cell(value) for name, value in row.items()} for row in table.frame.to_dict(orient="records")
    ]


def json_cell(value: object) -> object:
    """A cell as JSON has it; null for what is not a number."""
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def analyse(name: str, overrides: Sequence[str], options: Options, seeds: int) -> AnalysisReport:
    """Run an analysis once, or with seeds 0 to `seeds` - 1 if that is above 0: fresh patients each time.

    Raises Refused for an unknown name, for settings that an analysis does not use, and for a cohort that cannot answer.
    """
    one_of("analysis", name, ANALYSES)
    refuse_twice(overrides)
    analysis = ANALYSES[name]
    runs = seeded(overrides, seeds, {}) if seeds else [experiment(overrides)]
    refuse_incompatible(runs[0], overrides, seeds, analysis.within_sites)
    found = []
    for run in runs:
        dealt = deal(run, analysis.of_outcome)
        data = group_by_site(dealt.cohort, dealt.sites)
        found.append(analysis.compute(data, dealt.outcome, run.seed, options))
    answers = [analysis.summarise(one) for one in found]
    return AnalysisReport(
        title=analysis.title,
        cohort=dealt.cohort.name,
        outcome=dealt.outcome if analysis.of_outcome else "",
        sites=len(data.sites),
        rows=len(data.table),
        seeds=tuple(run.seed for run in runs),
        tables=over_seeds(answers),
        first=answers[0],
        figure=lambda: analysis.draw(found),
    )


def check_figure_path(path: Path | None) -> None:
    """Refuse a figure that cannot be drawn or written, before anything is computed; None = no figure."""
    if path:
        one_of(f"--figure {path}: ending", path.suffix, FIGURES)
        writable_file("--figure", path)
