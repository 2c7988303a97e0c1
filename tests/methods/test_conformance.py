"""Every entry of every table runs, gives finite numbers of the right shape, and leaves its inputs alone."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from sim.config.compose import experiment
from sim.config.experiment import GROUPS, settings
from sim.methods.algorithms import ALGORITHMS
from sim.methods.algorithms.base import Local
from sim.methods.servers import SERVERS
from sim.run.run import footing, rehearse
from tests.toy import SMALL


def local(sites: int = 3, size: int = 5) -> Local:
    g = torch.Generator().manual_seed(0)
    names = {name for method in ALGORITHMS.values() for name in (*method.site_state, *method.broadcast)}
    return Local(
        x=torch.randn(sites, size, generator=g),
        server={name: torch.randn(size, generator=g) for name in names},
        site={name: torch.randn(sites, size, generator=g) for name in names},
        rows=torch.tensor([10.0, 20.0, 30.0]),
        steps=torch.tensor([1.0, 2.0, 3.0]),
        norm=torch.tensor([1.0, 2.0, 3.0]),
        lr=0.1,
    )


@pytest.mark.parametrize("name", ALGORITHMS)
def test_hooks_keep_shapes_and_inputs(name: str) -> None:
    method, at = ALGORITHMS[name](), local()
    w = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    before = [part.clone() for part in (w, at.x, *at.server.values(), *at.site.values())]
    correction = method.correction(at)
    d = method.direction(torch.ones_like(w), w, at.x, correction)
    message, state = method.upload(w, at)
    assert d.shape == w.shape
    assert set(state) == set(method.site_state)
    assert all(part.shape == w.shape for part in state.values())
    assert all(part.shape in (w.shape, w.shape[:1]) for part in message.values())
    mean = {key: part.mean(0) for key, part in message.items()}
    held = {key: torch.zeros(5) for key in method.server_state}
    step, new = method.server(mean, held, 0.5)
    assert step.shape == (5,)
    assert set(new) == set(method.server_state)
    after = [w, at.x, *at.server.values(), *at.site.values()]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


@pytest.mark.parametrize("name", SERVERS)
def test_servers_keep_shapes_and_inputs(name: str) -> None:
    server, step = SERVERS[name](), torch.linspace(-1, 1, 5)
    state = server.start(torch.zeros(5))
    before = {key: part.clone() for key, part in state.items()}
    move, new = server.update(step, state)
    assert move.shape == step.shape
    assert torch.isfinite(move).all()
    assert set(new) == set(state)
    assert all(torch.equal(state[key], part) for key, part in before.items())
    assert torch.equal(step, torch.linspace(-1, 1, 5))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", SERVERS)
def test_servers_keep_the_dtype(name: str, dtype: torch.dtype) -> None:
    server = SERVERS[name]()
    x = torch.zeros(4, dtype=dtype)
    move, state = server.update(x + 1, server.start(x))
    assert move.dtype == dtype
    assert all(part.dtype == dtype for part in state.values())


@pytest.mark.parametrize("name", GROUPS["algorithm"])
def test_every_method_runs(name: str) -> None:
    run = rehearse(experiment([*SMALL, f"algorithm={name}"]))
    assert run.info["status"] == "done"
    values = run.sites[run.sites["metric"] == "brier"]["value"]
    assert len(values)
    assert np.isfinite(values).all()


# Two classes of an outcome cannot both be everywhere where sites own one of them.
NEEDS = {
    "pachinko": ["partition.coarse=race"],
    "pathological": ["partition.min_events=0"],
    "shards": ["partition.min_events=0"],
}


@pytest.mark.parametrize("name", [name for name in GROUPS["partition"] if name != "natural"])
@pytest.mark.parametrize("task", ["response", "hazard"])
def test_every_partition_runs_with_every_task(name: str, task: str) -> None:
    words = [f"partition={name}", "partition.sites=3", f"task={task}", "rounds=1", *NEEDS.get(name, [])]
    run = rehearse(experiment([*SMALL, *words]))
    assert len(run.info["sites"]) == 3


def test_settings_are_plain_and_complete() -> None:
    made = experiment(SMALL)
    shown = settings(made)
    assert set(shown) == {entry.name for entry in fields(made)}
    for group, entries in GROUPS.items():
        assert not entries or shown[group]["is"] in entries


def test_divergence_is_a_result_with_its_round() -> None:
    wanted = experiment([*SMALL, "local.lr=1e30", "net=mlp", "rounds=5"])
    run = rehearse(wanted)
    assert "diverged in round" in run.info["status"]
    assert len(run.rounds) < 6
    assert run.rounds["round"].iloc[0] == 0


def test_scoring_less_often_changes_nothing_else() -> None:
    often = experiment([*SMALL, "rounds=4"])
    seldom = replace(often, evaluation=replace(often.evaluation, every=3))
    one, other = rehearse(often), rehearse(seldom)
    assert sorted(set(other.sites["round"])) == [0, 3, 4]
    kept = one.sites[one.sites["round"].isin([0, 3, 4])]["value"].to_numpy()
    np.testing.assert_array_equal(kept, other.sites["value"].to_numpy())
    assert footing(often) == footing(seldom)
