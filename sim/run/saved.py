"""The ledger of a run as arrays: what was recorded since a given moment, and the models that are saved."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.engine.simulation import Round
from sim.methods.roles import below
from sim.records.schema import ROUNDS
from sim.run.ledger import Ledger
from sim.run.model import Chosen, Kept

Parts = dict[str, NDArray[Any]]

COLUMNS = {"number": "int64"} | {name: kind for name, kind in ROUNDS.items() if name not in ("run", "round")}


class Mark(NamedTuple):
    """How much of a ledger, and of the losses given to a clock, is written."""

    rounds: int = 0
    judged: int = 0
    losses: int = 0
    told: int = 0


def mark(ledger: Ledger, told: Sequence[Floats]) -> Mark:
    """All that there is."""
    return Mark(len(ledger.rounds), len(ledger.judged), len(ledger.losses), len(told))


def part_since(ledger: Ledger, told: Sequence[Floats], done: Mark) -> Parts:
    """The records since a mark; `add_part` is the inverse."""
    losses, answers = ledger.losses[done.losses :], told[done.told :]
    return {
        **round_arrays(ledger.rounds[done.rounds :]),
        **judged_arrays(ledger.judged[done.judged :]),
        "losses.round": np.array([number for number, _ in losses], np.int64),
        "losses.value": np.array([loss for _, loss in losses], np.float64),
        "told.size": np.array([len(answer) for answer in answers], np.int64),
        "told.value": np.concatenate([np.zeros(0), *answers]),
    }


def add_part(ledger: Ledger, told: list[Floats], parts: Mapping[str, NDArray[Any]]) -> None:
    """Append the records to the existing ones."""
    ledger.rounds += read_rounds(parts)
    ledger.judged += read_judged(parts)
    ledger.losses += zip(parts["losses.round"].tolist(), parts["losses.value"].tolist(), strict=True)
    if len(parts["told.size"]):
        told += np.split(parts["told.value"], np.cumsum(parts["told.size"])[:-1])


def round_arrays(rounds: Sequence[Round]) -> Parts:
    """Bare rounds, with a column for each of their numbers."""
    used = [(at, site, share) for at, here in enumerate(rounds) for site, share in here.used.items()]
    columns = {
        f"round.{name}": np.array([getattr(here, name) for here in rounds], kind) for name, kind in COLUMNS.items()
    }
    return columns | {
        "used.at": np.array([at for at, *_ in used], np.int64),
        "used.site": np.array([site for _, site, _ in used], np.int64),
        "used.share": np.array([share for *_, share in used], np.float64),
    }


def read_rounds(parts: Mapping[str, NDArray[Any]]) -> list[Round]:
    """The bare rounds."""
    used: list[dict[int, float]] = [{} for _ in parts["round.number"]]
    columns = (parts[f"used.{name}"].tolist() for name in ("at", "site", "share"))
    for at, site, share in zip(*columns, strict=True):
        used[at][site] = share
    rows = zip(*(parts[f"round.{name}"].tolist() for name in COLUMNS), strict=True)
    return [
        Round(model=torch.empty(0), used=shares, **dict(zip(COLUMNS, row, strict=True)))
        for row, shares in zip(rows, used, strict=True)
    ]


def judged_arrays(judged: Sequence[tuple[int, str, Mapping[str, Floats]]]) -> Parts:
    """Metrics, grouped by kind of model and names, [n, G] each, with their positions."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for at, (_, model, metrics) in enumerate(judged):
        groups.setdefault((model, *metrics), []).append(at)
    parts: Parts = {}
    for group, ((model, *names), places) in enumerate(groups.items()):
        head = f"judged.{group}/{model}/"
        parts[f"{head}at"] = np.array(places, np.int64)
        parts[f"{head}round"] = np.array([judged[at][0] for at in places], np.int64)
        for order, name in enumerate(names):
            parts[f"{head}{order:03d}/{name}"] = np.stack([judged[at][2][name] for at in places])
    return parts


def read_judged(parts: Mapping[str, NDArray[Any]]) -> list[tuple[int, str, dict[str, Floats]]]:
    """The metrics in the order in which they were recorded."""
    found: dict[int, tuple[int, str, dict[str, Floats]]] = {}
    heads = {name.rpartition("/")[0] for name in parts if name.startswith("judged.") and name.count("/") == 2}
    for head in heads:
        _, model = head.split("/")
        names = sorted(name for name in parts if name.startswith(f"{head}/") and name.count("/") == 3)
        places = zip(parts[f"{head}/at"].tolist(), parts[f"{head}/round"].tolist(), strict=True)
        for row, (at, number) in enumerate(places):
            found[at] = (number, model, {name.split("/", 3)[3]: parts[name][row] for name in names})
    return [found[at] for at in sorted(found)]


def kept_arrays(kept: Kept) -> Parts:
    """The models that are kept; one that is both is written once. `read_kept` is the inverse."""
    parts: Parts = {"lowest": np.array(kept.lowest, np.float64)}
    if kept.scores is not None:
        parts["scores"] = kept.scores
    same = kept.best is not None and kept.final is not None and kept.best.round == kept.final.round
    for which, one in (("final", kept.final), ("best", None if same else kept.best)):
        if one is not None:
            parts |= {f"{which}.round": np.array(one.round), f"{which}.vector": one.vector}
            if one.mixture is not None:
                parts[f"{which}.mixture"] = one.mixture
            parts |= {f"{which}.forest.{name}": array for name, array in (one.forest or {}).items()}
    return parts | {"same": np.array(same)}


def read_kept(parts: Mapping[str, NDArray[Any]]) -> Kept:
    """The models that were kept."""

    def chosen(which: str) -> Chosen | None:
        if f"{which}.round" not in parts:
            return None
        number, vector, mixture = int(parts[f"{which}.round"]), parts[f"{which}.vector"], parts.get(f"{which}.mixture")
        return Chosen(number, vector, mixture, below(parts, f"{which}.forest.") or None)

    final = chosen("final")
    best = final if bool(parts["same"]) else chosen("best")
    return Kept(final, best, float(parts["lowest"]), parts.get("scores"))
