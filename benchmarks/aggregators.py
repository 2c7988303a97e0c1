"""What a robust aggregator adds to a round: each against the mean, on the benchmarks' workload, in one run.

    python benchmarks/aggregators.py [--sites 1000] [--rounds 7] [--model mlp] [--only median,krum] [--json FILE]

Sites hold 100 to 300 rows, so that their weights differ. *Round* is the least processor time of a round on one thread,
uploads of all sites included, without scoring; *over mean* its ratio to the least round under `aggregator=mean`, whose
rounds take turns with the rule's, so that a machine that others use does not decide; *rule* the least processor time of
the rule alone on uploads of that size.
"""

import argparse
import json
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from workload import Work, executor, least, machine, make, simulation, start, table, told, training

from sim.engine.executors import crew
from sim.engine.rounds import advance
from sim.methods.aggregators import AGGREGATORS
from sim.methods.aggregators.base import Aggregator, Mean
from sim.methods.roles import Roles

FEW = 2  # rounds before the clock starts


def round_seconds(work: Work, aggregators: Sequence[Aggregator], rounds: int) -> list[float]:
    """Least processor seconds of a round under each of the rules, which take turns."""
    plans = [replace(simulation(work, training(), rounds + FEW), roles=Roles(aggregator=one)) for one in aggregators]
    with ExitStack() as opened:
        crews = [opened.enter_context(crew(executor(1), plan.job)) for plan in plans]
        stands = [plan.standing(start(work)) for plan in plans]
        ticks = [plan.ticks(lambda sites: sites * 0.0) for plan in plans]
        found: list[list[float]] = [[] for _ in plans]
        for _ in range(rounds + FEW):
            for at, plan in enumerate(plans):
                tick, began = next(ticks[at]), time.thread_time()
                stands[at], _ = advance(plan, crews[at], stands[at], tick)
                found[at].append(time.thread_time() - began)
    return [min(each[FEW:]) for each in found]


def rule_seconds(aggregator: Aggregator, sites: int, parameters: int, rounds: int) -> float:
    """Least processor seconds of the rule alone, on random uploads of unequal weights."""
    generator = torch.Generator().manual_seed(0)
    sent = {"delta": torch.randn(sites, parameters, generator=generator)}
    p = torch.arange(1.0, sites + 1, dtype=torch.float64)
    kept = {f"delta.{name}": torch.zeros(parameters) for name in aggregator.server_state}

    def draw(name: str) -> torch.Tensor:
        return torch.rand(sites, 1, generator=generator)

    return least(lambda: aggregator.aggregate(sent, p / p.sum(), kept, draw), rounds, time.thread_time)


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
    work = make(words.sites, rows=np.linspace(100, 300, words.sites).round(), model=words.model)
    parameters = len(start(work))
    rows, found, products = [], {}, words.sites**2 * parameters / 2
    for name in words.only.split(","):
        entry = AGGREGATORS[name]()
        base, own = round_seconds(work, [Mean(), entry], words.rounds)
        rule = rule_seconds(entry, words.sites, parameters, words.rounds)
        found[name] = {"mean": base, "round": own, "rule": rule}
        rows.append([name, f"{1e3 * base:.0f} ms", f"{1e3 * own:.0f} ms", f"{own / base:.2f}", f"{1e3 * rule:.1f} ms"])
    print(f"{words.sites:,} sites, {parameters:,} parameters. {told()}\n")
    print(table(["aggregator", "round with the mean", "round", "over mean", "rule"], rows))
    if "krum" in found:
        print(f"\nKrum: {products:,.0f} multiply-adds, {products / found['krum']['rule']:.1e} a second.")
    if words.json:
        words.json.write_text(json.dumps({"machine": machine(), "seconds": found}, indent=1))


if __name__ == "__main__":
    main()
