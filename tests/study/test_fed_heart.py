"""Fed-Heart-Disease: real hospitals, and the accuracies of FLamby (du Terrail et al., NeurIPS 2022)."""

from dataclasses import replace

import numpy as np
import pytest

from sim.run.run import rehearse
from sim.study.cells import study_cells
from sim.study.study import load
from tests.toy import FED_HEART

PUBLISHED_SEEDS = 5
PUBLISHED_SPREAD = 0.013  # the smallest of the published spreads over 5 seeds, .013 to .028

pytestmark = pytest.mark.skipif(not FED_HEART.is_dir(), reason="the four hospitals' files are not here")


@pytest.mark.parametrize("method", ["FedAvg", "FedProx", "SCAFFOLD", "FedAdam", "FedYogi", "FedAdagrad"])
def test_published_accuracies_are_within_two_standard_errors(method: str) -> None:
    plan = replace(load("fed_heart"), seeds=20)
    cells = [
        cell for cell in study_cells(plan, [f"cohort.dir={FED_HEART}", "evaluation.every=15"]) if cell.method == method
    ]
    means = []
    for cell in cells:
        run = rehearse(cell.experiment)
        last = run.sites[
            (run.sites["round"] == 15) & (run.sites["metric"] == "accuracy") & (run.sites["split"] == "test")
        ]
        assert len(last) == 4
        means.append(last["value"].mean())
    assert len(means) == 20
    error = np.sqrt(np.var(means, ddof=1) / len(means) + PUBLISHED_SPREAD**2 / PUBLISHED_SEEDS)
    assert abs(np.mean(means) - plan.published[method]) < 2 * error
