"""The engine: server updates of any algorithm over any federation, on any executor."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sim.arrays import Floats, Ints
from sim.engine.executors import Crew, Executor, crew
from sim.engine.messages import Broadcast, Candidates, Order, Upload, cut
from sim.engine.simulation import SCORED, Diverged, Round, Simulation, Standing
from sim.engine.worker import Draws, below
from sim.local.fused import weighted
from sim.methods.contract import Heard, Message, State
from sim.methods.roles import OWN, UP
from sim.methods.systems.base import Tick
from sim.profiling import stage


def simulate(plan: Simulation, executor: Executor, start: Tensor | None = None) -> Iterator[Round]:
    """Rounds 0 to `rounds`, one by one; `start` [P] replaces the task's own. Raises Diverged."""
    with crew(executor, plan.job) as opened:
        yield from rounds(plan, opened, plan.standing(start))


def rounds(plan: Simulation, crew: Crew, here: Standing) -> Iterator[Round]:
    """The rounds after `here` on an open executor; from the start, round 0 too. Raises Diverged."""
    ticks = plan.ticks(lambda sites: crew.losses(here.x.numpy(), sites))
    if not here.number:
        begin(plan, crew, here)
        yield scored(plan, crew, Round(0, here.x))
    for tick in islice(ticks, here.number, None):
        here, done = advance(plan, crew, here, tick)
        yield scored(plan, crew, done) if plan.due(done.number) else done


def begin(plan: Simulation, crew: Crew, here: Standing) -> None:
    """What sites keep of their own is the first model."""
    if plan.roles.personal.on:
        crew.memory.fill({OWN: here.x.numpy()})


def advance(plan: Simulation, crew: Crew, here: Standing, tick: Tick) -> tuple[Standing, Round]:
    """One server update; a function of its arguments and of what the sites keep. Raises Diverged."""
    roles, number = plan.roles, here.number + 1
    weights, steps = plan.weights(here.state), np.array(plan.profile.steps)
    steps[tick.start] = tick.steps
    orders = cut(tick.start, steps, weights, plan.work(steps), plan.training.chunk) if len(tick.start) else []
    down = {name: here.state[name].numpy() for name in roles.broadcast}
    broadcast = Broadcast(number, plan.training.rate(number), here.x.numpy(), down)
    with stage("training"):
        uploads = crew.train(broadcast, orders) if orders else []
    crew.memory.turn(tick.start)
    traffic = Round(
        number,
        here.x,
        seconds=tick.seconds,
        bytes_down=plan.profile.bytes_down * len(tick.asked),
        bytes_up=plan.profile.bytes_up * len(tick.arrive),
        sites=len(tick.arrive),
        stale=float(tick.stale.mean()) if len(tick.stale) else 0.0,
    )
    stood = replace(here, number=number, seconds=tick.seconds)
    if len(tick.arrive) < roles.aggregator.least:  # too few for the rule, or nobody: the update is abandoned
        return stood, traffic
    heard = collect(plan, crew, here, tick, weights, orders, uploads)
    heard, uplink = decoded(plan, heard, here.state, number)
    step, state = roles.algorithm.server(heard, here.state)
    step, optimiser = roles.server.update(step, here.optimiser)
    norm = float(step.double().norm())
    if not np.isfinite(norm):
        raise Diverged(number)
    x = here.x + step
    return replace(stood, x=x, state=state | uplink, optimiser=optimiser), replace(traffic, model=x, step_norm=norm)


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


def decoded(plan: Simulation, heard: Heard, state: State, number: int) -> tuple[Heard, State]:
    """The server's half of the uplink, in reverse order; private entries of the aggregate are zero."""
    mean, kept = dict(heard.mean), State()
    for vector in plan.roles.vectors:
        for prefix, transform in reversed(list(plan.roles.encoders(vector))):
            draw = Draws(plan.seed, number, prefix + "server.", np.zeros(1, np.uint64), mean[vector][None])
            mean[vector] = transform.decode(mean[vector], heard, lambda name, draw=draw: draw(name)[0])
            learned = transform.learn(below(heard.each, prefix), below(state, prefix))
            kept |= {prefix + name: part for name, part in learned.items()}
        if plan.private.any():
            mean[vector] = torch.zeros(len(plan.private), dtype=plan.dtype).masked_scatter(~plan.private, mean[vector])
    return replace(heard, mean=mean), kept


def scored(plan: Simulation, crew: Crew, here: Round) -> Round:
    """The round with its models judged on every site's held-out rows: the server's, and those of the sites' own."""
    personal, x = plan.roles.personal, here.model.numpy()[None]
    metrics = {}
    with stage("evaluation"):
        if personal.shares:
            metrics["shared"] = crew.judge(Candidates(x))
        if personal.on:
            metrics["personal"] = alone(plan, crew.judge(Candidates(x, own=True)))
            here = replace(here, deployed=partial(own_models, plan, crew, here.model))
    return judged(plan, here, metrics)


def own_models(plan: Simulation, crew: Crew, x: Tensor) -> NDArray[np.floating]:
    """Models that the sites deploy, NaN at external ones; [S, P]."""
    every = np.arange(len(plan.federation.sites))
    own = torch.from_numpy(crew.memory.read(every, names=[OWN])[OWN])
    models = plan.roles.personal.deployed(x, own, plan.private).numpy()
    models[plan.federation.rows == 0] = np.nan
    return models


def alone(plan: Simulation, metrics: dict[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Metrics of the sites' own models; NaN at external sites, which never trained one."""
    nobody = np.repeat(plan.federation.rows == 0, len(SCORED))
    return {name: np.where(nobody, np.nan, values) for name, values in metrics.items()}


def judged(plan: Simulation, here: Round, metrics: dict[str, dict[str, NDArray[np.float64]]]) -> Round:
    """The round with the metrics of every kind of model; its loss is that of the last kind, which sites deploy."""
    if not all(metrics.values()):  # no held-out rows
        return here
    deployed = list(metrics.values())[-1]
    loss = mean_loss(of_valid(deployed["loss"]), plan.federation.rows_of("valid"))
    return replace(here, loss=loss, metrics=metrics)


def of_valid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The validation split's part of a metric of every site and split; [S * splits] -> [S]."""
    return values[SCORED.index("valid") :: len(SCORED)]


def mean_loss(loss: NDArray[np.float64], rows: NDArray[np.int64]) -> float:
    """Mean over rows of the sites' mean losses, NaN without rows; [S], [S]."""
    some = rows > 0
    return float(np.average(loss[some], weights=rows[some])) if some.any() else float("nan")
