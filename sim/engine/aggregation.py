"""Aggregation: from the uploads that an update takes to what the server hears."""

from __future__ import annotations

import numpy as np

from sim.arrays import Floats, Ints
from sim.engine.executors import Crew
from sim.engine.messages import Order, Upload, cut
from sim.engine.simulation import Simulation, Standing
from sim.lazy import torch
from sim.local.fused import weighted
from sim.methods.contract import Heard, Message
from sim.methods.roles import UP
from sim.methods.systems.base import Tick


def collect(
    plan: Simulation,
    crew: Crew,
    here: Standing,
    tick: Tick,
    weights: Floats,
    orders: list[Order],
    uploads: list[Upload],
) -> Heard:
    """The aggregate of the uploads that an update takes: from the chunks' sums, or from the uploads themselves."""
    roles, arrive = plan.roles, tick.arrive
    p = torch.from_numpy(weights[arrive] / weights[arrive].sum())
    each: Message = {}
    if not roles.whole:
        mean = average([upload.total for upload in uploads], float(weights[arrive].sum()), plan.dtype)
        place = np.argsort(np.concatenate([order.sites for order in orders]))
        for name in uploads[0].scalars:
            each[name] = torch.from_numpy(np.concatenate([upload.scalars[name] for upload in uploads])[place])
    else:
        sent = arrived(plan, crew, tick)
        if roles.aggregator.whole:
            mean = roles.aggregator.combine(sent, p)
        else:
            late = orders if tick.arrive is tick.start else waited(plan, arrive, weights)
            totals = [totalled(sent, np.searchsorted(arrive, order.sites), order.weights) for order in late]
            mean = average(totals, float(weights[arrive].sum()), plan.dtype)
        each = sent
    return Heard(here.x, mean, each, arrive, p, float(weights[arrive].sum() / weights.sum()))


def arrived(plan: Simulation, crew: Crew, tick: Tick) -> Message:
    """Every upload of an update as the server receives it: discounted by age, attackers' tampered with; [M, ...]."""
    shapes = plan.roles.sends()
    kept = crew.memory.read(tick.arrive, names=[UP + name for name in shapes])
    fade = torch.from_numpy(plan.roles.system.discount(tick.stale)).to(plan.dtype)
    sent: Message = {}
    for name, shape in shapes.items():
        part = torch.from_numpy(kept[UP + name])
        sent[name] = part * fade[:, None] if shape == "P" else part[:, 0]
    if plan.roles.attack.on:
        members = plan.federation.members
        bad = members[plan.roles.attack.faulty(plan.federation.keys[members], plan.seed)]
        sent = plan.roles.attack.tamper(sent, torch.from_numpy(np.isin(tick.arrive, bad)))
    return sent


def waited(plan: Simulation, arrive: Ints, weights: Floats) -> list[Order]:
    """Uploads that waited, in the order in which a synchronous round adds them up."""
    steps = plan.profile.steps
    return cut(arrive, steps, weights, plan.work(steps), plan.training.chunk)


def totalled(sent: Message, place: Ints, weights: Floats) -> dict[str, Floats]:
    """Weighted sums of some uploads, as a chunk makes them."""
    return {name: weighted(weights, part[torch.from_numpy(place)]) for name, part in sent.items()}


def average(totals: list[dict[str, Floats]], weight: float, dtype: torch.dtype) -> Message:
    """Weighted mean message: chunk sums added in chunk order, in float64; name -> [P] or []."""
    mean = {}
    for name in totals[0]:
        total = np.zeros_like(totals[0][name])
        for part in totals:
            total = total + part[name]
        mean[name] = torch.as_tensor(total / weight).to(dtype)
    return mean
