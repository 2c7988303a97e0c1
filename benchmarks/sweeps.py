"""What a cell of a sweep costs beyond its own work: the same small cells in this process, and in a pool of one worker.

    python benchmarks/sweeps.py               # 1,000 cells: 4 algorithms x 250 seeds
    python benchmarks/sweeps.py --cells 200

Milliseconds a cell, from the 20th to the last, so that starting Ray and importing torch are left out. `cpu` is the
processor time of driver and worker together, which other work on the machine does not change much; `wall` is time.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sim.config.compose import cells
from sim.config.experiment import Experiment
from sim.config.many import experiments
from sim.run.cells import Cells, Ended
from sim.run.check import checked
from sim.run.run import run_id
from sim.run.sweep import here, pooled

WARM = 20
ALGORITHMS = "algorithm=fedavg,fedprox,scaffold,feddyn"


def ticks(process: int) -> float:
    """Seconds of processor time of a process and of its children that have ended."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def workers() -> list[int]:
    """The processes of a pool."""
    titles = {
        path.parent: path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)
    }
    return [int(path.name) for path, title in titles.items() if title.startswith(b"ray::CellBody")]


def spent() -> float:
    """Seconds of processor time of this process and of the pool's."""
    return time.process_time() + sum(map(ticks, workers()))


def measured(wanted: dict[str, Experiment], carried_out: Callable[[Cells], Iterator[Ended]]) -> tuple[float, float]:
    """Milliseconds of processor and of wall time a cell."""
    since = (0.0, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        cache = checked([("", one) for one in wanted.values()])
        with Cells(wanted, dict.fromkeys(wanted, Path(folder)), cache, stop_on_error=True) as left:
            for number, ended in enumerate(carried_out(left), 1):
                assert not ended.failed, ended.failed
                if number == WARM:
                    since = spent(), time.perf_counter()
                if number == len(wanted):
                    scale = 1e3 / (number - WARM)
                    return (spent() - since[0]) * scale, (time.perf_counter() - since[1]) * scale
    raise AssertionError("a cell is missing")


def main() -> None:
    """Both, and the difference."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--cells", type=int, default=1000)
    words = asked.parse_args()
    began = time.process_time()
    chosen = cells([ALGORITHMS, f"seed=range({words.cells // 4})", "rounds=2", "cohort.patients=300"])
    wanted = {run_id(one): one for one in experiments(chosen)}
    named = (time.process_time() - began) * 1e3 / len(wanted)
    alone = measured(wanted, lambda left: here(left, 0))
    pool = measured(wanted, lambda left: pooled(left, 1, 0, lambda: None))
    print("| ms a cell | cpu | wall |\n|---|--:|--:|")
    print(f"| composed and named | {named:.1f} | – |")
    print(f"| in this process | {alone[0]:.1f} | {alone[1]:.1f} |")
    print(f"| in a pool of one | {pool[0]:.1f} | {pool[1]:.1f} |")
    print(f"| beyond the work | {pool[0] - alone[0]:.1f} | {pool[1] - alone[1]:.1f} |")


if __name__ == "__main__":
    main()
