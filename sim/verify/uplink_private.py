"""What is proved of the noise at the server and of secure sums."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from sim.engine.rounds import SERVER
from sim.engine.uplink import Draws
from sim.methods.contract import Weighting
from sim.methods.roles import Roles
from sim.methods.uplink import masks
from sim.methods.uplink.base import Transform
from sim.methods.uplink.clip import Clip
from sim.methods.uplink.noise import Gaussian, TreeNoise
from sim.methods.uplink.secagg import SecAgg
from sim.random import stream
from sim.verify.check import Check
from sim.verify.paths import moves
from sim.verify.properties import spatial
from sim.verify.quadratic import Array
from sim.verify.trial import Trial, gap, narrow
from sim.verify.uplink import Checks, Make, at, blank, follows

BOUND = 0.4


def trial() -> Trial:
    """Three of six sites in a round, all weighted alike."""
    made = spatial(25, 3, Weighting.sites)
    return replace(made, training=replace(made.training, chunk=2))


def normals(trial: Trial, name: str, round: int) -> Array:
    """Standard normal numbers of the server's half of the second transform; [D]."""
    like = torch.zeros(trial.problem.centre.shape[1], dtype=torch.float64)
    draw = Draws(trial.seed, round, SERVER).server("uplink.1.delta.", like)
    radius, angle = draw(f"{name}.radius").numpy(), draw(f"{name}.angle").numpy()
    return np.asarray(np.sqrt(-2 * np.log(radius)) * np.cos(2 * np.pi * angle))


def noised(noise: Callable[[Trial, int], Array]) -> Callable[[Trial], Array]:
    """The mean of clipped changes with noise of deviation BOUND / m times `noise` of the round."""

    def closed(trial: Trial) -> Array:
        x, path = trial.start, [trial.start]
        for number, tick in enumerate(trial.ticks(), 1):
            delta = moves(trial, tick, x)
            short = delta * np.minimum(1, BOUND / np.linalg.norm(delta, axis=1))[:, None]
            x = x + short.mean(0) + BOUND / len(short) * noise(trial, number)
            path.append(x)
        return np.stack(path)

    return closed


def behind(make: Make, closed: Callable[[Trial], Array], words: str, tolerance: float = 1e-10) -> Check[Transform]:
    """The path of a clip and the entry is the closed form's."""

    def error(entry: type[Transform]) -> float:
        return gap(trial().path(Roles(uplink=(Clip(bound=BOUND), make(entry)))), closed(trial()))

    return Check(words, error, tolerance)


def clipped(trial: Trial) -> Array:
    """The engine's own path without noise."""
    return trial.path(Roles(uplink=(Clip(bound=BOUND),)))


def of_gaussian() -> Checks:
    """Noise in every round."""
    yield behind(lambda entry: narrow(entry, Gaussian)(multiplier=0.0), clipped, "no noise is clip, bit for bit", 0.0)
    path = noised(lambda trial, number: 1.5 * normals(trial, "noise", number))
    yield behind(lambda entry: narrow(entry, Gaussian)(multiplier=1.5), path, "path, deviation 1.5 C / m once a round")


def tree(restart: int) -> Callable[[Trial, int], Array]:
    """Difference of the noise of two prefix sums, each the sum over the nodes of a binary expansion."""

    def prefix(trial: Trial, first: int, leaves: int) -> Array:
        total, done = np.zeros(trial.problem.centre.shape[1]), 0
        for power in reversed(range(8)):
            if leaves >> power & 1:
                done += 1 << power
                total += normals(trial, "node", first + done)
        return total

    def noise(trial: Trial, number: int) -> Array:
        first = (number - 1) // restart * restart if restart else 0
        return prefix(trial, first, number - first) - prefix(trial, first, number - 1 - first)

    return noise


def of_treenoise() -> Checks:
    """Noise of a tree."""
    yield behind(lambda entry: narrow(entry, TreeNoise)(multiplier=0.0), clipped, "no noise is clip, bit for bit", 0.0)
    for restart in (0, 6):

        def make(entry: type[Transform], restart: int = restart) -> Transform:
            return narrow(entry, TreeNoise)(multiplier=1.0, restart=restart)

        words = f"path, {f'a new tree after {restart} updates' if restart else 'one tree'}"
        yield behind(make, noised(tree(restart)), words)


def in_steps(trial: Trial) -> Array:
    """FedAvg of changes rounded to 1/8 and cut off at 3/8."""
    x, path = trial.start, [trial.start]
    for tick in trial.ticks():
        x = x + tick.p @ (np.clip(np.round(8 * moves(trial, tick, x)), -3, 3) / 8)
        path.append(x)
    return np.stack(path)


def of_secagg() -> Checks:
    """Secure sums."""

    def coarse(entry: type[Transform]) -> Transform:
        return narrow(entry, SecAgg)(fraction=3, bits=3)

    yield follows(coarse, in_steps, "path, changes in steps of 1/8 and below 1/2")

    def protocol(entry: type[Transform]) -> float:
        """Six sites are asked, two do not answer; the protocol's sum against that of what the sites encoded."""
        made, asked, lost, weights = narrow(entry, SecAgg)(), range(6), (1, 4), (3, 1, 4, 1, 5, 9)
        u = torch.from_numpy(stream(0, "secagg").normal(size=(6, 7)) * 6)
        vectors = made.encode(u, at(6), blank).vector
        q = (vectors.numpy() * 2**made.fraction).astype(np.int64)
        there = [site for site in asked if site not in lost]
        field, least = made.field, made.least(6)
        sent = {site: masks.masked(q[site], weights[site], site, asked, 3, 1, field) for site in there}
        shares = {
            ("own", site, site): masks.shared(masks.own_seed(3, 1, site), there, least, 5, f"{site}") for site in there
        }
        for one in lost:
            for other in there:
                seed = masks.pair_seed(3, 1, one, other)
                shares["pair", one, other] = masks.shared(seed, there, least, 5, f"{one} {other}")
        total = masks.recovered(sent, asked, shares, least, field)
        plain = torch.tensor([float(weights[site]) for site in there], dtype=torch.float64) @ vectors[there]
        return float(np.abs(total * 2.0**-made.fraction - plain.numpy()).max())

    yield Check("masks of four sites that answered and two that did not cancel exactly", protocol, 0.0)

    def by_hand(entry: type[Transform]) -> float:
        """Of three sites: 2 keys of 32 bytes, shares of 48 bytes; at the end a share of 32 of each other's secret."""
        made = narrow(entry, SecAgg)(field=29)
        down, up = 2 * 2 * 32 + 2 * 2 * 48, 2 * 32 + 2 * 2 * 48 + 2 * 32
        ours = Roles(uplink=(made,))
        return float(abs(ours.bytes_down(5, 8, 3) - (40 + down)) + abs(ours.bytes_up(5, 8, 3) - (19 + up)))

    yield Check("five numbers of 29 bits, keys and shares are counted", by_hand, 0.0)

    def thresholds(entry: type[Transform]) -> float:
        made = narrow(entry, SecAgg)(threshold=0.6)
        return float(sum(abs(made.least(asked) - least) for asked, least in ((1, 1), (5, 3), (6, 4), (10, 6))))

    yield Check("the threshold is a share of those who were asked, rounded up", thresholds, 0.0)

    def room(entry: type[Transform]) -> float:
        """Numbers of 3 bits are 3 at most, and sums up to 127 have room: 126 = 42 * 3, 129 = 43 * 3."""
        made = narrow(entry, SecAgg)(bits=3, field=8)
        return float(sum(made.holds(weight) != fits for weight, fits in ((42, True), (43, False))))

    yield Check("a ring of 8 bits holds 42 numbers below 4, and not 43", room, 0.0)


CHECKS: dict[str, Callable[[], Checks]] = {
    "gaussian": of_gaussian,
    "treenoise": of_treenoise,
    "secagg": of_secagg,
}
