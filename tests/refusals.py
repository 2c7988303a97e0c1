"""How tests say that settings are refused."""

import pytest

from sim.checks import Refused
from sim.config.compose import experiment
from sim.run.run import rehearse
from tests.toy import SMALL


def refused(*words: str, says: list[str]) -> None:
    """These settings are refused before a run begins, or as it begins, and the text holds all of these parts."""
    with pytest.raises(Refused) as found:
        rehearse(experiment([*SMALL, *words]))
    for part in says:
        assert part in str(found.value), f"{part!r} is not in: {found.value}"
