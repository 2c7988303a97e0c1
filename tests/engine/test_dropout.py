"""Sites that do not answer: a run is that of the sites that do, but for what all of them downloaded."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim.checks import Refused
from sim.cli.run_table import show
from sim.config.compose import experiment
from sim.engine.executors import InProcess, crew
from sim.engine.rounds import rounds
from sim.engine.simulation import Round
from sim.methods.systems.sync import Sync
from sim.random import site_keys
from sim.run.run import prepare, rehearse, simulation
from tests.toy import SMALL

METHODS = ["fedavg", "fedprox", "scaffold", "fednova", "feddyn"]


def run(*words: str) -> list[Round]:
    wanted = experiment([*SMALL, "rounds=6", *words])
    plan = simulation(wanted, prepare(wanted))
    with crew(InProcess(threads=1), plan.job) as opened:
        return list(rounds(plan, opened, plan.standing()))


def same(one: list[Round], other: list[Round], bytes_down: bool = True) -> None:
    for a, b in zip(one, other, strict=True):
        assert a.model.numpy().tobytes() == b.model.numpy().tobytes()
        assert (a.bytes_up, a.sites, a.step_norm) == (b.bytes_up, b.sites, b.step_norm)
        assert a.bytes_down == b.bytes_down or not bytes_down


def answering(dropout: float, number: int) -> np.ndarray:
    """Which of the seven sites of SMALL answer in a round of seed 1."""
    keys = prepare(experiment(SMALL)).federation.keys
    return Sync(dropout=dropout).answers(keys, 1, number)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_is_that_of_the_sites_that_answer(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Site state of the others included: who answers later starts from what it had."""
    words = [f"algorithm={method}", "server=momentum"]
    dropped = run(*words, "system.dropout=0.4")
    assert len({here.sites for here in dropped[1:]}) > 1
    with monkeypatch.context() as patch:
        patch.setattr(Sync, "sample", lambda _, total, seed, number: np.flatnonzero(answering(0.4, number)))
        same(dropped, run(*words), bytes_down=False)


@pytest.mark.parametrize("method", METHODS)
def test_a_chance_that_never_comes_true_changes_no_bit(method: str) -> None:
    words = [f"algorithm={method}", "system.sites=5"]
    same(run(*words), run(*words, "system.dropout=0"))
    same(run(*words), run(*words, "system.dropout=1e-9"))


def test_all_download_and_those_who_answer_upload() -> None:
    plain, dropped = run("algorithm=scaffold"), run("algorithm=scaffold", "system.dropout=0.4")
    for a, b in zip(plain[1:], dropped[1:], strict=True):
        assert b.sites == answering(0.4, b.number).sum()
        assert b.bytes_down == a.bytes_down
        assert b.bytes_up * 7 == a.bytes_up * b.sites


def test_a_round_that_nobody_answers_leaves_the_server_as_it_was() -> None:
    """0.95 of seven sites: most rounds are empty. Not even momentum moves the model then."""
    words = ["algorithm=scaffold", "server=momentum", "rounds=12", "system.dropout=0.95"]
    found = run(*words)
    empty = [here for here in found[1:] if not here.sites]
    assert 0 < len(empty) < 12
    for before, here in zip(found, found[1:], strict=False):
        if not here.sites:
            assert here.model.numpy().tobytes() == before.model.numpy().tobytes()
            assert (here.bytes_up, here.step_norm) == (0, 0.0)
            assert here.bytes_down > 0
            assert here.metrics
            assert here.loss == before.loss


def test_the_share_that_answers_is_what_it_should_be_and_each_site_has_its_own_luck() -> None:
    keys = site_keys(tuple(f"h{number}" for number in range(400)))
    there = np.array([Sync(dropout=0.1).answers(keys, 3, number) for number in range(100)])
    assert there.mean() == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / there.size))
    np.testing.assert_allclose(there.mean(0), 0.9, atol=5 * np.sqrt(0.09 / 100))
    np.testing.assert_allclose(there.mean(1), 0.9, atol=5 * np.sqrt(0.09 / 400))
    assert abs(np.corrcoef(there[:-1].ravel(), there[1:].ravel())[0, 1]) < 0.02


def test_who_answers_depends_on_seed_round_and_site_alone() -> None:
    keys = site_keys(tuple(f"h{number}" for number in range(50)))
    some, other = Sync(dropout=0.3), Sync(sites=7, dropout=0.3)
    assert (other.answers(keys[10:20], 1, 2) == some.answers(keys, 1, 2)[10:20]).all()
    more = Sync(dropout=0.6).answers(keys, 1, 2)
    assert not (more & ~some.answers(keys, 1, 2)).any()  # a larger chance keeps those who stay away
    assert (some.answers(keys, 2, 2) != some.answers(keys, 1, 2)).any()
    assert (some.answers(keys, 1, 3) != some.answers(keys, 1, 2)).any()


def test_a_site_alone_needs_no_answer() -> None:
    words = [*SMALL, "algorithm=local"]
    plain, dropped = (rehearse(experiment([*words, f"system.dropout={chance}"])) for chance in (0, 0.5))
    pd.testing.assert_series_equal(plain.sites["value"], dropped.sites["value"], check_exact=True)


@pytest.mark.parametrize("chance", [1, -0.1, float("nan")])
def test_a_chance_is_below_one(chance: float) -> None:
    with pytest.raises(Refused, match=r"system\.dropout=.*allowed \[0, 1\)"):
        Sync(dropout=chance)


def test_the_stress_scenario_has_both_and_a_run_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = experiment(["scenario=stress200", "cohort.patients=4000", "rounds=4"])
    done = rehearse(wanted)
    answered = done.rounds["sites"].to_numpy()[1:]
    assert (answered < 200).all()
    assert answered.mean() == pytest.approx(180, abs=4 * np.sqrt(200 * 0.09 / 4))
    faults = done.info["notes"]["faults"]
    assert faults.count("centre-") == 2
    assert "unit_swap" in faults
    assert "label_flip" in faults
    show(done, Path("here"))
    told = capsys.readouterr().out
    assert f"Answered: {answered.mean():.1f} sites per round on average, at least {answered.min()}." in told
    assert f"Faults: {faults}." in told
