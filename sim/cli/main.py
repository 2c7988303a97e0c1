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
cohorts = typer.Typer(no_args_is_help=True, help="Look at the patients before anything is learned from them.")
app.add_typer(cohorts, name="cohort")
cohorts.add_typer(imports, name="import")
app.add_typer(analyses, name="analyse")
console = output()
Profiled = Annotated[bool, typer.Option("--profile", help="Print time and memory of every stage at the end.")]
PASS_ON = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def show_version(wanted: bool) -> None:
    """Print the version and leave."""
    if wanted:
        console.print(f"fedtrial {metadata.version('fedtrial')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True, help="Print it.")] = False,
    config_dir: Annotated[Path | None, typer.Option(help="Folder with presets of your own: GROUP/NAME.yaml.")] = None,
) -> None:
    """Rehearse federated learning for a cancer consortium before anything is deployed."""
    if config_dir:
        from sim.config.presets import add_presets

        add_presets(config_dir.expanduser())


def main() -> None:
    """Entry point: refusals are told in a few lines with exit code 2, and so is a signal, with 130 or 143."""
    os.environ["MPLBACKEND"] = "agg"  # a notebook's shell hands on its own, which need not be installed here
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
        print_refusal(Refused(f"the output cannot be written ({error.strerror}). Free space; finished runs are kept."))
        sys.exit(1)


@app.command(cls=SettingsCommand, context_settings=PASS_ON)
def run(context: typer.Context, profile: Profiled = False) -> None:
    """One experiment, or a sweep with -m. A Hydra app: key=value overrides, --cfg job, --help."""
    with profiled(profile, console):
        with stage("start"):
            from sim.cli.run import launch

        ended = launch(context.args)
    raise typer.Exit(ended)


@app.command(cls=SettingsCommand, context_settings={"allow_extra_args": True})
def study(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A file of experiments/, or a path to one; then key=value overrides.")],
    seeds: Annotated[int, typer.Option(help="Seeds 0 to N-1 in place of the study's own number.", min=0)] = 0,
    metric: Annotated[str, typer.Option(help="Primary metric in place of the study's own, such as cindex.")] = "",
    workers: Workers = 0,
    on_error: OnError = "continue",
    retries: Retries = 2,
    profile: Profiled = False,
) -> None:
    """Every cell of a study, then tables, figures and one HTML page. Finished runs are not computed again."""
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
            parser=expanded, metavar="FILE", help="Rows with the cohort's columns, CSV (also .gz) or Parquet."
        ),
    ],
    site: Annotated[str, typer.Option(help="Whose model or standardisation, where each site has its own.")] = "",
    out: Annotated[
        Path | None, typer.Option(parser=expanded, metavar="PATH", help="Where the predictions go (.parquet or .csv).")
    ] = None,
    model: Annotated[str, typer.Option(help="final, or best by validation loss.")] = "final",
    separator: Annotated[str | None, typer.Option(help="Between the cells of a CSV; \\t for a tab.")] = None,
    comment: Annotated[str | None, typer.Option(help="Mark of the lines above a CSV's header.")] = None,
    skip: Annotated[int | None, typer.Option(help="Further lines above the header.", min=0)] = None,
    decimal: Annotated[str | None, typer.Option(help="Mark before the fraction of a number: . or ,")] = None,
    missing: Annotated[list[str] | None, typer.Option(help="A word for 'not recorded' beside the usual ones.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
) -> None:
    """Apply a run's model to new rows, read as its cohort's table was; a column that does not fit is refused."""
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
    """Tables, figures and page of a study again, from its records; while it still runs, from those that are there."""
    from sim.cli.study import publish

    publish(console, folder)


@cohorts.command(cls=SettingsCommand, context_settings={"allow_extra_args": True})
def describe(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="An entry of the cohort group; then key=value overrides.")],
) -> None:
    """Print a cohort: card, columns, patients per site and, if calibrated, its marginals beside the published ones."""
    from sim.cli.cohort_describe import describe_cohort

    describe_cohort(console, name, context.args)


@cohorts.command()
def sketch(
    file: Annotated[Path, typer.Argument(help="A table of patients, CSV (also .gz) or Parquet.")],
    out: Annotated[Path | None, typer.Option(help="Where the preset goes (.yaml); without it, it is printed.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
) -> None:
    """Guess how a table is to be read, and write a preset of cohort=tabular to start from; correct it by hand."""
    from sim.cli.cohort_sketch import sketch_and_report

    sketch_and_report(console, file, out, overwrite)


@cohorts.command(context_settings={"allow_extra_args": True})
def make(
    context: typer.Context,
    engine: Annotated[str, typer.Argument(help="synthea; then key=value settings such as cancer=breast,lung.")],
    out: Annotated[
        Path,
        typer.Option(
            parser=expanded, metavar="PATH", help="Parquet file to write; its card goes beside it, as .card.md."
        ),
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
) -> None:
    """Make a cohort with the Synthea engine (extra `synthea`). Stop it whenever you like: the same command goes on."""
    from sim.cli.cohort_make import make_and_report

    make_and_report(console, engine, context.args, out, overwrite)


@app.command(cls=SettingsCommand, context_settings={"allow_extra_args": True})
def partition(
    context: typer.Context,
    figure: Annotated[
        Path | None, typer.Option(parser=expanded, metavar="PATH", help="Where the figure goes (.svg, .png or .pdf).")
    ] = None,
) -> None:
    """Print and plot who holds what, for key=value overrides such as partition=dirichlet partition.alpha=0.1."""
    from sim.cli.partition import describe_partition

    describe_partition(console, context.args, figure)


@app.command()
def methods(
    name: Annotated[str, typer.Argument(help="One entry of an axis, such as scaffold or krum; its page.")] = "",
    markdown: Annotated[
        Path | None,
        typer.Option(parser=expanded, metavar="FOLDER", help="Write a page for every entry, and the table of all."),
    ] = None,
) -> None:
    """Every entry of every axis: what it does, its source, messages, state, tier and certificates."""
    from sim.cli.methods import print_methods

    print_methods(console, name, markdown)


@app.command()
def verify(
    json_file: Annotated[
        Path | None,
        typer.Option("--json", parser=expanded, metavar="PATH", help="Also write the certificates to this file."),
    ] = None,
    only: Annotated[str, typer.Option(help="One entry of an axis, such as scaffold or krum.")] = "",
) -> None:
    """Prove every entry of every axis against closed forms; exit 1 if one fails."""
    from sim.cli.verify import verify_and_report

    raise typer.Exit(verify_and_report(console, json_file, only))
