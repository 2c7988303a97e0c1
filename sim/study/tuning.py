"""Tuning: every method of a study is run with the same candidate values, and judged with its best ones.

The values are chosen per method and scenario by the mean validation loss over seeds; test patients are not used.
"""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from sim.checks import Refused, brief
from sim.records.store import Run

Tune = Mapping[str, Sequence[object]]  # setting -> values


def refuse_tuning(tune: object) -> None:
    """Refuse anything but a mapping from settings to at least two values."""
    if not isinstance(tune, dict):
        raise TypeError(f"tune: {brief(tune)} is not a mapping of settings to values")
    for setting, values in tune.items():
        if not isinstance(setting, str) or "=" in setting:
            raise TypeError(f"tune: {brief(setting)} is not the key of a setting, such as local.lr")
        if not isinstance(values, list) or len(values) < 2:
            raise Refused(f"tune: {setting}: {brief(values)} leaves no choice. List at least two values.")


def candidates(tune: Tune, own: Sequence[str]) -> list[list[str]]:
    """Settings to try for a method, `key=value` each; keys that the method sets itself are not tuned."""
    fixed = {word.lstrip("+~").split("=")[0] for word in own}
    keys = [key for key in tune if key not in fixed]
    tried = product(*(tune[key] for key in keys))
    return [[f"{key}={value}" for key, value in zip(keys, values, strict=True)] for values in tried]


def final_loss(run: Run) -> float:
    """Validation loss of the final models of a run; infinite if it diverged or has none."""
    if run.info["status"] != "done" or run.rounds.empty:
        return np.inf
    loss = float(run.rounds["loss"].iloc[-1])
    return np.inf if np.isnan(loss) else loss


def choose(every: pd.DataFrame, losses: Mapping[str, float]) -> pd.DataFrame:
    """The cells with the values of lowest mean loss, for each method and scenario, from the losses of finished runs.

    Ties, and methods without finished runs, use the first values.
    """
    keys = ["scenario", "method", "tuned"]
    mean = every.assign(loss=every["run"].map(losses)).groupby(keys, sort=False)["loss"].mean().fillna(np.inf)
    best = mean.reset_index().sort_values("loss", kind="stable").drop_duplicates(["scenario", "method"])
    return every[every.set_index(keys).index.isin(best.set_index(keys).index)].reset_index(drop=True)


def in_words(tune: Tune) -> str:
    """What was tuned, for the page."""
    values = "; ".join(f"{key} of {', '.join(map(str, given))}" for key, given in tune.items())
    return f"{values}, for each method and scenario, by the mean validation loss over seeds"
