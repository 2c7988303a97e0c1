"""A federated round of many small sites: the stacked engine against a hand-written PyTorch loop, in turn, one thread.

    python benchmarks/stacked.py [--sites 1000] [--rounds 11] [--json FILE]

Both sides do the same work from the same start: MLP 32-64-2 with softmax loss, 200 rows a site, batch 32, one local
epoch of SGD at 0.1, mean weighted by rows; the new model is scored on 4,000 rows. They shuffle in their own way, so
the accuracies agree to about a point. The printed figure is the ratio of median round times.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, softplus

from sim.algorithms import FedAvg
from sim.engine import Evaluation, Simulation, simulate
from sim.execute import InProcess
from sim.federation import Federation, from_arrays
from sim.local.settings import Training
from sim.params import call
from sim.provenance import processor
from sim.server import Server
from sim.system import System
from sim.tasks.task import Task

FEATURES, HIDDEN, CLASSES, ROWS, BATCH, LR = 32, 64, 2, 200, 32, 0.1


class Softmax(Task):
    """Two-output classifier, as the loop has it."""

    def targets(self, y: dict[str, NDArray[np.generic]]) -> dict[str, Tensor]:
        return {"label": torch.from_numpy(y["label"].astype(np.float32))}

    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        # Cross-entropy of two classes, written out: log(1 + exp(other - own)).
        return softplus((output[:, 0] - output[:, 1]) * (2 * y["label"] - 1))


def network() -> nn.Module:
    return nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))


def workload(sites: int) -> tuple[Federation, NDArray[np.float32], NDArray[np.int64]]:
    """Sites shifted in feature space, one teacher for all, and 4,000 rows to score on."""
    rng = np.random.default_rng(7)
    first = rng.normal(size=(FEATURES, 8)) / np.sqrt(FEATURES)
    second, linear = rng.normal(size=8), rng.normal(size=FEATURES) / np.sqrt(FEATURES)

    def label(x: NDArray[np.float64]) -> NDArray[np.int64]:
        score = 2 * np.tanh(2 * x @ first) @ second + 1.5 * x @ linear
        return (score + 0.25 * rng.logistic(size=score.shape) > 0).astype(np.int64)

    test = rng.normal(size=(4000, FEATURES))
    answers = label(test)
    held = {}
    for site in range(sites):
        x = rng.normal(size=(ROWS, FEATURES)) + rng.normal(scale=0.5, size=FEATURES)
        held[f"{site:05d}"] = (x.astype(np.float32), {"label": label(x)})
    return from_arrays(held), test.astype(np.float32), answers


def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    with torch.no_grad():
        return float((net(x).argmax(1) == y).float().mean())


def loop(federation: Federation, start: dict[str, Tensor], x_test: Tensor, y_test: Tensor) -> Iterator[float]:
    """The loop a researcher writes by hand: one site after the other; yields accuracy after each round."""
    x = torch.from_numpy(federation.x).view(-1, ROWS, FEATURES)
    y = torch.from_numpy(federation.y["label"].astype(np.int64)).view(-1, ROWS)
    server, net = network(), network()
    server.load_state_dict(start)
    while True:
        state = {name: part.clone() for name, part in server.state_dict().items()}
        mean = {name: torch.zeros_like(part) for name, part in state.items()}
        for site in range(len(x)):
            net.load_state_dict(state)
            optimiser = torch.optim.SGD(net.parameters(), lr=LR)
            order = torch.randperm(ROWS)
            rows, labels = x[site][order], y[site][order]
            for low in range(0, ROWS, BATCH):
                optimiser.zero_grad()
                cross_entropy(net(rows[low : low + BATCH]), labels[low : low + BATCH]).backward()
                optimiser.step()
            for name, part in net.state_dict().items():
                mean[name] += part / len(x)
        server.load_state_dict(mean)
        yield accuracy(server, x_test, y_test)


def ours(federation: Federation, start: dict[str, Tensor], x_test: Tensor, y_test: Tensor) -> Iterator[float]:
    """The same rounds through the engine; yields accuracy after each round."""
    task = Softmax(network())
    training = Training(lr=LR, batch=BATCH, epochs=1)
    plan = Simulation(federation, task, FedAvg(), Server(), training, System(), Evaluation(), 10**6, 0)
    for here in simulate(plan, InProcess(), task.layout.pack(list(start.values()))):
        if here.number:
            with torch.no_grad():
                guess = call(task.module, task.layout, here.model, x_test).argmax(1)
            yield float((guess == y_test).float().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sites", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", default="")
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    federation, x_test, answers = workload(wanted.sites)
    start = {name: part.clone() for name, part in network().state_dict().items()}
    scored = torch.from_numpy(x_test), torch.from_numpy(answers)
    sides = {"loop": loop(federation, start, *scored), "fedtrial": ours(federation, start, *scored)}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    final = {}
    for number in range(wanted.rounds + 1):  # the first round warms both up and is not counted
        for name, rounds in sides.items():
            began = time.perf_counter()
            final[name] = next(rounds)
            if number:
                seconds[name].append(time.perf_counter() - began)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    ratio = median["loop"] / median["fedtrial"]
    machine = f"one thread, {processor()}, torch {torch.__version__}"
    print(f"{wanted.sites} sites, MLP {FEATURES}-{HIDDEN}-{CLASSES}, {machine}\n")
    print("| | median round | accuracy | speed |\n|---|---|---|---|")
    for name, speed in (("loop", 1.0), ("fedtrial", ratio)):
        print(f"| {name} | {1e3 * median[name]:.0f} ms | {final[name]:.3f} | {speed:.1f} x |")
    if wanted.json:
        with open(wanted.json, "w") as out:
            report = {"sites": wanted.sites, "median_seconds": median, "accuracy": final, "ratio": ratio}
            json.dump(report | {"python": platform.python_version(), "processor": processor()}, out, indent=2)


if __name__ == "__main__":
    main()
