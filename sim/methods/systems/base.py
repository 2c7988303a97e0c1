"""Systems: which sites train when. The clock runs first, and training replays its ticks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Ints
from sim.checks import Refused, within
from sim.methods.contract import Role
from sim.random import gaussian, key, scatter, stream, uniform

Losses = Callable[[Ints], Floats]  # sites [C] -> loss of the current model over all training rows of each [C]


def planned(steps: Ints, round: int) -> Ints:
    """The same steps in every round, [S] -> [S]."""
    return steps


@dataclass(frozen=True)
class Profile:
    """What is known about the sites before training."""

    members: Ints  # [N] numbers of the sites that train, ascending
    keys: NDArray[np.uint64]  # [S] random-number key of each site
    steps: Ints  # [S] local steps of a full round
    bytes_down: int  # per site that downloads
    bytes_up: int  # per upload
    seed: int
    share: Floats  # [S] weight of each site in the objective, sum 1; 0 at external sites
    bytes_prelude: int = 0  # per site that trains and each way, before its local steps
    drawn: Callable[[Ints, int], Ints] = planned  # `steps` and the round -> steps of this round, [S]


@dataclass(frozen=True)
class Tick:
    """One server update: the sites asked since the last one, and those whose uploads it uses."""

    seconds: float  # simulated, since the start
    asked: Ints  # [A] sites that downloaded the model, one entry per download
    start: Ints  # [C] of them, ascending: those whose work will arrive
    steps: Ints  # [C] local steps each completes
    arrive: Ints  # [M] ascending: sites whose upload the server takes now; = start where the system waits for all
    stale: Ints  # [M] server updates between the download and this one
    told: int = 0  # bytes that sites sent in addition to uploads, such as losses


@dataclass
class System(Role):
    """One entry of the `system` config group: simulated times, and which sites are asked.

    A local step takes `step_seconds` at a site of usual speed; site i is slower by a factor exp(spread z_i), with z_i a
    standard normal number of the site. Only `seconds` depends on times, unless a deadline or a buffer is used.
    """

    axis = "system"

    holds: ClassVar[bool] = False  # whether uploads may wait for a later update

    sites: int = 0  # >= 0 sites per round; 0 = all
    dropout: float = 0.0  # [0, 1), probability that an asked site does not answer
    step_seconds: float = 0.01  # > 0
    spread: float = 0.0  # >= 0, sd of the log of the sites' slowness
    mbps: float = 100.0  # > 0, link of every site in megabits per second, in each direction
    latency_seconds: float = 0.05  # >= 0, for each message

    def __post_init__(self) -> None:
        within("system.sites", self.sites, 0)
        within("system.dropout", self.dropout, 0, 1, open_high=True)
        within("system.step_seconds", self.step_seconds, 0, open_low=True)
        within("system.spread", self.spread, 0)
        within("system.mbps", self.mbps, 0, open_low=True)
        within("system.latency_seconds", self.latency_seconds, 0)

    def ticks(self, profile: Profile, rounds: int, losses: Losses) -> Iterator[Tick]:
        """Server updates 1 to `rounds`. `losses` returns those of the current model; each call costs a download."""
        raise NotImplementedError

    def uploads(self, members: int) -> int:
        """Number of uploads in an update without drop-outs, given the number of sites that train."""
        raise NotImplementedError

    @property
    def certain(self) -> bool:
        """Whether all asked sites are heard in the same update."""
        return self.dropout == 0 and not self.holds

    def discount(self, stale: Ints) -> Floats:
        """Factor on the vectors of an upload by its staleness; [M] -> [M]."""
        return np.ones(len(stale))

    def sample(self, total: int, seed: int, round: int) -> Ints:
        """Numbers of the sites asked in this round, ascending; [A]."""
        self.fits(total)
        if self.sites in (0, total):
            return np.arange(total)
        return np.sort(stream(seed, "participation", round).choice(total, self.sites, replace=False))

    def fits(self, total: int) -> None:
        """Refuse more sites per round than there are."""
        if self.sites > total:
            raise Refused(f"system.sites={self.sites}: the federation has {total} sites; allowed 0 (all) to {total}.")

    def answers(self, sites: NDArray[np.uint64], seed: int, round: int) -> NDArray[np.bool_]:
        """Which of the sites, given their keys [A], answer in this round; independent draws, bool [A].

        A site that does not answer has downloaded the model, sends nothing, and keeps its state.
        """
        return uniform(scatter(key(seed, "dropout", round), sites)) >= self.dropout

    def slowness(self, profile: Profile) -> Floats:
        """Seconds of a local step at each site, [S]."""
        word = scatter(key(profile.seed, "slowness"), profile.keys)
        normal = gaussian(*(uniform(scatter(int(k), word)) for k in (1, 2)))
        return np.asarray(self.step_seconds * np.exp(self.spread * normal))

    def exchange_seconds(self, both_ways: int) -> float:
        """Seconds of a message down and one up, given their total number of bytes."""
        return 2 * self.latency_seconds + 8e-6 * both_ways / self.mbps

    def travel(self, profile: Profile) -> float:
        """Seconds of a download and an upload, and of the exchange before local training where there is one."""
        seconds = self.exchange_seconds(profile.bytes_down + profile.bytes_up)
        if profile.bytes_prelude:
            seconds += self.exchange_seconds(2 * profile.bytes_prelude)
        return seconds
