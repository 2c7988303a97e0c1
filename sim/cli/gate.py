"""The options of `fedtrial gate`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from sim.files import expanded
from sim.terminal import output


def gate(
    baseline: Annotated[
        str, typer.Argument(help="A gate of experiments/gates, or a path to one (.yaml) or to its baseline (.json).")
    ],
    update: Annotated[bool, typer.Option("--update", help="Compute the baseline anew; needs --reason.")] = False,
    reason: Annotated[str, typer.Option(help="Why the baseline changes.")] = "",
    seeds: Annotated[int, typer.Option(help="Seeds 0 to N-1 alone, none added; 0 = the gate's own.", min=0)] = 0,
    inconclusive: Annotated[str, typer.Option(help="fail (exit code 3), or warn (exit code 0).")] = "fail",
    exact: Annotated[bool, typer.Option("--exact", help="Other bits are a failure, on the same machine.")] = False,
    speed: Annotated[
        float,
        typer.Option(help="Fail a cell that became so many times as slow as it was, such as 1.5.", min=0),
    ] = 0,
    workers: Annotated[int, typer.Option(help="Processes; 0 = one per core.", min=0)] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", parser=expanded, metavar="PATH", help="Write all findings to this file.")
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(parser=expanded, metavar="PATH", help="Write a test case for each of them, as XML.")
    ] = None,
) -> None:
    """Compare algorithms with a committed baseline, seed by seed; exit 1 if one got worse. Its first run makes it."""
    from sim.cli.gate_verdict import decide
    from sim.gate.run import Asked

    asked = Asked(workers or os.cpu_count() or 1, seeds, exact, speed)
    raise typer.Exit(decide(output(), baseline, update, reason, inconclusive, asked, json_file, junit))
