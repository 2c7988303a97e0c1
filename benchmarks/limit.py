"""What the machine could do at most, and how much of it a round reaches.

    python benchmarks/limit.py [--model mlp|lr] [--sites 1000] [--rounds 15] [--json FILE]

Counted: the multiply-adds of every dense layer's forward product, its weight gradient and, above the first layer, its
input gradient, two operations each; and the bytes of rows and labels, read once. Measured: the peak of a large single
precision matrix product, reading a large array, and rounds of fedtrial's fused tier, all in turn, so that a busy
machine slows them alike. A round cannot be faster than operations / peak or bytes / bandwidth, whichever takes longer.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from byhand import MODELS, ROWS, Work, make
from workload import cores, executor, simulation, start, table, told, training, write_json

from sim.engine.executors import crew
from sim.engine.rounds import rounds

SIZE = 2048  # of the square matrices
READ = 2**28  # bytes, far beyond any cache


def operations(work: Work) -> int:
    """Floating-point operations of a round."""
    row = 0
    weights = [part for part in work.start.values() if part.ndim == 2]
    for depth, part in enumerate(weights):
        row += 2 * part.size * (3 if depth else 2)
    return row * int(work.rows.sum())


def traffic(work: Work) -> int:
    """Bytes of the rows and labels (as single precision) of all sites."""
    return int(work.rows.sum()) * 4 * (work.x.shape[1] + 1)


def timed(do: Callable[[], object]) -> float:
    """Seconds of a call."""
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=1000, help=f"sites of {ROWS} rows each")
    parser.add_argument("--model", choices=MODELS, default="mlp")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    work = make(wanted.sites, model=wanted.model)
    left, right = torch.randn(SIZE, SIZE), torch.randn(SIZE, SIZE)
    memory = torch.zeros(READ // 4)
    counted, moved = operations(work), traffic(work)
    head = ["", "GEMM", "reading", "limit", "round", "reached", "share of the limit"]
    lines, medians, ratios = [], {}, {}
    for threads in sorted({1, cores()}):
        plan = simulation(work, training("fused"))
        with crew(executor(threads), plan.job) as opened:
            going = rounds(plan, opened, plan.standing(start(work)))
            for _ in range(3):
                next(going)
            seconds: dict[str, list[float]] = {"gemm": [], "read": [], "round": []}
            for _ in range(wanted.rounds):
                torch.set_num_threads(threads)
                seconds["gemm"].append(timed(lambda: torch.mm(left, right)))
                seconds["read"].append(timed(memory.sum))
                torch.set_num_threads(1)
                seconds["round"].append(timed(partial(next, going)))
        gemm, read, here = (statistics.median(part) for part in seconds.values())
        peak, bandwidth = 2 * SIZE**3 / gemm, READ / read
        limit = max(counted / peak, moved / bandwidth)
        bound = "operations" if counted / peak > moved / bandwidth else "bytes"
        name = f"{threads} thread{'s' * (threads > 1)}"
        cells = [
            f"{peak / 1e9:.0f} GFLOP/s",
            f"{bandwidth / 1e9:.0f} GB/s",
            f"{1e3 * limit:.1f} ms ({bound})",
            f"{1e3 * here:.1f} ms",
            f"{counted / here / 1e9:.0f} GFLOP/s",
            f"{limit / here:.0%}",
        ]
        lines.append([name, *cells])
        medians |= {f"{name}: {what}": statistics.median(part) for what, part in seconds.items()}
        ratios |= {f"{name}: share of the limit": limit / here}
    print(f"{wanted.sites:,} sites of {ROWS} rows, {wanted.model}; {counted / 1e9:.3f} GFLOP and {moved / 1e6:.1f} MB")
    print(f"a round. {told()}\n")
    print(table(head, lines))
    if wanted.json:
        settings = {"sites": wanted.sites, "rows": ROWS, "model": wanted.model, "rounds": wanted.rounds}
        write_json(wanted.json, "limit", settings, medians, ratios, flop=counted, bytes=moved)


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
