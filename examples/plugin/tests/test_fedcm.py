"""FedCM keeps the contract of an algorithm, can be chosen by name, and its certificate tells a wrong one."""

from dataclasses import dataclass

import pytest
from fedtrial_fedcm.algorithm import FedCM
from fedtrial_fedcm.certificate import of_fedcm
from torch import Tensor

import fedtrial
from sim.methods.contract import Heard, State
from sim.verify.conformance import conform


def test_it_keeps_the_contract() -> None:
    conform(FedCM)


@dataclass
class Backwards(FedCM):
    """The direction with the wrong sign."""

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """The mean change, and the direction turned round."""
        return heard.mean["delta"], {"direction": -heard.mean["direction"]}


def test_a_wrong_sign_is_found() -> None:
    assert any(check.error(Backwards) > check.tolerance for check in of_fedcm())


def test_it_is_chosen_by_its_name_and_learns() -> None:
    wanted = fedtrial.experiment(
        {"cohort.patients": 600, "cohort.sites": 7, "algorithm.alpha": 0.3}, algorithm="fedcm", rounds=5
    )
    loss = fedtrial.run(wanted).rounds["loss"]
    assert loss.iloc[-1] < loss.iloc[0]


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(fedtrial.Refused, match=r"algorithm\.alpha"):
        fedtrial.experiment({"algorithm": "fedcm", "algorithm.alpha": 2})
