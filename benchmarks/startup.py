"""How long a command takes to begin: help, a refusal and a composed config, beside an import of torch alone.

    python benchmarks/startup.py [--times 7] [--json FILE]

Every command is a fresh process that finds its byte code ready. The commands take turns, so that a busy moment meets
all of them; the first turn is not counted. A ratio is the median over turns of a command's seconds over torch's in
the same turn. Far fewer CPU seconds than seconds mean that others use the cores too. Where the time goes is told by
`python -X importtime -m sim run --cfg job`.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from workload import table, told, write_json

TORCH = "python -c 'import torch'"
COMMANDS = {  # name -> words after `python`, exit code
    TORCH: (["-c", "import torch"], 0),
    "fedtrial --help": (["-m", "sim", "--help"], 0),
    "fedtrial run rounds=0 (refused)": (["-m", "sim", "run", "rounds=0"], 2),
    "fedtrial run algorithm=fedpro (refused)": (["-m", "sim", "run", "algorithm=fedpro"], 2),
    "fedtrial run --cfg job": (["-m", "sim", "run", "--cfg", "job"], 0),
}


def seconds(words: list[str], code: int) -> tuple[float, float]:
    """Wall-clock and CPU time of a fresh Python with these words, which must end with this exit code."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began, spent = time.perf_counter(), cpu()
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began, cpu() - spent
    if done.returncode != code:
        raise SystemExit(f"{' '.join(words)}: exit code {done.returncode}, not {code}: {done.stderr[-2000:]}")
    return took


def cpu() -> float:
    """CPU seconds of all processes that ended so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    turns = [{name: seconds(*one) for name, one in COMMANDS.items()} for _ in range(wanted.times + 1)][1:]
    medians = {name: statistics.median(turn[name][0] for turn in turns) for name in COMMANDS}
    spent = {name: statistics.median(turn[name][1] for turn in turns) for name in COMMANDS}
    ratios = {name: statistics.median(turn[name][0] / turn[TORCH][0] for turn in turns) for name in COMMANDS}
    print(f"Median of {wanted.times} turns. {told()}\n")
    rows = [[f"`{name}`", f"{medians[name]:.2f}", f"{spent[name]:.2f}", f"{ratios[name]:.2f}"] for name in COMMANDS]
    print(table(["", "seconds", "CPU seconds", "x torch"], rows))
    if wanted.json:
        unit = "medians, cpu: seconds a process"
        write_json(wanted.json, "startup", {"times": wanted.times}, medians, ratios, cpu=spent, unit=unit)


if __name__ == "__main__":
    main()
