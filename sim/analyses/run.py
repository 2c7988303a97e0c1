"""An analysis from a composed experiment to its answer: cohort, sites, question, tables and figure, seed by seed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from sim.analyses.benefit import Benefit, benefit
from sim.analyses.compatible import answerable
from sim.analyses.discovery import Discovery, discovery
from sim.analyses.features import panel
from sim.analyses.figures import bars, courses
from sim.analyses.forest import forest
from sim.analyses.sites import Held, hold
from sim.analyses.summarise import tell_benefit, tell_discovery, tell_trends
from sim.analyses.tables import Answer, Part, together
from sim.analyses.trends import Trends, trends
from sim.analyses.truth import annual_changes
from sim.checks import one_of, within
from sim.config.compose import experiment
from sim.files import writable_file
from sim.partition.assign import assign_sites
from sim.report.style import RC

Found = TypeVar("Found")
FIGURES = (".svg", ".png", ".pdf")


@dataclass(frozen=True)
class Wishes:
    """What the command line says beyond the experiment."""

    treated: str = "treated"  # column: new treatment or not
    marker: str = ""  # column; empty = the one the cohort calls predictive
    features: str = "gene_"  # how the columns of candidate biomarkers begin
    rate: float = 0.05  # (0, 1); false discovery rate
    halves: int = 20  # 0, or >= 2; random halves that stability is judged by
    year: str = ""  # column; empty = the usual names
    group: str = ""  # column whose values have trends of their own; empty = the cancer
    threshold: int = 11  # >= 1; cells below it are hidden. CMS Cell Size Suppression Policy: 11

    def __post_init__(self) -> None:
        within("--rate", self.rate, 0, 1, open_low=True, open_high=True)
        within("--halves", self.halves, 0)
        if self.halves == 1:
            within("--halves", self.halves, 2)
        within("--threshold", self.threshold, 1)


@dataclass(frozen=True)
class Analysis(Generic[Found]):
    """How a question is asked, told and drawn; the figure is that of all seeds, or of the first."""

    title: str
    ask: Callable[[Held, str, int, Wishes], Found]
    tell: Callable[[Found], Answer]
    draw: Callable[[Sequence[Found]], Figure]
    of_outcome: bool = True  # whether it asks about the outcome of the patients
    within_sites: bool = False  # whether its chances suppose that a site is no consequence of the outcome


def ask_benefit(held: Held, outcome: str, seed: int, wishes: Wishes) -> Benefit:
    """Marker by treatment."""
    return benefit(held, outcome, wishes.treated, wishes.marker)


def ask_discovery(held: Held, outcome: str, seed: int, wishes: Wishes) -> Discovery:
    """Features that go with the outcome."""
    return discovery(panel(held, outcome, wishes.features), wishes.rate, wishes.halves, seed)


def ask_trends(held: Held, outcome: str, seed: int, wishes: Wishes) -> Trends:
    """Counts by year."""
    return trends(held, wishes.year, wishes.group, wishes.threshold, annual_changes(held.cohort))


ANALYSES: dict[str, Analysis] = {  # type: ignore[type-arg]
    "benefit": Analysis("Who benefits", ask_benefit, tell_benefit, lambda found: forest(found[0]), within_sites=True),
    "discovery": Analysis("Biomarker discovery", ask_discovery, tell_discovery, bars),
    "trends": Analysis(
        "Trends of rare cancers", ask_trends, tell_trends, lambda found: courses(found[0]), of_outcome=False
    ),
}


@dataclass(frozen=True)
class Report:
    """An analysis over one or several seeds."""

    title: str
    cohort: str
    outcome: str
    sites: int
    rows: int
    seeds: tuple[int, ...]
    parts: list[Part]
    first: Answer  # of the first seed: notes and bytes
    figure: Callable[[], Figure]

    def json(self) -> dict[str, object]:
        """Everything that is printed, as plain values; null where there is no number."""
        tables = {part.title: plain(part) for part in self.parts}
        wires = {name: wire._asdict() for name, wire in self.first.wires.items()}
        head: dict[str, object] = {"analysis": self.title, "cohort": self.cohort, "outcome": self.outcome}
        head |= {"sites": self.sites, "rows": self.rows, "seeds": list(self.seeds)}
        return head | {"tables": tables, "wire": wires, "notes": list(self.first.notes)}


def plain(part: Part) -> list[dict[str, object]]:
    """Rows of a table as values that JSON has."""
    return [
        {str(name): plain_cell(value) for name, value in row.items()} for row in part.frame.to_dict(orient="records")
    ]


def plain_cell(value: object) -> object:
    """A cell as JSON has it; null for what is not a number."""
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value


def report(name: str, overrides: Sequence[str], wishes: Wishes, seeds: int) -> Report:
    """Ask a question of a cohort; with several seeds, of fresh patients of the same consortium each time."""
    one_of("analysis", name, ANALYSES)
    analysis = ANALYSES[name]
    wanted = experiment(overrides)
    answerable(wanted, overrides, seeds, analysis.within_sites)
    numbers = tuple(range(seeds)) if seeds else (wanted.seed,)
    found = []
    for seed in numbers:
        cohort = wanted.cohort.load(seed)
        outcome = wanted.task.choose(cohort)
        if analysis.of_outcome:
            cohort = wanted.task.ask(cohort, outcome)
        settled = assign_sites(wanted.partition, cohort, outcome, seed)
        held = hold(wanted.shift.apply(settled.cohort, outcome, settled.sites, seed), settled.sites)
        found.append(analysis.ask(held, outcome, seed, wishes))
    answers = [analysis.tell(one) for one in found]
    return Report(
        title=analysis.title,
        cohort=cohort.name,
        outcome=outcome if analysis.of_outcome else "",
        sites=len(held.sites),
        rows=len(held.table),
        seeds=numbers,
        parts=together(answers),
        first=answers[0],
        figure=lambda: analysis.draw(found),
    )


def figure_path(path: Path | None) -> None:
    """Refuse a figure that cannot be drawn or written, before anything is computed."""
    if path:
        one_of(f"--figure {path}: ending", path.suffix, FIGURES)
        writable_file("--figure", path)


def save(figure: Figure, path: Path) -> None:
    """Write a figure; an SVG is the same bytes every time."""
    with mpl.rc_context(RC):
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
