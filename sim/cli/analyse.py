"""`fedtrial analyse benefit | discovery | survival | trends`: the options of each, and how an answer is printed."""

import json
from pathlib import Path
from typing import Annotated

import typer

from sim.cli.completion import SettingsCommand
from sim.files import expanded, make_folder, replace_whole, writable_file
from sim.terminal import output

app = typer.Typer(no_args_is_help=True, help="Answer a question by exact sums over sites; no model is averaged.")
OPEN = {"allow_extra_args": True}

Seeds = Annotated[int, typer.Option(help="Seeds 0 to N-1, fresh patients each time; 0: the seed of the config.", min=0)]
Json = Annotated[
    Path | None, typer.Option("--json", parser=expanded, metavar="PATH", help="Also write every number to this file.")
]
Drawn = Annotated[
    Path | None, typer.Option("--figure", parser=expanded, metavar="PATH", help="Also draw it (.svg, .png or .pdf).")
]


@app.command(cls=SettingsCommand, context_settings=OPEN)
def benefit(
    context: typer.Context,
    treated: Annotated[str, typer.Option(help="Yes-or-no column: the new treatment.")] = "treated",
    marker: Annotated[str, typer.Option(help="Yes-or-no column; default: the cohort's predictive marker.")] = "",
    seeds: Seeds = 0,
    json_file: Json = None,
    figure: Drawn = None,
) -> None:
    """Who benefits: marker by treatment, at every site and together; then key=value overrides of the config."""
    carry_out("benefit", context.args, {"treated": treated, "marker": marker}, seeds, json_file, figure)


@app.command(cls=SettingsCommand, context_settings=OPEN)
def discovery(
    context: typer.Context,
    features: Annotated[str, typer.Option(help="How the columns of candidate features begin.")] = "gene_",
    rate: Annotated[float, typer.Option(help="False discovery rate.")] = 0.05,
    halves: Annotated[int, typer.Option(help="Random halves of the patients that stability is judged by.")] = 20,
    seeds: Seeds = 0,
    json_file: Json = None,
    figure: Drawn = None,
) -> None:
    """Biomarker discovery: which of many features go with the outcome; then key=value overrides of the config."""
    carry_out(
        "discovery", context.args, {"features": features, "rate": rate, "halves": halves}, seeds, json_file, figure
    )


@app.command(cls=SettingsCommand, context_settings=OPEN)
def survival(
    context: typer.Context,
    by: Annotated[str, typer.Option(help="Column whose values have curves of their own, such as the arm.")] = "",
    seeds: Seeds = 0,
    json_file: Json = None,
    figure: Drawn = None,
) -> None:
    """Survival curves and the log-rank test, with task=cox; then key=value overrides of the config."""
    carry_out("survival", context.args, {"by": by}, seeds, json_file, figure)


@app.command(cls=SettingsCommand, context_settings=OPEN)
def trends(
    context: typer.Context,
    year: Annotated[str, typer.Option(help="Column of the year, or day, of diagnosis.")] = "",
    group: Annotated[str, typer.Option(help="Column whose values have trends of their own; default: the cancer.")] = "",
    threshold: Annotated[int, typer.Option(help="Cells of fewer patients are hidden; CMS: 11.")] = 11,
    seeds: Seeds = 0,
    json_file: Json = None,
    figure: Drawn = None,
) -> None:
    """Trends of rare cancers under small-cell suppression; then key=value overrides of the config."""
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
