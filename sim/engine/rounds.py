"""The engine: server updates of any algorithm over any federation, on any executor."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from sim.arrays import Floats
from sim.engine.aggregation import collect, exchanged
from sim.engine.executors import Crew, Executor, crew
from sim.engine.messages import Broadcast, cut
from sim.engine.saved import read_standing, standing_arrays, ticks_after
from sim.engine.scoring import scored
from sim.engine.simulation import Diverged, Round, Saved, Simulation, Standing
from sim.engine.stopping import Patience
from sim.engine.traffic import control
from sim.engine.uplink import Draws, decoded, lowered
from sim.lazy import Tensor
from sim.methods.contract import OWN
from sim.methods.personal.base import Adapted
from sim.methods.roles import AGGREGATOR, REPORTED, below
from sim.methods.systems.base import Tick
from sim.profiling import stage

SERVER = np.zeros(1, np.uint64)  # its key


def simulate(plan: Simulation, executor: Executor, start: Tensor | None = None) -> Iterator[Round]:
    """Rounds 0 to `rounds`, one by one; `start` [P] replaces the task's own. Raises Diverged."""
    with crew(executor, plan.job) as opened:
        yield from rounds(plan, opened, plan.standing(start))


def rounds(
    plan: Simulation,
    crew: Crew,
    here: Standing,
    told: Sequence[Floats] = (),
    patience: Patience | None = None,
) -> Iterator[Round]:
    """The rounds after `here` on an open executor; from the start, round 0 too. Raises Diverged.

    They end with the last one, or by early stopping. `told` and `patience` are those of a continued training.
    """
    patience, heard = patience or Patience(plan.evaluation.stop), list(told)
    if patience.over:
        return
    ticks = ticks_after(here.number, plan.ticks, lambda sites: crew.losses(here.x.numpy(), sites), heard)
    if not here.number:
        begin(plan, crew, here)
        first = scored(plan, crew, Round(0, here.x))
        patience = patience.after(first)
        yield first
    for tick in ticks:
        here, done = advance(plan, crew, here, tick)
        if plan.due(done.number):
            done = scored(plan, crew, done, done.number == plan.rounds)
            patience = patience.after(done)
            if patience.over and done.number < plan.rounds and plan.roles.personal.adapted is Adapted.last:
                done = scored(plan, crew, done, last=True)
        yield replace(done, saved=partial(saved, here, patience, heard))
        if patience.over:
            return


def rounds_after(plan: Simulation, crew: Crew, since: Saved) -> Iterator[Round]:
    """The rounds after the one that left `since`, given the state of the sites. Raises Diverged."""
    patience = Patience.since(plan.evaluation.stop, since.arrays)
    return rounds(plan, crew, read_standing(since.arrays), since.told, patience)


def saved(here: Standing, patience: Patience, told: Sequence[Floats]) -> Saved:
    """The state from which the training continues."""
    return Saved(standing_arrays(here) | patience.arrays, told)


def begin(plan: Simulation, crew: Crew, here: Standing) -> None:
    """Set the sites' own models to the initial model."""
    if plan.roles.personal.on:
        crew.memory.fill({OWN: here.x.numpy()})


def advance(plan: Simulation, crew: Crew, here: Standing, tick: Tick) -> tuple[Standing, Round]:
    """One server update; a function of its arguments and of the sites' state. Raises Diverged."""
    roles, number = plan.roles, here.number + 1
    weights, steps = plan.weights(here.state), np.array(plan.profile.steps)
    steps[tick.start] = tick.steps
    orders = cut(tick.start, steps, weights, plan.work(steps), plan.training.chunk) if len(tick.start) else []
    down = {name: here.state[name].numpy() for name in roles.broadcast}
    broadcast = Broadcast(number, plan.training.rate(number), here.x.numpy(), down)
    with stage("training"):
        before = exchanged(plan, crew, broadcast, orders) if roles.algorithm.prelude and orders else {}
        if before:
            known = down | {name: part.numpy() for name, part in before.items()}
            broadcast = replace(broadcast, server=known)
        uploads = crew.train(broadcast, orders) if orders else []
    crew.memory.turn(tick.start)
    traffic = Round(
        number,
        roles.judged(here.x, here.state, here.optimiser),
        seconds=tick.seconds,
        bytes_down=plan.profile.bytes_down * len(tick.asked) + plan.profile.bytes_prelude * len(tick.start),
        bytes_up=plan.profile.bytes_up * len(tick.arrive) + plan.profile.bytes_prelude * len(tick.start) + tick.told,
        bytes_control=control(len(tick.asked)),
        sites=len(tick.arrive),
        stale=float(tick.stale.mean()) if len(tick.stale) else 0.0,
    )
    stood = replace(here, number=number, seconds=tick.seconds)
    if len(tick.arrive) < roles.least(len(tick.asked)):  # too few uploads for the rule: the update is abandoned
        return stood, traffic
    heard, made = collect(plan, crew, here, tick, weights, orders, uploads)
    draws = Draws(plan.seed, number, SERVER)
    heard, uplink = decoded(roles, plan.private, heard, here.state, draws)
    heard = replace(heard, mean=heard.mean | before)
    step, state = roles.algorithm.server(heard, here.state)
    step, optimiser = roles.server.update(roles.server.scaled(step, below(heard.mean, REPORTED)), here.optimiser)
    step, sent_down = lowered(roles, plan.private, step, here.state, draws)
    norm = float(step.double().norm())
    if not np.isfinite(norm):
        raise Diverged(number)
    x = here.x + step
    if made.used is not None:
        traffic = replace(traffic, used=dict(zip(tick.arrive.tolist(), made.used.tolist(), strict=True)))
    kept = {AGGREGATOR + name: part for name, part in (made.state or {}).items()}
    stood = replace(stood, x=x, state=state | uplink | sent_down | kept, optimiser=optimiser)
    return stood, replace(traffic, model=roles.judged(x, state, optimiser), step_norm=norm)
