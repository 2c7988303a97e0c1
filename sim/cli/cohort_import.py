"""`fedtrial cohort import`: records of patients to one file of the clinical table, with a card beside it."""

import os
import shlex
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sim.checks import Refused
from sim.files import writable_parquet
from sim.intake.options import FollowUp, Unknown

if TYPE_CHECKING:
    from sim.intake.reading import Reading

imports = typer.Typer(no_args_is_help=True, help="Import patients' records to the clinical table, for cohort=clinical.")

Folder = Annotated[Path, typer.Argument(help="Folder of the export.")]
Out = Annotated[Path, typer.Option(help="Parquet file to write; its card goes beside it, as .card.md.")]
Odd = Annotated[Unknown, typer.Option(help="A cell that is not understood: refuse it, or skip and count it.")]
Until = Annotated[FollowUp, typer.Option(help="Follow the living to the end of the export, or to their last contact.")]
Anew = Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")]


@imports.command("synthea-csv")
def synthea_csv(
    folder: Folder,
    out: Out,
    unknown: Odd = Unknown.refuse,
    follow_up: Until = FollowUp.export,
    overwrite: Anew = False,
) -> None:
    """CSV tables of Synthea's Java program, 2017 to 2026: patients, conditions and what else is there; also .gz."""
    from sim.intake.export import Export
    from sim.intake.synthea_csv import read
    from sim.progress import bar

    writable_parquet(out, overwrite)
    export = Export(folder)
    with bar(f"reading {folder.name}, MB", export.megabytes) as watch:
        reading = read(export, skipped(unknown), watch)
    publish(reading, follow_up, folder, out)


@imports.command()
def fhir(
    folder: Folder,
    out: Out,
    unknown: Odd = Unknown.refuse,
    follow_up: Until = FollowUp.export,
    overwrite: Anew = False,
) -> None:
    """FHIR R4: a folder of JSON bundles (Synthea's output/fhir), or of NDJSON with a resource a line; also .gz."""
    from sim.intake.bundles import BundleFolder as Bundles
    from sim.intake.fhir import read
    from sim.progress import bar

    writable_parquet(out, overwrite)
    bundles = Bundles(folder)
    with bar(f"reading {folder.name}, MB", bundles.megabytes) as watch:
        reading = read(bundles, skipped(unknown), watch)
    publish(reading, follow_up, folder, out)


def skipped(unknown: Unknown) -> Counter[str] | None:
    """Where cells are counted that are not understood; None = they are refused."""
    return Counter() if unknown is Unknown.skip else None


def publish(reading: "Reading", follow_up: FollowUp, folder: Path, out: Path) -> None:
    """Write the table and its card, and tell what is in it."""
    from rich.console import Console

    from sim.cohort.clinical.conform import write
    from sim.files import make_folder
    from sim.intake.assemble import assemble
    from sim.intake.summary import card, gaps_table, summary_lines

    made = assemble(reading, follow_up)
    beside = out.with_suffix(".card.md")
    command = shlex.join(["fedtrial", *sys.argv[1:]])
    try:
        with tempfile.TemporaryDirectory(dir=make_folder(out.parent), prefix=f".{out.stem}-") as draft:
            new = Path(draft) / out.name
            write(made.table, new)
            card_text = card(reading, made, follow_up, out.name, folder.resolve().name, command)
            (Path(draft) / beside.name).write_text(card_text, encoding="utf-8")
            os.replace(Path(draft) / beside.name, beside)
            os.replace(new, out)
    except OSError as error:
        raise Refused(f"--out {out}: cannot be written ({error.strerror}). Choose another place.") from None
    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    console.print(*summary_lines(reading, made, follow_up), sep="\n", markup=False)
    console.print(gaps_table(made))
    console.print(f"Table: {out}\nCard: {beside}", soft_wrap=True)
    console.print(f"Next: fedtrial cohort describe clinical cohort.file={out}", soft_wrap=True)
