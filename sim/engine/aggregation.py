"""Aggregation: from the uploads of an update to what the server receives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sim.arrays import Floats, Ints
from sim.engine.attackers import attackers
from sim.engine.executors import Crew
from sim.engine.messages import Broadcast, Order, Upload, cut
from sim.engine.simulation import Simulation, Standing
from sim.engine.uplink import Draws
from sim.lazy import torch
from sim.methods.aggregators.base import Combined
from sim.methods.contract import Draw, Heard, Message
from sim.methods.roles import AGGREGATOR, UP, below
from sim.methods.sums import weighted
from sim.methods.systems.base import Tick


def exchanged(plan: Simulation, crew: Crew, broadcast: Broadcast, orders: list[Order]) -> Message:
    """Weighted mean of what the sites of a round send before training; name -> [P] or []."""
    sent = crew.train(replace(broadcast, prelude=True), orders)
    weight = float(sum(order.weights.sum() for order in orders))
    return average([upload.total for upload in sent], weight, plan.dtype)


def collect(
    plan: Simulation,
    crew: Crew,
    here: Standing,
    tick: Tick,
    weights: Floats,
    orders: list[Order],
    uploads: list[Upload],
) -> tuple[Heard, Combined]:
    """The aggregate of the uploads of an update: from the chunks' sums, or from the uploads themselves.

    Also returns what the aggregator reports about single uploads, and its state.
    """
    roles, arrive = plan.roles, tick.arrive
    p = torch.from_numpy(weights[arrive] / weights[arrive].sum())
    each: Message = {}
    share = float(weights[arrive].sum() / weights.sum())
    if not roles.whole:
        made = Combined(average([upload.total for upload in uploads], float(weights[arrive].sum()), plan.dtype))
        place = np.argsort(np.concatenate([order.sites for order in orders]))
        for name in uploads[0].scalars:
            each[name] = torch.from_numpy(np.concatenate([upload.scalars[name] for upload in uploads])[place])
    else:
        sent = arrived(plan, crew, tick)
        own = roles.algorithm.weigh(Heard(here.x, {}, sent, arrive, p, share), here.state)
        if roles.aggregator.whole:
            made = roles.aggregator.aggregate(sent, p, below(here.state, AGGREGATOR), draws(plan, here, tick))
        elif own is not p:
            made = Combined({name: (own.double() @ part.double()).to(part.dtype) for name, part in sent.items()})
        else:
            late = orders if tick.arrive is tick.start else waited(plan, arrive, weights)
            totals = [totalled(sent, np.searchsorted(arrive, order.sites), order.weights) for order in late]
            made = Combined(average(totals, float(weights[arrive].sum()), plan.dtype))
        each = sent
    return Heard(here.x, made.mean, each, arrive, p, share), made


def draws(plan: Simulation, here: Standing, tick: Tick) -> Draw:
    """Uniform numbers of the aggregator, one for each upload of an update; [M, 1]."""
    keys = plan.federation.keys[tick.arrive]
    return Draws(plan.seed, here.number + 1, keys).of(AGGREGATOR, torch.empty(len(keys), 1, dtype=torch.float64))


def arrived(plan: Simulation, crew: Crew, tick: Tick) -> Message:
    """Every upload of an update as the server receives it: discounted by staleness, changed by attackers; [M, ...]."""
    shapes = plan.roles.sends()
    kept = crew.memory.read(tick.arrive, names=[UP + name for name in shapes])
    fade = torch.from_numpy(plan.roles.system.discount(tick.stale)).to(plan.dtype)[:, None]
    fresh = bool((fade == 1).all())
    sent: Message = {}
    for name, shape in shapes.items():
        part = torch.from_numpy(kept[UP + name])
        sent[name] = part[:, 0] if shape != "P" else part if fresh else part * fade
    if plan.roles.attack.on:
        bad = attackers(plan.roles.attack, plan.federation, plan.seed)
        sent = plan.roles.attack.tamper(sent, torch.from_numpy(np.isin(tick.arrive, bad)))
    return sent


def waited(plan: Simulation, arrive: Ints, weights: Floats) -> list[Order]:
    """Waiting uploads, in the order in which a synchronous round adds them up."""
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
