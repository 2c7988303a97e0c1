"""How a round grows with the number of sites, and what threads, Ray and unequal sizes make of it.

    python benchmarks/scaling.py [--model mlp|lr] [--sites 10,100,1000,10000] [--json FILE]

Each row is a process of its own over the same file of rows, so that its memory is its own: peak of the process tree,
shared pages counted once. "unequal" has the same patients in total, dealt to log-normal sizes (sigma 1). Ray's own
cost a round is the difference between one worker and one thread at the smallest size.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from byhand import MODELS, ROWS, make
from numpy.typing import NDArray
from peers import HERE, duration
from process import Watched, watch
from workload import cores, table, told, write_json

import sim

WARM = 3  # rounds that are not counted


def sizes(sites: int, sigma: float) -> NDArray[np.int64]:
    """Rows of each site, about ROWS on average; log-normal if sigma > 0."""
    if not sigma:
        return np.full(sites, ROWS)
    drawn = np.random.default_rng(3).lognormal(0.0, sigma, sites)
    return np.maximum(1, np.round(drawn / drawn.mean() * ROWS)).astype(np.int64)


def run(file: Path, rounds: int, words: list[str]) -> Watched:
    """One process over a file of rows."""
    with tempfile.TemporaryDirectory(prefix="scaling-") as folder:
        log = Path(folder) / "log"
        paths = os.pathsep.join([str(HERE), str(Path(sim.__file__).parents[1])])
        env = {**os.environ, "PYTHONPATH": paths, "RAY_USAGE_STATS_ENABLED": "0"}
        command = [sys.executable, str(HERE / "peers" / "fedtrial.py"), str(file), str(rounds), *words]
        seen = watch(command, env, rounds, 1800.0, log)
        if seen.failure:
            raise SystemExit(f"{' '.join(words)}: {seen.failure}\n{log.read_text()[-2000:]}")
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", default="10,100,1000,10000")
    parser.add_argument("--model", choices=MODELS, default="mlp")
    parser.add_argument("--rounds", type=int, default=12, help="measured rounds")
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    counts = [int(word) for word in wanted.sites.split(",")]
    many = cores()
    ways = {
        "1 thread": ["--threads", "1"],
        f"{many} threads": ["--threads", str(many)],
        "Ray, 1 worker": ["--workers", "1"],
        f"Ray, {many} workers": ["--workers", str(many)],
    }
    cases = [(count, 0.0) for count in counts] + [(1000, 1.0)]
    lines, medians, peaks = [], {}, {}
    with tempfile.TemporaryDirectory(prefix="work-") as folder:
        for count, sigma in cases:
            file = Path(folder) / f"{count}-{sigma}.npz"
            make(count, sizes(count, sigma), wanted.model).save(file)
            name = f"{count:,}{' unequal' if sigma else ''}"
            cells = []
            for way, words in ways.items():
                print(f"{name} sites, {way} ...", file=sys.stderr, flush=True)
                seen = run(file, WARM + wanted.rounds, words)
                key = f"{name} sites, {way}"
                medians[key], peaks[key] = statistics.median(seen.seconds(WARM)), seen.memory
                cells.append(f"{duration(medians[key])} ({peaks[key] / 2**30:.2f} GiB)")
            file.unlink()
            lines.append([name, *cells])
    first, last = f"{min(counts):,} sites", f"{max(counts):,} sites"
    ratios = {
        f"Ray's cost a round at {first}, seconds": medians[f"{first}, Ray, 1 worker"] - medians[f"{first}, 1 thread"]
    }
    if 1000 in counts:
        for way in ways:
            ratios[f"{last} over 1,000 sites, {way}"] = medians[f"{last}, {way}"] / medians[f"1,000 sites, {way}"]
            ratios[f"unequal over equal, {way}"] = (
                medians[f"1,000 unequal sites, {way}"] / medians[f"1,000 sites, {way}"]
            )
    print(f"Median round (peak memory), {wanted.model}, {ROWS} rows a site, scored on 4,000 rows. {told()}\n")
    print(table(["sites", *ways], lines) + "\n")
    print(table(["", "value"], [[name, f"{value:.4g}"] for name, value in ratios.items()]))
    if wanted.json:
        settings = {"sites": counts, "rows": ROWS, "model": wanted.model, "rounds": wanted.rounds}
        write_json(wanted.json, "scaling", settings, medians, ratios, peak_bytes=peaks)


if __name__ == "__main__":
    main()
