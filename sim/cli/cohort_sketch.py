"""`fedtrial cohort sketch`: a preset of cohort=tabular to start from, as YAML, and the command that tries it."""

import shlex
from pathlib import Path

import yaml
from rich.console import Console

from sim.checks import Refused
from sim.cohort.tabular.files import existing
from sim.cohort.tabular.sketch import Sketch, sketch
from sim.files import writable_file


def sketch_and_report(console: Console, file: Path, out: Path | None, overwrite: bool) -> None:
    """Write or print the preset, and print the guessed role of every column and the command that tries the preset."""
    if out and out.exists() and not overwrite:
        raise Refused(f"--out {out}: exists. Choose another name, or give --overwrite.")
    if out:
        writable_file("--out", out)
    made = sketch(existing(file.expanduser(), "FILE", ""))
    text = preset(file, made)
    if out:
        out.write_text(text, encoding="utf-8")
        console.print(f"Preset: {out}", markup=False, soft_wrap=True)
    else:
        console.print(text, markup=False, soft_wrap=True)
    for column, use in made.columns.items():
        console.print(f"{column}: {use}", markup=False)
    console.print("These are guesses: check each one, above all columns that are known only after the outcome.")
    console.print(f"Try it: {command(made)}", markup=False, soft_wrap=True)


def preset(file: Path, made: Sketch) -> str:
    """The settings as a file of the cohort group."""
    body = yaml.safe_dump(made.settings, sort_keys=False, allow_unicode=True, width=120)
    return f"# Guessed from {file.name}; correct what is wrong.\ndefaults:\n  - tabular\n  - _self_\n{body}"


def command(made: Sketch) -> str:
    """`fedtrial run` with the settings as words of a shell."""
    words = [f"cohort.{name}={word(value)}" for name, value in made.settings.items()]
    task = "hazard" if "time" in made.settings else "classify"
    partition = "natural" if "site" in made.settings else "iid"
    return shlex.join(["fedtrial", "run", "cohort=tabular", *words, f"task={task}", f"partition={partition}"])


def word(value: object) -> str:
    """A value as Hydra reads it: text in double quotes."""
    if isinstance(value, list):
        return f"[{','.join(map(word, value))}]"
    if not isinstance(value, str):
        return str(value)
    escaped = value.replace("\t", "\\t").replace('"', '\\"')
    return f'"{escaped}"'
