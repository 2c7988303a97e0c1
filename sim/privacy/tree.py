"""What a site that is heard in some updates costs under the noise of a binary tree."""

from collections import Counter
from collections.abc import Sequence


def squared_sensitivity(heard: Sequence[int], updates: int, restart: int = 0) -> int:
    """Sum over the nodes of all trees of the square of how often a site is heard in the node's span.

    The square of the sensitivity of all nodes together, in units of the bound on one upload (Kairouz et al., ICML 2021,
    section 4). A site that is heard once in a tree of n updates is in at most `floor(log2 n) + 1` nodes, once in each.

    heard: numbers of updates, from 0, below `updates`; restart: updates of a tree, 0 = all in one.
    """
    length, span, total = restart or updates, 1, 0
    while span <= length:
        nodes = Counter((at // length, at % length // span) for at in heard)
        for (tree, node), count in nodes.items():
            closed = (node + 1) * span <= min(length, updates - tree * length)
            total += count**2 if closed else 0
        span *= 2
    return total
