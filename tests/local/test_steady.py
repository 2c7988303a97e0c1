"""Features without standardisation: a learning rate that they do not bear is refused, and one just below settles."""

import numpy as np
import pytest

from sim.checks import Refused
from sim.config.compose import experiment
from sim.federation.federation import Federation, from_arrays
from sim.local.steady import EDGE, refuse_unsteady
from sim.run.run import prepare, simulation
from sim.tasks.classify import Classification
from sim.tasks.cox import Cox, Ties
from sim.tasks.nets import Linear

UNSCALED = ["cohort.patients=600", "cohort.sites=4", "rounds=2", "split.scaling=none"]


def two(scale: float) -> Federation:
    """Two features at two sites, the first with a mean square of scale^2."""
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], size=(40, 2)) * [scale, 1.0]
    return from_arrays({"a": (x[:20], {"label": x[:20, 1] > 0}), "b": (x[20:], {"label": x[20:, 1] > 0})})


def test_the_edge_is_that_of_the_logistic_loss() -> None:
    """Gradient descent on 1/2 c w^2 multiplies w by 1 - lr c: with c = m / 4 it grows from lr m = 8."""
    assert abs(1 - EDGE / 4) == 1
    task = Classification(Linear().module(2, 1))
    refuse_unsteady(task, two(4.0), 0.499)
    with pytest.raises(Refused, match=r"split\.scaling=none with local\.lr=0\.501.*sd 3\.98.*federated.*0\.5\."):
        refuse_unsteady(task, two(4.0), 0.501)


def test_cox_does_not_mind_a_mean() -> None:
    made, shifted = two(1.0), Cox(Linear().module(2, 1), Ties.efron)
    made.x[:] += 60
    refuse_unsteady(shifted, made, 1.0)
    with pytest.raises(Refused, match="mean 6"):
        refuse_unsteady(Classification(Linear().module(2, 1)), made, 1.0)


@pytest.mark.parametrize("task", ["hazard", "response"])
def test_unscaled_ages_are_named_before_training(task: str) -> None:
    asked = experiment([*UNSCALED, f"task={task}"])
    with pytest.raises(Refused, match=r"age.*mean .*split\.scaling=federated"):
        simulation(asked, prepare(asked))


@pytest.mark.parametrize("words", [["local.lr=1e-3"], ["algorithm=pooled"], ["algorithm=oracle"]])
def test_what_bears_them_or_takes_no_such_steps_is_not_refused(words: list[str]) -> None:
    asked = experiment([*UNSCALED, *words])
    simulation(asked, prepare(asked))
