"""Gates, cells and facts for tests, without a run."""

from dataclasses import replace
from pathlib import Path

from sim.gate.baseline import Baseline, Held, config_digest, surroundings
from sim.gate.definition import Gate, GateCell, gate_cells
from sim.gate.facts import Facts

MARGINS = {"auroc": 0.01, "brier": 0.005}
SETTINGS = ["cohort.patients=300", "cohort.sites=4", "task=response", "rounds=3"]


def gate(methods: dict[str, list[str]] | None = None, **keys: object) -> Gate:
    """A gate of FedAvg, unless told otherwise."""
    content = {
        "seeds": 5,
        "most_seeds": 10,
        "margins": MARGINS,
        "overrides": SETTINGS,
        "methods": methods or {"FedAvg": ["algorithm=fedavg"]},
    }
    return Gate.of(Path("gates/mine.yaml"), content | keys)


def fact(seed: int, auroc: float = 0.7, brier: float = 0.2, **other: object) -> Facts:
    """Facts of a run of four sites and three rounds."""
    made = Facts(
        seed=seed,
        status="done",
        values={"auroc": auroc + 0.01 * seed, "brier": brier},
        sites={"auroc": 4, "brier": 4},
        rounds=3,
        uploads=12,
        bytes_up=480,
        bytes_down=480,
        partition="p",
        data="d",
        records="r",
    )
    return replace(made, **other)


def baseline(of: Gate, cells: list[GateCell] | None = None) -> Baseline:
    """A baseline in which every cell has the same facts."""
    held = {
        cell.key: Held(cell.words, config_digest(cell), tuple(map(fact, range(of.most_seeds))), 20.0)
        for cell in cells or gate_cells(of)
    }
    made = {"reason": "first baseline", "date": "2026-01-01T00:00:00+00:00", "commit": "0123456789ab"}
    return Baseline(of.terms, held, surroundings(), made)
