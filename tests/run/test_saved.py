"""The models that are kept lie in a checkpoint whole: vectors, mixtures and trees."""

import numpy as np
import pytest

from sim.run.model import Chosen, Kept
from sim.run.saved import kept_arrays, read_kept

NOTHING, VECTOR, NODES = np.zeros(0, np.float32), np.arange(6.0).reshape(2, 3), np.ones((5, 3))
TREES = Chosen(4, NOTHING, None, {"base": np.zeros(1), "nodes": NODES})
CASES = {
    "nothing yet": Kept(),
    "trees": Kept(TREES, TREES._replace(round=2, forest={"base": np.zeros(1), "nodes": NODES[:1]}), 0.5, np.ones(7)),
    "trees, the last the best": Kept(TREES, TREES, 0.5, np.ones(7)),
    "a mixture": Kept(Chosen(3, VECTOR, np.full((1, 2), 0.5)), Chosen(1, VECTOR + 1, np.full((1, 2), 0.5)), 0.25),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_kept_is_read_back(case: str) -> None:
    kept = CASES[case]
    found = read_kept(kept_arrays(kept))
    np.testing.assert_equal((found.lowest, found.scores), (kept.lowest, kept.scores))
    for mine, other in ((found.final, kept.final), (found.best, kept.best)):
        np.testing.assert_equal(mine and mine._asdict(), other and other._asdict())
