"""The memory that a run will need, checked before anything is generated."""

import math

from rich import filesize

from sim.checks import Refused
from sim.cohort.calibrated.source import Calibrated
from sim.cohort.generated import DIMENSION, Fcube, Synthetic
from sim.config.experiment import Experiment
from sim.engine.simulation import SCORED
from sim.memory import machine_bytes

# Bytes at the peak, measured: 20 million patients of cohort=calibrated took 6.9 GB, a value of sites.parquet 53 bytes
# (6.4 MB a round of 10,000 sites, two splits and six metrics). Tables of features stand in memory three times.
PATIENT, VALUE, FCUBE_ROW = 345, 53, 300
SYNTHETIC_ROW = 3 * 8 * (DIMENSION + 4)
SYNTHETIC_ROWS = 50 + math.exp(4 + 2**2 / 2)  # of a site, on average: 50 + LogNormal(4, 2)


def refuse_cohort(experiment: Experiment) -> None:
    """Refuse a generated cohort that does not fit into memory; files have their own limits."""
    source = experiment.cohort
    if isinstance(source, Calibrated):
        refuse("cohort.patients", f"{source.patients:,} patients", source.patients, PATIENT)
    elif isinstance(source, Synthetic):
        rows = source.sites * SYNTHETIC_ROWS
        refuse("cohort.sites", f"{source.sites:,} sites x {SYNTHETIC_ROWS:.0f} rows", rows, SYNTHETIC_ROW)
    elif isinstance(source, Fcube):
        refuse("cohort.rows", f"{source.rows:,} rows", source.rows, FCUBE_ROW)


def refuse_records(experiment: Experiment, sites: int) -> None:
    """Refuse records of more evaluated rounds and sites than fit; a reference is evaluated once."""
    scored = experiment.rounds // experiment.evaluation.every + 2 if experiment.algorithm.exchanges else 1
    kinds = 2 if experiment.personal.on and experiment.personal.shares else 1
    metrics = len(experiment.metrics)
    words = f"{scored:,} scored rounds x {sites:,} sites x {len(SCORED)} splits x {metrics * kinds} metrics"
    refuse("evaluation.every", words, scored * sites * len(SCORED) * metrics * kinds, VALUE, "Raise")


def refuse(name: str, words: str, count: float, each: int, remedy: str = "Lower") -> None:
    """Refuse `count` items of `each` bytes if they are more than the machine has."""
    whole = machine_bytes()
    if count * each > whole:
        raise Refused(
            f"{words} x {each} bytes = {filesize.decimal(int(count * each))}: this machine has "
            f"{filesize.decimal(whole)}. {remedy} {name}."
        )
