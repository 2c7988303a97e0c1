"""Cohorts: who the patients are. COHORTS maps the name in a config to its source."""

from sim.cohort.calibrated.source import Calibrated
from sim.cohort.clinical.source import Clinical
from sim.cohort.generated import Fcube, Synthetic
from sim.cohort.real import Lung
from sim.cohort.table import Source
from sim.cohort.tabular.source import Tabular

COHORTS: dict[str, type[Source]] = {
    "calibrated": Calibrated,
    "clinical": Clinical,
    "lung": Lung,
    "tabular": Tabular,
    "synthetic": Synthetic,
    "fcube": Fcube,
}
