"""The runs of a gate, which are always computed again, and their comparison with the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sim.gate.baseline import Baseline, made_of, surroundings, unlike
from sim.gate.compare import exact, paired, refuse_terms, trouble, unmatched, validity
from sim.gate.definition import Gate, GateCell, Key
from sim.gate.facts import Facts, facts
from sim.gate.finding import Finding, Outcome
from sim.gate.quality import Pairs, quality
from sim.gate.speed import timed
from sim.progress import bar
from sim.records.store import read
from sim.run.run import run_id
from sim.run.sweep import Launch, ends
from sim.scratch import scratch
from sim.study.cells import Cell

Results = dict[Key, list[Facts | str]]  # of seeds 0, 1, ...: a run's facts, or why it failed


@dataclass(frozen=True)
class Asked:
    """Options of a gate's execution."""

    workers: int
    seeds: int = 0  # run only these, without further ones; 0 = the gate's own
    strict: bool = False  # different bits are a failure
    slower: float = 0.0  # allowed slowdown relative to the baseline; 0 = any


def compute(gate: Gate, cells: Sequence[GateCell], seeds: range, workers: int) -> Results:
    """Facts of the runs of these seeds, or why one failed, by scenario and method.

    Raises Refused, with the name of the cell, for anything wrong before the first round.
    """
    named, asked = {}, {}
    for cell in cells:
        for seed in seeds:
            run = run_id(cell.experiments[seed])
            asked[run] = cell.experiments[seed]
            named[run] = Cell(cell.method, "", cell.scenario, cell.experiments[seed]).name
    failed: dict[str, str] = {}
    with scratch() as folder, bar(f"gate {gate.name}: {len(asked)} runs", len(asked)) as watch:
        for number, ended in enumerate(ends(asked, dict.fromkeys(asked, folder), Launch(workers), named), 1):
            watch(number)
            if ended.failed:
                failed[ended.run] = ended.failed
        return {cell.key: [kept(cell, seed, folder, failed) for seed in seeds] for cell in cells}


def kept(cell: GateCell, seed: int, folder: Path, failed: Mapping[str, str]) -> Facts | str:
    """Facts of a run that was computed, or why there are none."""
    run = run_id(cell.experiments[seed])
    if not (folder / run).is_dir():
        return failed.get(run, "its records are missing.")
    return facts(read(folder / run), seed, cell.metrics)


def judge(gate: Gate, cells: Sequence[GateCell], baseline: Baseline, asked: Asked) -> list[Finding]:
    """All findings. Inconclusive cells are run with the further seeds and judged once more."""
    terms = refuse_terms(gate, baseline)
    if terms:
        return terms
    alone = unmatched(cells, baseline)
    left_out = {(one.scenario, one.method) for one in alone}
    there = [cell for cell in cells if cell.key not in left_out]
    first, most = asked.seeds or gate.seeds, asked.seeds or gate.most_seeds
    looks = 1 if first == most else 2
    found = compute(gate, there, range(first), asked.workers)
    findings = compared(gate, there, baseline, found, asked.strict, looks)
    more = open_cells(there, findings) if looks > 1 else []
    if more:
        for key, further in compute(gate, more, range(first, most), asked.workers).items():
            found[key] += further
        findings = compared(gate, there, baseline, found, asked.strict, looks)
    well = {(one.scenario, one.method) for one in findings if (one.tier, one.outcome) == ("validity", Outcome.ok)}
    whole = [cell for cell in there if cell.key in well]
    return [*alone, *findings, *slower(whole, baseline, asked.slower)]


def open_cells(cells: Sequence[GateCell], findings: Sequence[Finding]) -> list[GateCell]:
    """Cells with an inconclusive metric and no decision yet."""
    outcomes: dict[Key, set[Outcome]] = {}
    for one in findings:
        outcomes.setdefault((one.scenario, one.method), set()).add(one.outcome)
    decided = {Outcome.fail, Outcome.error}
    return [cell for cell in cells if Outcome.inconclusive in outcomes[cell.key] and not decided & outcomes[cell.key]]


def compared(
    gate: Gate, cells: Sequence[GateCell], baseline: Baseline, found: Results, strict: bool, looks: int
) -> list[Finding]:
    """Findings of all tiers but speed, cell by cell."""
    other = unlike(baseline.environment, surroundings())
    findings: list[Finding] = []
    family: list[Pairs] = []
    for cell in cells:
        before, now = baseline.cells[cell.key], found[cell.key]
        findings += [*validity(cell, before, now), *exact(cell, before, now, not other, strict)]
        pairs, lost = paired(cell, before, now)
        family += pairs
        findings += lost
    findings += quality(family, gate.margins, looks)
    place = {cell.key: number for number, cell in enumerate(cells)}
    findings.sort(key=lambda one: place[one.scenario, one.method])
    if strict and other:
        told = "the baseline is from another environment. Leave out --exact, or create a baseline here."
        findings.insert(0, Finding("", "", "bits", "records", Outcome.incomparable, told))
    return findings


def slower(cells: Sequence[GateCell], baseline: Baseline, most: float) -> list[Finding]:
    """Speed of each cell relative to a hand-written loop, now and in the baseline; a factor above `most` fails."""
    found = []
    known = {cell.key: baseline.cells[cell.key].speed or 0.0 for cell in cells}
    enough = {key: ratio / most if most else 0.0 for key, ratio in known.items()}
    for cell, one in zip(cells, timed(cells, enough), strict=True):
        before = known[cell.key]
        if one is None or not before:
            continue
        factor = before / one.ratio
        told = (
            f"{one.ratio:.1f} times as fast as a loop by hand ({1000 * one.ours:.2f} ms a round, "
            f"{1000 * one.by_hand:.1f} by hand), {before:.1f} in the baseline"
        )
        slow = most > 0 and factor > most
        told += f": {factor:.2f} times as slow; allowed {most:g}." if slow else "."
        found.append(Finding(*cell.key, "speed", "round", Outcome.fail if slow else Outcome.note, told))
    return found


def renew(gate: Gate, cells: Sequence[GateCell], reason: str, workers: int) -> tuple[Baseline | None, list[Finding]]:
    """A new baseline with all seeds; None if a run failed, diverged or has no value, with the findings."""
    found = compute(gate, cells, range(gate.most_seeds), workers)
    troubles = [one for cell in cells for one in trouble(cell, found[cell.key])]
    if troubles:
        return None, troubles
    ended = {key: [one for one in runs if isinstance(one, Facts)] for key, runs in found.items()}
    return made_of(gate, cells, ended, reason), []
