"""`fedtrial verify`: certificates of every entry of every axis, on the terminal and as a file."""

import json
import math
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sim.catalogue.brought import broken, joined, proofs, refuse_broken
from sim.checks import one_of
from sim.files import replace_whole, writable_file
from sim.progress import compiling
from sim.terminal import Terminal
from sim.verify import certificates
from sim.verify.certificates import TABLES


def verify_and_report(console: Console, json_file: Path | None, only: str) -> int:
    """Verify all entries, or one; returns 1 if a certificate fails, otherwise 0."""
    tables = joined(TABLES)
    if only:
        refuse_broken(only, tables)
        one_of("--only", only, {name for entries in tables.values() for name in entries})
    if json_file:
        writable_file("--json", json_file)
    with (
        compiling(),
        Terminal(stderr=True).status("verifying every method against closed forms"),
    ):  # silent unless a terminal
        done = [*certificates(tables, only, proofs()), *broken(tables, only)]
    table = Table("axis", "entry", "property", "error", "tolerance", "", title="Correctness certificates")
    for one in done:
        mark = "[green]pass[/]" if one.passed else "[bold red]FAIL[/]"
        table.add_row(one.axis, one.method, one.property, f"{one.error:.1e}", f"{one.tolerance:.0e}", mark)
    console.print(table)
    failed = [one for one in done if not one.passed]
    console.print(f"{len(done) - len(failed)} of {len(done)} certificates hold.")
    if json_file:
        rows = [asdict(one) | {"passed": one.passed} for one in done]
        for row in rows:
            row["error"] = row["error"] if math.isfinite(row["error"]) else None  # JSON has no infinity
        replace_whole(json_file, json.dumps(rows, indent=2) + "\n")
    return int(bool(failed))
