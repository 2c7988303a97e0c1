"""The report of a study: one self-contained HTML page, its figures and a table for spreadsheets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sim.metrics import METRICS
from sim.metrics.fairness import FEWEST_EVENTS
from sim.report import dial_figures, dial_words, figures, site_figures
from sim.report.across import over_all
from sim.report.across import text as across_text
from sim.report.answer import answer
from sim.report.decision import Decision, decisions
from sim.report.lost_runs import lost_runs
from sim.report.publish import publish
from sim.report.rows import method_rows
from sim.report.scores import Scores, scores
from sim.report.settings_diff import FOLLOWS_SEED, differing
from sim.report.site_gains import site_gains
from sim.report.style import BEST, Key, curve_legend, legend, prefixed, svg
from sim.report.table_text import site_text, summary_text
from sim.report.tables import per_site, summary
from sim.stats.intervals import FEWEST
from sim.study.results import StudyRecords

FORMULA = tuple("=+-@\t\r\n＝＋－＠")  # first characters of cells that a spreadsheet may run


@dataclass(frozen=True)
class Section:
    """One scenario of the page."""

    key: str  # "s0", "s1", ...; part of anchors and file names
    scenario: str
    answer: list[str]
    methods: pd.DataFrame  # the table of methods as text
    anchors: list[str]  # of the row in the list of runs to which each row of `methods` leads
    sites: pd.DataFrame  # the table of sites as text
    site_count: int
    figures: dict[str, str]  # name -> SVG; empty where no federated run finished, or the study has dials
    references: list[bool]  # whether each row of `methods` is a reference
    legend: list[Key]
    fixed: bool  # whether all seeds split the same patients
    one_split: bool  # and in the same way
    resampled: bool  # and intervals come from a bootstrap of the test patients


@dataclass(frozen=True)
class DialSection:
    """The part of the page about the dials, before the scenarios."""

    answer: list[str]
    text: pd.DataFrame  # the table of dials as text
    legend: list[Key]
    losers: dict[str, str]  # federated method -> its figure; empty where there are too many sites
    figures: dict[str, str]  # name -> SVG


def dial_section(records: StudyRecords, table: pd.DataFrame, sites: pd.DataFrame) -> DialSection | None:
    """Figures, sentences and table of the dials; None for a study without dials."""
    if not records.dials:
        return None
    few = sites.groupby("scenario")["site"].nunique().max() <= dial_figures.MAX_SITES
    methods = table.loc[(table["reference"] == "") & table["mean"].notna(), "method"].unique()
    losers = {str(method): f"losers-{at}" for at, method in enumerate(methods)} if few else {}
    return DialSection(
        answer=dial_words.sentences(records.dials, table, sites),
        text=dial_words.text(records.dials, table),
        legend=legend(method_rows(table)),
        losers=losers,
        figures={"dials": svg(dial_figures.curves(records.dials, table))}
        | {name: svg(dial_figures.losers(records.dials, sites, method)) for method, name in losers.items()},
    )


def sections(
    records: StudyRecords,
    scored: Scores,
    table: pd.DataFrame,
    sites: pd.DataFrame,
    decided: Sequence[tuple[str, Decision | None]],
) -> list[Section]:
    """Every scenario with its text, tables and figures; `decided` = `decisions` of them."""
    made = []
    parts = zip(decided, table.groupby("scenario", sort=False), strict=True)
    for at, ((_, decision), (scenario, rows)) in enumerate(parts):
        here, typed = sites[sites["scenario"] == scenario], method_rows(rows)
        drawn = {}
        if not records.dials and rows.loc[rows["reference"] == "", "mean"].notna().any():
            drawn = {
                "convergence": svg(figures.convergence(rows, scored)),
                "gains": svg(site_figures.gains(here)) if here["gain"].notna().any() else "",
                "bytes": svg(figures.cost(rows, scored)),
            }
        made.append(
            Section(
                key=f"s{at}",
                scenario=str(scenario),
                answer=answer(rows, decision),
                methods=summary_text(rows),
                anchors=[f"runs-s{at}-{place}" for place in range(len(rows))],
                sites=site_text(here, typed),
                site_count=here.loc[here["kind"] != "small", "site"].nunique(),
                figures={name: text for name, text in drawn.items() if text},
                references=(rows["reference"] != "").tolist(),
                legend=curve_legend(typed),
                fixed=scored.fixed(str(scenario)),
                one_split=scored.one_split(str(scenario)),
                resampled=any(name == scenario for name, _ in scored.resampled),
            )
        )
    return made


def page(
    records: StudyRecords,
    table: pd.DataFrame,
    parts: list[Section],
    dials: DialSection | None,
    decided: Sequence[tuple[str, Decision | None]],
) -> str:
    """The page as text; the same records give the same bytes."""
    environment = Environment(
        loader=PackageLoader("sim", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    own, shared = differing(records)
    runs = records.runs.sort_values("seed", kind="stable")
    listing = [
        (
            anchor,
            str(row["scenario"]),
            str(row["method"]),
            runs[(runs["scenario"] == row["scenario"]) & (runs["method"] == row["method"])].to_dict("records"),
        )
        for part, (_, rows) in zip(parts, table.groupby("scenario", sort=False), strict=True)
        for anchor, (_, row) in zip(part.anchors, rows.iterrows(), strict=True)
    ]
    return environment.get_template("page.html.j2").render(
        records=records,
        metric=METRICS[records.metric],
        parts=parts,
        inline={part.key: inline(part.key, part.figures) for part in parts},
        dials=dials,
        dial_figures=inline("dials", dials.figures if dials else {}),
        own=own,
        fresh=shared.get("cohort.consortium") == FOLLOWS_SEED,
        shared=shared,
        listing=listing,
        seeds=int(records.runs["seed"].nunique()),
        synthetic=bool((records.runs["reference"] == "oracle").any()),
        scenarios=len(parts) > 1,
        lost=lost_runs(records),
        asked=len(records.runs) + len(records.absent),
        fixed=any(part.fixed for part in parts),
        over_all=over_all(decided),
        across=across_text(decided),
        fewest_events=FEWEST_EVENTS,
        fewest_seeds=FEWEST,
        best=BEST,
        references=set(records.runs["reference"]) - {""},
    )


def inline(key: str, drawn: dict[str, str]) -> dict[str, Markup]:
    """Figures as parts of the page; `key` keeps their ids apart."""
    return {name: Markup(prefixed(text, f"{key}-{name}")) for name, text in drawn.items()}


def write_report(records: StudyRecords, folder: Path) -> Path:
    """Write index.html, summary.csv, sites.csv and figures/*.svg into `folder`, all or none; returns the page."""
    scored = scores(records)
    gains = site_gains(records, scored)
    table, sites = summary(records, scored, gains), per_site(records, scored, gains)
    decided = decisions(table, sites, scored, records.margin)
    parts, dials = sections(records, scored, table, sites, decided), dial_section(records, table, sites)
    drawn = {f"{part.key}-{name}": text for part in parts for name, text in part.figures.items()}
    drawn |= dials.figures if dials else {}
    files = {f"figures/{name}.svg": text for name, text in drawn.items()}
    files |= {"summary.csv": csv(table), "sites.csv": csv(sites)}
    files["index.html"] = page(records, table, parts, dials, decided)
    publish(files, folder, whole=("figures",))
    return folder / "index.html"


def csv(frame: pd.DataFrame) -> str:
    """A data frame as CSV; text cells that a spreadsheet would run as formulas start with an apostrophe."""
    words = frame.select_dtypes(exclude="number").columns
    guarded = {
        name: frame[name].map(lambda cell: f"'{cell}" if str(cell).startswith(FORMULA) else cell) for name in words
    }
    text: str = frame.assign(**guarded).to_csv(index=False, lineterminator="\n")
    return text
