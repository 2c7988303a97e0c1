"""The Synthea cohort that ships: whole, made by the law its card tells, and good for a run without the extra."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sim.analyses.learnable import learnable
from sim.assets import root
from sim.cohort.clinical.conform import read
from sim.config.compose import experiment
from sim.run.run import rehearse

HOME = root() / "datasets" / "synthea"
EVERYTHING, WITHOUT = "all known at diagnosis", "without stage, T, N, M, size"


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return read(HOME / "cohort.parquet")


def test_every_city_has_as_many_of_every_cancer(table: pd.DataFrame) -> None:
    counts = table.groupby(["city", "cancer_type"], observed=True).size()
    assert len(table) >= 4000
    assert len(counts.index.unique("city")) >= 4
    assert set(counts.index.unique("cancer_type")) == {"breast", "prostate", "lung", "colorectal"}
    assert len(set(counts)) == 1
    assert (table["age_at_dx"] >= 18).all()
    assert set(table["source"].astype(str)) == {"engine"}
    assert not table["patient_id"].duplicated().any()
    assert table.groupby("facility_id")["city"].nunique().max() == 1


def test_the_card_tells_how_many_and_how(table: pd.DataFrame) -> None:
    card, beside = ((HOME / name).read_text() for name in ("card.md", "cohort.card.md"))
    assert f"holds {len(table):,} adults" in card
    command = next(line for line in beside.splitlines() if line.startswith("fedtrial cohort make synthea"))
    assert command in card
    assert f"patients={len(table)} " in command


@pytest.mark.parametrize(
    ("cancer", "column", "chances"),
    [
        ("breast", "response", {1: 0.99, 2: 0.93, 3: 0.72, 4: 0.22}),  # success of treatment
        ("colorectal", "death_cause_cancer", {1: 0.08, 2: 0.25, 3: 0.35, 4: 0.89}),  # death of it, in two to five years
    ],
)
def test_outcomes_follow_the_states_of_the_modules(
    table: pd.DataFrame, cancer: str, column: str, chances: dict[int, float]
) -> None:
    mine = table[table["cancer_type"] == cancer]
    if column == "death_cause_cancer":
        mine = mine[mine["dx_date"] <= pd.Timestamp("2018-12-31")]
        # Who died of something else in these years did not live to die of it.
        mine = mine[~(mine["event"] & (mine["time_years"] <= 5) & ~mine["death_cause_cancer"].fillna(False))]
    for stage, chance in chances.items():
        values = mine.loc[mine["stage"] == stage, column].fillna(False).to_numpy(dtype=bool)
        assert values.mean() == pytest.approx(chance, abs=4 * np.sqrt(chance * (1 - chance) / len(values))), stage


def test_prostate_is_repaired_and_lung_is_as_it_is(table: pd.DataFrame) -> None:
    early = table[table["dx_date"] <= pd.Timestamp("2018-12-31")]
    of_it = early["death_cause_cancer"].fillna(False) & (early["time_years"] <= 5)
    prostate = of_it[early["cancer_type"] == "prostate"]
    assert 0.02 < prostate.mean() < 0.065  # published 3 to 5 %; under the package's own weights more than half
    lung = table[table["cancer_type"] == "lung"]
    assert lung["stage"].dropna().eq(1).all()
    of_lung = lung.loc[lung["death_cause_cancer"].fillna(False), "time_years"]
    assert of_lung.between(2, 6.2).all()  # two to six years from staging, which is days after the diagnosis


@pytest.mark.parametrize(
    ("cancer", "outcome", "predictors", "verdict"),
    [
        ("breast", "mortality_5y", EVERYTHING, "yes"),
        ("breast", "mortality_5y", WITHOUT, "no"),
        ("breast", "response", EVERYTHING, "yes"),
        ("breast", "response", WITHOUT, "no"),
        ("breast", "stage_late", WITHOUT, "no"),
        ("colorectal", "mortality_5y", EVERYTHING, "yes"),
        ("colorectal", "mortality_5y", WITHOUT, "yes"),
        ("colorectal", "stage_late", EVERYTHING, "yes"),
        ("lung", "mortality_5y", EVERYTHING, "no"),
        ("prostate", "mortality_5y", EVERYTHING, "yes"),
    ],
)
def test_what_can_be_learned_is_what_the_card_says(
    judged: pd.DataFrame, cancer: str, outcome: str, predictors: str, verdict: str
) -> None:
    row = judged.loc[(cancer, outcome, predictors)]
    assert row["learnable"] == verdict
    line = f"| {cancer} | `{outcome}` | {predictors} | "
    told = next(text for text in (HOME / "card.md").read_text().splitlines() if text.startswith(line))
    cells = (row["known of"], row["events"], row["AUROC, 95 %"], row["C, survival"], verdict)
    assert told == f"{line}{' | '.join(map(str, cells))} |"


@pytest.fixture(scope="module")
def judged() -> pd.DataFrame:
    cohort = experiment(["cohort=synthea"]).cohort.load(0)
    return learnable(cohort).set_index(["cancer", "outcome", "predictors"])


@pytest.mark.parametrize("site", ["city", "facility"])
def test_a_run_needs_no_extra(site: str) -> None:
    words = [f"cohort.site={site}", "cohort.cancers=[breast]", "partition=natural", "rounds=2"]
    run = rehearse(experiment(["cohort=synthea", *words, "task=classify", "task.outcome=mortality_5y"]))
    assert run.info["status"] == "done"
    assert run.rounds["loss"].iloc[-1] < run.rounds["loss"].iloc[0]


def test_describe_prints_card_patients_and_verdicts() -> None:
    words = [sys.executable, "-m", "sim", "cohort", "describe", "synthea"]
    done = subprocess.run(words, cwd=root(), capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    for part in ("No row is a person", "Who the patients are", "What can be learned", "0.762 ± 0.047", "Boston"):
        assert part in done.stdout
