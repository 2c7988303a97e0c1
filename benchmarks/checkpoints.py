"""What checkpoints cost a run: 2,000 rounds with and without them, in one process.

    python benchmarks/checkpoints.py [--rounds 2000] [--times 5] [--set KEY=VALUE ...] [--json FILE]

Every turn runs the same experiment with each of the settings below, from the same prepared patients. `x without` is a
run's seconds over those of the same run less what it spent in checkpoints, so that other work of the machine meets both
alike; `x none` compares with the run of the same turn that writes none. Medians over turns.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from workload import table, told, write_json

from sim.config.compose import experiment
from sim.config.experiment import Experiment
from sim.engine.simulation import Saved
from sim.engine.site_state import SiteState
from sim.run import checkpointing
from sim.run.checkpointing import Attempt
from sim.run.run import Prepared, prepare, rehearse

NEVER = "results.checkpoint_seconds=0"
SETTINGS = {
    "none": [NEVER],
    "as they are set": [],
    "every second": ["results.checkpoint_seconds=1"],
    "every 200 rounds": [NEVER, "results.checkpoint_rounds=200"],
    "every 20 rounds": [NEVER, "results.checkpoint_rounds=20"],
}


class Timed(Attempt):
    """A run that says how long its checkpoints took."""

    inside = 0.0  # seconds, of all runs so far

    def save(self, home: Path, number: int, saved: Saved, memory: SiteState) -> None:
        """Write a checkpoint."""
        began = time.perf_counter()
        super().save(home, number, saved, memory)
        Timed.inside += time.perf_counter() - began


class Turn(NamedTuple):
    """One run: seconds, those in checkpoints, how many it wrote, and the bytes that it left."""

    seconds: float
    inside: float
    written: int
    size: int


def run(wanted: Experiment, prepared: Prepared) -> Turn:
    """One run in a new working folder."""
    with tempfile.TemporaryDirectory() as home:
        began, before = time.perf_counter(), Timed.inside
        rehearse(wanted, prepared, home=Path(home))
        took = time.perf_counter() - began
        files = list(Path(home).glob("*.safetensors"))
        written = sum(path.name.startswith("records-") for path in files)
        return Turn(took, Timed.inside - before, written, sum(path.stat().st_size for path in files))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--set", nargs="*", default=["cohort.patients=600"])
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    checkpointing.Attempt = Timed  # type: ignore[misc]
    runs = {name: experiment([*asked.set, f"rounds={asked.rounds}", *more]) for name, more in SETTINGS.items()}
    prepared = prepare(next(iter(runs.values())))
    turns = [{name: run(one, prepared) for name, one in runs.items()} for _ in range(asked.times + 1)][1:]
    seconds = {name: statistics.median(turn[name].seconds for turn in turns) for name in runs}
    within = {
        name: statistics.median(turn[name].seconds / (turn[name].seconds - turn[name].inside) for turn in turns)
        for name in runs
    }
    beside = {name: statistics.median(turn[name].seconds / turn["none"].seconds for turn in turns) for name in runs}
    last = turns[-1]
    print(f"{asked.rounds} rounds of {' '.join(asked.set)}, median of {asked.times} turns. {told()}\n")
    rows = []
    for name in runs:
        ratios = [f"{seconds[name]:.2f}", f"{within[name]:.3f}", f"{beside[name]:.3f}"]
        rows.append([name, *ratios, str(last[name].written), f"{last[name].size / 1e6:.1f}"])
    print(table(["checkpoints", "seconds", "x without", "x none", "written", "MB left"], rows))
    if asked.json:
        chosen = {"rounds": asked.rounds, "times": asked.times, "set": asked.set}
        write_json(asked.json, "checkpoints", chosen, seconds, within, beside=beside)


if __name__ == "__main__":
    main()
