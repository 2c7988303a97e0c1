"""What a round of every method costs, relative to FedAvg on the same sites in the same run.

    python benchmarks/methods.py [--sites 200] [--rows 100] [--rounds 12] [--net mlp] [--only NAME] [--json FILE]

One thread. FedAvg runs before every method, and a method's median round is divided by FedAvg's of that moment, so that
a machine whose speed drifts does not decide. A method that needs another task or other axes beside it is left out and
named.
"""

import argparse
import statistics
import time
from pathlib import Path

from workload import table, told, write_json

from sim.catalogue.entry import Entry, entries
from sim.checks import Refused
from sim.config.compose import experiment
from sim.config.experiment import Experiment
from sim.engine.executors import InProcess, crew
from sim.engine.loops import OwnLoop, Reference
from sim.engine.rounds import rounds
from sim.run.run import Prepared, prepare, simulation

SKIPPED = 2  # rounds in which code is compiled and memory is touched first


def settings(entry: Entry | None, options: argparse.Namespace) -> list[str]:
    """Overrides of one run: that entry, all else FedAvg."""
    fixed = [
        "cohort=calibrated",
        f"cohort.patients={2 * options.sites * options.rows}",
        "partition=iid",
        f"partition.sites={options.sites}",
        "task=response",
        f"net={options.net}",
        f"rounds={options.rounds + SKIPPED}",
        f"evaluation.every={options.rounds + SKIPPED}",
    ]
    if entry is None:
        return fixed
    elsewhere = any(word.startswith("scenario=") for word in entry.example)  # there are sites enough here
    return [*fixed, *([entry.key] if elsewhere else entry.example)]


def seconds(asked: Experiment, prepared: Prepared) -> float:
    """Median seconds of a round, without the scored ones."""
    plan, method = simulation(asked, prepared), asked.algorithm
    taken: list[float] = []
    with crew(InProcess(), plan.job) as opened:
        going = method.rounds(plan, opened) if isinstance(method, OwnLoop) else rounds(plan, opened, plan.standing())
        began = time.perf_counter()
        for _ in going:
            taken.append(time.perf_counter() - began)
            began = time.perf_counter()
    return statistics.median(taken[1 + SKIPPED : -1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=200)
    parser.add_argument("--rows", type=int, default=100, help="training rows per site, about")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--net", default="mlp")
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    plain = experiment(settings(None, options))
    prepared = prepare(plain)
    seconds(plain, prepared)
    ratios: dict[str, float] = {}
    left_out: dict[str, str] = {}
    for entry in entries(options.only):
        if issubclass(entry.kind, Reference):
            continue
        try:
            asked = experiment(settings(entry, options))
            base, own = seconds(plain, prepared), seconds(asked, prepared)
        except Refused as refusal:
            left_out[entry.key] = str(refusal).splitlines()[0]
            continue
        ratios[entry.key] = own / base
    print(f"Seconds of a round over FedAvg's ({told()})\n")
    print(table(["entry", "times FedAvg"], [[key, f"{ratio:.2f}"] for key, ratio in ratios.items()]))
    for key, why in left_out.items():
        print(f"\nLeft out: {key}. {why}")
    if options.json:
        write_json(options.json, "methods", vars(options) | {"json": str(options.json)}, {}, ratios, left_out=left_out)


if __name__ == "__main__":
    main()
