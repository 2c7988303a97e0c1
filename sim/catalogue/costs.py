"""The cost of an entry and what it cannot be combined with, computed by the code that counts and refuses."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import nn

from sim.catalogue.entry import Entry, entries
from sim.checks import Refused
from sim.engine.loops import OwnLoop
from sim.local.settings import Training
from sim.local.tier import choose
from sim.methods.algorithms.base import Algorithm
from sim.methods.roles import Roles
from sim.tasks.classify import Classification

SHAPE = (1000, 1000)  # of the one parameter of the model whose messages are counted
P, NUMBER = 1_000_000, 4  # its entries, bytes of one


@dataclass(frozen=True)
class Costs:
    """Messages of a round, in models per participating site, and the state kept between rounds."""

    down: float
    up: float
    site: tuple[str, ...]  # what a site keeps
    server: tuple[str, ...]  # what the server keeps beside its model


def with_entries(*chosen: Entry) -> Roles:
    """All axes neutral except these, at their defaults; a method with its own loop changes none."""
    values: dict[str, Any] = {}
    for entry in chosen:
        if not issubclass(entry.kind, OwnLoop):
            values[entry.axis] = (entry.kind(),) if entry.axis == "uplink" else entry.kind()
    return replace(Roles(), **values)


def costs(entry: Entry) -> Costs | None:
    """Costs from the roles' message sizes; None for a method with its own loop."""
    if issubclass(entry.kind, OwnLoop):
        return None
    roles, model = with_entries(entry), P * NUMBER
    roles = replace(roles, uplink=tuple(one.over([SHAPE]) for one in roles.uplink))
    early = roles.bytes_prelude(P, NUMBER)
    return Costs(
        (roles.bytes_down(P, NUMBER) + early) / model,
        (roles.bytes_up(P, NUMBER) + early) / model,
        tuple(sorted(roles.site_state(P, P))),
        tuple(sorted({*roles.server_state(P, P, 1), *roles.server.start(torch.empty(0))})),
    )


def messages(entry: Entry) -> tuple[str, str]:
    """What a site receives and sends in a round: a number of models, or text; a dash if nothing is exchanged."""
    if issubclass(entry.kind, OwnLoop):
        loop: OwnLoop = entry.kind()
        return loop.messages
    cost = costs(entry)
    assert cost is not None
    return f"{cost.down:.3g}", f"{cost.up:.3g}"


@cache
def needs(entry: Entry) -> str:
    """Why the entry alone, at its defaults, is refused; empty if it is not."""
    try:
        with_entries(entry).check()
    except Refused as refusal:
        return str(refusal)
    return ""


def forbids(entry: Entry) -> list[str]:
    """Entries of other axes that cannot be combined with it, at the defaults of both."""
    if issubclass(entry.kind, OwnLoop):
        axes = {other.axis for other in entries() if other.axis != "algorithm"}
        return [f"{axis}=*" for axis in sorted(axes - entry.kind.axes)]
    if needs(entry):
        return []
    found = []
    for other in entries():
        if other.axis != entry.axis and not needs(other):
            try:
                with_entries(entry, other).check()
            except Refused:
                found.append(other.key)
    return found


def tier(entry: Entry) -> str:
    """Tier of its local steps for logistic regression; a dash if the entry does not determine it."""
    if not issubclass(entry.kind, Algorithm):
        return "–"
    logistic = Classification(nn.Linear(3, 1, device="meta"))
    try:
        return choose(logistic, entry.kind(), Training()).tier.value
    except Refused:
        return "–"  # a method that logistic regression does not suit
