"""Who holds what: sizes, events and how far each site is from all of them together."""

import numpy as np
import pandas as pd

from sim.cohort.table import Cohort
from sim.partition.base import Sites


def describe(cohort: Cohort, outcome: str, sites: Sites) -> pd.DataFrame:
    """One row a site: rows, events, share, and the distances of its outcome from the whole (0 = alike).

    tv   total variation distance, half the sum of absolute differences, here |share - overall|
    js   Jensen-Shannon divergence in bits (Lin, IEEE Trans. Inf. Theory 1991)
    """
    frame = pd.DataFrame({"site": sites, "event": cohort.events(outcome)})
    table = frame.groupby("site")["event"].agg(rows="size", events="sum").reset_index()
    table["share"] = table["events"] / table["rows"]
    overall = frame["event"].mean()
    table["tv"] = (table["share"] - overall).abs()
    table["js"] = jensen_shannon(table["share"].to_numpy(), overall)
    return table


def jensen_shannon(share: np.ndarray, overall: float) -> np.ndarray:
    """Divergence of two coins, bits; [S], scalar -> [S]."""
    middle = (share + overall) / 2
    return np.asarray(entropy(middle) - (entropy(share) + entropy(np.full_like(share, overall))) / 2)


def entropy(p: np.ndarray) -> np.ndarray:
    """Entropy of a coin, bits; [S] -> [S]."""
    q = np.clip(np.stack([p, 1 - p]), 1e-300, 1.0)
    return np.asarray(-(q * np.log2(q)).sum(0))


def effective_sites(rows: np.ndarray) -> float:
    """Sites of equal size that would be as concentrated: 1 / sum of squared shares."""
    share = rows / rows.sum()
    return float(1 / (share**2).sum())
