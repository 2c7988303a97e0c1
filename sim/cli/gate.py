"""The options of `fedtrial gate`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from sim.files import expanded
from sim.terminal import output


def gate(
    baseline: Annotated[
        str,
        typer.Argument(help="A gate in experiments/gates, or the path of a gate (.yaml) or of its baseline (.json)."),
    ],
    update: Annotated[bool, typer.Option("--update", help="Compute and write a new baseline; needs --reason.")] = False,
    reason: Annotated[str, typer.Option(help="Reason for the new baseline, recorded in it.")] = "",
    seeds: Annotated[int, typer.Option(help="Run seeds 0 to N-1 only and add none; 0 = the gate's own.", min=0)] = 0,
    inconclusive: Annotated[
        str, typer.Option(help="Treat inconclusive cells as fail (exit code 3) or warn (exit code 0).")
    ] = "fail",
    exact: Annotated[bool, typer.Option("--exact", help="On the same machine, fail if any bit differs.")] = False,
    speed: Annotated[
        float,
        typer.Option(help="Fail a cell that is slower than its baseline by more than this factor, such as 1.5.", min=0),
    ] = 0,
    workers: Annotated[int, typer.Option(help="Number of processes; 0 = one per core.", min=0)] = 0,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", parser=expanded, metavar="PATH", help="Write all findings to this file, as JSON."),
    ] = None,
    junit: Annotated[
        Path | None,
        typer.Option(
            parser=expanded, metavar="PATH", help="Write a test case for each finding to this file, as JUnit XML."
        ),
    ] = None,
) -> None:
    """Compare algorithms with a committed baseline, seed by seed; exit code 1 if one got worse."""
    from sim.cli.gate_verdict import decide
    from sim.gate.run import Asked

    asked = Asked(workers or os.cpu_count() or 1, seeds, exact, speed)
    raise typer.Exit(decide(output(), baseline, update, reason, inconclusive, asked, json_file, junit))
