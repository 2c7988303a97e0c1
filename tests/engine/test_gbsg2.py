"""The federated survival forest on GBSG2 against the published numbers of Archetti and Matteucci (IJCNN 2023)."""

from dataclasses import replace

import numpy as np
import pandas as pd
from lifelines.datasets import load_gbsg2
from torch import nn

from sim.arrays import Floats
from sim.engine.executors import InProcess, crew
from sim.engine.simulation import Evaluation, Simulation
from sim.engine.survivalforest import SurvivalForest
from sim.federation.federation import Federation, from_arrays
from sim.local.settings import Training
from sim.methods.roles import Roles
from sim.tasks.cox import Cox, Ties

SEEDS = (31514, 37118, 50494, 5306, 55125)  # the authors' own
CLIENTS = 10


def patients() -> tuple[Floats, Floats, Floats]:
    """Features with factors one-hot, days, events; [686, D], [686], [686]."""
    table = load_gbsg2()
    x = pd.get_dummies(table.drop(columns=["time", "cens"]), dtype=float).to_numpy()
    return (x - x.mean(0)) / x.std(0), table["time"].to_numpy(float), table["cens"].to_numpy(float)


def dealt(seed: int) -> list[np.ndarray]:
    """Patients of ten clients of equal size, and after them a fifth of all for testing, stratified by event."""
    rng, event = np.random.default_rng(seed), patients()[2]
    classes = [rng.permutation(np.flatnonzero(event == one)) for one in (0, 1)]
    test = np.concatenate([one[: round(len(one) / 5)] for one in classes])
    train = rng.permutation(np.setdiff1d(np.arange(len(event)), test))
    return [*np.array_split(train, CLIENTS), test]


def federation(parts: list[np.ndarray]) -> Federation:
    """Sites that train, and the last that is only judged."""
    x, days, event = patients()
    whole = from_arrays(
        {f"{at:02d}": (x[part], {"time_days": days[part], "event": event[part]}) for at, part in enumerate(parts)}
    )
    bounds = whole.bounds.copy()
    bounds[-1, 1:3] = bounds[-1, 0]
    return replace(whole, bounds=bounds)


def cindex(parts: list[np.ndarray], drawn: int, seed: int) -> float:
    """C on the test patients."""
    held, method = federation(parts), SurvivalForest(drawn=drawn)
    task = Cox(nn.Linear(len(held.features), 1, bias=False, device="meta"), Ties.efron)
    plan = Simulation(held, task, method.roles(Roles()), Training(batch=0), Evaluation(), 1, seed)
    with crew(InProcess(), plan.job) as opened:
        *_, last = method.rounds(plan, opened)
    return float(last.metrics["shared"]["cindex"][-1])


def test_the_forest_of_ten_clients_is_as_good_as_published_and_better_than_theirs_alone() -> None:
    """Published: .6864 (sd .0223) of ten clients together, .6453 (sd .0178) of the mean client alone, five seeds."""
    splits = [dealt(seed) for seed in SEEDS]
    together = np.mean([cindex(parts, 200, seed) for parts, seed in zip(splits, SEEDS, strict=True)])
    alone = np.mean([cindex([part, parts[-1]], 100, SEEDS[0]) for parts in splits for part in parts[:-1]])
    assert abs(together - 0.686) < 0.03
    assert alone < together - 0.01
