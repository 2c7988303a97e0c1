"""The two record tables of a run, from the rounds of the engine."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.engine.evaluation import Held
from sim.engine.rounds import Round
from sim.federation.federation import Federation
from sim.records.schema import ROUNDS, SITES


def rounds_frame(run: str, rounds: list[Round]) -> pd.DataFrame:
    """One row a round."""
    names = [name for name in ROUNDS if name not in ("run", "round")]
    columns = {name: [getattr(here, name) for here in rounds] for name in names}
    frame = pd.DataFrame({"run": run, "round": [here.number for here in rounds], **columns})
    return frame.astype(ROUNDS)


def sites_frame(
    run: str,
    federation: Federation,
    held: Held,
    events: NDArray[np.bool_],
    model: str,
    judged: list[tuple[int, dict[str, NDArray[np.float64]]]],
) -> pd.DataFrame:
    """One row a (round, site, split, metric) from the metrics [S * splits] of some rounds; empty segments left out."""
    rows = np.bincount(held.segment, minlength=held.segments)
    had = np.bincount(held.segment, weights=events[held.row], minlength=held.segments)
    there = np.flatnonzero(rows)
    site, split = np.divmod(there, len(held.splits))
    scored = [(number, metric, values[there]) for number, metrics in judged for metric, values in metrics.items()]
    metrics = sorted({metric for _, metric, _ in scored})
    numbers, kinds = [number for number, _, _ in scored], [metrics.index(metric) for _, metric, _ in scored]
    times, each = len(scored), len(there)
    one = np.zeros(times * each, dtype=np.int64)
    columns = {
        "run": named([run], one),
        "round": np.repeat(np.array(numbers, dtype=np.int32), each),
        "site": named(federation.sites, np.tile(site, times)),
        "split": named(held.splits, np.tile(split, times)),
        "rows": np.tile(rows[there].astype(np.int32), times),
        "events": np.tile(had[there].astype(np.int32), times),
        "model": named([model], one),
        "metric": named(metrics, np.repeat(np.array(kinds, dtype=np.int64), each)),
        "value": np.concatenate([np.zeros(0), *(values for _, _, values in scored)]),
    }
    return pd.DataFrame(columns).astype(SITES)


def named(names: Sequence[str], code: NDArray[np.int64]) -> pd.Categorical:
    """A column of names from their numbers, kept as such; [n]."""
    return pd.Categorical.from_codes(code, pd.Index(list(names), dtype="str"))
