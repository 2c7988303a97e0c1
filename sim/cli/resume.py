"""`fedtrial resume`: continues unfinished work of a folder, with identical results; computes no finished run again."""

from pathlib import Path

from rich.console import Console

from sim.checks import Refused
from sim.cli.study import compute
from sim.cli.sweep import one, sweep
from sim.config.compose import cells, experiment
from sim.records.begun import PATTERN, Begun, all_begun, read_begun
from sim.run.sweep import Launch
from sim.study.results import INDEX, read_index

UNFINISHED = ".unfinished"


def resume(console: Console, folder: Path, launch: Launch) -> int:
    """Continue the study of a folder, or its sweeps and single runs, oldest first; returns the exit code.

    Instead of the folder, the file of one sweep or the working folder of one run may be given.
    """
    if (folder / INDEX).is_file():
        plan, content = read_index(folder)
        return compute(console, plan, content.get("words", []), folder, content["command"], launch)
    place, found = begun_in(folder)
    if not found and (place / INDEX).is_file():
        return resume(console, place, launch)
    if not found:
        raise Refused(
            f"{folder}: nothing in it is unfinished. Name the folder of a study, the folder of sweeps and runs "
            "(results.dir), or a working folder in it; `fedtrial runs FOLDER` lists its runs."
        )
    code = 0
    for at, begun in enumerate(found, 1):
        if len(found) > 1:
            console.print(f"{at} of {len(found)}: {begun.command}", markup=False, soft_wrap=True)
        code = max(code, go_on(begun, place, launch))
    return code


def begun_in(folder: Path) -> tuple[Path, list[Begun]]:
    """The folder of the records, and its unfinished work: all of it, or what a file or working folder belongs to."""
    if folder.is_file() and folder.match(PATTERN):
        return folder.parent, [read_begun(folder)]
    if folder.name.endswith(UNFINISHED):
        return folder.parent, all_begun(folder.parent, folder.name.removesuffix(UNFINISHED))
    return folder, all_begun(folder)


def go_on(begun: Begun, folder: Path, launch: Launch) -> int:
    """Exit code of a sweep or a single run that goes on."""
    if begun.sweep:
        return sweep(cells(begun.words), launch, begun.words, folder).code
    return one(experiment(begun.words), begun.words, folder)
