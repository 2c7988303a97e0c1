"""Real cohorts that a dependency ships, so that they need no download."""

from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from sim.cohort.outcomes import Survival, Unlearnable
from sim.cohort.table import Cohort, Source
from sim.lazy import pd

PREDICTORS = {  # our name -> that of lifelines
    "age_years": "age",
    "ecog": "ph.ecog",  # 0 (well) to 4, by the physician
    "karnofsky_physician": "ph.karno",  # 0 to 100 (well)
    "karnofsky_patient": "pat.karno",
    "meal_kcal": "meal.cal",  # per day
    "weight_loss_lb": "wt.loss",  # pounds in the last six months, negative = gain
}


@dataclass
class Lung(Source):
    """Advanced lung cancer, North Central Cancer Treatment Group: 227 patients at 18 institutions, 164 deaths.

    Loprinzi et al., J Clin Oncol 12(3), 1994, as lifelines ships it; see datasets/lung/card.md.
    """

    def fingerprint(self, seed: int) -> str:
        """Version of the package that ships the file."""
        return f"lifelines {version('lifelines')}"

    def load(self, seed: int) -> Cohort:
        """The cohort; draws nothing. Gaps are kept: `meal_kcal` is missing for a fifth of the patients."""
        # Imported here because it takes seconds that only this source should cost.
        from lifelines.datasets import load_lung

        raw = load_lung()
        kept = raw[raw["inst"].notna()]
        table = pd.DataFrame(
            {
                "patient": [f"lung-{row:03d}" for row in kept.index],
                "site": [f"inst-{int(code):02d}" for code in kept["inst"]],
                "time_days": kept["time"].to_numpy(dtype=np.float64),
                "event": kept["status"].to_numpy() == 1,  # lifelines: 1 = died, 0 = alive at last contact
                "male": kept["sex"].to_numpy() == 1,  # 1 = male, 2 = female
            }
            | {ours: kept[theirs].to_numpy(dtype=np.float64) for ours, theirs in PREDICTORS.items()}
        )
        return Cohort(
            name="lung",
            table=table,
            outcomes={"survival": Survival("time_days", "event")},
            predictors={"survival": ("age_years", "male", *list(PREDICTORS)[1:])},
            notes={
                "origin": "NCCTG lung cancer, Loprinzi et al., J Clin Oncol 1994, from lifelines.datasets.load_lung",
                "left out": f"{len(raw) - len(kept)} patient without institution",
            },
            unlearnable={
                "mortality_5y": Unlearnable(
                    (), "nobody was followed for five years, the longest 1,022 days. Take task=hazard."
                ),
                "response": Unlearnable((), "the trial's data do not record it. Take task=hazard."),
                "stage": Unlearnable((), "all patients have advanced disease. Take task=hazard."),
                "cancer_type": Unlearnable((), "all patients have lung cancer. Take task=hazard."),
                "survival_cancer": Unlearnable((), "the cause of death is not recorded. Take task=hazard."),
            },
        )
