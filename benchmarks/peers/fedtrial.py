"""fedtrial, in this process or on Ray.  fedtrial.py FILE ROUNDS [--tier fused] [--threads 2 | --workers 2]"""

import argparse
from dataclasses import replace

import numpy as np
from marks import Marks
from workload import accuracy, executor, load, simulation, start, training

from sim.engine.rounds import simulate


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("rounds", type=int)
    parser.add_argument("--tier", default="auto")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0)
    wanted = parser.parse_args()
    work, marks = load(wanted.file), Marks()
    plan = simulation(work, training(wanted.tier), wanted.rounds)
    load.cache_clear()
    work = replace(work, x=np.empty((0, work.x.shape[1]), np.float32))  # the rows are the federation's from here
    for here in simulate(plan, executor(wanted.threads, wanted.workers), start(work)):
        if here.number:
            marks.round(accuracy(work, plan, here.model))
        if here.number == wanted.rounds:
            marks.stay()


if __name__ == "__main__":
    main()
