"""Where a table's files lie, and the refusal when they do not."""

import os
from pathlib import Path

from sim.assets import locate
from sim.checks import Refused, did_you_mean


def existing(path: Path, setting: str, origin: str) -> Path:
    """A path that is a file; raises Refused with what lies there instead and where to get it."""
    if not os.path.isfile(path):  # which takes names that are too long
        beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        what = "is a folder, not a file." if os.path.isdir(path) else f"no such file.{did_you_mean(path.name, beside)}"
        where = f" The data come from {origin}." if origin else ""
        raise Refused(f"{path}: {what} Set {setting} to where it is.{where}")
    return path


def matching_files(folder: str, pattern: str) -> dict[str, Path]:
    """Site -> file for every file that a pattern such as `visits-*.csv` matches; the site is what * stands for."""
    given = Path(folder) / pattern
    before, _, after = given.name.partition("*")
    if "*" in after or "*" in str(given.parent):
        raise Refused(f"cohort.path={pattern!r}: allowed one *, in the name of the file.")
    folder_there = locate(str(given.parent))
    found = {path.name[len(before) :].removesuffix(after): path for path in folder_there.glob(f"{before}*{after}")}
    if not found:
        raise Refused(f"{folder_there / given.name}: no such file. Set cohort.dir to where they are.")
    return dict(sorted(found.items()))
