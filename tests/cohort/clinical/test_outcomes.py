"""What is asked and of whom: classes, death within five years, the cause of death, and what cannot be learned."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import KaplanMeierFitter
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score

from sim.checks import Refused
from sim.cohort.calibrated.source import Calibrated
from sim.cohort.clinical.conform import conform, write
from sim.cohort.clinical.mortality import could_be_followed, dead_by
from sim.cohort.clinical.schema import columns
from sim.cohort.clinical.source import Clinical, Site
from sim.cohort.clinical.unlearnable import determinants, unlearnable, varies
from sim.cohort.outcomes import Binary, Categorical, Survival
from sim.cohort.table import Cohort
from sim.config.compose import experiment
from sim.federation.split import Split
from sim.metrics import METRICS
from sim.metrics.classes import accuracy_classes, auroc_macro, balanced_accuracy, brier_classes
from sim.run.run import prepare, rehearse
from sim.tasks import TASKS
from tests.toy import SMALL, federated

SEGMENTS, CLASSES = 4, 3
WORDS = {
    "response": [],
    "mortality": ["cohort.mature_years=5"],
    "classify": ["task.outcome=response"],
    "stage": ["cohort.cancers=[lung]"],
    "cancer_type": ["cohort.cancers=[lung,colorectal]"],
    "multiclass": ["cohort.cancers=[lung]", "task.outcome=stage"],
    "hazard": ["task.outcome=survival_cancer", "cohort.cancers=[lung]"],
    "cox": ["local.batch=0"],
}


@st.composite
def tables(draw):
    """Probabilities [R, K] with ties, class and segment of up to 40 rows."""
    rows = draw(st.integers(0, 40))

    def column(high):
        return np.array(draw(st.lists(st.integers(0, high), min_size=rows, max_size=rows)), dtype=np.int64)

    weight = np.stack([column(3) + 0.5 for _ in range(CLASSES)], axis=1).reshape(rows, CLASSES)
    return weight / weight.sum(1, keepdims=True), column(CLASSES - 1), column(SEGMENTS - 1)


def one_by_one(segment, function):
    return np.array([function(np.flatnonzero(segment == at)) for at in range(SEGMENTS)])


@settings(max_examples=150)
@given(tables())
def test_metrics_of_classes_are_scikit_learns(table):
    score, label, segment = table

    def macro(rows):
        there = np.unique(label[rows])
        if len(there) < 2:
            return np.nan
        return np.mean([roc_auc_score(label[rows] == k, score[rows, k]) for k in there])

    def when_any(function):
        return lambda rows: function(rows) if len(rows) else np.nan

    one_hot = np.eye(CLASSES)[label]
    checks = {
        auroc_macro: macro,
        brier_classes: when_any(lambda rows: ((score[rows] - one_hot[rows]) ** 2).sum(1).mean()),
        accuracy_classes: when_any(lambda rows: accuracy_score(label[rows], score[rows].argmax(1))),
        balanced_accuracy: when_any(
            lambda rows: np.mean(
                [(score[rows].argmax(1) == k)[label[rows] == k].mean() for k in np.unique(label[rows])]
            )
        ),
    }
    for ours, theirs in checks.items():
        expected = one_by_one(segment, theirs)
        np.testing.assert_allclose(ours(score, label, segment, SEGMENTS), expected, atol=1e-12, err_msg=ours.__name__)


def test_where_all_classes_occur_macro_auroc_and_balanced_accuracy_are_scikit_learns_own() -> None:
    rng = np.random.default_rng(0)
    score = rng.dirichlet(np.ones(5), 4000)
    label, segment = rng.integers(0, 5, 4000), rng.integers(0, SEGMENTS, 4000)
    macro = one_by_one(segment, lambda rows: roc_auc_score(label[rows], score[rows], multi_class="ovr"))
    np.testing.assert_allclose(auroc_macro(score, label, segment, SEGMENTS), macro, atol=1e-12)
    balanced = one_by_one(segment, lambda rows: balanced_accuracy_score(label[rows], score[rows].argmax(1)))
    np.testing.assert_allclose(balanced_accuracy(score, label, segment, SEGMENTS), balanced, atol=1e-12)


def test_a_nan_score_spoils_its_own_segment_only() -> None:
    score = np.full((6, 3), 1 / 3)
    score[4] = np.nan
    label, segment = np.array([0, 1, 2, 0, 1, 2]), np.array([0, 0, 0, 1, 1, 1])
    for function in (auroc_macro, brier_classes, accuracy_classes, balanced_accuracy):
        found = function(score, label, segment, 2)
        assert np.isfinite(found[0])
        assert np.isnan(found[1])


@pytest.mark.parametrize("name", [name for name in TASKS if name in WORDS])
def test_every_task_runs_on_every_tier(name: str) -> None:
    words = [*SMALL, f"task={name}", "rounds=2", *WORDS[name]]
    run = rehearse(experiment(words))
    assert run.info["status"] == "done"
    assert set(run.sites["metric"]) == set(TASKS[name].judged_by)
    assert set(run.sites["metric"]) <= set(METRICS)
    assert run.info["tier"]["is"] == ("stacked" if name == "cox" else "fused")
    for tier in ("stacked", "single"):
        other = rehearse(experiment([*words, f"local.tier={tier}"]))
        np.testing.assert_allclose(other.rounds["loss"], run.rounds["loss"], rtol=1e-4)
    own = rehearse(experiment([*words, "algorithm=local"]))
    assert set(own.sites["metric"]) == set(TASKS[name].judged_by)


@pytest.mark.parametrize("name", ["stage", "cox"])
def test_tasks_of_classes_and_of_times_run_on_ray(name: str, warm_actors: None) -> None:
    words = [*SMALL, f"task={name}", "rounds=2", *WORDS[name]]
    distant = rehearse(experiment([*words, "executor=ray", "executor.workers=2"]))
    run = rehearse(experiment(words))
    pd.testing.assert_frame_equal(distant.sites, run.sites)


@pytest.mark.parametrize("name", ["stage", "cancer_type", "mortality", "cox"])
def test_references_run(name: str) -> None:
    words = [*SMALL, f"task={name}", *WORDS[name], "local.weight_decay=0.01"]
    pooled = rehearse(experiment([*words, "algorithm=pooled"]))
    early = rehearse(experiment([*words, "algorithm=pooled", "net=mlp"]))
    assert set(pooled.sites["metric"]) == set(early.sites["metric"]) == set(TASKS[name].judged_by)
    if name in ("stage", "cancer_type"):
        with pytest.raises(Refused, match="outcomes with a single value"):
            rehearse(experiment([*words, "algorithm=oracle"]))
    else:
        assert len(rehearse(experiment([*words, "algorithm=oracle"])).sites)


def test_the_loss_of_classes_is_the_log_loss() -> None:
    wanted = experiment([*SMALL, "task=stage", "cohort.cancers=[lung]", "rounds=1", "local.lr=0.01"])
    run, made = rehearse(wanted), prepare(wanted)
    federation = made.federation
    assert federation.levels == ("local", "regional", "distant")
    row, site = federation.held("test")
    start = made.task.predict(made.task.init(wanted.seed).float(), torch.from_numpy(federation.x[row])).double().numpy()
    start = start / start.sum(1, keepdims=True)
    scored = run.sites.query("round == 0 and split == 'test' and metric == 'loss'")
    for at, name in enumerate(federation.sites):
        mine = site == at
        expected = log_loss(federation.y["label"][row][mine], start[mine], labels=[0, 1, 2])
        found = scored[scored["site"] == name]["value"]
        assert float(found.iloc[0]) == pytest.approx(expected, rel=1e-5)


def test_splits_are_stratified_by_class() -> None:
    cohort = Calibrated(cancers=["lung"], patients=3000, sites=3).load(0)
    federation = federated(cohort, "stage", cohort.table["site"].to_numpy(dtype=str), Split(), 0)
    row, site = federation.held("train")
    every = pd.crosstab(np.repeat(np.arange(3), np.diff(federation.bounds[:, [0, 3]]).ravel()), federation.y["label"])
    trained = pd.crosstab(site, federation.y["label"][row])
    assert (abs(trained - 0.6 * every) < 1).all(axis=None)


def classed(label: pd.Series) -> Cohort:
    table = pd.DataFrame({"patient": range(4), "site": "a", "x": [1.0, 2.0, 3.0, 4.0], "kind": label})
    return Cohort("toy", table, {"kind": Categorical("kind")}, {"kind": ("x",)})


def test_labels_of_classes_are_checked() -> None:
    cohort = classed(pd.Series(pd.Categorical(["b", None, "c", "b"], categories=["a", "b", "c"])))
    assert cohort.classes("kind").tolist() == [1, 0, 2, 1]
    assert cohort.known("kind").tolist() == [True, False, True, True]
    about = cohort.where_known("kind")
    assert about.notes["not known"] == "kind of 1 of 4 rows, left out"
    assert about.levels("kind") == ("a", "b", "c")
    with pytest.raises(Refused, match=r"'kind' is .*allowed a pandas categorical"):
        classed(pd.Series(["b", "c", "b", "c"]))
    with pytest.raises(Refused, match=r"is 'b' in all 4 rows; allowed at least two classes"):
        classed(pd.Series(pd.Categorical(["b"] * 4, categories=["a", "b"])))


def test_unstaged_cancers_have_no_stage_to_learn() -> None:
    cohort = Calibrated(cancers=["lung", "aml"], patients=4000).load(0)
    lung = (cohort.table["cancer"] == "lung").to_numpy()
    np.testing.assert_array_equal(cohort.known("stage"), lung)
    made = prepare(experiment(["cohort.cancers=[lung,aml]", "cohort.patients=4000", "task=stage", "seed=0"]))
    assert made.cohort.notes["not known"] == f"stage of {(~lung).sum()} of 4000 rows, left out"


def test_death_within_five_years_by_hand() -> None:
    time = pd.Series([5.0, 5.1, 2.0, 2.0, 5.0, 7.0, 1.0])
    died = pd.Series([True, True, True, False, False, False, True])
    could = np.array([True] * 6 + [False])
    assert dead_by(time, died, 5.0, could).to_list() == [True, False, True, pd.NA, False, False, pd.NA]
    day = pd.to_datetime(pd.Series(["2010-01-01", "2015-02-01", "2016-06-01", None]))
    # The last day anyone was seen is 1 January 2020: the second could not be seen for five years.
    seen = could_be_followed(day, pd.Series([10.0, 1.0, 3.0, 2.0]), 5)
    assert seen.tolist() == [True, False, False, False]


def test_mortality_counts_the_dead_as_often_as_they_die() -> None:
    """But for those lost: the living have five years to be lost, the dead fewer."""
    cohort = Calibrated(mature_years=5.0, patients=40_000).load(0)
    known = cohort.known("mortality_5y")
    assert cohort.truth is not None
    chance = cohort.truth["mortality_5y"]
    sure = Calibrated(mature_years=20.0, patients=40_000).load(0).truth
    assert sure is not None
    pd.testing.assert_series_equal(sure["mortality_5y"], chance)  # the truth does not depend on follow-up
    seen = cohort.events("mortality_5y")[known].mean()
    assert 0 < seen - chance.mean() < 0.03
    lost = 1 - known.mean()
    assert 0.1 < lost < 0.35
    table = cohort.table[known]
    assert ((table["time_days"] >= 5 * 365.25) | table["died"]).all()
    with pytest.raises(Refused, match=r"mortality_5y.*select the dead\. Set cohort\.mature_years=5"):
        prepare(experiment(["task=mortality"]))


def test_truth_of_death_is_the_share_that_dies() -> None:
    """Each tenth of patients by their true chance dies at that rate: all are followed for long."""
    cohort = Calibrated(cancers=["colorectal"], mature_years=20.0, patients=60_000, het=0.0).load(3)
    truth, table = cohort.truth, cohort.table
    assert truth is not None
    alive = (truth["time_cancer_days"] > 5 * 365.25).to_numpy()
    risk = truth["survival_cancer"].to_numpy()
    order = np.argsort(risk)
    for part in np.array_split(order, 10):
        expected = np.exp(-np.exp(risk[part])).mean()
        assert abs(alive[part].mean() - expected) < 4 * np.sqrt(0.25 / len(part))
    assert (truth["survival"] > truth["survival_cancer"]).all()
    chance = 1 - np.exp(-np.exp(truth["survival"]))
    np.testing.assert_allclose(truth["mortality_5y"], chance, rtol=1e-9)
    # Of those never lost before five years, by Kaplan-Meier over loss to follow-up:
    for part in np.array_split(np.argsort(chance.to_numpy()), 10):
        fit = KaplanMeierFitter().fit(table["time_days"].iloc[part], table["died"].iloc[part])
        assert abs(1 - float(fit.predict(5 * 365.25)) - chance.iloc[part].mean()) < 4 * np.sqrt(0.25 / len(part))


def test_death_of_the_cancer_is_an_outcome_of_its_own() -> None:
    cohort = Calibrated(cancers=["lung"], patients=4000).load(0)
    assert cohort.truth is not None
    cause = cohort.table["hidden_cause_cancer"]
    assert (cohort.table["died"] | ~cause).all()
    died = cohort.table["died"]
    pd.testing.assert_series_equal(cause[died], cohort.truth["cause"][died] == "cancer", check_names=False)
    assert 0 < cause.sum() < died.sum()
    usual = prepare(experiment([*SMALL, "task=hazard"]))
    assert usual.outcome == "survival"
    named = prepare(experiment([*SMALL, "task=hazard", *WORDS["hazard"]]))
    assert named.federation.y["event"].sum() < prepare(
        experiment([*SMALL, "task=hazard", "cohort.cancers=[lung]"])
    ).federation.y["event"].sum()  # fmt: skip


def test_predictors_can_be_left_out() -> None:
    made = prepare(experiment([*SMALL, "task.without=[stage,race]"]))
    assert not [name for name in made.federation.features if name.startswith(("stage", "race"))]
    with pytest.raises(Refused, match=r"task\.without\[0\]='stag'.*Did you mean 'stage'"):
        prepare(experiment([*SMALL, "task.without=[stag]"]))
    with pytest.raises(Refused, match="no predictor of 'cancer_type' is left"):
        prepare(
            experiment(
                [*SMALL, "task=cancer_type", *WORDS["cancer_type"], "task.without=[age_years,race,insurance,frail]"]
            )
        )


ABSENT = {
    "stage on lung": (["cohort=lung", "task=stage"], "advanced disease"),
    "mortality on lung": (["cohort=lung", "task=mortality"], "followed for five years"),
    "response on lung": (["cohort=lung", "task=response"], "do not record it"),
    "stage of leukaemia": ([*SMALL, "task=stage", "cohort.cancers=[aml]"], "not staged"),
    "one cancer": ([*SMALL, "task=cancer_type"], "all patients have breast. Name several"),
    "a label for classes": ([*SMALL, "task=multiclass", "task.outcome=response"], "several classes"),
    "two labels": ([*SMALL, "task=classify", "cohort.mature_years=5"], "response, mortality_5y. Name one"),
}


@pytest.mark.parametrize("case", ABSENT)
def test_what_a_cohort_cannot_teach_is_refused_with_the_reason(case: str) -> None:
    words, why = ABSENT[case]
    with pytest.raises(Refused, match=why):
        prepare(experiment(words))


def clinical(tmp_path: Path, cancers: tuple[str, ...], source: str = "engine", staged: float = 0.3) -> Clinical:
    """400 patients of each cancer diagnosed 2005 to 2015 and followed to 2020; `staged` = share not in stage I."""
    rng = np.random.default_rng(0)
    rows = 400 * len(cancers)
    later = rng.random(rows) < staged
    stage = np.where(later, rng.integers(2, 5, rows), 1)
    year = rng.integers(2005, 2016, rows)
    dead = rng.exponential(12 / stage)
    followed = 2020.0 - year
    frame = pd.DataFrame(
        {
            "patient_id": [f"p{row}" for row in range(rows)],
            "source": source,
            "cancer_type": np.repeat(cancers, 400),
            "dx_date": [f"{at}-01-01" for at in year],
            "age_at_dx": rng.integers(30, 90, rows).astype(float),
            "sex": rng.choice(["female", "male"], rows),
            "race": "white",
            "ethnicity": "nonhispanic",
            "stage": stage,
            "t": stage,
            "tumor_size_cm": stage + rng.random(rows),
            "psa": rng.random(rows),
            "smoking": rng.choice(["never", "ever"], rows),
            "time_years": np.minimum(dead, followed) + 0.01,
            "event": dead < followed,
        }
    )
    path = tmp_path / "table.parquet"
    write(conform(frame, "made"), path)
    return Clinical(file=str(path), site=Site.one)


def asked(source: Clinical, task: str, *words: str) -> Cohort:
    """The cohort as a task asks for it."""
    made, settings = source.load(0), experiment([f"task={task}", *words]).task
    return settings.ask(made, settings.choose(made))


def test_clinical_stage_and_cancer_are_predicted_by_nothing_that_gives_them_away(tmp_path: Path) -> None:
    made = clinical(tmp_path, ("breast", "lung"), source="calibrated").load(0)
    assert isinstance(made.outcomes["stage"], Categorical)
    assert isinstance(made.outcomes["survival"], Survival)
    assert isinstance(made.outcomes["mortality_5y"], Binary)
    assert made.levels("stage") == ("I", "II", "III", "IV")
    assert made.levels("cancer_type") == ("breast", "lung")
    assert set(made.predictors["cancer_type"]) == {"age_years", "smoking"}
    assert not {"stage", "t"} & set(made.predictors["stage"])
    source = clinical(tmp_path, ("breast", "lung"), source="calibrated")
    assert "tumor_size_cm" not in asked(source, "stage").predictors["stage"]
    assert "tumor_size_cm" in asked(source, "stage", "task.without=[]").predictors["stage"]
    assert not [name for known in made.predictors.values() for name in known if name.startswith("tx_")]
    assert all(columns()[name].role == "baseline" for name in made.predictors["cancer_type"] if name != "age_years")


def test_what_synthea_draws_from_nothing_is_refused(tmp_path: Path) -> None:
    lung = clinical(tmp_path, ("lung",), staged=0.003)
    for task in ("hazard", "cox", "mortality"):
        with pytest.raises(Refused, match=r"cannot be learned on cohort 'clinical': in Synthea's lung.*\.488"):
            asked(lung, task)
    assert len(asked(clinical(tmp_path, ("lung",), staged=0.003, source="fhir"), "hazard").table) == 400
    assert len(asked(clinical(tmp_path, ("lung",), staged=0.3), "hazard").table) == 400
    breast = clinical(tmp_path, ("breast",))
    assert len(asked(breast, "mortality").table) == 400
    with pytest.raises(Refused, match=r"'stage' cannot be learned.*only T, N, M and the size follow"):
        asked(breast, "stage")
    assert len(asked(breast, "stage", "task.without=[]").table) == 400
    with pytest.raises(Refused, match="the year of death is drawn by stage alone"):
        asked(breast, "hazard", "task.without=[stage,t,tumor_size_cm]")
    assert len(asked(clinical(tmp_path, ("breast", "lung"), staged=0.003), "hazard").table) == 800


def test_mortality_leaves_out_those_who_could_not_be_followed(tmp_path: Path) -> None:
    made = clinical(tmp_path, ("breast",)).load(0)
    late = (made.table["dx_year"] >= 2015).to_numpy()
    # Diagnosed on 1 January 2015 or later, of data that end some days after 1 January 2020.
    known = made.known("mortality_5y")
    assert not known[(made.table["dx_year"] > 2015).to_numpy()].any()
    assert known[~late].all()
    whole = pd.read_parquet(tmp_path / "table.parquet").assign(dx_date=None)
    write(conform(whole, "made"), tmp_path / "table.parquet")
    dateless = Clinical(file=str(tmp_path / "table.parquet"), site=Site.one)
    with pytest.raises(Refused, match="diagnosed five years before the data end"):
        asked(dateless, "mortality")


def test_the_table_of_determinants_names_columns_that_exist() -> None:
    known = {"age_years" if name == "age_at_dx" else name for name in columns()}
    for cancer, laws in determinants().items():
        assert cancer in columns()["cancer_type"].allowed
        for outcome, law in laws.items():
            assert set(law) == {"columns", "why", "measured"}, (cancer, outcome)
            assert set(law["columns"]) <= known
    both = unlearnable({"engine"}, ["lung", "prostate"], ["survival"])["survival"]
    assert both.columns == ("cancer_type", "stage", "t", "n", "m", "age_years")
    assert "survival" not in unlearnable({"engine", "fhir"}, ["lung"], ["survival"])
    assert varies(pd.Series([1.0] * 97 + [2.0] * 3))
    assert not varies(pd.Series([1.0] * 99 + [2.0] + [np.nan] * 50))
    assert not varies(pd.Series([np.nan]))


def test_a_cohort_says_why_it_lacks_an_outcome() -> None:
    cohort = Calibrated(cancers=["aml"]).load(0)
    assert "stage" not in cohort.outcomes
    with pytest.raises(Refused, match="not staged"):
        cohort.outcome("stage")
    with pytest.raises(Refused, match=r"task\.outcome='stge': allowed"):
        replace(cohort, unlearnable={}).outcome("stge")
