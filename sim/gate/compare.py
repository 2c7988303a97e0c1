"""The tiers of a gate: a cell's runs compared with those of the baseline, seed by seed."""

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from sim.gate.baseline import Baseline, Held, config_digest
from sim.gate.definition import Gate, GateCell
from sim.gate.facts import EXACT, Facts
from sim.gate.finding import Finding, Outcome
from sim.gate.quality import Pairs
from sim.metrics import METRICS
from sim.text import first_few

Found = Sequence[Facts | str]  # of seeds 0, 1, ...: a run's facts, or why it failed


def refuse_terms(gate: Gate, baseline: Baseline) -> list[Finding]:
    """One finding for every term of the gate that differs from the baseline; then nothing can be compared."""
    found = []
    for key, now in gate.terms.items():
        before = baseline.terms.get(key)
        if before != now:
            told = f"{key} were {before} in the baseline and are {now}. Review them, then update the baseline."
            found.append(Finding("", "", "validity", key, Outcome.incomparable, told))
    return found


def unmatched(cells: Sequence[GateCell], baseline: Baseline) -> list[Finding]:
    """Cells without a counterpart of the same settings in the baseline, and cells of the baseline without one here."""
    found, here = [], [cell.key for cell in cells]
    for cell in cells:
        held = baseline.cells.get(cell.key)
        if held is None:
            told = "it is not in the baseline. Review it, then update the baseline."
        elif held.words != cell.words:
            gone = " ".join(word for word in held.words if word not in cell.words) or "none"
            new = " ".join(word for word in cell.words if word not in held.words) or "none"
            told = f"its settings changed: {gone} → {new}. Review them, then update the baseline."
        else:
            continue
        found.append(Finding(*cell.key, "validity", "settings", Outcome.incomparable, told))
    told = "it is only in the baseline. Update the baseline if it was left out on purpose."
    gone_cells = [key for key in baseline.cells if key not in here]
    return found + [Finding(*key, "validity", "settings", Outcome.incomparable, told) for key in gone_cells]


def validity(cell: GateCell, before: Held, now: Found) -> list[Finding]:
    """Runs that failed, diverged or lost a value; a single finding if there are none."""
    found = trouble(cell, now)
    for metric in cell.metrics:
        fewer = [new.seed for old, new in ended(before, now) if new.sites[metric] < old.sites[metric]]
        if fewer:
            told = f"{METRICS[metric].name} is not defined (NaN) at sites where it was, seeds {listing(fewer)}."
            found.append(Finding(*cell.key, "validity", metric, Outcome.fail, told))
    return found or [Finding(*cell.key, "validity", "runs", Outcome.ok, f"{len(now)} runs ended.")]


def trouble(cell: GateCell, now: Found) -> list[Finding]:
    """Runs that failed, diverged or have no value, which a baseline may not contain."""
    found = []
    failed = {seed: one for seed, one in enumerate(now) if isinstance(one, str)}
    if failed:
        told = f"seeds {listing(failed)} failed: {next(iter(failed.values()))}"
        found.append(Finding(*cell.key, "validity", "runs", Outcome.error, told))
    done = [one for one in now if isinstance(one, Facts)]
    broken = {one.seed: one.status for one in done if one.status != "done"}
    if broken:
        told = f"seeds {listing(broken)} {next(iter(broken.values()))}"
        found.append(Finding(*cell.key, "validity", "runs", Outcome.fail, told))
    for metric in cell.metrics:
        lost = [one.seed for one in done if one.status == "done" and not math.isfinite(one.values[metric])]
        if lost:
            told = f"{METRICS[metric].name} is not defined (NaN) at any site, seeds {listing(lost)}."
            found.append(Finding(*cell.key, "validity", metric, Outcome.fail, told))
    return found


def exact(cell: GateCell, before: Held, now: Found, same_bits: bool, strict: bool) -> Iterator[Finding]:
    """Facts that noise cannot change; on the same machine and versions also the digests of patients and records."""
    pairs = ended(before, now)
    facts = EXACT | ({"data": "patients"} if same_bits else {})
    changed = 0
    for fact, name in facts.items():
        other = [(old, new) for old, new in pairs if getattr(old, fact) != getattr(new, fact)]
        if other:
            changed += 1
            old, new = (getattr(one, fact) for one in other[0])
            values = f": {old:,} → {new:,} for the first" if isinstance(old, int) else ""
            told = (
                f"{name} changed for seeds {listing([one.seed for _, one in other])}{values}. "
                "If that is meant, update the baseline."
            )
            yield Finding(*cell.key, "exact", fact, Outcome.fail, told)
    if pairs and not changed:
        yield Finding(*cell.key, "exact", "facts", Outcome.ok, "bytes, rounds, uploads and partition are the same.")
    if before.config != config_digest(cell):
        told = "its settings are written as before but resolve to other values: a default or a preset changed."
        yield Finding(*cell.key, "exact", "defaults", Outcome.note, told)
    if same_bits:
        moved = [new.seed for old, new in pairs if old.records != new.records]
        if moved:
            told = f"records are not the same to the last bit for seeds {listing(moved)}."
            yield Finding(*cell.key, "bits", "records", Outcome.fail if strict else Outcome.note, told)


def paired(cell: GateCell, before: Held, now: Found) -> tuple[list[Pairs], list[Finding]]:
    """Pairs of a cell that the quality tier can judge, and findings for the others; nothing if a run did not end."""
    pairs = ended(before, now)
    if any(old.partition != new.partition for old, new in pairs):
        told = "patients are at other sites than in the baseline."
        return [], [Finding(*cell.key, "quality", metric, Outcome.incomparable, told) for metric in cell.metrics]
    made = []
    for metric in cell.metrics if len(pairs) == len(now) else ():
        old, new = (np.array([one.values[metric] for one in side]) for side in zip(*pairs, strict=True))
        merit = METRICS[metric].merit
        if np.isfinite(new).all():
            made.append(Pairs(cell, metric, old, new, merit(new) - merit(old)))
    return made, []


def ended(before: Held, now: Found) -> list[tuple[Facts, Facts]]:
    """Facts of the baseline and the current ones, for the seeds whose current runs ended."""
    return [(before.facts[one.seed], one) for one in now if isinstance(one, Facts) and one.status == "done"]


def listing(seeds: Iterable[int]) -> str:
    """Seeds as text."""
    return first_few([str(seed) for seed in seeds])
