"""The way of rows through trees, compiled."""

import numpy as np

from sim.arrays import Floats, Ints
from sim.jit import exact


@exact
def descended(x: Floats, feature: Ints, threshold: Floats, child: Ints, roots: Ints) -> Ints:
    """Leaf of every row in every tree; the nodes of the trees are concatenated.

    x [n, D]; feature [M], negative at leaves; threshold [M], rows with `x <= threshold` go to `child` [M] and others to
    the node after it; roots [T]; -> [n, T].
    """
    found = np.empty((len(x), len(roots)), dtype=np.int64)
    for row in range(len(x)):
        for tree in range(len(roots)):
            place = roots[tree]
            while feature[place] >= 0:
                place = child[place] + (1 if x[row, feature[place]] > threshold[place] else 0)
            found[row, tree] = place
    return found
