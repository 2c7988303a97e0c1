"""`fedtrial analyse benefit | discovery | survival | trends`: the options of each, and how an answer is printed."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sim.cli.completion import SettingsCommand
from sim.files import expanded, make_folder, replace_whole, writable_file
from sim.terminal import output

app = typer.Typer(
    no_args_is_help=True, help="Answer a statistical question by exact sums over sites; settings follow as key=value."
)
OPEN = {"allow_extra_args": True}

Seeds = Annotated[
    int, typer.Option(help="Repeat with seeds 0 to N-1 and new patients each time; 0: only the config's seed.", min=0)
]
Json = Annotated[
    Path | None,
    typer.Option("--json", parser=expanded, metavar="PATH", help="Also write all numbers to this file, as JSON."),
]
Drawn = Annotated[
    Path | None,
    typer.Option("--figure", parser=expanded, metavar="PATH", help="Also draw a figure (.svg, .png or .pdf)."),
]


@app.command(cls=SettingsCommand, context_settings=OPEN)
def benefit(
    context: typer.Context,
    treated: Annotated[str, typer.Option(help="Yes-or-no column of the new treatment.")] = "treated",
    marker: Annotated[
        str, typer.Option(help="Yes-or-no column of the marker; default: the cohort's predictive marker.")
    ] = "",
    seeds: Seeds = 0,
    json_file: Json = None,
    figure: Drawn = None,
) -> None:
    """Estimate who benefits from a treatment: the marker by treatment interaction, per site and overall."""
    carry_out("benefit", context.args, {"treated": treated, "marker": marker}, seeds, json_file, figure)


@app.command(cls=SettingsCommand, context_settings=OPEN)
def discovery(
    context: typer.Context,
    features: Annotated[str, typer.Option(help="Prefix of the columns that hold candidate features.")] = "gene_",
    rate: Annotated[float, typer.Option(help="False discovery rate.")] = 0.05,
    halves: Annotated[
        int, typer.Option(help="Number of random halves of the patients used to estimate stability.")
    ] = 20,
    seeds: Seeds = 0,
    json_file: Json = None,
    figure: Drawn = None,
) -> None:
    """Find biomarkers: which of many features are associated with the outcome."""
    carry_out(
        "discovery", context.args, {"features": features, "rate": rate, "halves": halves}, seeds, json_file, figure
    )


@app.command(cls=SettingsCommand, context_settings=OPEN)
def survival(
    context: typer.Context,
    by: Annotated[str, typer.Option(help="Column with one curve per value, such as the treatment arm.")] = "",
    seeds: Seeds = 0,
    json_file: Json = None,
    figure: Drawn = None,
) -> None:
    """Estimate survival curves and the log-rank test (needs task=cox)."""
    carry_out("survival", context.args, {"by": by}, seeds, json_file, figure)


@app.command(cls=SettingsCommand, context_settings=OPEN)
def trends(
    context: typer.Context,
    year: Annotated[str, typer.Option(help="Column with the year or date of diagnosis.")] = "",
    group: Annotated[str, typer.Option(help="Column with one trend per value; default: the cancer.")] = "",
    threshold: Annotated[
        int, typer.Option(help="Hide cells with fewer patients than this; 11 is the rule of CMS.")
    ] = 11,
    seeds: Seeds = 0,
    json_file: Json = None,
    figure: Drawn = None,
) -> None:
    """Estimate incidence trends of rare cancers when small cells are suppressed."""
    options: dict[str, object] = {"year": year, "group": group, "threshold": threshold}
    carry_out("trends", context.args, options, seeds, json_file, figure)


def carry_out(
    name: str, overrides: list[str], options: dict[str, object], seeds: int, json_file: Path | None, figure: Path | None
) -> None:
    """Run an analysis, print its answer, and write the JSON file and the figure that were asked for."""
    from sim.analyses.options import Options
    from sim.analyses.run import analyse, check_figure_path
    from sim.cli.analysis_tables import print_report
    from sim.report.style import save_figure

    check_figure_path(figure)
    if json_file:
        writable_file("--json", json_file)
    found = analyse(name, overrides, Options(**options), seeds)  # type: ignore[arg-type]
    print_report(output(), found)
    if json_file:
        replace_whole(json_file, json.dumps(found.json(), indent=2) + "\n")
    if figure:
        make_folder(figure.parent)
        save_figure(found.figure(), figure)
