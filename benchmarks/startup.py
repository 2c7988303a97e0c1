"""How long a command takes to begin: help, a refusal and a composed config, beside an import of torch alone.

    python benchmarks/startup.py [--times 7] [--json FILE]

Every command is a fresh process that finds its byte code ready. The commands take turns, so that a busy moment meets
all of them; the first turn is not counted. A ratio is the median over turns of a command's seconds over torch's in
the same turn. Where the time goes is told by `python -X importtime -m sim run --cfg job`.
"""

import argparse
import os
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


def seconds(words: list[str], code: int) -> float:
    """Wall-clock time of a fresh Python with these words, which must end with this exit code."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != code:
        raise SystemExit(f"{' '.join(words)}: exit code {done.returncode}, not {code}: {done.stderr[-2000:]}")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=7)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    turns = [{name: seconds(*one) for name, one in COMMANDS.items()} for _ in range(wanted.times + 1)][1:]
    medians = {name: statistics.median(turn[name] for turn in turns) for name in COMMANDS}
    ratios = {name: statistics.median(turn[name] / turn[TORCH] for turn in turns) for name in COMMANDS}
    print(f"Median of {wanted.times} turns. {told()}\n")
    rows = [[f"`{name}`", f"{medians[name]:.2f}", f"{ratios[name]:.2f}"] for name in COMMANDS]
    print(table(["", "seconds", "x torch"], rows))
    if wanted.json:
        write_json(wanted.json, "startup", {"times": wanted.times}, medians, ratios, unit="medians: seconds a process")


if __name__ == "__main__":
    main()
