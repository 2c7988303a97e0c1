"""Analyses from sums as methods: sites answer with sums over training rows, and each exchange is a round."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from sim.arrays import Floats, Ints
from sim.checks import Refused
from sim.engine.executors import Crew
from sim.engine.loops import OwnLoop
from sim.engine.scoring import scored
from sim.engine.simulation import Estimates, Round, Simulation
from sim.engine.traffic import control
from sim.exact.newton import INTERCEPT, refuse_runaway
from sim.exact.sums import Message, OnColumns, State, SumProtocol, exchanges
from sim.federation.federation import Federation
from sim.lazy import Tensor, torch
from sim.methods.contract import Weighting
from sim.methods.roles import Roles


@dataclass
class Exact(OwnLoop):
    """A generalised linear or proportional-hazards fit from sums; every exchange of messages is a round."""

    trains = False
    axes: ClassVar[frozenset[str]] = frozenset({"system"})  # its links and latency; all sites answer

    def roles(self, beside: Roles) -> Roles:
        """Only the clock is used: nothing is trained."""
        return Roles(system=beside.system, weighting=beside.weighting)

    def protocol(self, plan: Simulation, names: tuple[str, ...]) -> SumProtocol:
        """The protocol of sites and server, on features of these names. Refuses unsuitable tasks."""
        raise NotImplementedError

    def fits(self, plan: Simulation) -> None:
        """Refuse an unsuitable task, network or weighting, and systems in which not all sites answer."""
        self.protocol(plan, plan.federation.features)
        shapes = [list(shape) for shape in plan.task.layout.shapes]
        if shapes[0] != [1, len(plan.federation.features)] or len(shapes) > 2:
            raise Refused("An exact analysis fits one coefficient per feature. Set net=linear.")
        if plan.roles.weighting is Weighting.sites:
            raise Refused(
                "weighting=sites: an exact analysis gives every patient the same weight. Set weighting=patients."
            )
        system = plan.roles.system
        if system.dropout or system.sites not in (0, len(plan.federation.members)):
            raise Refused("An exact analysis needs the sums of all sites. Set system.dropout=0 and system.sites=0.")

    @property
    def messages(self) -> tuple[str, str]:
        """Coefficients down; sums over the site's patients up."""
        return "coefficients", "sums"

    def rounds(self, plan: Simulation, crew: Crew) -> Iterator[Round]:
        """One round per exchange, the last with the estimates. Refuses more exchanges than `rounds`."""
        self.fits(plan)
        columns, members = varying(plan.federation), plan.federation.members
        names = tuple(plan.federation.features[at] for at in columns)
        analysis = OnColumns(self.protocol(plan, names), columns)
        x, seconds, system = torch.zeros(plan.task.layout.size, dtype=plan.dtype), 0.0, plan.roles.system
        left_out = tuple(name for name in plan.federation.features if name not in names)
        yield scored(plan, crew, Round(0, x))

        def ask(seen: State, asked: Ints | None) -> list[Message]:
            return crew.answers(analysis, seen, members if asked is None else members[asked])

        for number, here in enumerate(exchanges(analysis, ask, plan.rounds), 1):
            new, found = self.model(here.state, columns, x), None
            if here.done:
                found = self.estimates(plan, here.state, names)._replace(left_out=left_out)
                refuse_runaway(here.state.get("step", np.zeros(len(found.names))), found.names)
            slowest = max(here.bytes_up, default=0) + here.bytes_down
            seconds += system.exchange_seconds(slowest)
            done = Round(
                number,
                new,
                seconds=seconds,
                bytes_down=here.bytes_down * len(here.bytes_up),
                bytes_up=sum(here.bytes_up),
                bytes_control=control(len(here.bytes_up)),
                sites=len(here.bytes_up),
                step_norm=float((new - x).double().norm()),
                estimates=found,
            )
            x = new
            yield scored(plan, crew, done) if here.done else done

    def model(self, state: State, columns: Ints, x: Tensor) -> Tensor:
        """The task's parameters after an exchange, from those before it; `columns` are the features that are fitted."""
        return placed(state["beta"], columns, x) if "beta" in state else x

    def estimates(self, plan: Simulation, state: State, names: tuple[str, ...]) -> Estimates:
        """Coefficients per standardised feature with their covariances, of the features of these names."""
        every = (*names, INTERCEPT)[: len(state["beta"])]
        return Estimates(every, state["beta"], state["covariance"], state.get("robust"))


def varying(federation: Federation) -> Ints:
    """Features that vary over the training rows; constant ones have no coefficient."""
    low, high = np.full(len(federation.features), np.inf), np.full(len(federation.features), -np.inf)
    for first, end, *_ in federation.bounds[federation.members]:
        low, high = np.minimum(low, federation.x[first:end].min(0)), np.maximum(high, federation.x[first:end].max(0))
    return np.flatnonzero(high > low)


def placed(beta: Floats, columns: Ints, x: Tensor) -> Tensor:
    """Coefficients in the places of their features, 0 elsewhere; the intercept is the last in both.

    A model [P] as long as x.
    """
    new, given = torch.zeros_like(x), torch.tensor(beta, dtype=x.dtype)
    new[torch.from_numpy(columns)] = given[: len(columns)]
    if len(beta) > len(columns):
        new[-1] = given[-1]
    return new
