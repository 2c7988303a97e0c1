"""What is proved of the transforms that make messages small: random places, levels, signs, ternary vectors."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from sim.engine.uplink import Draws
from sim.methods.contract import Draw
from sim.methods.roles import Roles
from sim.methods.uplink.base import Transform
from sim.methods.uplink.coded import QSGD, STC, Sign
from sim.methods.uplink.topk import RandomK, TopK
from sim.random import stream
from sim.verify.check import Check
from sim.verify.paths import moves
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, narrow
from sim.verify.uplink import Checks, at, blank, follows, largest, neutral, travels

Code = Callable[[Array, Array], Array]  # a vector and its uniform numbers -> what is sent; [P], [P] -> [P]


def uniforms(trial: Trial, number: int, sites: NDArray[np.int64], name: str) -> Array:
    """The engine's uniform numbers of a round for a single transform; [M, P]."""
    draws = Draws(trial.seed, number, trial.problem.federation.keys[sites])
    like = torch.zeros(len(sites), trial.problem.centre.shape[1], dtype=torch.float64)
    return np.asarray(draws.of("uplink.0.delta.", like)(name).numpy())


def coded(code: Code, feedback: bool, name: str = "", down: Code | None = None) -> Callable[[Trial], Array]:
    """FedAvg of coded changes, with the error fed back or lost; `down` codes the server's step with an error too."""

    def closed(trial: Trial) -> Array:
        x, path, error, left = trial.start, [trial.start], np.zeros_like(trial.problem.centre), 0.0 * trial.start
        for number, tick in enumerate(trial.ticks(), 1):
            whole = moves(trial, tick, x) + error[tick.sites]
            chance = uniforms(trial, number, tick.sites, name) if name else whole
            sent = np.stack([code(row, numbers) for row, numbers in zip(whole, chance, strict=True)])
            error[tick.sites] = whole - sent if feedback else 0.0
            step = tick.p @ sent
            if down is not None:
                step, left = down(step + left, left), step + left - down(step + left, left)
            x = x + step
            path.append(x)
        return np.stack(path)

    return closed


def of_randomk() -> Checks:
    """Random places."""
    yield neutral(lambda entry: narrow(entry, RandomK)(ratio=1.0), "all entries are FedAvg, bit for bit")
    for feedback in (True, False):

        def code(row: Array, chance: Array, scale: float = 1.0 if feedback else 5 / 2) -> Array:
            return np.where(np.argsort(np.argsort(chance)) < 2, scale * row, 0.0)

        def make(entry: type[Transform], feedback: bool = feedback) -> Transform:
            return narrow(entry, RandomK)(ratio=0.4, feedback=feedback)

        words = f"path, two entries of five, {'with' if feedback else 'without'} feedback"
        yield follows(make, coded(code, feedback, "place"), words)

    def bias(entry: type[Transform]) -> float:
        """Over all six orders of three draws, each entry is sent twice of one place."""
        u = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.float64)
        orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
        made = narrow(entry, RandomK)(ratio=0.3)
        sent = [made.encode(u, at(1, error=0 * u), constant(torch.tensor([order]) / 3)).vector for order in orders]
        return float((torch.stack(sent).mean(0) - u).abs().max())

    yield Check("unbiased: the mean over all orders of three draws is the vector", bias, 1e-15)
    yield travels(lambda entry: narrow(entry, RandomK)(ratio=0.4), (0, 2 * 8 - 40), "two values of five, no places")


def constant(value: torch.Tensor) -> Draw:
    """The same numbers for every argument."""
    return lambda name, round=None: value


def levels(count: int) -> Code:
    """Alistarh et al. 2017, section 3.1."""

    def code(row: Array, chance: Array) -> Array:
        norm = np.sqrt(np.sum(row**2))
        scaled = count * np.abs(row) / norm
        low = np.floor(scaled)
        return np.asarray(norm * np.sign(row) * np.where(chance < scaled - low, low + 1, low) / count)

    return code


def of_qsgd() -> Checks:
    """Levels of the norm."""

    def make(entry: type[Transform]) -> Transform:
        return narrow(entry, QSGD)(levels=3)

    yield follows(make, coded(levels(3), False, "up"), "path, three levels")

    def bias(entry: type[Transform]) -> float:
        """The two outcomes of every entry, by their chances."""
        u = torch.from_numpy(stream(0, "qsgd").normal(size=(4, 7)))
        scaled = 3 * u.abs() / u.norm(dim=1, keepdim=True)
        chance = scaled - scaled.floor()
        low, high = (
            narrow(entry, QSGD)(levels=3).encode(u, at(4), constant(chance + shift)).vector for shift in (1e-9, -1e-9)
        )
        grid = (3 * torch.stack([low, high]) / u.norm(dim=1, keepdim=True)).abs()
        apart = (high - low).abs() * 3 / u.norm(dim=1, keepdim=True) - 1
        off = (chance * high + (1 - chance) * low - u).abs().max()
        return float(off + (grid - grid.round()).abs().max() + apart.abs().max())

    yield Check("unbiased: the two outcomes by their chances give each entry back, a level apart", bias, 1e-12)
    eight = (0, 3 + 8 - 40)
    yield travels(lambda entry: narrow(entry, QSGD)(levels=7), eight, "four bits an entry for 7 levels, and the norm")

    def after(entry: type[Transform]) -> float:
        """k = 2 of 5 with 3 bits and 3 of the place, and the norm."""
        chain = Roles(uplink=(TopK(ratio=0.4), make(entry)))
        return float(abs(chain.bytes_up(5, 8) - (2 + 8)))

    yield Check("after topk, levels and places of what is left travel", after, 0.0)


def signs(row: Array, chance: Array) -> Array:
    """Karimireddy et al. 2019, Algorithm 1 of EF-SIGNSGD, scaled."""
    return np.asarray(np.where(row < 0, -1.0, 1.0) * np.abs(row).sum() / len(row))


def of_sign() -> Checks:
    """Scaled signs."""
    for feedback in (True, False):

        def make(entry: type[Transform], feedback: bool = feedback) -> Transform:
            return narrow(entry, Sign)(feedback=feedback)

        yield follows(make, coded(signs, feedback), f"path, {'with' if feedback else 'without'} feedback")

    def zero(entry: type[Transform]) -> float:
        u = torch.tensor([[0.0, 3.0, -3.0]], dtype=torch.float64)
        sent = narrow(entry, Sign)().encode(u, at(1, error=0 * u), blank).vector
        return float((sent - torch.tensor([[2.0, 2.0, -2.0]])).abs().max())

    yield Check("an entry of zero has a sign too: (0, 3, -3) is sent as (2, 2, -2)", zero, 0.0)
    yield travels(lambda entry: narrow(entry, Sign)(), (0, 1 + 8 - 40), "a bit an entry, and the scale")


def ternary(count: int) -> Code:
    """Sattler et al. 2019, Algorithm 1."""

    def code(row: Array, chance: Array) -> Array:
        kept = largest(row, count)
        return np.asarray(np.sign(kept) * np.abs(kept).sum() / count)

    return code


def of_stc() -> Checks:
    """Sparse ternary compression."""

    def make(entry: type[Transform]) -> Transform:
        return narrow(entry, STC)(ratio=0.4)

    def both(entry: type[Transform]) -> Transform:
        return narrow(entry, STC)(ratio=0.4, downlink=True)

    yield follows(make, coded(ternary(2), True), "path, two entries of five")
    two_ways = coded(ternary(2), True, down=ternary(2))
    yield follows(both, two_ways, "path, both ways: the model is the sum of the ternary steps", 0)
    yield travels(make, (0, 1 + 8 - 40), "two signs, two places and their size")
    yield travels(both, (1 + 8 - 40, 1 + 8 - 40), "the same down where that is asked for")


CHECKS: dict[str, Callable[[], Checks]] = {
    "randomk": of_randomk,
    "qsgd": of_qsgd,
    "sign": of_sign,
    "stc": of_stc,
}
