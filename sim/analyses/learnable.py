"""What can be learned from a cohort: a pooled baseline for every cancer, with and without the stage.

Ridge regression (logistic; for a time: Cox), five-fold cross-validation, all patients in one place. It is not a method
under study; it says whether there is anything to learn. Where it does no better than chance, a federated run compares
noise with noise.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.analyses.ridge import fit, fit_cox
from sim.arrays import Floats
from sim.cohort.outcomes import Binary, Survival
from sim.cohort.table import Cohort
from sim.federation.standardise import RowOrder, Scaling, features
from sim.metrics.discrimination import auroc
from sim.metrics.survival import harrell_c
from sim.random import key, scatter
from sim.stats.intervals import Z
from sim.text import NOT_KNOWN, number

FOLDS = 5
FEWEST = 40  # patients of the rarer class, below which five folds are too noisy
STAGE = ("stage", "t", "n", "m", "tumor_size_cm")  # the stage and columns that determine it
MOST_ROWS, MOST_COLUMNS = 20_000, 100  # used at most, so that the answer takes seconds for any cohort
SURE = 3.0  # standard errors above chance at which an outcome is learnable; 3, as a dozen outcomes are tested at once

Flags = NDArray[np.bool_]
Row = tuple[str, int, int, str, str, str]  # predictors, patients, events, AUROC, C, whether learnable
Learner = Callable[[Floats, Flags], Floats]  # features [n, D] and the rows [R] they are of -> coefficients [D]


def patients_by_cancer(cohort: Cohort) -> pd.DataFrame:
    """One row per cancer: number of patients, age, sex, stages, and the share of each stage dead at five years."""
    rows = []
    for cancer, mine in by_cancer(cohort):
        table = cohort.table[mine]
        age = f"{table['age_years'].mean():.1f}" if "age_years" in table else NOT_KNOWN
        women = f"{(table['sex'] == 'female').mean():.0%}" if "sex" in table else "all alike"
        rows.append((cancer, len(table), age, women, *stages(table), deaths(table)))
    names = ("cancer", "patients", "mean age", "women", "I / II / III / IV / unknown", "of whom dead at 5 y", "all")
    return pd.DataFrame(rows, columns=list(names))


def stages(table: pd.DataFrame) -> tuple[str, str]:
    """Shares of the stages, and the share in each who died within five years, as text."""
    if "stage" not in table:
        return "all alike", NOT_KNOWN
    groups = [table["stage"] == word for word in table["stage"].cat.categories] + [table["stage"].isna()]
    return " / ".join(f"{group.mean():.0%}" for group in groups), " / ".join(deaths(table[group]) for group in groups)


def deaths(table: pd.DataFrame) -> str:
    """Share of deaths among patients followed for five years or dead by then, as text."""
    if "mortality_5y" not in table or table["mortality_5y"].isna().all():
        return NOT_KNOWN
    return f"{table['mortality_5y'].dropna().mean():.0%}"


def learnable(cohort: Cohort) -> pd.DataFrame:
    """One row per cancer, outcome and set of predictors: cross-validated AUROC, and C of the same score for survival.

    `learnable` is "yes" where the AUROC (for survival without a five-year label: C) lies three standard errors above
    chance.
    """
    rows = []
    for cancer, whole in by_cancer(cohort):
        mine = whole & sampled(cohort)
        for outcome, label in cohort.outcomes.items():
            if isinstance(label, Survival) and outcome == "survival" and "mortality_5y" not in cohort.outcomes:
                rows += [(cancer, outcome, *row) for row in survival_rows(cohort, label, mine)]
            if isinstance(label, Binary):
                rows += [(cancer, outcome, *row) for row in binary_rows(cohort, outcome, mine)]
    names = ("cancer", "outcome", "predictors", "known of", "events", "AUROC, 95 %", "C, survival", "learnable")
    return pd.DataFrame(rows, columns=list(names))


def logistic(event: Flags) -> Learner:
    """Ridge logistic regression of `event` [R], as a function of the features and the training rows."""
    return lambda x, rows: fit(x, event[rows])


def binary_rows(cohort: Cohort, outcome: str, mine: Flags) -> Iterator[Row]:
    """Rows of `learnable` for a yes-or-no outcome of the patients `mine`; none with too few of either answer."""
    known = mine & cohort.known(outcome)
    event = cohort.events(outcome)
    cases = int(event[known].sum())
    if min(cases, int(known.sum()) - cases) < FEWEST:
        return
    for predictors, columns in predictor_sets(cohort.table[known], cohort.predictors[outcome]):
        score = out_of_fold(cohort.table[mine], columns, known[mine], logistic(event[mine]))
        area, error = auroc_with_error(score[known[mine]], event[known])
        verdict = "yes" if area - SURE * error > 0.5 else "no"
        c = concordance(cohort, mine, score) if outcome == "mortality_5y" else NOT_KNOWN
        yield predictors, int(known.sum()), cases, with_error(area, error), c, verdict


def survival_rows(cohort: Cohort, outcome: Survival, mine: Flags) -> Iterator[Row]:
    """Rows of `learnable` for a survival outcome of the patients `mine`; none with fewer than FEWEST events."""
    table = cohort.table[mine]
    time, event = table[outcome.time_days].to_numpy(dtype=np.float64), table[outcome.event].to_numpy(dtype=bool)
    deaths = int(event.sum())
    if deaths < FEWEST:
        return
    for predictors, columns in predictor_sets(table, cohort.predictors["survival"]):
        score = out_of_fold(table, columns, np.ones(len(table), dtype=bool), lambda x, r: fit_cox(x, time[r], event[r]))
        c = harrell_c(score, time, event, np.zeros(len(score), dtype=np.int64), 1)[0]
        error = c_error_at_chance(deaths)
        verdict = "yes" if c - SURE * error > 0.5 else "no"
        yield predictors, len(table), deaths, NOT_KNOWN, with_error(c, error), verdict


def with_error(value: float, error: float) -> str:
    """A value with half the width of its 95 % interval."""
    return f"{number(value)} ± {number(Z * error)}"


def c_error_at_chance(events: int) -> float:
    """Standard error of C under no association, from the patients with the event: half that of Kendall's tau (1938)."""
    return float(np.sqrt(2 * (2 * events + 5) / (9 * events * (events - 1))) / 2)


def sampled(cohort: Cohort) -> Flags:
    """Which rows are used, bool [R]: all, or about MOST_ROWS of more, with all rows of a patient together."""
    word = scatter(key(0, "learnable", "few"), cohort.patients.word)
    return np.asarray(word <= np.uint64(min(MOST_ROWS / len(word), 1.0) * (2**64 - 2**12)))


def by_cancer(cohort: Cohort) -> Iterator[tuple[str, Flags]]:
    """Every cancer and its rows, bool [R]."""
    column = next((name for name in ("cancer_type", "cancer") if name in cohort.table), "")
    if not column:
        yield "all", np.ones(len(cohort.table), dtype=bool)
        return
    kinds = cohort.table[column].astype(str).to_numpy()
    for cancer in np.unique(kinds):
        yield str(cancer), kinds == cancer


def predictor_sets(table: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Names and columns of the predictor sets that are compared, of columns that differ between these patients."""
    differing = [column for column in columns if len(table[column].dropna().unique()) > 1]
    used = differing[:MOST_COLUMNS]
    without = [column for column in used if column not in STAGE]
    if used:
        yield "all known at diagnosis" if used == differing else f"the first {MOST_COLUMNS} columns", used
    if 0 < len(without) < len(used):
        yield "without stage, T, N, M, size", without


def out_of_fold(table: pd.DataFrame, columns: Sequence[str], known: Flags, learned: Learner) -> Floats:
    """Score of every row from a fit on the other folds, without their rows of unknown outcome; float [R]."""
    patient = pd.util.hash_array(table["patient"].to_numpy())
    fold = (scatter(key(0, "learnable"), patient) % np.uint64(FOLDS)).astype(np.int64)
    score = np.zeros(len(table))
    for held_out in range(FOLDS):
        train = (fold != held_out) & known
        order = np.argsort(~train, kind="stable")  # training rows first
        one = RowOrder(order, np.array([len(table)]), np.array([train.sum()]))
        x = np.empty_like(sorted_x := features(table, tuple(columns), one, Scaling.federated)[1], dtype=np.float64)
        x[order] = sorted_x
        score[fold == held_out] = x[fold == held_out] @ learned(x[train], train)
    return score


def auroc_with_error(score: Floats, event: Flags) -> tuple[float, float]:
    """AUROC and its standard error (Hanley and McNeil, Radiology 1982)."""
    area = float(auroc(score, event, np.zeros(len(score), dtype=np.int64), 1)[0])
    cases, controls = event.sum(), (~event).sum()
    both, twice = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (cases - 1) * (both - area**2) + (controls - 1) * (twice - area**2)
    return area, float(np.sqrt(spread / (cases * controls)))


def concordance(cohort: Cohort, mine: Flags, score: Floats) -> str:
    """Harrell's C of a score for survival of the patients `mine`, as text; a dash where no survival is known."""
    outcome = cohort.outcomes.get("survival")
    if not isinstance(outcome, Survival):
        return NOT_KNOWN
    time = cohort.table.loc[mine, outcome.time_days].to_numpy(dtype=np.float64)
    event = cohort.events("survival")[mine]
    return f"{harrell_c(score, time, event, np.zeros(len(score), dtype=np.int64), 1)[0]:.3f}"
