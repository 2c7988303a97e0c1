"""What nodes of a Ray cluster cost on one machine, and by a model of that what many machines would take.

    python benchmarks/cluster.py [--sites 100,1000] [--rounds 12] [--workers 3] [--machines 100 --cores 16 --gbit 10]
                                 [--project 100000] [--json FILE]

First table: least time of a round without scoring, the same workers in every row but the first: one thread; the actors
of one machine, which share memory; and as many on 1, 2 and 3 nodes, which share none and are all on this machine.
Second: least time of a message to actors of another node and back, by size. Third: a projection, no measurement. A
round of N sites on M machines of C cores is taken as

    seconds = sites * work / (M * C) + answer + (M * C) * call + (bytes of the sums + 2 * bytes of the state) / wire

with `work` a site's share of a round on one thread, `answer` an empty call, `call` what every further actor adds to a
round of empty calls, a sum of each vector for every chunk of sites, what the sites keep there and back, and `wire` the
lower of the measured rate of large messages and the server's network. Left out: nodes that wait for the slowest one.
"""

import argparse
import math
import os
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from workload import Work, least, make, simulation, start, table, told, training, write_json

from sim.engine.executors import Executor, InProcess, OnRay, crew
from sim.engine.rounds import advance
from sim.engine.simulation import Simulation
from sim.methods.algorithms.scaffold import Scaffold
from sim.methods.roles import Roles
from sim.processes import ray_session

FEW = 3  # rounds before the clock starts
NODES = (1, 2, 3)
SIZES = (0, 1 << 20, 1 << 22, 1 << 24)  # bytes of a message
PLACE = {"node_ip_address": "127.0.0.1", "include_dashboard": False}
METHODS = {"FedAvg": Roles(), "SCAFFOLD": Roles(algorithm=Scaffold())}


@contextmanager
def cluster(nodes: int, workers: int) -> Iterator[str]:
    """Address of a cluster on this machine, whose head computes nothing; CPUs dealt out to the nodes."""
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={**PLACE, "num_cpus": 0, "object_store_memory": 1 << 30})
    for node in range(nodes):
        made.add_node(**PLACE, num_cpus=len(range(node, workers, nodes)), object_store_memory=1 << 30)
    try:
        with ray_session(workers, made.address):
            yield made.address
    finally:
        made.shutdown()


def round_seconds(work: Work, roles: Roles, executor: Executor, rounds: int) -> float:
    """Least seconds of a round."""
    plan: Simulation = replace(simulation(work, training(), rounds + FEW), roles=roles)
    found = []
    with crew(executor, plan.job) as opened:
        here = plan.standing(start(work))
        for tick in plan.ticks(lambda sites: sites * 0.0):
            began = time.perf_counter()
            here, _ = advance(plan, opened, here, tick)
            found.append(time.perf_counter() - began)
    return min(found[FEW:])


class Echo:
    """Body of an actor that sends back what it gets."""

    def back(self, message: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return message.copy()


@dataclass
class Wire:
    """What messages cost, in seconds."""

    answer: float  # an empty call, there and back
    call: float  # what a further actor adds to a round of empty calls
    carried: dict[int, float]  # bytes -> there and back

    @property
    def rate(self) -> float:
        """Bytes a second of large messages, one way."""
        small, large = SIZES[-2:]
        return 2 * (large - small) / (self.carried[large] - self.carried[small])


def wire(times: int) -> Wire:
    """Measured on the open session, whose actors are on other nodes than this process."""
    import ray

    echoes = [ray.remote(num_cpus=0, scheduling_strategy="SPREAD")(Echo).remote() for _ in range(16)]
    empty = np.zeros(0, np.uint8)
    ray.get([echo.back.remote(empty) for echo in echoes])

    def calls(number: int) -> float:
        return least(lambda: ray.get([echo.back.remote(empty) for echo in echoes[:number]]), times)

    one, many = calls(1), calls(len(echoes))
    messages = {size: np.ones(size, np.uint8) for size in SIZES}
    carried = {
        size: least(partial(lambda sent: ray.get(echoes[0].back.remote(sent)), sent), times)
        for size, sent in messages.items()
    }
    for echo in echoes:
        ray.kill(echo)
    return Wire(one, (many - one) / (len(echoes) - 1), carried)


def milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.1f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", default="100,1000")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--cores", type=int, default=16, help="of a machine of the projection")
    parser.add_argument("--gbit", type=float, default=10.0, help="a second, of the network of the server's machine")
    parser.add_argument("--project", type=int, default=100_000, help="sites of the projection")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32), RAY_USAGE_STATS_ENABLED="0")
    os.environ.update(RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0")
    counts = [int(word) for word in asked.sites.split(",")]
    works = {count: make(count, rows=200, model="mlp") for count in counts}
    seconds: dict[str, dict[str, float]] = {}

    def measure(row: str, executor: Executor) -> None:
        for count, work in works.items():
            for name, roles in METHODS.items():
                print(f"{row}, {name}, {count:,} sites ...", file=sys.stderr, flush=True)
                seconds.setdefault(row, {})[f"{name}, {count:,} sites"] = round_seconds(
                    work, roles, executor, asked.rounds
                )

    measure("one thread", InProcess(threads=1))
    with ray_session(asked.workers):
        measure(f"{asked.workers} actors, shared memory", OnRay(asked.workers))
    for nodes in NODES:
        with cluster(nodes, asked.workers) as address:
            measure(f"{asked.workers} actors, {nodes} node{'s' * (nodes > 1)}", OnRay(asked.workers, address))
            if nodes == NODES[-1]:
                messages = wire(asked.rounds)
    report(asked, seconds, messages, len(start(works[counts[0]])))


def report(asked: argparse.Namespace, seconds: dict[str, dict[str, float]], messages: Wire, parameters: int) -> None:
    """Print the tables and write the file."""
    rows, columns = list(seconds), list(next(iter(seconds.values())))
    print(f"Least time of a round, MLP, 200 rows a site. {told()}\n")
    print(table(["", *columns], [[row, *(milliseconds(seconds[row][one]) for one in columns)] for row in rows]) + "\n")
    print(
        table(
            ["message", "there and back"], [[f"{size:,} bytes", milliseconds(messages.carried[size])] for size in SIZES]
        )
    )
    print(
        f"\nAn empty call takes {milliseconds(messages.answer)}, every further actor {milliseconds(messages.call)} "
        "more.\n"
    )
    rate, actors = min(messages.rate, asked.gbit * 1e9 / 8), asked.machines * asked.cores
    projected = {}
    for name in METHODS:
        most = max(int(column.split(", ")[1].split(" ")[0].replace(",", "")) for column in columns)
        work = seconds[rows[0]][f"{name}, {most:,} sites"] / most
        state = 4 * asked.project * sum(METHODS[name].site_state(parameters, parameters).values())
        sums = 8 * math.ceil(asked.project / training().chunk) * parameters * len(METHODS[name].vectors)
        parts = {
            "work": asked.project * work / actors,
            "calls": messages.answer + actors * messages.call,
            "sums": sums / rate,
            "state": 2 * state / rate,
        }
        projected[name] = {**parts, "round": sum(parts.values())}
    print(
        f"Projection, not measured: {asked.project:,} sites of 200 rows on {asked.machines} machines of {asked.cores} "
        f"cores like this one's, one server process, {rate / 1e9:.2f} GB a second.\n"
    )
    head = ["", "work", "calls", "sums", "state", "round"]
    print(table(head, [[name, *(milliseconds(parts[one]) for one in head[1:])] for name, parts in projected.items()]))
    if asked.json:
        medians = {f"{row}, {column}": value for row, cells in seconds.items() for column, value in cells.items()}
        first = rows[1]
        ratios = {
            f"{row} over {first}, {column}": seconds[row][column] / seconds[first][column]
            for row in rows[2:]
            for column in columns
        }
        settings = {name: value for name, value in vars(asked).items() if name != "json"}
        wired = {"answer": messages.answer, "call": messages.call, "carried": messages.carried, "rate": messages.rate}
        write_json(asked.json, "cluster", settings, medians, ratios, wire=wired, projection=projected)


if __name__ == "__main__":
    main()
