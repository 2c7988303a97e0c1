"""What must not change the numbers: padding, tracing, chunks, the order of sites, who else takes part."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import grad, vmap

from sim.checks import Refused
from sim.engine.executors import InProcess
from sim.engine.rounds import simulate
from sim.engine.simulation import Evaluation, Simulation
from sim.federation.federation import from_arrays
from sim.federation.groups import Group
from sim.local.plan import Sites, steps
from sim.local.settings import Training
from sim.local.stacked import Gradients
from sim.methods.algorithms import ALGORITHMS
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.fedlc import FedLC
from sim.methods.algorithms.grouped import Grouped
from sim.methods.contract import example
from sim.methods.roles import Roles
from sim.methods.systems.sync import Sync
from sim.tasks.classify import Classification
from sim.tasks.hazard import Hazard
from sim.tasks.nets import MLP, Activation, Linear
from sim.tasks.proportional import Proportional
from sim.tasks.task import Batch
from sim.verify.paths import fedavg
from sim.verify.properties import scalar

AT = example()  # FedAvg's sites minimise the task's own loss, which reads nothing of it

few = settings(max_examples=15, derandomize=True)

BINS = np.array([0.0, 100.0, 250.0, 700.0])  # days
BUILD = {
    "logistic": lambda features: Classification(Linear().build(features, 1)),
    "mlp": lambda features: Classification(MLP([4], Activation.tanh).build(features, 1)),
    "hazard": lambda features: Hazard(Proportional(MLP([3]).build(features, 1), len(BINS) - 1), BINS),
}
TASKS = {(name, features): build(features) for name, build in BUILD.items() for features in (1, 3)}

shapes = st.tuples(st.sampled_from([1, 3]), st.integers(1, 4), st.integers(1, 9), st.integers(0, 99))
tasks = pytest.mark.parametrize("name", list(BUILD))


def outcome(task, rng, shape):
    """Random targets of a task, of any shape."""
    if isinstance(task, Hazard):
        event, time = rng.random(shape) < 0.5, rng.uniform(0, 900, shape)
        flat = task.targets({"time_days": time.ravel(), "event": event.ravel()})
    else:
        flat = task.targets({"label": rng.random(shape).ravel() < 0.5})
    return {key: value.double().view(shape) for key, value in flat.items()}


def made(name, features, sites, rows, seed):
    """Task, models [C, P] and a batch [C, B] in which every site has at least one real row."""
    task, rng = TASKS[name, features], np.random.default_rng(seed)
    x = torch.from_numpy(rng.standard_normal((sites, rows, features)))
    valid = torch.from_numpy(np.arange(rows) < rng.integers(1, rows + 1, (sites, 1)))
    w = torch.from_numpy(rng.standard_normal((sites, task.layout.size)))
    return task, w, Batch(x, outcome(task, rng, (sites, rows)), valid)


def site(batch, at, rows=slice(None)):
    """The batch of one site, or some of its rows."""
    return Batch(batch.x[at][rows], {key: value[at][rows] for key, value in batch.y.items()}, batch.valid[at][rows])


@tasks
@given(shapes)
@few
def test_padding_does_not_matter(name, shape):
    """Neither to the loss nor to its gradient: not how much there is, nor what stands in it."""
    task, w, batch = made(name, *shape)
    other = torch.where(batch.valid[..., None], batch.x, 1e3)
    y = {key: torch.where(batch.valid, value, 1.0) for key, value in batch.y.items()}
    for at in range(len(w)):
        one, changed = site(batch, at), site(Batch(other, y, batch.valid), at)
        assert torch.equal(task.loss(w[at], one), task.loss(w[at], changed))
        assert torch.equal(grad(task.loss)(w[at], one), grad(task.loss)(w[at], changed))
        cut = site(batch, at, slice(int(batch.valid[at].sum())))
        torch.testing.assert_close(task.loss(w[at], one), task.loss(w[at], cut), rtol=1e-13, atol=1e-15)
        torch.testing.assert_close(grad(task.loss)(w[at], one), grad(task.loss)(w[at], cut), rtol=1e-12, atol=1e-14)


@tasks
def test_padding_of_nan_does_not_matter_to_the_loss(name):
    task, w, batch = made(name, 3, 2, 6, 7)
    assert not batch.valid.all()
    spoilt = Batch(torch.where(batch.valid[..., None], batch.x, torch.nan), batch.y, batch.valid)
    for at in range(len(w)):
        assert torch.equal(task.loss(w[at], site(batch, at)), task.loss(w[at], site(spoilt, at)))


@tasks
@given(shapes)
@few
def test_the_traced_gradient_is_vmap_of_grad_bit_for_bit(name, shape):
    task, w, batch = made(name, *shape)
    expected = vmap(grad(task.loss))(w, batch)
    for _ in range(2):  # traced, and taken from the store
        assert torch.equal(Gradients(task, Algorithm())(w, batch, AT), expected)


@tasks
def test_a_trace_holds_for_other_numbers_of_its_shape(name):
    """Nothing of the batch it was traced with is left inside."""
    _, w, batch = made(name, 3, 3, 8, 1)
    task = BUILD[name](3)
    gradients = Gradients(task, Algorithm())
    gradients(w, batch, AT)
    _, w, batch = made(name, 3, 3, 8, 2)
    assert torch.equal(gradients(w, batch, AT), vmap(grad(task.loss))(w, batch))


def task_for(algorithm):
    """The logistic task, or with a hidden layer where the algorithm needs one."""
    try:
        algorithm.fits(TASKS["logistic", 3])
    except Refused:
        return TASKS["mlp", 3]
    return TASKS["logistic", 3]


def test_a_trace_of_an_objective_belongs_to_the_settings_of_its_method():
    task, w, batch = made("logistic", 3, 2, 6, 1)
    at = replace(AT.only(0, 2), x=w, start=w, rows=w[:, 0], steps=w[:, 0], norm=w[:, 0], counts=w.exp()[:, :2])
    one, other = (Gradients(task, FedLC(tau))(w, batch, at) for tau in (0.5, 2.0))
    assert not torch.equal(one, other)
    assert torch.equal(Gradients(task, FedLC(0.0))(w, batch, at), vmap(grad(task.loss))(w, batch))


def simulation(rows, algorithm, **training):
    """Three rounds, mini-batches; momentum and four of the sites, where the algorithm allows it."""
    momentum = 0.0 if algorithm.plain_steps else 0.5
    local = Training(**{"lr": 0.2, "epochs": 2, "batch": 4, "momentum": momentum, **training})
    roles = Roles(algorithm=algorithm, system=Sync(0 if algorithm.every_site else 4))
    federation = from_arrays(rows)
    arm = Group((federation.x[:, 0] > 0).astype(np.int8), ("no", "yes"))
    grouped = replace(federation, groups={"arm": arm})
    return Simulation(grouped, task_for(algorithm), roles, local, Evaluation(), rounds=3, seed=5)


def method(name):
    """An algorithm with its defaults, and the group of patients that it compares where it compares any."""
    entry = ALGORITHMS[name]
    return entry(group="arm") if issubclass(entry, Grouped) else entry()


def last(simulation):
    start = torch.linspace(-1, 1, simulation.task.layout.size, dtype=torch.float64)
    return list(simulate(simulation, InProcess(), start))[-1].model


def cohort(sizes=(9, 1, 14, 4, 4, 7)):
    rng = np.random.default_rng(3)
    return {
        f"hospital {at}": (rng.standard_normal((size, 3)), {"label": rng.random(size) < 0.5})
        for at, size in enumerate(sizes)
    }


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("chunk", [1, 2, 3])
def test_chunk_size_changes_no_more_than_the_last_bits(name, chunk):
    cut, whole = (last(simulation(cohort(), method(name), **words)) for words in ({"chunk": chunk}, {}))
    torch.testing.assert_close(cut, whole, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_order_of_sites_changes_nothing(name):
    rows = cohort()
    turned = {key: rows[key] for key in reversed(rows)}
    assert torch.equal(last(simulation(rows, method(name))), last(simulation(turned, method(name))))


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_run_repeats(name):
    run = simulation(cohort(), method(name))
    assert torch.equal(last(run), last(run))
    assert not torch.equal(last(run), last(replace(run, seed=6)))


def test_the_rate_falls_by_its_factor_every_round():
    trial = replace(scalar((2, 3), 0.1, 6), training=Training(lr=0.1, decay=0.5, batch=0))
    assert np.abs(trial.path(Roles()) - fedavg(trial)).max() < 1e-13
    steady = replace(trial, training=Training(lr=0.1, batch=0))
    assert np.abs(fedavg(steady) - fedavg(trial)).max() > 0.1


# --- the plan of local steps

sizes = st.lists(st.integers(1, 40), min_size=1, max_size=6)
batches = st.sampled_from([0, 1, 3, 8, 32])


def planned(sizes, training, seed=0, round=1):
    """Sites of these sizes, most steps first, and each one's batches in the order they are taken."""
    rows = np.array(sizes)
    number = np.argsort(-training.site_steps(rows), kind="stable")
    start, keys = np.cumsum(rows) - rows, np.arange(len(rows), dtype=np.uint64) + np.uint64(77)
    sites = Sites(start[number], rows[number], training.site_steps(rows)[number], keys[number])
    taken = {int(at): [] for at in number}
    for step in steps(sites, training, seed, round):
        assert step.row.shape == step.valid.shape
        assert len(step.row) >= step.active
        low, high = sites.start[: len(step.row), None], (sites.start + sites.rows)[: len(step.row), None]
        assert ((low <= step.row) & (step.row < high)).all(), "padding repeats a row of the same site"
        for at, row, valid in zip(number[: step.active], step.row, step.valid, strict=False):
            taken[int(at)].append(row[valid])
    return start, taken


@given(sizes, batches, st.integers(1, 3), st.integers(0, 9))
@few
def test_every_epoch_visits_every_row_once(sizes, batch, epochs, seed):
    training = Training(epochs=epochs, batch=batch)
    start, taken = planned(sizes, training, seed)
    for at, size in enumerate(sizes):
        parts = taken[at]
        assert len(parts) == training.site_steps(np.array([size]))[0]
        each = len(parts) // epochs
        for epoch in range(epochs):
            part = parts[epoch * each : (epoch + 1) * each]
            np.testing.assert_array_equal(np.sort(np.concatenate(part)), start[at] + np.arange(size))
            assert all(len(rows) == batch for rows in part[:-1])  # only the last may be short


@given(sizes, batches, st.integers(0, 9))
@few
def test_a_sites_batches_do_not_depend_on_the_others(sizes, batch, seed):
    training = Training(epochs=2, batch=batch)
    start, together = planned(sizes, training, seed)
    rows, keys = np.array(sizes), np.arange(len(sizes), dtype=np.uint64) + np.uint64(77)
    for at in range(len(sizes)):
        one = Sites(start[at : at + 1], rows[at : at + 1], training.site_steps(rows[at : at + 1]), keys[at : at + 1])
        alone = [step.row[0][step.valid[0]] for step in steps(one, training, seed, 1)]
        assert len(alone) == len(together[at])
        for mine, theirs in zip(alone, together[at], strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_batches_change_with_epoch_round_and_seed():
    training = Training(epochs=2, batch=8)
    orders = [np.concatenate(planned([64], training, seed, round)[1][0]) for seed, round in ((0, 1), (0, 2), (1, 1))]
    halves = [half.tobytes() for order in orders for half in (order[:64], order[64:])]
    assert len(set(halves)) == len(halves)


@pytest.mark.parametrize("steps", [1, 3, 10])
def test_a_fixed_number_of_steps_is_kept_whatever_the_size(steps):
    _, taken = planned([2, 5, 40], Training(steps=steps, batch=4))
    assert [len(taken[at]) for at in range(3)] == [steps] * 3


def test_models_are_modules_without_buffers():
    """Running statistics would be averaged as if they were weights."""
    with pytest.raises(ValueError, match="buffers"):
        Classification(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1)))
