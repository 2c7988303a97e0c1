"""Checkpoints of an unfinished run: the last two, and the records up to each, in its working folder.

A checkpoint is one file, and the records since the previous one are another, so that its cost does not grow with the
rounds. Every file name contains the digest of the content; a checkpoint names its file of records, which names the
previous one.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import safe_open

from sim.files import digest, sync
from sim.records import environment
from sim.records.store import set_aside
from sim.records.tensors import Array, Streamed, digested, write_whole

FORMAT = "1"  # of both kinds of files; another one is not read
KEPT = 2
CHECKPOINT, RECORDS = "checkpoint-{:06d}.safetensors", "records-{:06d}.safetensors"
NAME = re.compile(r"checkpoint-(\d{6,})-([0-9a-f]{32})\.safetensors")


class Unusable(Exception):
    """A file from which a run cannot continue, with the reason."""


class Link(NamedTuple):
    """The place of the last checkpoint in the chain of a run."""

    number: int = 0
    records: str = ""  # digest of its file of records


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose files are all valid."""

    link: Link
    about: Mapping[str, Any]  # JSON of whoever wrote it
    path: Path
    records: tuple[Path, ...]  # from the first one on


def write(
    home: Path,
    run: str,
    last: Link,
    state: Mapping[str, Array | Streamed],
    records: Mapping[str, Array],
    about: Mapping[str, Any],
) -> Link:
    """Write the checkpoint after `last`, flushed to disk, and remove old ones. Raises OSError."""
    number, words = last.number + 1, {"format": FORMAT, "run": run}
    told = write_whole(home / RECORDS.format(number), records, words | {"before": last.records})
    more = {"records": told, "versions": json.dumps(environment.versions()), "about": json.dumps(about)}
    write_whole(home / CHECKPOINT.format(number), state, words | more)
    sync(home)
    for old, path in found(home):
        if old <= number - KEPT:
            path.unlink()
    return Link(number, told)


def newest(home: Path, run: str) -> tuple[Checkpoint | None, list[str]]:
    """The last valid checkpoint; and the faults of invalid ones, which are set aside."""
    wrong: list[str] = []
    for path in home.glob(".*.draft"):  # of a writer that was killed
        path.unlink()
    for number, path in sorted(found(home), reverse=True):
        try:
            return opened(path, number, run), wrong
        except Unusable as reason:
            wrong.append(f"{path.name}: {reason}; moved to {set_aside(path).name}")
    return None, wrong


def found(home: Path) -> list[tuple[int, Path]]:
    """Numbers and files of the existing checkpoints."""
    named = ((NAME.fullmatch(path.name), path) for path in home.iterdir())
    return [(int(name[1]), path) for name, path in named if name]


def opened(path: Path, number: int, run: str) -> Checkpoint:
    """A checkpoint with the records up to it. Raises Unusable."""
    words, records = verified(path, path.stem[-32:], run), []
    if json.loads(words["versions"]) != environment.versions():
        raise Unusable(f"made with other versions of packages, {words['versions']}")
    told = words["records"]
    for at in range(number, 0, -1):
        part = digested(path.parent / RECORDS.format(at), told)
        told = verified(part, told, run)["before"]
        records.append(part)
    return Checkpoint(Link(number, words["records"]), json.loads(words["about"]), path, tuple(records[::-1]))


def verified(path: Path, told: str, run: str) -> dict[str, str]:
    """The words of a file whose content has this digest. Raises Unusable."""
    try:
        whole = digest(path) == told
    except OSError as error:
        raise Unusable(f"{path.name} cannot be read ({error.strerror})") from None
    if not whole:
        raise Unusable(f"{path.name} was changed or cut short after it was written")
    with safe_open(path, framework="np") as file:
        words: dict[str, str] = file.metadata()
    if words["format"] != FORMAT:
        raise Unusable(f"{path.name} has format {words['format']}, and {FORMAT} is read")
    if words["run"] != run:
        raise Unusable(f"{path.name} is of run {words['run']}, by other settings, files or code")
    return words


def arrays(path: Path, prefix: str = "") -> dict[str, Array]:
    """Arrays of a file whose names begin with a prefix, without it."""
    with safe_open(path, framework="np") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - it is no dict
        return {name.removeprefix(prefix): file.get_tensor(name) for name in names}


def array(path: Path, name: str) -> Array:
    """One array of a file."""
    with safe_open(path, framework="np") as file:
        found: Array = file.get_tensor(name)
    return found
