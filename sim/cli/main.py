"""The command line: run | study | gate | resume | runs | show | diff | predict | report | methods | verify | ..."""

import errno
import os
import shlex
import sys
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from sim.checks import Refused, print_refusal
from sim.cli.analyse import app as analyses
from sim.cli.cohort_import import imports
from sim.cli.completion import SettingsCommand
from sim.cli.gate import gate
from sim.cli.results import OnError, Retries, Workers, add_results
from sim.cli.stopping import Commands, print_stop
from sim.files import expanded
from sim.pool import RayLost, print_lost
from sim.profiling import profiled, stage
from sim.run.signals import Stopped
from sim.terminal import give_up_output, open_closed, output

open_closed()
app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
cohorts = typer.Typer(no_args_is_help=True, help="Describe, import or generate a cohort of patients.")
app.add_typer(cohorts, name="cohort")
cohorts.add_typer(imports, name="import")
app.add_typer(analyses, name="analyse")
console = output()
Profiled = Annotated[bool, typer.Option("--profile", help="Print the time and memory of every stage at the end.")]
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        console.print(f"fedtrial {metadata.version('fedtrial')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print the version.")
    ] = False,
    config_dir: Annotated[Path | None, typer.Option(help="Folder with your own presets, GROUP/NAME.yaml.")] = None,
) -> None:
    """Simulate federated learning in a cancer consortium before anything is deployed."""
    if config_dir:
        from sim.config.presets import add_presets

        add_presets(config_dir.expanduser())


def main() -> None:
    """Entry point: prints a refusal in a few lines (exit code 2), or what a signal interrupted (130 or 143)."""
    os.environ["MPLBACKEND"] = "agg"  # a notebook's shell passes its own backend on, which may not be installed here
    try:
        app()
    except Stopped as stopped:
        print_stop(stopped)
        sys.exit(stopped.code)
    except RayLost as lost:
        print_lost(lost, shlex.join(["fedtrial", *sys.argv[1:]]))
        sys.exit(1)
    except Refused as refusal:
        print_refusal(refusal)
        sys.exit(2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS):
            raise
        give_up_output()
        print_refusal(
            Refused(
                f"the output could not be written ({error.strerror}). Free some disk space; finished runs are kept."
            )
        )
        sys.exit(1)


@app.command(cls=SettingsCommand, context_settings=PASS_ON)
def run(context: typer.Context, profile: Profiled = False) -> None:
    """Run one experiment, or a sweep with -m. A Hydra application: key=value overrides, --cfg job, --help."""
    with profiled(profile, console):
        with stage("start"):
            from sim.cli.run import launch

        ended = launch(context.args)
    raise typer.Exit(ended)


@app.command(cls=SettingsCommand, context_settings={"allow_extra_args": True})
def study(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(help="A file in experiments/ or a path to one, followed by key=value overrides.")
    ],
    seeds: Annotated[int, typer.Option(help="Run seeds 0 to N-1 instead of the study's own number.", min=0)] = 0,
    metric: Annotated[str, typer.Option(help="Primary metric instead of the study's own, such as cindex.")] = "",
    workers: Workers = 0,
    on_error: OnError = "continue",
    retries: Retries = 2,
    profile: Profiled = False,
) -> None:
    """Run every cell of a study and write tables, figures and one HTML page. Finished runs are not computed again."""
    with profiled(profile, console):
        with stage("start"):
            from sim.cli.study import carry_out
            from sim.run.sweep import Launch

        ended = carry_out(console, context.args, name, seeds, metric, Launch(workers, on_error, retries))
    raise typer.Exit(ended)


add_results(app)
app.command()(gate)


@app.command()
def predict(
    run: Annotated[
        Path,
        typer.Argument(
            parser=expanded, metavar="RUN", help="Folder of a run, such as results/runs/quickstart/0123456789ab."
        ),
    ],
    file: Annotated[
        Path,
        typer.Argument(
            parser=expanded, metavar="FILE", help="New rows with the cohort's columns, as CSV (also .gz) or Parquet."
        ),
    ],
    site: Annotated[
        str, typer.Option(help="Site whose model or standardisation is used, if each site has its own.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(parser=expanded, metavar="PATH", help="File for the predictions (.parquet or .csv).")
    ] = None,
    model: Annotated[str, typer.Option(help="final, or best (by validation loss).")] = "final",
    separator: Annotated[str | None, typer.Option(help="Cell separator of a CSV file; \\t for a tab.")] = None,
    comment: Annotated[str | None, typer.Option(help="Mark of comment lines above the header of a CSV file.")] = None,
    skip: Annotated[int | None, typer.Option(help="Number of further lines above the header.", min=0)] = None,
    decimal: Annotated[str | None, typer.Option(help="Decimal mark: . or ,")] = None,
    missing: Annotated[list[str] | None, typer.Option(help="One more word for a missing value.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
) -> None:
    """Apply a run's model to new rows in the format of its cohort's table; columns that do not match are refused."""
    from sim.cli.predict import predict_and_report

    given = {"separator": separator, "comment": comment, "skip": skip, "decimal": decimal}
    predict_and_report(console, run, file, site, out, model, given, missing or [], overwrite)


@app.command()
def report(
    folder: Annotated[
        Path,
        typer.Argument(parser=expanded, metavar="FOLDER", help="Folder of a study, such as results/runs/quickstart."),
    ],
) -> None:
    """Write the tables, figures and page of a study from its records, also while it is still running."""
    from sim.cli.study import publish

    publish(console, folder)


@cohorts.command(cls=SettingsCommand, context_settings={"allow_extra_args": True})
def describe(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="An entry of the cohort group, followed by key=value overrides.")],
) -> None:
    """Print a cohort's card, columns, patients per site and (if calibrated) published and simulated marginals."""
    from sim.cli.cohort_describe import describe_cohort

    describe_cohort(console, name, context.args)


@cohorts.command()
def sketch(
    file: Annotated[Path, typer.Argument(help="A table of patients, as CSV (also .gz) or Parquet.")],
    out: Annotated[Path | None, typer.Option(help="File for the preset (.yaml); printed if not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
) -> None:
    """Guess how to read a table and write a first preset for cohort=tabular, which you then correct by hand."""
    from sim.cli.cohort_sketch import sketch_and_report

    sketch_and_report(console, file, out, overwrite)


@cohorts.command(context_settings={"allow_extra_args": True})
def make(
    context: typer.Context,
    engine: Annotated[str, typer.Argument(help="synthea, followed by key=value settings such as cancer=breast,lung.")],
    out: Annotated[
        Path,
        typer.Option(
            parser=expanded, metavar="PATH", help="Parquet file to write; its card is written beside it, as .card.md."
        ),
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")] = False,
) -> None:
    """Generate a cohort with the Synthea engine (extra `synthea`). If interrupted, the same command continues."""
    from sim.cli.cohort_make import make_and_report

    make_and_report(console, engine, context.args, out, overwrite)


@app.command(cls=SettingsCommand, context_settings={"allow_extra_args": True})
def partition(
    context: typer.Context,
    figure: Annotated[
        Path | None, typer.Option(parser=expanded, metavar="PATH", help="File for the figure (.svg, .png or .pdf).")
    ] = None,
) -> None:
    """Print and plot which site holds which patients, for overrides such as partition=dirichlet partition.alpha=0.1."""
    from sim.cli.partition import describe_partition

    describe_partition(console, context.args, figure)


@app.command()
def methods(
    name: Annotated[str, typer.Argument(help="Print the page of one entry, such as scaffold or krum.")] = "",
    markdown: Annotated[
        Path | None,
        typer.Option(
            parser=expanded, metavar="FOLDER", help="Write a page for every entry, and the table of all entries."
        ),
    ] = None,
) -> None:
    """List every entry of every axis: what it does, its source, messages, state, tier and certificates."""
    from sim.cli.methods import print_methods

    print_methods(console, name, markdown)


@app.command()
def verify(
    json_file: Annotated[
        Path | None,
        typer.Option("--json", parser=expanded, metavar="PATH", help="Also write the certificates to this file."),
    ] = None,
    only: Annotated[str, typer.Option(help="Verify one entry only, such as scaffold or krum.")] = "",
) -> None:
    """Verify every entry of every axis against closed forms; exit code 1 if a certificate fails."""
    from sim.cli.verify import verify_and_report

    raise typer.Exit(verify_and_report(console, json_file, only))
