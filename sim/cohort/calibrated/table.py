"""Columns of the calibrated cohort: what hospitals record of a patient, and what only the simulator knows."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from sim.cohort.calibrated import genes, published
from sim.cohort.calibrated.baseline_hazards import baselines
from sim.cohort.calibrated.blocks import Arrays, ColumnBuffers, blocks
from sim.cohort.calibrated.centres import Centres
from sim.cohort.calibrated.course import DiseaseCourse, Measurements, disease_course, measure
from sim.cohort.calibrated.draws import Draws, sequence_starts
from sim.cohort.calibrated.patients import TruePatients, draw_patients
from sim.cohort.calibrated.published import Law
from sim.cohort.calibrated.world import World
from sim.lazy import pd


def draw_table(
    world: World, every: Centres, sizes: NDArray[np.int64], seed: int
) -> tuple[Arrays, Arrays, NDArray[np.float32]]:
    """Observed columns, true columns and genes [R, p] of centres of these sizes [S], one centre after another."""
    rows, count = int(sizes.sum()), world.genes.shape[1]
    baseline, begun = baselines(world.law.names, world.hard, count), sequence_starts(seed, len(sizes))
    seen, hidden = ColumnBuffers(rows), ColumnBuffers(rows)
    expression = np.empty((rows, count), dtype=np.float32)
    for first, centre, row in blocks(sizes):
        u, at = Draws(begun, centre, row), every.slice(int(centre[0]), int(centre[-1]))
        here = centre - centre[0]
        x = expression[first : first + len(row)]
        genes.fill_expression(x, seed, centre, row)
        who = draw_patients(u, here, world, at, partial(genes.genetic_log_hazard, x, world.genes))
        genes.mask_missing_panels(x, at.panels[here, 1:])
        fated = disease_course(u, who, here, world, baseline, at)
        patient = centre * 2**32 + row
        seen.put(first, observed(patient, who, fated, measure(u, who, here, world, at), world.law))
        hidden.put(first, truth(who, fated))
    return seen.columns, hidden.columns, expression


def observed(
    patient: NDArray[np.int64], who: TruePatients, fated: DiseaseCourse, noted: Measurements, law: Law
) -> Arrays:
    """Columns that the consortium holds; `treated_marker` is treatment times the predictive marker as recorded.

    One column goes beyond that: `hidden_cause_cancer`, the event of the outcome "survival_cancer", is the true cause
    of death, which registries know less well.
    """
    marker = np.where(law.second[who.cancer], noted.marker_2, noted.marker_1)
    return {
        "patient": patient,
        "cancer": who.cancer,
        "diagnosis_year": fated.diagnosis_year,
        "age_years": who.age_years,
        "male": who.male,
        "race": who.race,
        "insurance": who.insurance,
        "stage": noted.stage,
        "frail": who.frail,
        "marker_1": noted.marker_1,
        "marker_2": noted.marker_2,
        "score_z": noted.score_z,
        "treated": who.treated,
        "treated_marker": np.where(who.treated, marker, np.zeros((), dtype=marker.dtype)),
        "response": fated.response,
        "time_days": fated.time_days,
        "died": fated.died,
        "hidden_cause_cancer": fated.died & fated.by_cancer,
    }


def derived_columns(table: pd.DataFrame) -> dict[str, pd.Series]:
    """The derived column `treated_marker`: treatment times the predictive marker; NaN where the marker is missing."""
    second = published.law(tuple(table["cancer"].cat.categories)).second[table["cancer"].cat.codes]
    marker = table["marker_1"].where(~second, table["marker_2"])
    if marker.dtype == bool and table["treated"].dtype == bool:
        return {"treated_marker": table["treated"] & marker}
    return {"treated_marker": table["treated"].astype(np.float64) * marker.astype(np.float64)}


def truth(who: TruePatients, fated: DiseaseCourse) -> Arrays:
    """True columns; `cate` is the gain in the probability of response from the new treatment at this centre."""
    return {
        "response": who.response,
        "survival": np.logaddexp(fated.log_risk, np.log(fated.other_risk)),
        "survival_cancer": fated.log_risk,
        "mortality_5y": -np.expm1(-np.exp(fated.log_risk) - fated.other_risk),
        "stage": who.stage,
        "marker_1": who.marker_1,
        "marker_2": who.marker_2,
        "score_z": who.score_z,
        "cate": who.response_treated - who.response_control,
        "cause": fated.by_cancer.astype(np.int8),  # of death, whether or not it was observed
        "time_cancer_days": fated.cancer_days,
    }
