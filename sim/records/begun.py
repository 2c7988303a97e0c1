"""Sweeps and single runs that were started in a folder and are not finished, for `fedtrial resume`.

`FOLDER/begun-<fingerprint>.json` is written before the first run and removed once all are finished; several may share a
folder.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sim.checks import Refused
from sim.files import replace_whole
from sim.records.digest import of_json

PATTERN = "begun-*.json"
REMEDY = "Delete the file, and give the command that wrote it again; finished runs stay."


@dataclass(frozen=True)
class Begun:
    """A sweep, or a single run."""

    sweep: bool
    words: list[str]  # its overrides, as they were given
    command: str  # as it was typed
    runs: dict[str, str]  # run id -> the settings that distinguish it from the others

    def __post_init__(self) -> None:
        words = [*self.words, self.command, *self.runs, *self.runs.values()]
        if not isinstance(self.sweep, bool) or not all(isinstance(word, str) for word in words):
            raise TypeError("its entries are no words")

    @property
    def name(self) -> str:
        """Name of its file, which depends only on the words."""
        return PATTERN.replace("*", of_json({"sweep": self.sweep, "words": self.words})[:12])

    def write(self, folder: Path) -> None:
        """Write the file into the folder."""
        content = asdict(self)
        replace_whole(folder / self.name, json.dumps(content | {"digest": of_json(content)}, indent=1) + "\n")

    def remove(self, folder: Path) -> None:
        """Remove the file; another process with the same words may already have done so."""
        (folder / self.name).unlink(missing_ok=True)


def read_begun(path: Path) -> Begun:
    """The content of a file; refuses one that changed since it was written."""
    try:
        content = json.loads(path.read_text())
        stated = content.pop("digest")
        if stated == of_json(content):
            return Begun(**content)
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise Refused(f"{path}: damaged ({error}). {REMEDY}") from None
    raise Refused(f"{path}: changed since it was written. {REMEDY}")


def all_begun(folder: Path, run: str = "") -> list[Begun]:
    """What was started in a folder and is not finished, oldest first; with `run`, only what this run is part of."""
    files: Sequence[Path] = sorted(folder.glob(PATTERN), key=lambda path: path.stat().st_mtime)
    every = [read_begun(path) for path in files]
    return [one for one in every if not run or run in one.runs]
