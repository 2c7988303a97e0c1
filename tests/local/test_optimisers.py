"""Adam and AdamW at the sites: torch's own steps, whatever is kept between rounds, and what they do not go with."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sim.config.compose import experiment
from sim.engine.executors import InProcess, crew
from sim.engine.rounds import rounds
from sim.local import plan
from sim.local.optimisers import MEAN
from sim.local.settings import Optimizer, OptimizerState, Tier, Training
from sim.methods.algorithms import ALGORITHMS
from sim.methods.personal import Ditto, FedBABU, FineTune
from sim.methods.roles import Roles
from sim.run.run import prepare, rehearse, simulation
from sim.verify.personal import HEAD, halves
from sim.verify.properties import spatial
from sim.verify.quadratic import six_sites
from sim.verify.trial import Trial, gap
from tests.refusals import refused
from tests.toy import SMALL

KINDS = {Optimizer.adam: torch.optim.Adam, Optimizer.adamw: torch.optim.AdamW}


def alone(training: Training, rounds: int = 3) -> Trial:
    """One site on mini-batches."""
    whole = six_sites()
    problem = replace(whole, curvature=whole.curvature[1:2], centre=whole.centre[1:2], copies=whole.copies[1:2])
    return Trial(problem, (6,), rounds, training)


def torch_path(trial: Trial) -> np.ndarray:
    """Path of torch's optimiser on the site's mini-batches, made anew each round unless it is kept."""
    federation, training = trial.problem.federation, trial.training
    x, y = torch.from_numpy(federation.x), torch.from_numpy(np.asarray(federation.y["value"], dtype=np.float64))
    w = torch.tensor(trial.start, requires_grad=True)
    sites = plan.Sites(federation.bounds[:, 0], federation.rows, np.array(trial.steps), federation.keys)

    def made() -> torch.optim.Optimizer:
        betas, decay = (training.b1, training.b2), training.weight_decay
        return KINDS[training.optimizer]([w], training.lr, betas, training.eps, weight_decay=decay)

    optimiser, path = made(), [trial.start]
    for number in range(1, trial.rounds + 1):
        optimiser = optimiser if training.state is OptimizerState.keep else made()
        for step in plan.steps(sites, training, trial.seed, number):
            row = torch.from_numpy(step.row[0][step.valid[0]])
            (w.grad,) = torch.autograd.grad((0.5 * (x[row] @ w - y[row]) ** 2).mean(), [w])
            optimiser.step()
        path.append(w.detach().numpy().copy())
    return np.stack(path)


@pytest.mark.parametrize("state", OptimizerState)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_one_site_is_torchs_optimiser_over_all_its_rounds(kind: Optimizer, state: OptimizerState, decay: float) -> None:
    training = Training(lr=0.05, batch=4, optimizer=kind, weight_decay=decay, b1=0.8, b2=0.95, eps=1e-6, state=state)
    trial = alone(training)
    assert gap(trial.path(Roles()), torch_path(trial)) < 1e-12


def test_a_site_that_is_not_asked_keeps_its_optimiser() -> None:
    training = Training(lr=0.05, batch=0, optimizer=Optimizer.adam, state=OptimizerState.keep, chunk=2)
    simulated = replace(spatial(4, 3), training=training).plan(Roles())
    seen = []
    with crew(InProcess(), simulated.job) as opened:
        for _ in rounds(simulated, opened, simulated.standing()):
            seen.append(opened.memory.read(np.arange(6), names=[MEAN])[MEAN])
    for number, (before, after) in enumerate(zip(seen, seen[1:], strict=False), 1):
        asked = simulated.roles.system.sample(6, 0, number)
        moved = np.flatnonzero((before != after).any(1))
        assert moved.tolist() == asked.tolist()


def test_sites_do_not_depend_on_each_other() -> None:
    training = Training(lr=0.05, batch=4, optimizer=Optimizer.adam)
    trial = replace(spatial(3), training=training)
    single = replace(trial, training=replace(training, tier=Tier.single))
    assert gap(trial.path(Roles()), single.path(Roles())) < 1e-14
    assert gap(trial.path(Roles()), replace(trial, training=replace(training, chunk=2)).path(Roles())) < 1e-14


def test_a_held_head_neither_moves_nor_decays() -> None:
    training = Training(lr=0.05, batch=0, optimizer=Optimizer.adamw, weight_decay=0.5)
    path = replace(spatial(3), training=training, module=halves).path(Roles(personal=FedBABU()))
    assert (path[:, HEAD] == path[0, HEAD]).all()
    assert (path[-1, ~HEAD] != path[0, ~HEAD]).all()


def test_own_models_begin_with_an_optimiser_of_their_own() -> None:
    training = Training(lr=0.05, batch=0, optimizer=Optimizer.adam)
    kept = replace(spatial(2), training=replace(training, state=OptimizerState.keep))
    reset = replace(spatial(2), training=training)
    whole = [trial.own(Roles(personal=FineTune(steps=1))) - trial.end(Roles()) for trial in (kept, reset)]
    assert np.abs(np.abs(whole[0]) - 0.05).max() < 1e-6  # a first step of Adam is lr long in every coordinate
    assert np.abs(np.abs(whole[1]) - 0.05).max() < 1e-6
    first = reset.own(Roles(personal=Ditto(lam=0.0)))
    assert np.isfinite(first).all()


def test_state_costs_memory_and_no_bytes() -> None:
    wanted = [experiment([*SMALL, "local.optimizer=adam", f"local.state={state}"]) for state in ("reset", "keep")]
    plans = [simulation(one, prepare(one)) for one in wanted]
    size = plans[0].task.layout.size
    assert [sum(plan.job.keeps.values()) for plan in plans] == [0, 2 * size + 1]
    assert plans[0].profile.bytes_up == plans[1].profile.bytes_up
    assert plans[0].choice.tier is Tier.stacked


def test_references_train_with_it() -> None:
    for state in ("reset", "keep"):
        one = experiment([*SMALL, "algorithm=local", "local.optimizer=adam", f"local.state={state}", "local.lr=0.01"])
        assert rehearse(one).info["status"] == "done"


@pytest.mark.parametrize("name", ["scaffold", "fednova", "feddyn", "qfedavg", "fedsam"])
def test_formulas_that_assume_sgd_are_refused(name: str) -> None:
    refused(f"algorithm={name}", "local.optimizer=adam", says=["local.optimizer=adam", f"algorithm={name}", "SGD only"])
    assert name in ALGORITHMS


def test_settings_that_do_nothing_are_refused() -> None:
    refused("local.optimizer=adam", "local.momentum=0.9", says=["local.momentum=0.9", "local.b1"])
    refused("local.state=keep", says=["local.state=keep", "local.optimizer=adam"])
    for entry in ("ditto", "fedrep"):
        words = [f"personal={entry}", "net=mlp", "local.optimizer=adam", "local.state=keep"]
        refused(*words, says=["local.state=keep", f"personal={entry}", "local.state=reset"])
    refused("local.optimizer=adam", "local.tier=fused", says=["local.tier=fused", "local.optimizer=adam"])
    refused("local.optimizer=adams", says=["local.optimizer", "adam, adamw"])
