"""Attacks: their numbers, what they leave alone, and what is said of them."""

import numpy as np
import pytest

from sim.checks import Refused
from sim.config.compose import experiment
from sim.engine.attackers import attackers
from sim.methods.attacks import ATTACKS, MinMax
from sim.methods.attacks.collusion import z_max
from sim.methods.roles import Roles
from sim.run.run import prepare, rehearse
from tests.toy import SMALL


@pytest.mark.parametrize(
    ("uploads", "bad", "z"), [(10, 2, 0.0), (12, 3, 0.139710), (24, 4, 0.125661), (50, 24, 1.426077)]
)
def test_z_max_is_the_papers(uploads: int, bad: int, z: float) -> None:
    assert z_max(uploads, bad) == pytest.approx(z, abs=1e-6)


def test_z_max_is_a_number_for_any_update() -> None:
    assert all(np.isfinite(z_max(uploads, bad)) for uploads in range(1, 30) for bad in range(1, uploads + 1))


def test_a_run_tells_the_z_of_alie_and_who_attacks() -> None:
    run = rehearse(experiment([*SMALL, "rounds=1", "attack=alie", "attack.sites=2"]))
    assert f"z = {z_max(7, 2):.3f} standard deviations for 2 of 7 uploads" in run.info["roles"]["attack"]
    plan = experiment([*SMALL, "attack=alie", "attack.sites=2"])
    federation = prepare(plan).federation
    bad = [federation.sites[site] for site in attackers(plan.attack, federation, plan.seed)]
    assert all(site in run.info["roles"]["attack"] for site in bad)
    assert len(bad) == 2


@pytest.mark.parametrize("task", ["classify", "stage", "hazard", "cox"])
@pytest.mark.parametrize("attack", ["labelflip", "scaling"])
def test_flipped_outcomes_harm_the_model_and_no_held_out_row(attack: str, task: str) -> None:
    words = [*SMALL, "rounds=4", "partition=iid"]
    if task != "classify":
        words = [word for word in words if not word.startswith("task=")] + [
            f"task={task}",
            "local.batch=0",
            "local.steps=5",
        ]
    honest = rehearse(experiment(words))
    harmed = rehearse(experiment([*words, f"attack={attack}", "attack.sites=3"]))
    before, after = (run.rounds["loss"].to_numpy() for run in (honest, harmed))
    assert before[0] == after[0]  # the same start, judged on the same outcomes
    assert after[-1] > before[-1]


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "none"])
def test_no_attackers_are_no_attack(name: str) -> None:
    words = [*SMALL, "rounds=2"]
    with_none = rehearse(experiment([*words, f"attack={name}", "attack.sites=0"]))
    assert with_none.rounds["loss"].equals(rehearse(experiment(words)).rounds["loss"])


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "none"])
def test_an_update_of_attackers_alone_goes_on(name: str) -> None:
    run = rehearse(experiment([*SMALL, "rounds=2", f"attack={name}", "attack.sites=7"]))
    assert run.info["status"] == "done"


def test_min_max_is_refused_where_pairs_are_too_many() -> None:
    with pytest.raises(Refused, match="attack=minmax compares all pairs of 5,000 uploads"):
        Roles(attack=MinMax()).fits(5000)
