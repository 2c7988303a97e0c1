"""Peak memory, and whether it grows: it must not.

    python benchmarks/memory.py [--sites 1000] [--rounds 200] [--json FILE]

FedAvg and SCAFFOLD (which keeps a vector a site) on the MLP, in this process and on Ray. The process tree's memory,
shared pages counted once, is read every tenth round after the first hundred (by then Ray has touched its buffers);
growth is the difference of the means over the last and the first third of the readings. Exit status 1 if it is above
2 MiB and 1 % of the peak.
"""

import argparse
import os
import statistics
import sys
from dataclasses import replace
from pathlib import Path

from byhand import ROWS, make
from process import proportional, tree
from workload import cores, executor, simulation, start, table, told, training, write_json

from sim.engine.executors import Executor
from sim.engine.rounds import simulate
from sim.methods.algorithms import ALGORITHMS
from sim.methods.roles import Roles

WARM, EVERY = 100, 10  # rounds before the first reading, and between readings


def readings(sites: int, rounds: int, method: str, executor: Executor) -> list[int]:
    """Bytes of the process tree while a simulation runs."""
    work = make(sites)
    plan = replace(simulation(work, training(), WARM + rounds), roles=Roles(ALGORITHMS[method]()))
    found = []
    for here in simulate(plan, executor, start(work)):
        if here.number >= WARM and here.number % EVERY == 0:
            found.append(sum(proportional(pid) for pid in tree(os.getpid())))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=1000, help=f"sites of {ROWS} rows each")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    if not proportional(os.getpid()):
        sys.exit("This system does not tell a process's share of memory (Linux: /proc/PID/smaps_rollup).")
    many = cores()
    ways = {f"{many} threads": executor(many), f"Ray, {many} workers": executor(workers=many)}
    lines, growth, peaks, bad = [], {}, {}, False
    for method in ("fedavg", "scaffold"):
        for way, chosen in ways.items():
            found = readings(wanted.sites, wanted.rounds, method, chosen)
            third = max(1, len(found) // 3)
            name = f"{method}, {way}"
            peaks[name] = max(found)
            growth[name] = statistics.mean(found[-third:]) - statistics.mean(found[:third])
            bad = bad or growth[name] > max(2 * 2**20, peaks[name] / 100)
            lines.append([name, f"{peaks[name] / 2**20:,.0f} MiB", f"{growth[name] / 2**20:+.2f} MiB"])
    print(f"{wanted.sites:,} sites of {ROWS} rows, mlp, {wanted.rounds} rounds. {told()}\n")
    print(table(["", "peak", "growth"], lines))
    if wanted.json:
        settings = {"sites": wanted.sites, "rows": ROWS, "model": "mlp", "rounds": wanted.rounds}
        shares = {name: growth[name] / peaks[name] for name in growth}
        write_json(wanted.json, "memory", settings, peaks, shares, unit="medians: peak bytes; ratios: growth / peak")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
