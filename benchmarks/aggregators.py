"""What a robust aggregator adds to a round: each against the mean, on the benchmarks' workload, in one run.

    python benchmarks/aggregators.py [--sites 1000] [--rounds 7] [--model mlp] [--only median,krum] [--json FILE]

*Round* is the least time from one round's end to the next on one thread, uploads of all sites included, without
scoring; *over mean* its ratio to a round under `aggregator=mean`, which runs first and last; *rule* the least time of
the rule alone on uploads of that size.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

import torch
from workload import executor, least, machine, make, simulation, start, table, told, training

from sim.engine.executors import crew
from sim.engine.rounds import advance
from sim.methods.aggregators import AGGREGATORS
from sim.methods.aggregators.base import Aggregator
from sim.methods.roles import Roles

FEW = 2  # rounds before the clock starts


def round_seconds(work: object, aggregator: Aggregator, rounds: int) -> float:
    """Least seconds of a round."""
    plan = replace(simulation(work, training(), rounds + FEW), roles=Roles(aggregator=aggregator))
    found = []
    with crew(executor(1), plan.job) as opened:
        here = plan.standing(start(work))
        for tick in plan.ticks(lambda sites: sites * 0.0):
            began = time.perf_counter()
            here, _ = advance(plan, opened, here, tick)
            found.append(time.perf_counter() - began)
    return min(found[FEW:])


def rule_seconds(aggregator: Aggregator, sites: int, parameters: int, rounds: int) -> float:
    """Least seconds of the rule alone, on random uploads of unequal weights."""
    generator = torch.Generator().manual_seed(0)
    sent = {"delta": torch.randn(sites, parameters, generator=generator)}
    p = torch.arange(1.0, sites + 1, dtype=torch.float64)
    kept = {f"delta.{name}": torch.zeros(parameters) for name in aggregator.server_state}

    def draw(name: str) -> torch.Tensor:
        return torch.rand(sites, 1, generator=generator)

    return least(lambda: aggregator.aggregate(sent, p / p.sum(), kept, draw), rounds)


def main() -> None:
    """Measure and print."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--sites", type=int, default=1000)
    asked.add_argument("--rounds", type=int, default=7)
    asked.add_argument("--model", default="mlp")
    asked.add_argument("--only", default=",".join(AGGREGATORS))
    asked.add_argument("--json", type=Path)
    words = asked.parse_args()
    torch.set_num_threads(1)
    work = make(words.sites, rows=200, model=words.model)
    names = ["mean", *(name for name in words.only.split(",") if name != "mean"), "mean again"]
    parameters = len(start(work))
    seconds, rule = {}, {}
    for name in names:
        entry = AGGREGATORS[name.split()[0]]()
        rule[name] = rule_seconds(entry, words.sites, parameters, words.rounds)
        seconds[name] = round_seconds(work, entry, words.rounds)
    base = statistics.mean([seconds["mean"], seconds["mean again"]])
    rows = [
        [name, f"{1e3 * seconds[name]:.0f} ms", f"{seconds[name] / base:.2f}", f"{1e3 * rule[name]:.1f} ms"]
        for name in names
    ]
    print(f"{words.sites:,} sites, {parameters:,} parameters. {told()}\n")
    print(table(["aggregator", "round", "over mean", "rule"], rows))
    if words.json:
        words.json.write_text(json.dumps({"machine": machine(), "round": seconds, "rule": rule}, indent=1))


if __name__ == "__main__":
    main()
