"""What it costs to ask which runs of a sweep are finished: nothing is loaded, every record is read and checked.

    python benchmarks/resume.py [--runs 1000] [--patients 6000] [--json FILE]

One run is computed and its records are written under the names of all. Measured are naming all runs, finding them all
finished, and for comparison the preparation of one run (cohort, partition, federation), which asking does without. The
first row reads the code, as every process does once.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from workload import table, told, write_json

from sim.config.compose import experiment
from sim.records.store import Run, write
from sim.run.run import prepare, rehearse, run_id
from sim.run.sweep import unfinished


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--patients", type=int, default=6000)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    first = experiment([f"cohort.patients={wanted.patients}", "rounds=20"])
    runs = [replace(first, seed=seed) for seed in range(wanted.runs)]
    seconds = {}

    began = time.perf_counter()
    run_id(first)
    seconds["the code, once"] = time.perf_counter() - began

    began = time.perf_counter()
    names = [run_id(one) for one in runs]
    seconds["names of all runs"] = time.perf_counter() - began

    began = time.perf_counter()
    prepared = prepare(first)
    seconds["preparing one run"] = time.perf_counter() - began

    made = rehearse(first, prepared)
    with tempfile.TemporaryDirectory(prefix="resume-") as folder:
        for name in names:
            write(Run(name, made.rounds, made.sites, made.info), Path(folder))
        began = time.perf_counter()
        left = unfinished(runs, Path(folder))
        seconds["all runs found finished"] = time.perf_counter() - began
        assert not left, f"{len(left)} runs were not found"

    asked, one = seconds["all runs found finished"], seconds["preparing one run"]
    ratios = {"finding all finished / preparing all": asked / (one * len(runs))}
    print(f"{wanted.runs:,} runs of {wanted.patients:,} patients. {told()}\n")
    print(table(["", "seconds"], [[name, f"{value:.3f}"] for name, value in seconds.items()]) + "\n")
    print(table(["", "value"], [[name, f"{value:.2g}"] for name, value in ratios.items()]))
    if wanted.json:
        settings = {"runs": wanted.runs, "patients": wanted.patients}
        write_json(wanted.json, "resume", settings, seconds, ratios, unit="medians: seconds, measured once")


if __name__ == "__main__":
    main()
