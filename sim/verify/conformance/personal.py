"""The contract of personalisation: what stays at a site, and its local work."""

import torch

from sim.checks import Refused
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Phase, example
from sim.methods.personal.base import Personal
from sim.tasks.layout import Layout
from sim.verify.conformance.algorithms import corrected
from sim.verify.conformance.answers import Broken, asked, shaped
from sim.verify.conformance.samples import C, P, normal

PLAIN = Layout(("0.weight", "0.bias", "2.weight", "2.bias"), ((1, 3), (1,), (1, 1), (1,)))  # a hidden layer, a head
NORMED = Layout(
    ("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var", "2.weight"),
    ((1, 1), (1,), (1,), (1,), (1,), (1, 1)),
)


def of_personal(entry: type[Personal], dtype: torch.dtype) -> None:
    """What stays at a site, and its local work, for a network that it does not refuse."""
    name, made, at = entry.__name__, entry(), example(C, P, dtype)
    private = asked(f"{name}.private", marked, made)
    shaped(f"{name}.private", private, (P,), torch.bool)
    work = asked(f"{name}.phases", lambda at: list(made.phases(Algorithm(), at, private)), at)
    second = asked(f"{name}.second", made.second, at)
    after = asked(f"{name}.adaptation", lambda at: made.adaptation(at, private), at)
    for phase in work:
        phased(f"{name}.phases", phase, dtype)
    for hook, found in ((f"{name}.second", second), (f"{name}.adaptation", after)):
        if found is not None:
            phased(hook, found, dtype)
    if (made.adapted is None) != (after is None):
        raise Broken(f"{name}.adapted says when sites take the steps of `adaptation`: both, or neither.")
    if after is not None and not (made.on and made.shares):
        raise Broken(
            f"{name}.adaptation begins at a shared model and ends at an own one: `on` and `shares` must be True."
        )
    received = asked(f"{name}.received", made.received, at.x, normal(8, C, P, dtype=dtype), private)
    shaped(f"{name}.received", received, (C, P), dtype)
    if second is not None and not made.on:
        raise Broken(f"{name}.second trains a model that is not kept: `on` must be True.")
    if bool(private.any()) and not made.on:
        raise Broken(f"{name}.private keeps parameters: `on` must be True.")
    used = asked(f"{name}.deployed", made.deployed, at.x[0], normal(9, C, P, dtype=dtype), private)
    if made.on:
        shaped(f"{name}.deployed", used, (C, P), dtype)


def marked(made: Personal) -> torch.Tensor:
    """What stays of a plain network, or of one with a batch norm where the plain one is refused; bool [P]."""
    try:
        return made.private(PLAIN)
    except Refused:
        return made.private(NORMED)


def phased(what: str, phase: object, dtype: torch.dtype) -> None:
    """A phase in the shapes that every tier can carry out."""
    if not isinstance(phase, Phase):
        raise Broken(f"{what} must give `Phase`s.")
    shaped(f"steps of {what}", phase.steps, (C,), dtype)
    if bool((phase.steps < 0).any()) or bool((phase.steps != phase.steps.floor()).any()):
        raise Broken(f"{what}: steps must be whole numbers.")
    if bool((phase.steps.diff() > 0).any()):
        raise Broken(f"{what}: steps must keep the order of the sites, most steps first.")
    corrected(what, phase.correction, C, dtype)
    if phase.moves is not None:
        shaped(f"moves of {what}", phase.moves, (P,), torch.bool)
