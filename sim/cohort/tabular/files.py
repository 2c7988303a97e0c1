"""Paths of a table's files, and refusals of files that do not exist."""

import os
from pathlib import Path

from sim.assets import locate
from sim.checks import Refused, did_you_mean


def existing(path: Path, setting: str, origin: str) -> Path:
    """`path`, if it is a file; else raises Refused with similar names and the `origin` of the data."""
    if not os.path.isfile(path):  # unlike Path.is_file, False for a name that is too long
        siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        what = f"no such file.{did_you_mean(path.name, siblings)}"
        if os.path.isdir(path):
            what = "is a folder, not a file; 'folder/*.parquet' names one file per site."
        where = f" The data come from {origin}." if origin else ""
        raise Refused(f"{path}: {what} Set {setting} to its location.{where}")
    return path


def matching_files(folder: str, pattern: str) -> dict[str, Path]:
    """Site -> file for every file that a pattern such as `visits-*.csv` matches; the site is what * matches."""
    given = Path(folder) / pattern
    before, _, after = given.name.partition("*")
    if "*" in after or "*" in str(given.parent):
        raise Refused(f"cohort.path={pattern!r}: allowed is one *, in the file name.")
    found_in = locate(str(given.parent))
    found = {
        path.name[len(before) :].removesuffix(after): path
        for path in found_in.glob(f"{before}*{after}")
        if not path.name.startswith("._")  # macOS writes one beside each file on a foreign disk
    }
    if not found:
        raise Refused(f"{found_in / given.name}: no such file. Set cohort.dir to the folder of the files.")
    return dict(sorted(found.items()))
