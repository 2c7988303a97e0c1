"""What algorithms ask of a round beside local steps: an exchange before them, their number, gradients, classes."""

import numpy as np
import pytest
import torch
from torch.func import grad

from sim.checks import Refused
from sim.config.compose import experiment
from sim.engine.executors import InProcess, crew
from sim.engine.rounds import rounds
from sim.engine.simulation import Round, Simulation
from sim.methods.algorithms import ALGORITHMS
from sim.methods.algorithms.scaffnew import Scaffnew
from sim.methods.roles import Roles
from sim.run.run import prepare, rehearse, simulation
from sim.tasks.task import Batch
from tests.toy import SMALL

# Vectors and single numbers that a site downloads and uploads in a round, by the papers.
TRAFFIC = {
    "fedsgd": ((1, 0), (1, 0)),
    "scaffold": ((2, 0), (2, 0)),
    "scaffnew": ((1, 0), (1, 0)),
    "fedlc": ((1, 0), (1, 0)),
    "mimelite": ((2, 0), (2, 0)),
    "mime": ((3, 0), (2, 0)),
    "feddc": ((2, 0), (1, 0)),
    "adaptiveprox": ((1, 1), (1, 1)),
    "moon": ((1, 0), (1, 0)),
}


def planned(*words: str) -> Simulation:
    wanted = experiment([*SMALL, *words])
    return simulation(wanted, prepare(wanted))


def run(plan: Simulation) -> list[Round]:
    with crew(InProcess(threads=1), plan.job) as opened:
        return list(rounds(plan, opened, plan.standing()))


@pytest.mark.parametrize("name", TRAFFIC)
def test_traffic_is_the_papers(name: str) -> None:
    roles, size = Roles(ALGORITHMS[name]()), 100
    early = roles.bytes_prelude(size, 4)
    for total, (vectors, numbers) in zip(
        (roles.bytes_down(size, 4) + early, roles.bytes_up(size, 4) + early), TRAFFIC[name], strict=True
    ):
        assert total == 4 * (vectors * size + numbers)


def test_an_exchange_before_training_is_counted_for_those_who_train() -> None:
    """All that are asked download model and momentum; who drops out sends no gradient and gets no mean."""
    plan = planned("algorithm=mime", "system.dropout=0.4", "rounds=4")
    vector = 4 * plan.task.layout.size
    done = run(plan)[1:]
    assert len({here.sites for here in done}) > 1
    for here in done:
        assert here.bytes_up == 2 * vector * here.sites
        assert here.bytes_down == 2 * vector * 7 + vector * here.sites


def test_an_exchange_before_training_takes_its_time() -> None:
    words = ["local.steps=3", "system.latency_seconds=1", "rounds=1"]
    once, twice = (run(planned(f"algorithm={name}", *words))[1].seconds for name in ("mimelite", "mime"))
    assert twice - once == pytest.approx(2, abs=0.01)


def test_the_clock_knows_the_steps_that_an_algorithm_draws() -> None:
    plan = planned("algorithm=scaffnew", "rounds=6", "system.step_seconds=1")
    steps = [int(Scaffnew().steps(np.ones(1, np.int64), plan.seed, number)[0]) for number in range(1, 7)]
    travel = plan.roles.system.travel(plan.profile)
    np.testing.assert_allclose(np.diff([here.seconds for here in run(plan)]), np.array(steps) + travel)
    assert len(set(steps)) > 1


def test_fedsgd_takes_one_step_whatever_the_settings_say() -> None:
    words = ["algorithm=fedsgd", "rounds=3"]
    one, other = run(planned(*words)), run(planned(*words, "local.epochs=5", "local.batch=8"))
    assert torch.equal(one[-1].model, other[-1].model)
    assert planned(*words, "local.steps=9").profile.steps.tolist() == [1] * 7


def test_a_full_gradient_is_that_of_the_site_s_rows_and_its_weight_decay() -> None:
    plan = planned("local.weight_decay=0.3", "net=mlp", "net.hidden=[3]")
    federation, task = plan.federation, plan.task
    models = torch.randn(7, task.layout.size, generator=torch.Generator().manual_seed(0))
    with crew(InProcess(threads=1), plan.job) as opened:
        found = opened.worker.gradients(models, np.arange(7))
        rows = opened.worker.rows
        for site, (low, high) in enumerate(federation.bounds[:, :2]):
            batch = Batch(
                rows.x[low:high],
                {name: part[low:high] for name, part in rows.y.items()},
                torch.ones(high - low, dtype=torch.bool),
            )
            right = grad(task.loss)(models[site], batch) + 0.3 * models[site]
            torch.testing.assert_close(found[site], right, rtol=1e-4, atol=1e-6)


def test_classes_are_counted_in_the_training_rows_of_each_site() -> None:
    plan = planned("algorithm=fedlc", "task=stage")
    with crew(InProcess(threads=1), plan.job) as opened:
        counts = opened.worker.counts
    for site, (low, high) in enumerate(plan.federation.bounds[:, :2]):
        label = plan.federation.y["label"][low:high].astype(np.int64)
        assert counts[site].tolist() == np.bincount(label, minlength=plan.task.classes).tolist()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["algorithm=mime", "uplink=[topk]"], ["algorithm=mime", "setting of uplink", "algorithm=mimelite"]),
        (["algorithm=mime", "attack=signflip"], ["setting of attack"]),
        (["algorithm=mime", "aggregator=median"], ["setting of aggregator"]),
        (["algorithm=mimelite", "personal=fedper", "net=mlp"], ["setting of personal", "whole model"]),
        (["algorithm=feddc", "personal=fedper", "net=mlp"], ["setting of personal"]),
        (["algorithm=scaffnew", "server=adam"], ["algorithm=scaffnew", "setting of server", "sum to zero"]),
        (["algorithm=scaffnew", "system.sites=3"], ["algorithm=scaffnew", "every site in every round", "system.sites"]),
        (["algorithm=scaffnew", "system.dropout=0.1"], ["system.dropout"]),
        (["algorithm=scaffnew", "system.deadline=9"], ["system.deadline"]),
        (["algorithm=scaffnew", "local.momentum=0.5"], ["local.momentum=0.5", "algorithm=scaffnew", "Set local.mom"]),
        (["algorithm=mime", "local.momentum=0.5"], ["local.momentum=0.5", "algorithm=mime"]),
        (["algorithm=scaffnew", "algorithm.p=0"], ["algorithm.p=0"]),
        (["algorithm=fedlc", "task=hazard"], ["algorithm=fedlc", "Hazard has none", "task=response"]),
        (["algorithm=fedlc", "task=cox", "local.batch=0"], ["algorithm=fedlc", "Cox has none"]),
        (["algorithm=moon"], ["algorithm=moon", "Linear has no layer before its last", "net=mlp"]),
        (["algorithm=moon", "net=mlp", "net.hidden=[]"], ["algorithm=moon", "net=mlp with a hidden layer"]),
        (["algorithm=moon", "task=cox", "local.batch=0"], ["algorithm=moon"]),
        (["algorithm=scaffold", "algorithm.option=III"], ["algorithm.option=III", "I, II"]),
    ],
    ids=" ".join,
)
def test_what_does_not_go_together_is_refused(words: list[str], says: list[str]) -> None:
    with pytest.raises(Refused) as found:
        rehearse(experiment([*SMALL, *words]))
    for part in says:
        assert part in str(found.value)


@pytest.mark.parametrize(
    "words",
    [
        ["algorithm=moon", "task=hazard", "net=mlp", "net.hidden=[4]", "task.bins=4"],
        ["algorithm=moon", "system=buffered", "net=mlp", "net.hidden=[4]", "personal=fedper"],
        ["algorithm=mime", "task=cox", "local.batch=0"],
        ["algorithm=mimelite", "uplink=[clip]", "local.clip=0.5"],
        ["algorithm=fedsgd", "task=hazard", "personal=ditto", "aggregator=median"],
        ["algorithm=fedlc", "task=stage", "local.clip=0.5", "system=buffered"],
        ["algorithm=scaffold", "algorithm.option=I", "personal=fedper", "net=mlp", "net.hidden=[4]"],
    ],
    ids=" ".join,
)
def test_what_goes_together_trains(words: list[str]) -> None:
    made = rehearse(experiment([*SMALL, "rounds=2", *words]))
    assert made.info["status"] == "done"
    assert np.isfinite(made.rounds["loss"]).all()
