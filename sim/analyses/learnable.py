"""What a cohort lets one learn: a plain baseline, cancer by cancer, with and without the stage.

Logistic regression (of a time: Cox) with a ridge, five folds, all patients in one place: not a method under study, but
the answer to whether there is anything to learn. A federated run on an outcome that is at chance here compares noise
with noise.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.analyses.ridge import fit, fit_cox
from sim.arrays import Floats
from sim.cohort.outcomes import Binary, Survival
from sim.cohort.table import Cohort
from sim.federation.standardise import Placed, Scaling, features
from sim.metrics.discrimination import auroc
from sim.metrics.survival import harrell_c
from sim.random import key, scatter

FOLDS = 5
FEWEST = 40  # patients of the rarer class, below which five folds tell nothing
STAGE = ("stage", "t", "n", "m", "tumor_size_cm")  # the stage and what gives it away
MOST_ROWS, MOST_COLUMNS = 20_000, 100  # that are read: an answer in seconds, whatever the cohort
GAUSS = 1.96  # standard errors of a 95 % interval
SURE = 3.0  # standard errors above chance to call an outcome learnable: a dozen verdicts are given at once

Flags = NDArray[np.bool_]
Learn = Callable[[Floats, Flags], Floats]  # features [n, D] and the rows [R] they are of -> coefficients [D]


def who(cohort: Cohort) -> pd.DataFrame:
    """Patients of every cancer: how many, how old, which stage, and how many of each stage are dead at five years."""
    rows = []
    for cancer, mine in by_cancer(cohort):
        table = cohort.table[mine]
        age = f"{table['age_years'].mean():.1f}" if "age_years" in table else "–"
        women = f"{(table['sex'] == 'female').mean():.0%}" if "sex" in table else "all alike"
        rows.append((cancer, len(table), age, women, *stages(table), deaths(table)))
    names = ("cancer", "patients", "mean age", "women", "I / II / III / IV / unknown", "of whom dead at 5 y", "all")
    return pd.DataFrame(rows, columns=list(names))


def stages(table: pd.DataFrame) -> tuple[str, str]:
    """Shares of the stages, and the deaths within five years in each."""
    if "stage" not in table:
        return "all alike", "–"
    groups = [table["stage"] == word for word in table["stage"].cat.categories] + [table["stage"].isna()]
    return " / ".join(f"{group.mean():.0%}" for group in groups), " / ".join(deaths(table[group]) for group in groups)


def deaths(table: pd.DataFrame) -> str:
    """Share of those followed for five years, or dead by then, who are dead."""
    if "mortality_5y" not in table or table["mortality_5y"].isna().all():
        return "–"
    return f"{table['mortality_5y'].dropna().mean():.0%}"


def learnable(cohort: Cohort) -> pd.DataFrame:
    """One row a cancer, outcome and set of predictors: AUROC out of fold, and C of the same score against survival.

    `learnable` is yes where the AUROC (of survival without a five-year label: C) lies three standard errors above
    chance.
    """
    rows = []
    for cancer, whole in by_cancer(cohort):
        mine = whole & few(cohort)
        for outcome, label in cohort.outcomes.items():
            if isinstance(label, Survival) and outcome == "survival" and "mortality_5y" not in cohort.outcomes:
                rows += [(cancer, outcome, *row) for row in lived(cohort, label, mine)]
            if not isinstance(label, Binary):
                continue
            known = mine & cohort.known(outcome)
            event = cohort.events(outcome)
            cases = int(event[known].sum())
            if min(cases, int(known.sum()) - cases) < FEWEST:
                continue
            for told, columns in sets(cohort.table[known], cohort.predictors[outcome]):
                score = out_of_fold(cohort.table[mine], columns, known[mine], learn(event[mine]))
                area, error = judged(score[known[mine]], event[known])
                verdict = "yes" if area - SURE * error > 0.5 else "no"
                c = concordance(cohort, mine, score) if outcome == "mortality_5y" else "–"
                rows.append(
                    (cancer, outcome, told, int(known.sum()), cases, f"{area:.3f} ± {GAUSS * error:.3f}", c, verdict)
                )
    names = ("cancer", "outcome", "predictors", "known of", "events", "AUROC, 95 %", "C, survival", "learnable")
    return pd.DataFrame(rows, columns=list(names))


def learn(event: Flags) -> Learn:
    """How a yes-or-no outcome is learned from features and the rows [R] of the training."""
    return lambda x, rows: fit(x, event[rows])


def lived(cohort: Cohort, outcome: Survival, mine: Flags) -> Iterator[tuple[str, int, int, str, str, str]]:
    """Rows of `learnable` without cancer and outcome, for a time: predictors, known of, events, AUROC, C, verdict."""
    table = cohort.table[mine]
    time, event = table[outcome.time_days].to_numpy(dtype=np.float64), table[outcome.event].to_numpy(dtype=bool)
    deaths = int(event.sum())
    if deaths < FEWEST:
        return
    for told, columns in sets(table, cohort.predictors["survival"]):
        score = out_of_fold(table, columns, np.ones(len(table), dtype=bool), lambda x, r: fit_cox(x, time[r], event[r]))
        c = harrell_c(score, time, event, np.zeros(len(score), dtype=np.int64), 1)[0]
        error = chance(deaths)
        verdict = "yes" if c - SURE * error > 0.5 else "no"
        yield told, len(table), deaths, "–", f"{c:.3f} ± {GAUSS * error:.3f}", verdict


def chance(events: int) -> float:
    """Standard error of C without any concordance: that of Kendall's tau (1938), halved, of those who had the event."""
    return float(np.sqrt(2 * (2 * events + 5) / (9 * events * (events - 1))) / 2)


def few(cohort: Cohort) -> Flags:
    """All rows, or about MOST_ROWS of more, patients whole; bool [R]."""
    word = scatter(key(0, "learnable", "few"), cohort.patients.word)
    return np.asarray(word <= np.uint64(min(MOST_ROWS / len(word), 1.0) * (2**64 - 2**12)))


def by_cancer(cohort: Cohort) -> Iterator[tuple[str, Flags]]:
    """Each cancer and its rows, bool [R]."""
    column = next((name for name in ("cancer_type", "cancer") if name in cohort.table), "")
    if not column:
        yield "all", np.ones(len(cohort.table), dtype=bool)
        return
    kinds = cohort.table[column].astype(str).to_numpy()
    for cancer in np.unique(kinds):
        yield str(cancer), kinds == cancer


def sets(table: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Sets of predictors that are compared, of those that differ between these patients."""
    differing = [column for column in columns if len(table[column].dropna().unique()) > 1]
    used = differing[:MOST_COLUMNS]
    without = [column for column in used if column not in STAGE]
    if used:
        yield "all known at diagnosis" if used == differing else f"the first {MOST_COLUMNS} columns", used
    if 0 < len(without) < len(used):
        yield "without stage, T, N, M, size", without


def out_of_fold(table: pd.DataFrame, columns: Sequence[str], known: Flags, learned: Learn) -> Floats:
    """Score of every row from a fit on the other folds, whose rows of unknown outcome are left out; float [R]."""
    patient = pd.util.hash_array(table["patient"].to_numpy())
    fold = (scatter(key(0, "learnable"), patient) % np.uint64(FOLDS)).astype(np.int64)
    score = np.zeros(len(table))
    for number in range(FOLDS):
        train = (fold != number) & known
        order = np.argsort(~train, kind="stable")  # training rows first
        one = Placed(order, np.array([len(table)]), np.array([train.sum()]))
        x = np.empty_like(sorted_x := features(table, tuple(columns), one, Scaling.federated)[1], dtype=np.float64)
        x[order] = sorted_x
        score[fold == number] = x[fold == number] @ learned(x[train], train)
    return score


def judged(score: Floats, event: Flags) -> tuple[float, float]:
    """AUROC and its standard error (Hanley and McNeil, Radiology 1982)."""
    area = float(auroc(score, event, np.zeros(len(score), dtype=np.int64), 1)[0])
    cases, controls = event.sum(), (~event).sum()
    both, twice = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (cases - 1) * (both - area**2) + (controls - 1) * (twice - area**2)
    return area, float(np.sqrt(spread / (cases * controls)))


def concordance(cohort: Cohort, mine: Flags, score: Floats) -> str:
    """Harrell's C of the score of death within five years, over all patients of a cancer."""
    outcome = cohort.outcomes.get("survival")
    if not isinstance(outcome, Survival):
        return "–"
    time = cohort.table.loc[mine, outcome.time_days].to_numpy(dtype=np.float64)
    event = cohort.events("survival")[mine]
    return f"{harrell_c(score, time, event, np.zeros(len(score), dtype=np.int64), 1)[0]:.3f}"
