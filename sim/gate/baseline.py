"""The baseline of a gate: one JSON file with a line of facts for every cell and seed, and their provenance."""

import functools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sim.checks import Refused
from sim.files import replace_whole
from sim.gate.definition import Gate, GateCell, Key
from sim.gate.facts import Facts
from sim.gate.speed import timed
from sim.records import environment
from sim.records.digest import of_json

PARTS = ("versions", "machine", "packages")  # of what a run was computed with
FORMAT = 1  # of the file; another number is refused


@dataclass(frozen=True)
class Held:
    """The entry of a cell in a baseline."""

    words: tuple[str, ...]
    config: str  # digest of all settings, defaults too
    facts: tuple[Facts, ...]  # by seed, from 0
    speed: float | None  # speed relative to a hand-written loop; None if there is no such loop


@dataclass(frozen=True)
class Baseline:
    """The content of a baseline's file."""

    terms: dict[str, Any]  # see `Gate.terms`
    cells: dict[Key, Held]
    environment: dict[str, Any]
    made: dict[str, str]  # date, commit and reason


@functools.cache
def surroundings() -> dict[str, Any]:
    """What bits may depend on apart from our own code: versions, machine and fingerprints of all packages."""
    return {part: known for part, known in environment.facts().items() if part in PARTS}


def unlike(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The differences between two environments, as text; empty if bits should agree.

    Packages on which numbers do not depend, such as pip, are recorded and not compared.
    """
    found = []
    for part in PARTS:
        for name in sorted({*before[part], *now[part]} - {"installed"}):
            old, new = (side[part].get(name) or "none" for side in (before, now))
            found += [f"{name} {old} → {new}"] if old != new else []
    return found


def config_digest(cell: GateCell) -> str:
    """BLAKE2 of all settings of all seeds of a cell."""
    return environment.fingerprint([json.dumps(one, sort_keys=True).encode() for one in cell.resolved])


def made_of(gate: Gate, cells: Sequence[GateCell], found: Mapping[Key, Sequence[Facts]], reason: str) -> Baseline:
    """A baseline from the current results and newly measured speeds."""
    speeds = timed(cells, {})
    return Baseline(
        terms=gate.terms,
        cells={
            cell.key: Held(cell.words, config_digest(cell), tuple(found[cell.key]), one and round(one.ratio, 2))
            for cell, one in zip(cells, speeds, strict=True)
        },
        environment=surroundings(),
        made={
            "reason": reason,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": environment.commit(),
        },
    )


def write(path: Path, gate: Gate, baseline: Baseline) -> None:
    """Write the file completely or not at all."""
    replace_whole(path, text(baseline, os.path.relpath(gate.file, path.parent)))


def text(baseline: Baseline, gate: str) -> str:
    """The text of the file, with a line for every cell and seed, so that its diff shows what changed."""
    head = {
        "format": FORMAT,
        "gate": gate,
        **baseline.made,
        "environment": baseline.environment,
        "terms": baseline.terms,
    }
    cells = [
        (
            {"scenario": key[0], "method": key[1], "settings": held.words, "config": held.config, "speed": held.speed},
            [asdict(one) for one in held.facts],
        )
        for key, held in baseline.cells.items()
    ]
    whole = {**head, "cells": [{**cell, "seeds": seeds} for cell, seeds in cells]}
    head["digest"] = of_json(json.loads(json.dumps(whole)))
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in head.items()]
    blocks = []
    for cell, seeds in cells:
        rows = ",\n".join(f"   {json.dumps(one)}" for one in seeds)
        blocks.append(f'  {json.dumps(cell, ensure_ascii=False)[:-1]}, "seeds": [\n{rows}\n  ]}}')
    return "\n".join(["{", *lines, ' "cells": [', ",\n".join(blocks), " ]", "}"]) + "\n"


def read(path: Path) -> Baseline:
    """A baseline from its file; refuses one of another format, and one that was changed by hand or by a merge."""
    remedy = "Create it again with --update --reason TEXT."
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
        stated = content.pop("digest")
        if content["format"] != FORMAT:
            raise Refused(f"{path}: format {content['format']}, allowed {FORMAT}. {remedy}")
        if stated != of_json(content):
            raise Refused(f"{path}: changed since it was written, by hand or by a merge. {remedy}")
        return Baseline(
            terms=content["terms"],
            cells={
                (cell["scenario"], cell["method"]): Held(
                    tuple(cell["settings"]), cell["config"], tuple(Facts(**one) for one in cell["seeds"]), cell["speed"]
                )
                for cell in content["cells"]
            },
            environment=content["environment"],
            made={key: content[key] for key in ("reason", "date", "commit")},
        )
    except Refused:
        raise
    except OSError as error:
        raise Refused(f"{path}: cannot be read ({error.strerror}). Check that you may read it.") from None
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Refused(f"{path}: damaged ({type(error).__name__}: {error}). {remedy}") from None


def refuse_constant(word: str) -> float:
    """Refuse NaN and infinity, which are not JSON."""
    raise ValueError(f"{word} is not a JSON number")
