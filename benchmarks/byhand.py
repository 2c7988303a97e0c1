"""The workload of all benchmarks, and the loop that a researcher writes for it by hand.

Numpy and torch only: every peer's own environment runs this file.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

FEATURES, HIDDEN, CLASSES = 32, 64, 2
ROWS, BATCH, LR, HELD_OUT = 200, 32, 0.1, 4000
MODELS = ("mlp", "lr")


@dataclass(frozen=True)
class Work:
    """Rows of all sites end to end, rows to score on, and the model that everyone starts from."""

    model: str  # "mlp": 32-64-2 with ReLU; "lr": 32-2, logistic regression in its softmax form
    x: NDArray[np.float32]  # [R, 32]
    y: NDArray[np.int64]  # [R] 0 or 1
    rows: NDArray[np.int64]  # [S] rows of each site
    x_test: NDArray[np.float32]  # [N, 32]
    y_test: NDArray[np.int64]  # [N]
    start: dict[str, NDArray[np.float32]]  # by the names of `network`'s parameters

    @property
    def bounds(self) -> NDArray[np.int64]:
        """Row at which each site begins, and the end of the last; [S + 1]."""
        return np.r_[0, np.cumsum(self.rows)]

    def sites(self) -> list[tuple[Tensor, Tensor]]:
        """Rows and labels of each site, as views."""
        sizes = self.rows.tolist()
        parts = torch.from_numpy(self.x).split(sizes), torch.from_numpy(self.y).split(sizes)
        return list(zip(*parts, strict=True))

    def network(self) -> nn.Module:
        """The network with the starting parameters."""
        net = network(self.model)
        net.load_state_dict({name: torch.from_numpy(part.copy()) for name, part in self.start.items()})
        return net

    def accuracy(self, net: nn.Module) -> float:
        """Share of the held-out rows that the network gets right."""
        with torch.no_grad():
            return self.share_right(net(torch.from_numpy(self.x_test)))

    def share_right(self, output: Tensor) -> float:
        """Share of the held-out rows whose larger output is the right one; [N, 2] -> scalar."""
        return float((output.argmax(1) == torch.from_numpy(self.y_test)).float().mean())

    def save(self, path: Path) -> None:
        """One file that every peer reads."""
        start = {f"start/{name}": part for name, part in self.start.items()}
        rest = {"x": self.x, "y": self.y, "rows": self.rows, "x_test": self.x_test, "y_test": self.y_test}
        np.savez(path, model=np.array(self.model), **rest, **start)


@functools.cache
def load(path: str) -> Work:
    """The workload of a file, read once in each process."""
    with np.load(path, allow_pickle=False) as file:
        start = {name.removeprefix("start/"): file[name] for name in file.files if name.startswith("start/")}
        rest = {name: file[name] for name in ("x", "y", "rows", "x_test", "y_test")}
        return Work(str(file["model"]), **rest, start=start)


@functools.cache
def desk(path: str) -> tuple[list[tuple[Tensor, Tensor]], nn.Module]:
    """What a process that trains sites keeps at hand: their rows, and a network to train."""
    torch.set_num_threads(1)
    return load(path).sites(), load(path).network()


def make(sites: int, rows: ArrayLike = ROWS, model: str = "mlp") -> Work:
    """Sites shifted in feature space, one teacher for all; `rows` of each site is one number or one per site."""
    rng = np.random.default_rng(7)
    first = rng.normal(size=(FEATURES, 8)) / np.sqrt(FEATURES)
    second, linear = rng.normal(size=8), rng.normal(size=FEATURES) / np.sqrt(FEATURES)

    def label(x: NDArray[np.float64]) -> NDArray[np.int64]:
        score = 2 * np.tanh(2 * x @ first) @ second + 1.5 * x @ linear
        return (score + 0.25 * rng.logistic(size=score.shape) > 0).astype(np.int64)

    x_test = rng.normal(size=(HELD_OUT, FEATURES))
    y_test = label(x_test)
    sizes = np.broadcast_to(np.asarray(rows, dtype=np.int64), (sites,)).copy()
    x, y = np.empty((sizes.sum(), FEATURES), dtype=np.float32), np.empty(sizes.sum(), dtype=np.int64)
    ends = np.cumsum(sizes)
    for low, high in zip(ends - sizes, ends, strict=True):
        site = rng.normal(size=(high - low, FEATURES)) + rng.normal(scale=0.5, size=FEATURES)
        x[low:high], y[low:high] = site, label(site)
    return Work(model, x, y, sizes, x_test.astype(np.float32), y_test, parameters(model))


def parameters(model: str) -> dict[str, NDArray[np.float32]]:
    """torch's own law for linear layers, U(+-1/sqrt(fan_in)), from a seed."""
    rng = np.random.default_rng(11)
    fan_in = dict.fromkeys(("0.weight", "0.bias"), FEATURES) | dict.fromkeys(("2.weight", "2.bias"), HIDDEN)
    shapes = {name: tuple(part.shape) for name, part in network(model).named_parameters()}
    return {name: (rng.uniform(-1, 1, shape) / fan_in[name] ** 0.5).astype("f4") for name, shape in shapes.items()}


def network(model: str) -> nn.Module:
    """Two outputs a row, the logits of the classes."""
    if model == "lr":
        return nn.Sequential(nn.Linear(FEATURES, CLASSES))
    return nn.Sequential(nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))


def epoch(net: nn.Module, x: Tensor, y: Tensor) -> None:
    """One pass of SGD over a site's rows in a random order."""
    optimiser = torch.optim.SGD(net.parameters(), lr=LR)
    order = torch.randperm(len(y))
    x, y = x[order], y[order]
    for low in range(0, len(y), BATCH):
        optimiser.zero_grad()
        cross_entropy(net(x[low : low + BATCH]), y[low : low + BATCH]).backward()
        optimiser.step()


def loop(work: Work) -> Iterator[nn.Module]:
    """One site after the other in one module; yields the server's network after each round."""
    server, net, sites = work.network(), work.network(), work.sites()
    total = int(work.rows.sum())
    while True:
        state = {name: part.clone() for name, part in server.state_dict().items()}
        mean = {name: torch.zeros_like(part) for name, part in state.items()}
        for x, y in sites:
            net.load_state_dict(state)
            epoch(net, x, y)
            for name, part in net.state_dict().items():
                mean[name] += part * (len(y) / total)
        server.load_state_dict(mean)
        yield server
