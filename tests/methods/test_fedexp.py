"""FedExP: what it needs of the algorithm, what it sends, and which model is judged."""

import pytest

from sim.checks import Refused
from sim.config.compose import experiment
from sim.methods.algorithms import ALGORITHMS
from sim.methods.algorithms.base import Algorithm
from sim.run.run import rehearse
from tests.toy import SMALL


@pytest.mark.parametrize("name", [name for name, entry in ALGORITHMS.items() if entry.server is not Algorithm.server])
def test_an_algorithm_that_steps_by_its_own_rule_is_refused(name: str) -> None:
    with pytest.raises(Refused, match=f"server=fedexp scales .* algorithm={name} has its own server step"):
        experiment([*SMALL, "server=fedexp", f"algorithm={name}"])


def test_each_site_sends_one_number_more() -> None:
    plain, more = (rehearse(experiment([*SMALL, "rounds=1", *words])).rounds for words in ([], ["server=fedexp"]))
    assert more["bytes_up"].iloc[1] - plain["bytes_up"].iloc[1] == 4 * more["sites"].iloc[1]
    assert more["bytes_down"].equals(plain["bytes_down"])


@pytest.mark.parametrize("beside", [["aggregator=median"], ["uplink=[topk]"], ["personal=fedper", "net=mlp"]])
def test_it_goes_with_the_other_axes(beside: list[str]) -> None:
    loss = rehearse(experiment([*SMALL, "rounds=4", "server=fedexp", *beside])).rounds["loss"]
    assert loss.iloc[-1] < loss.iloc[0]
