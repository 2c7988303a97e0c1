"""How long a command takes to begin: help, a refusal and a composed config, beside an import of torch alone.

    python benchmarks/startup.py [--times 5] [--json FILE]

Every command is a fresh process; the median of `--times` is shown, after one that is not counted. Where the time goes
is told by `python -X importtime -m sim run --cfg job`.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from workload import table, told, write_json

TORCH = "python -c 'import torch'"
COMMANDS = {
    TORCH: ["-c", "import torch"],
    "fedtrial --help": ["-m", "sim", "--help"],
    "fedtrial run algorithm=fedpro (refused)": ["-m", "sim", "run", "algorithm=fedpro"],
    "fedtrial run --cfg job": ["-m", "sim", "run", "--cfg", "job"],
}


def seconds(words: list[str], times: int) -> float:
    """Median wall-clock time of a fresh Python with these words."""
    taken = []
    for _ in range(times + 1):
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], capture_output=True, check=False)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    medians = {name: seconds(words, wanted.times) for name, words in COMMANDS.items()}
    ratios = {name: value / medians[TORCH] for name, value in medians.items()}
    print(f"Median of {wanted.times}. {told()}\n")
    print(
        table(["", "seconds", "x torch"], [[name, f"{medians[name]:.2f}", f"{ratios[name]:.2f}"] for name in medians])
    )
    if wanted.json:
        write_json(wanted.json, "startup", {"times": wanted.times}, medians, ratios, unit="medians: seconds a process")


if __name__ == "__main__":
    main()
