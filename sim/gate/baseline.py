"""The baseline of a gate: one JSON file with a line of facts for every cell and seed, and where they came from."""

import functools
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from sim.checks import Refused
from sim.files import replace_whole
from sim.gate.definition import Gate, GateCell, Key
from sim.gate.facts import Facts
from sim.gate.speed import timed
from sim.records import provenance
from sim.study.results import index_digest

FORMAT = 1  # of the file; another number is refused


@dataclass(frozen=True)
class Held:
    """What a baseline holds of a cell."""

    words: tuple[str, ...]
    config: str  # digest of all settings, defaults too
    facts: tuple[Facts, ...]  # by seed, from 0
    speed: float | None  # times as fast as a loop by hand; None where there is no such loop


@dataclass(frozen=True)
class Baseline:
    """The content of a baseline's file."""

    terms: dict[str, Any]  # see `Gate.terms`
    cells: dict[Key, Held]
    environment: dict[str, Any]
    made: dict[str, str]  # date, commit and reason


def environment() -> dict[str, Any]:
    """What bits may depend on beside our own code."""
    return {"versions": provenance.versions(), "machine": provenance.machine(), "packages": packages()}


@functools.cache
def packages() -> str:
    """Digest of the names and versions of all packages of this environment."""
    every = sorted(f"{one.metadata['Name']}=={one.version}" for one in distributions())
    return hashlib.blake2b("\n".join(every).encode(), digest_size=8).hexdigest()


def unlike(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What differs between two environments, in words; empty where bits should agree."""
    found = []
    for part in ("versions", "machine"):
        for name in sorted({*before[part], *now[part]}):
            old, new = before[part].get(name, "none"), now[part].get(name, "none")
            found += [f"{name} {old} → {new}"] if old != new else []
    return found or (["other packages"] if before["packages"] != now["packages"] else [])


def config_digest(cell: GateCell) -> str:
    """BLAKE2 of all settings of all seeds of a cell."""
    whole = json.dumps(cell.resolved, sort_keys=True)
    return hashlib.blake2b(whole.encode(), digest_size=8).hexdigest()


def made_of(gate: Gate, cells: Sequence[GateCell], found: Mapping[Key, Sequence[Facts]], reason: str) -> Baseline:
    """A baseline of what was found now, with speeds that are measured now."""
    speeds = timed(cells, {})
    return Baseline(
        terms=gate.terms,
        cells={
            cell.key: Held(cell.words, config_digest(cell), tuple(found[cell.key]), one and round(one.ratio, 2))
            for cell, one in zip(cells, speeds, strict=True)
        },
        environment=environment(),
        made={
            "reason": reason,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": provenance.commit(),
        },
    )


def write(path: Path, gate: Gate, baseline: Baseline) -> None:
    """Write the file whole or not at all."""
    replace_whole(path, text(baseline, os.path.relpath(gate.file, path.parent)))


def text(baseline: Baseline, gate: str) -> str:
    """The file, with a line for every cell and seed, so that its diff shows which of them moved."""
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
    head["digest"] = index_digest(json.loads(json.dumps(whole)))
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}," for key, value in head.items()]
    blocks = []
    for cell, seeds in cells:
        rows = ",\n".join(f"   {json.dumps(one)}" for one in seeds)
        blocks.append(f'  {json.dumps(cell, ensure_ascii=False)[:-1]}, "seeds": [\n{rows}\n  ]}}')
    return "\n".join(["{", *lines, ' "cells": [', ",\n".join(blocks), " ]", "}"]) + "\n"


def read(path: Path) -> Baseline:
    """A baseline from its file; refuses one of another format, and one that was changed by hand or by a merge."""
    remedy = "Make it anew with --update --reason TEXT."
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
        stated = content.pop("digest")
        if content["format"] != FORMAT:
            raise Refused(f"{path}: format {content['format']}, allowed {FORMAT}. {remedy}")
        if stated != index_digest(content):
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
    """NaN and infinity are no JSON, and no baseline has them."""
    raise ValueError(f"{word} is no number of JSON")
