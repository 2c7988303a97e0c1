"""Columns of the calibrated cohort: what its hospitals record of a patient, and what only the simulator knows."""

from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.cohort.calibrated import genes, published
from sim.cohort.calibrated.baseline_hazards import baselines
from sim.cohort.calibrated.blocks import Columns, Stack, blocks
from sim.cohort.calibrated.centres import Centres
from sim.cohort.calibrated.course import Fate, Record, fate, record
from sim.cohort.calibrated.draws import Draws, starts
from sim.cohort.calibrated.patients import People, people
from sim.cohort.calibrated.published import Law
from sim.cohort.calibrated.world import World


def draw(
    world: World, every: Centres, sizes: NDArray[np.int64], seed: int
) -> tuple[Columns, Columns, NDArray[np.float32]]:
    """Observed and true columns, and genes [R, p], of the centres [S] of these sizes, end to end."""
    rows, count = int(sizes.sum()), world.genes.shape[1]
    baseline, begun = baselines(world.law.names, world.hard, count), starts(seed, len(sizes))
    seen, hidden = Stack(rows), Stack(rows)
    expression = np.empty((rows, count), dtype=np.float32)
    for first, centre, row in blocks(sizes):
        u, at = Draws(begun, centre, row), every.only(int(centre[0]), int(centre[-1]))
        here = centre - centre[0]
        x = expression[first : first + len(row)]
        genes.express(x, seed, centre, row)
        who = people(u, here, world, at, partial(genes.action, x, world.genes))
        genes.lose(x, at.panels[here, 1:])
        fated = fate(u, who, here, world, baseline, at)
        patient = centre * 2**32 + row
        seen.put(first, observed(patient, who, fated, record(u, who, here, world, at), world.law))
        hidden.put(first, truth(who, fated))
    return seen.columns, hidden.columns, expression


def observed(patient: NDArray[np.int64], who: People, fated: Fate, noted: Record, law: Law) -> Columns:
    """What the consortium holds; `treated_marker` is treatment times the predictive marker as it was recorded.

    But for `hidden_cause_cancer`, the event of the outcome "survival_cancer": the cause that no registry knows so well.
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


def products(table: pd.DataFrame) -> dict[str, pd.Series]:
    """The derived column: treatment times the predictive marker as recorded, not recorded if the marker is not."""
    second = published.law(tuple(table["cancer"].cat.categories)).second[table["cancer"].cat.codes]
    marker = table["marker_1"].where(~second, table["marker_2"])
    if marker.dtype == bool and table["treated"].dtype == bool:
        return {"treated_marker": table["treated"] & marker}
    return {"treated_marker": table["treated"].astype(np.float64) * marker.astype(np.float64)}


def truth(who: People, fated: Fate) -> Columns:
    """What only the simulator knows; `cate` is what the new treatment adds to the chance of response, here."""
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
        "cause": fated.by_cancer.astype(np.int8),  # of the first death, whether or not follow-up saw it
        "time_cancer_days": fated.cancer_days,
    }
