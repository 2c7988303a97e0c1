"""`fedtrial cohort import`: converts patients' records into one file of the clinical table, with a card beside it."""

import os
import re
import shlex
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, TypeVar

import typer

from sim.checks import Refused, brief
from sim.files import expanded, writable_out
from sim.intake.options import FollowUp, Unknown
from sim.terminal import output

if TYPE_CHECKING:
    from sim.intake.reading import Reading
    from sim.intake.rules import Rules
    from sim.progress import Watch

imports = typer.Typer(
    no_args_is_help=True, help="Convert patients' records into the clinical table that cohort=clinical reads."
)

Folder = Annotated[Path, typer.Argument(parser=expanded, metavar="FOLDER", help="Folder that holds the export.")]
Out = Annotated[
    Path,
    typer.Option(
        parser=expanded, metavar="PATH", help="Parquet file to write; its card is written beside it, as .card.md."
    ),
]
OnUnknown = Annotated[Unknown, typer.Option(help="Cells that cannot be read: refuse them, or skip and count them.")]
Follow = Annotated[
    FollowUp, typer.Option(help="Follow patients without a death to the end of the export, or to their last contact.")
]
Codes = Annotated[Path | None, typer.Option(help="YAML file with your own codes, such as ICD-10; see docs/cohorts.md.")]
Until = Annotated[str, typer.Option(metavar="DAY", help="Last day of the export; a later date is an error. [today]")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists.")]


class Sized(Protocol):
    """Records that know how much there is to read."""

    @property
    def megabytes(self) -> int:
        """Total to read, for the progress bar."""


Records = TypeVar("Records", bound=Sized)


@imports.command("synthea-csv")
def synthea_csv(
    folder: Folder,
    out: Out,
    unknown: OnUnknown = Unknown.refuse,
    follow_up: Follow = FollowUp.export,
    overwrite: Overwrite = False,
    codes: Codes = None,
    until: Until = "",
) -> None:
    """Import CSV tables of Synthea's Java program (2017 to 2026; also .gz): patients, conditions and any others."""
    from sim.intake.export import Export
    from sim.intake.synthea_csv import read

    import_records(Export, read, folder, out, unknown, follow_up, overwrite, codes, until)


@imports.command()
def fhir(
    folder: Folder,
    out: Out,
    unknown: OnUnknown = Unknown.refuse,
    follow_up: Follow = FollowUp.export,
    overwrite: Overwrite = False,
    codes: Codes = None,
    until: Until = "",
) -> None:
    """Import a folder of FHIR R4 JSON bundles (Synthea's output/fhir) or of NDJSON files; also .gz."""
    from sim.intake.bundles import BundleFolder
    from sim.intake.fhir import read

    import_records(BundleFolder, read, folder, out, unknown, follow_up, overwrite, codes, until)


def import_records(
    open_folder: Callable[[Path], Records],
    read: Callable[[Records, "Rules", "Watch"], "Reading"],
    folder: Path,
    out: Path,
    unknown: Unknown,
    follow_up: FollowUp,
    overwrite: bool,
    codes: Path | None,
    until: str,
) -> None:
    """Read the records in `folder` and write table and card; refuses an `out` that cannot be written before reading."""
    from sim.cohort.clinical.codes import packaged
    from sim.intake.own_codes import with_own_codes
    from sim.intake.rules import Rules, today
    from sim.progress import bar

    writable_out(out, overwrite)
    rules = Rules(
        Counter() if unknown is Unknown.skip else None,
        with_own_codes(codes.expanduser()) if codes else packaged(),
        last_day(until) if until else today(),
    )
    records = open_folder(folder)
    with bar(f"reading {folder.name}, MB", records.megabytes) as watch:
        reading = read(records, rules, watch)
    publish(reading, follow_up, folder, out)


def last_day(text: str) -> int:
    """The day of --until."""
    try:
        return date.fromisoformat(text).toordinal()
    except ValueError:
        raise Refused(f"--until {brief(text)}: allowed a day such as 2019-05-31.") from None


def publish(reading: "Reading", follow_up: FollowUp, folder: Path, out: Path) -> None:
    """Write the table and its card, and print a summary; raises Refused if the disk does not take them."""
    from sim.cohort.clinical.conform import write
    from sim.files import make_folder
    from sim.intake.assemble import assemble
    from sim.intake.summary import card, gaps_table, summary_lines

    made = assemble(reading, follow_up)
    card_path = out.with_suffix(".card.md")
    command = shlex.join(["fedtrial", *sys.argv[1:]])
    try:
        with tempfile.TemporaryDirectory(dir=make_folder(out.parent), prefix=f".{out.stem}-") as draft:
            table_draft, card_draft = Path(draft) / out.name, Path(draft) / card_path.name
            write(made.table, table_draft)
            text = card(reading, made, follow_up, out.name, folder.resolve().name, command)
            card_draft.write_text(text, encoding="utf-8")
            os.replace(card_draft, card_path)
            os.replace(table_draft, out)
    except OSError as error:
        raise Refused(f"--out {out}: cannot be written ({error.strerror}). Choose another place.") from None
    console = output()
    console.print(*summary_lines(reading, made, follow_up), sep="\n", markup=False)
    console.print(gaps_table(made))
    console.print(f"Table: {out}\nCard: {card_path}", soft_wrap=True)
    console.print(next_step(out), soft_wrap=True, markup=False)


def next_step(out: Path) -> str:
    """The next command, with the recorded sites; or the reason why the table is not a cohort yet."""
    from sim.cohort.clinical.source import Clinical, Site

    refusals = []
    for site in Site:
        try:
            Clinical(file=str(out), site=site).load(0)
        except Refused as refusal:
            refusals.append(str(refusal))
            continue
        words = [hydra_word("cohort.file", str(out)), *([f"cohort.site={site.name}"] if refusals else [])]
        return f"Next: {shlex.join(['fedtrial', 'cohort', 'describe', 'clinical', *words])}"
    return f"Not a cohort yet: {refusals[-1]}"


def hydra_word(key: str, value: str) -> str:
    """A setting whose value may contain any character, quoted for Hydra if necessary."""
    if re.fullmatch(r"[\w./+-]+", value, re.ASCII):
        return f"{key}={value}"
    escaped = re.sub(r'(\\*)"', r'\1\1\\"', value)
    return f'{key}="{escaped}"'
