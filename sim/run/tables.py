"""The two record tables of a run, from the rounds of the engine."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.engine.evaluation import Held, Metrics
from sim.engine.simulation import Round
from sim.federation.federation import Federation
from sim.records.schema import ROUNDS, SITES


def rounds_frame(run: str, rounds: list[Round]) -> pd.DataFrame:
    """One row per round."""
    names = [name for name in ROUNDS if name not in ("run", "round")]
    columns = {name: [getattr(here, name) for here in rounds] for name in names}
    frame = pd.DataFrame({"run": run, "round": [here.number for here in rounds], **columns})
    return frame.astype(ROUNDS)


def sites_frame(
    run: str,
    federation: Federation,
    held: Held,
    events: NDArray[np.bool_],
    judged: list[tuple[int, str, Metrics]],
) -> pd.DataFrame:
    """One row per (round, site, split, model, metric), from the metrics [S * splits] of some rounds and kinds of model.

    Segments without rows are left out.
    """
    rows = np.bincount(held.segment, minlength=held.segments)
    had = np.bincount(held.segment, weights=events[held.row], minlength=held.segments)
    there = np.flatnonzero(rows)
    site, split = np.divmod(there, len(held.splits))
    scored = [
        (number, model, metric, values[there])
        for number, model, metrics in judged
        for metric, values in metrics.items()
    ]
    models, metrics = sorted({model for _, model, *_ in scored}), sorted({metric for *_, metric, _ in scored})
    numbers = [number for number, *_ in scored]
    which, kinds = [models.index(one[1]) for one in scored], [metrics.index(one[2]) for one in scored]
    times, each = len(scored), len(there)
    columns = {
        "run": named([run], np.zeros(times * each, dtype=np.int64)),
        "round": np.repeat(np.array(numbers, dtype=np.int32), each),
        "site": named(federation.sites, np.tile(site, times)),
        "split": named(held.splits, np.tile(split, times)),
        "rows": np.tile(rows[there].astype(np.int32), times),
        "events": np.tile(had[there].astype(np.int32), times),
        "model": named(models, np.repeat(np.array(which, dtype=np.int64), each)),
        "metric": named(metrics, np.repeat(np.array(kinds, dtype=np.int64), each)),
        "value": np.concatenate([np.zeros(0), *(values for *_, values in scored)]),
    }
    return pd.DataFrame(columns).astype(SITES)


def named(names: Sequence[str], code: NDArray[np.int64]) -> pd.Categorical:
    """A column of names from their numbers; [n]."""
    return pd.Categorical.from_codes(code, pd.Index(list(names), dtype="str"))
