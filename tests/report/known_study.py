"""Records of a study whose summary is known by construction."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sim.records.schema import ROUNDS, SITES
from sim.study.results import StudyRecords

SITE_ROWS = {"A": 100, "B": 50, "C": 20, "D": 5}  # D has one class only: its metric is never defined
SEEDS = (0, 1, 2)
LAST = 4


def final(method: str, site: str, seed: int) -> float:
    """Value at the last round; a seed moves all methods alike, so that the gains over local models are known."""
    values = {
        "FedAvg": {"A": 0.80, "B": 0.70, "C": 0.60},  # mean 0.700; gains +0.05, -0.02, +0.10 in every seed
        "FedProx": {"A": 0.76, "B": 0.69, "C": 0.50},  # mean 0.650; gains +0.01, -0.03, 0.00 on average
        "Local only": {"A": 0.75, "B": 0.72, "C": 0.50},
        "Pooled": {"A": 0.705, "B": 0.705, "C": 0.705},  # less the margin: target 0.695, which only FedAvg reaches
    }
    value = values.get(method, values["FedAvg"]).get(site, np.nan)
    shake = (seed - 1) * 0.03 if (method, site) == ("FedProx", "A") else 0.0  # its gain there is not significant
    return value + shake + (seed - 1) * 0.01


def study(
    scenarios: Sequence[str] = ("",),
    methods: Sequence[str] = ("FedAvg", "FedProx"),
    references: Sequence[str] = ("local", "pooled"),
    seeds: Sequence[int] = SEEDS,
    dead: tuple[str, int] = ("FedProx", 2),
) -> StudyRecords:
    """FedProx diverges with seed 2. A round costs 1 MB down and 1 MB up; test scores at rounds 0, 2 and 4."""
    names = {"local": "Local only", "pooled": "Pooled"}
    runs, rounds, sites = [], [], []
    settings: dict[str, dict[str, object]] = {}
    for scenario in scenarios:
        for method, reference in [*((name, "") for name in methods), *((names[name], name) for name in references)]:
            for seed in seeds:
                run = f"{scenario}{method}-{seed}"
                status = "diverged" if (method, seed) == dead else "done"
                runs.append((run, method, reference, scenario, seed, status, run))
                algorithm = {"is": method} | ({"mu": 0.1} if method == "FedProx" else {})
                settings[run] = {"seed": seed, "rounds": LAST, "algorithm": algorithm}
                for number in range(LAST + 1) if not reference else []:
                    traffic = (10**6, 10**6, 48, 2 * 10**6, 4) if number else (0, 0, 0, 2 * 10**6, 0)
                    rounds.append((run, number, float(number), *traffic, 0.0, 0.6, 1.0))
                for number in (0, 2, LAST) if not reference else (LAST,):
                    for site, rows in SITE_ROWS.items():
                        value = final(method, site, seed) - 0.1 * (LAST - number)
                        for split, shift in (("valid", 0.1), ("test", 0.0)):  # the report must not read validation rows
                            for metric, given in (("auroc", value + shift), ("brier", 1 - value)):
                                sites.append(
                                    (run, number, site, split, rows, rows // 2, reference or "shared", metric, given)
                                )
    return StudyRecords(
        name="known",
        question="Which method?",
        metric="auroc",
        margin=0.01,
        runs=pd.DataFrame(runs, columns=["run", "method", "reference", "scenario", "seed", "status", "folder"]),
        rounds=pd.DataFrame(rounds, columns=list(ROUNDS)).astype(ROUNDS),
        sites=pd.DataFrame(sites, columns=list(SITES)).astype(SITES),
        settings=settings,
        provenance={"command": "fedtrial study known", "commit": "abc"},
        published={"FedAvg": 0.69},
    )
