"""The commands that continue or inspect runs: resume, runs, show, diff."""

from pathlib import Path
from typing import Annotated

import typer

from sim.files import expanded
from sim.terminal import output

Workers = Annotated[
    int,
    typer.Option(
        help="Number of processes; 0 = one per core, or only this process if starting Ray would take longer.", min=0
    ),
]
OnError = Annotated[str, typer.Option(help="After a failed run: continue with the other runs, or stop.")]
Retries = Annotated[int, typer.Option(help="How often a run is started again if its process died.", min=0)]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Run = Annotated[
    Path,
    typer.Argument(parser=expanded, metavar="RUN", help="Folder of a run, such as results/runs/0123456789ab."),
]
OtherRun = Annotated[Path, typer.Argument(parser=expanded, metavar="OTHER", help="Folder of another run.")]


def resume(
    folder: Annotated[
        Path,
        typer.Argument(
            parser=expanded,
            metavar="FOLDER",
            help="Folder of a study, folder of sweeps and runs (results.dir), or a working folder in it.",
        ),
    ],
    workers: Workers = 0,
    on_error: OnError = "continue",
    retries: Retries = 2,
) -> None:
    """Continue an interrupted study, or interrupted sweeps and runs, with identical results."""
    from sim.cli.resume import resume as go_on
    from sim.run.sweep import Launch

    raise typer.Exit(go_on(output(), folder, Launch(workers, on_error, retries)))


def runs(
    folder: Annotated[
        Path,
        typer.Argument(
            parser=expanded, metavar="FOLDER", help="Folder of a study, or folder of sweeps and runs (results.dir)."
        ),
    ],
    metric: Annotated[
        str, typer.Option(help="Metric shown in the table; default: the study's, or the first available.")
    ] = "",
    as_json: Json = False,
) -> None:
    """List the runs of a folder: settings that differ, status, round and metric."""
    from sim.cli.runs import list_runs

    list_runs(output(), folder, metric, as_json)


def show(run: Run, as_json: Json = False) -> None:
    """Show one run: results, settings, provenance and files, or why it is not finished."""
    from sim.cli.runs import show_run

    show_run(output(), run, as_json)


def diff(run: Run, other: OtherRun, as_json: Json = False) -> None:
    """Compare two runs: differences in settings, code, data and machine, and their metrics side by side."""
    from sim.cli.runs import diff_runs

    diff_runs(output(), run, other, as_json)


def add_results(app: typer.Typer) -> None:
    """Add these commands to an app."""
    for command in (resume, runs, show, diff):
        app.command()(command)
