"""Archetypes of hospitals: a few kinds of site, each with its size and the patients it attracts."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sim.arrays import Floats, Ints
from sim.checks import Refused, one_of, within

STRONGEST = 10.0  # tilt that is let in, in either direction: odds times 22,000


@dataclass
class Archetype:
    """One kind of site. Tilts are log-odds, at kappa = 1, that a patient goes to it rather than to a neutral site."""

    share: float = 1.0  # >= 0, relative; how many sites are of this kind
    size: float = 1.0  # > 0, relative; at kappa = 1
    age: float = 0.0  # per standard deviation of age
    stage: float = 0.0  # per standard deviation of stage, up = later
    rare: float = 0.0  # for a rare cancer
    levels: dict[str, dict[str, float]] = field(default_factory=dict)  # column -> level -> tilt of its patients

    def check(self, name: str) -> None:
        """Refuse shares, sizes and tilts out of range; `name` is that of the archetype."""
        setting = f"partition.archetypes.{name}"
        within(f"{setting}.share", self.share, 0)
        within(f"{setting}.size", self.size, 0, open_low=True)
        for trait in ("age", "stage", "rare"):
            within(f"{setting}.{trait}", getattr(self, trait), -STRONGEST, STRONGEST)
        for column, tilts in self.levels.items():
            for level, value in tilts.items():
                within(f"{setting}.levels.{column}.{level}", value, -STRONGEST, STRONGEST)


def us_hospitals() -> dict[str, Archetype]:
    """Four kinds of US hospitals. Signs of tilts follow the literature on referral and access, magnitudes are ours."""
    return {
        "academic": Archetype(share=0.15, size=3.0, age=-0.3, stage=0.3, rare=1.2),
        "community": Archetype(share=0.45, size=1.0, age=0.1, stage=-0.2, rare=-0.4),
        "rural": Archetype(share=0.25, size=0.4, age=0.4, stage=0.3, rare=-0.8, levels={"race": {"white": 0.8}}),
        "safety_net": Archetype(
            share=0.15,
            stage=0.3,
            levels={"race": {"black": 1.0, "hispanic": 0.8}, "insurance": {"public": 1.2, "dual": 0.6}},
        ),
    }


def check_archetypes(archetypes: Mapping[str, Archetype]) -> None:
    """Refuse archetypes that are out of range, or whose shares are all 0, so that no site could be of any."""
    for name, kind in archetypes.items():
        kind.check(name)
    if not sum(kind.share for kind in archetypes.values()) > 0:
        raise Refused("partition.archetypes: the shares of all are 0; give one a share above 0.")


def archetypes_of(archetypes: Mapping[str, Archetype], u: Floats) -> Ints:
    """Archetype of every site, as its index in the sorted names; uniforms [K] -> [K]."""
    share = np.array([archetypes[name].share for name in sorted(archetypes)])
    ends = np.cumsum(share / share.sum())
    last = int(np.flatnonzero(share)[-1])
    return np.asarray(np.minimum(np.searchsorted(ends[:-1], u, side="right"), last))


def tilted(archetypes: Mapping[str, Archetype]) -> tuple[list[str], list[tuple[str, str]]]:
    """Traits and pairs (column, level) that some archetype tilts; the pairs sorted."""
    used = [trait for trait in ("age", "stage", "rare") if any(getattr(kind, trait) for kind in archetypes.values())]
    every = [
        (column, level) for kind in archetypes.values() for column, tilts in kind.levels.items() for level in tilts
    ]
    return used, sorted(set(every))


def tilt_table(archetypes: Mapping[str, Archetype], used: list[str], pairs: list[tuple[str, str]]) -> Floats:
    """Tilts of the A archetypes, sorted by name, for these traits and levels, m together; [A, m]."""
    return np.array(
        [
            [getattr(archetypes[name], trait) for trait in used]
            + [archetypes[name].levels.get(column, {}).get(level, 0.0) for column, level in pairs]
            for name in sorted(archetypes)
        ]
    )


def level_code(names: tuple[str, ...], column: str, name: str) -> int:
    """Code of a level that an archetype names; refuses one that the column, whose levels are `names`, lacks."""
    remedy = "Change that key, or delete it with ~."
    one_of(f"partition.archetypes: levels.{column}", name, names, remedy)
    return names.index(name)
