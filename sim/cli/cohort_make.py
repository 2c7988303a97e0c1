"""`fedtrial cohort make synthea`: simulate a cohort with the Synthea engine and write its card beside it."""

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer
from rich.console import Console

from sim.checks import one_of
from sim.files import writable_out
from sim.intake.synthea_engine.engine import END, PACKAGE, VERSION, fingerprint
from sim.intake.synthea_engine.make import MadeCohort, make_cohort
from sim.intake.synthea_engine.plan import MakeSettings, parse_settings


def make_and_report(console: Console, engine: str, words: Sequence[str], out: Path, overwrite: bool) -> None:
    """Make the cohort, write its card and print a summary; exit code 130 if the user stops it with Ctrl-C."""
    one_of("ENGINE", engine, ["synthea"])
    settings = parse_settings(words)
    writable_out(out, overwrite)
    try:
        made = make_cohort(settings, out)
    except KeyboardInterrupt:
        console.print(f"Stopped. Finished parts are in {out.name}.parts; the same command continues from there.")
        raise typer.Exit(130) from None
    card = out.with_suffix(".card.md")
    card.write_text(card_text(settings, made, out), encoding="utf-8")
    console.print(f"{patient_count(made)}: {out}", soft_wrap=True)
    console.print(f"Card: {card}", soft_wrap=True)
    console.print(f"Next: fedtrial cohort describe clinical cohort.file={out} cohort.site=city", soft_wrap=True)


def patient_count(made: MadeCohort) -> str:
    """How many patients resulted from how many simulated people."""
    failed = f"; left out because a module of the package failed on them: {made.left_out}" if made.left_out else ""
    return f"{len(made.table)} patients of {made.people} people{failed}"


def card_text(settings: MakeSettings, made: MadeCohort, out: Path) -> str:
    """The card in Markdown: who the patients are, and the command that makes them again."""
    words = {name: ",".join(value) if isinstance(value, list) else value for name, value in asdict(settings).items()}
    command = " ".join(f"{name}={shlex.quote(str(words[name]))}" for name in ("cancer", "patients", "cities", "seed"))
    lines = [
        f"# {out.name}: patients of the Synthea engine",
        "",
        f"Simulated people, no real person. Made by {PACKAGE} {VERSION} with the gates of",
        f"`datasets/synthea/patches.yaml` raised; the simulation stops on {END:%Y-%m-%d}. What can be learned from",
        "such patients, and what not, stands in `datasets/synthea/card.md`.",
        "```",
        f"fedtrial cohort make synthea {command} --out {out.name}",
        "```",
        f"{patient_count(made)}.",
        f"Fingerprint of engine, patches and tables: {fingerprint()}.",
        "",
        "| cancer | city | patients | mean age | women | stage I, II, III, IV, not known | died | of it |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (cancer, city), group in made.table.groupby(["cancer_type", "city"], observed=True):
        stages = [(group["stage"] == stage).sum() for stage in (1, 2, 3, 4)] + [group["stage"].isna().sum()]
        cells = (
            *(cancer, city, len(group), f"{group['age_at_dx'].mean():.1f}", (group["sex"] == "female").sum()),
            *(", ".join(map(str, stages)), group["event"].sum(), group["death_cause_cancer"].sum()),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"
