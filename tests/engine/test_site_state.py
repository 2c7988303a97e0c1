"""Of the two rows of a site the one that does not hold counts for nothing: a checkpoint can do without it."""

import numpy as np
import pytest

from sim.config.compose import experiment
from sim.engine.executors import InProcess, crew
from sim.engine.simulation import Round
from sim.engine.site_state import SiteState
from sim.run.run import ahead, prepare, simulation
from tests.toy import SMALL

CASES = {
    "scaffold": ["algorithm=scaffold", "uplink=[topk]", "uplink.topk.ratio=0.2", "system.sites=3"],
    "feddyn": ["algorithm=feddyn", "local.tier=stacked", "system.dropout=0.3"],
    "moon": ["algorithm=moon", "net=mlp", "system.sites=4"],
    "ditto, late uploads": ["personal=ditto", "system=buffered", "system.spread=1"],
    "fine tuning": ["personal=finetune", "local.optimizer=adam", "local.state=keep", "system.sites=4"],
    "gossip": ["algorithm=gossip", "local.optimizer=adam", "local.state=keep", "system.sites=4"],
    "fedem": ["algorithm=fedem", "system.sites=3"],
    "each site alone": ["algorithm=local", "local.momentum=0.9"],
}


def spoil(memory: SiteState) -> None:
    """Make what does not hold a number that is none."""
    every = np.arange(len(memory.current))
    for array in memory.arrays.values():
        array[1 - memory.current, every] = np.nan


def trained(words: list[str], spoiled: bool) -> tuple[list[Round], dict[str, np.ndarray]]:
    """All rounds, and what sites keep at the end."""
    wanted = experiment([*SMALL, "rounds=5", *words])
    plan = simulation(wanted, prepare(wanted))
    done = []
    with crew(InProcess(threads=1), plan.job) as opened:
        for here in ahead(wanted, plan, opened, None):
            done.append(here)
            if spoiled:
                spoil(opened.memory)
        return done, opened.memory.read(np.arange(len(opened.memory.current)))


@pytest.mark.parametrize("case", CASES)
def test_the_row_that_does_not_hold_counts_for_nothing(case: str) -> None:
    one, kept = trained(CASES[case], spoiled=False)
    two, found = trained(CASES[case], spoiled=True)
    for here, there in zip(one, two, strict=True):
        np.testing.assert_array_equal(here.model.numpy(), there.model.numpy())
    assert kept
    for name, part in kept.items():
        np.testing.assert_array_equal(part, found[name], err_msg=name)


def test_what_is_read_in_blocks_is_restored() -> None:
    memory = SiteState.zeros({"own": 3, "t": 1}, 50, np.dtype(np.float32))
    rows = np.arange(150, dtype=np.float32).reshape(50, 3)
    memory.fill({"own": rows})
    memory.turn(np.arange(0, 50, 7))
    memory.fill({"own": rows})
    whole = np.concatenate(list(memory.blocks("own")))
    np.testing.assert_array_equal(whole, rows)
    other = SiteState.zeros({"own": 3, "t": 1}, 50, np.dtype(np.float32))
    other.restore("own", whole)
    np.testing.assert_array_equal(other.read(np.arange(50))["own"], rows)
