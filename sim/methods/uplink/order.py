"""Which transforms may follow each other, and what noise and secure sums need of the other axes."""

from collections.abc import Sequence

from sim.checks import Refused
from sim.methods.aggregators.base import Aggregator
from sim.methods.algorithms.base import Algorithm
from sim.methods.attacks import Attack
from sim.methods.contract import Weighting
from sim.methods.systems.base import System
from sim.methods.systems.sync import Sync
from sim.methods.uplink.base import VALUES, Transform
from sim.methods.uplink.clip import AdaptiveClip
from sim.methods.uplink.noise import TreeNoise
from sim.methods.uplink.secagg import SecAgg


def refuse_order(uplink: Sequence[Transform]) -> None:
    """Refuse a transform that cannot follow those before it, and noise that is not the last."""
    form = VALUES
    for at, one in enumerate(uplink):
        if form not in one.takes:
            before = ", ".join(word(other) for other in uplink[:at])
            raise Refused(
                f"uplink: {word(one)} needs a vector that is {' or '.join(one.takes)}, but after {before} it is "
                f"{form}. Leave one of them out, or change their order."
            )
        form = one.gives or form
    for one in uplink[:-1]:
        if one.noises:
            raise Refused(
                f"uplink: {word(one)} is added at the server, after all others. Put it last, after a clip, as in "
                f"uplink=[clip,{word(one)}]."
            )


def word(one: Transform) -> str:
    """A transform as it is set in a config."""
    return type(one).__name__.lower()


def refuse_unbounded(
    noise: Transform,
    uplink: Sequence[Transform],
    bounded: bool,
    algorithm: Algorithm,
    aggregator: Aggregator,
    system: System,
    weighting: Weighting,
) -> None:
    """Refuse noise where one site could change the mean by more than C / m, or reveal something without noise."""
    numbers = [name for name, shape in algorithm.sends.items() if shape == ""]
    equal = weighting is Weighting.sites and type(algorithm).weights is Algorithm.weights
    clips = [one for one in uplink if isinstance(one, AdaptiveClip)]
    varies = clips or system.dropout or (isinstance(system, Sync) and system.deadline)
    for wrong, reason, remedy in (
        (not bounded, "no bound is known on what a site sends", "Put clip before it, after all that keeps an error"),
        (not equal, "with unequal weights one site moves the mean by more than C / m", "Set weighting=sites"),
        (aggregator.whole, "the bound C / m is that of a mean", "Set aggregator=mean"),
        (numbers, f"the sites' {', '.join(numbers)} would travel without noise", "Take another algorithm"),
        (algorithm.whole_uploads, "the server reads single uploads", "Take another algorithm"),
        (system.holds, "late uploads are weighted by their age", "Set system=sync"),
        (any(not one.noise for one in clips), "the bits would travel without noise", "Set uplink.adaptiveclip.noise"),
        (
            isinstance(noise, TreeNoise) and varies,
            "a node adds up updates of one bound and one number of sites",
            "Take clip, system.dropout=0 and system.deadline=0, or gaussian",
        ),
    ):
        if wrong:
            raise Refused(f"uplink={word(noise)}: {reason}. {remedy}.")


def refuse_single_uploads(
    secure: Transform, algorithm: Algorithm, aggregator: Aggregator, attack: Attack, system: System
) -> None:
    """Refuse secure sums with anything that needs the upload of a single site."""
    numbers = [name for name, shape in algorithm.sends.items() if shape == ""]
    for wrong, reason, remedy in (
        (aggregator.whole, "the aggregator compares single uploads", "Set aggregator=mean"),
        (attack.on, "the attack is made of single uploads", "Set attack=none"),
        (algorithm.whole_uploads, "the algorithm's server reads single uploads", "Take another algorithm"),
        (numbers, f"the server reads each site's {', '.join(numbers)}", "Take another algorithm, such as fedavg"),
        (
            system.holds,
            "the uploads of an update come from different rounds, whose masks do not cancel",
            "Set system=sync",
        ),
        (
            type(algorithm).weights is not Algorithm.weights,
            "the algorithm's weights change from round to round and are no whole numbers",
            "Take another algorithm",
        ),
    ):
        if wrong:
            raise Refused(f"uplink={word(secure)}: the server sees only the sum, but {reason}. {remedy}.")


def refuse_misfit(uplink: Sequence[Transform], weight: float, expected: int, members: int, holds: bool) -> None:
    """Refuse sums that overflow a ring, and a compressed downlink that not every site hears in every round.

    weight of all sites together; sites that are expected in an update, of so many that train; whether uploads may wait
    """
    for one in uplink:
        if isinstance(one, SecAgg) and not one.holds(weight):
            raise Refused(
                f"uplink.secagg.field={one.field}: sums of {one.bits} bits and a total weight of {weight:g} do not "
                "fit. Raise it (allowed up to 53), lower uplink.secagg.bits, or set weighting=sites."
            )
        if one.lowers and (holds or expected < members):
            raise Refused(
                f"uplink.{word(one)}.downlink: {expected} of {members} sites are asked at a time, but a site that "
                "misses a round would need the steps that it missed. Set system=sync system.sites=0, or leave it out."
            )
