"""Outcomes of several classes: partitions deal by the classes, and floors ask for two of them, whichever they are."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sim.arrays import Ints, Names
from sim.checks import Refused
from sim.cohort.outcomes import Categorical
from sim.cohort.table import Cohort
from sim.config.compose import experiment
from sim.partition.affinity import Affinity
from sim.partition.affinity_settings import Kappa
from sim.partition.assign import assign_sites
from sim.partition.base import Partition
from sim.partition.case_mix import column_skews
from sim.partition.describe import describe, skew
from sim.partition.external import remoteness
from sim.partition.iid import Iid
from sim.partition.label import Dirichlet, InnerDirichlet
from sim.partition.minimums import Floors
from sim.partition.natural import Natural
from sim.partition.pathological import Pathological, Shards
from sim.run.run import prepare, rehearse
from tests import toy

TASKS = {"stage": [], "cancer_type": ["cohort.cancers=[breast, lung, ovary]"]}


def dealt(task: str, *words: str) -> pd.DataFrame:
    """Patients of every class at every site of a settled partition; [S, K]."""
    wanted = experiment([f"task={task}", "cohort.patients=1500", "seed=1", *TASKS[task], *words])
    made = prepare(wanted)
    return pd.crosstab(made.sites, made.cohort.classes(made.outcome))


@pytest.mark.parametrize("task", TASKS)
def test_the_classes_are_what_is_dealt(task: str) -> None:
    """The share of sites' mixes that differs is that of the classes, not of the first against the others."""
    flat = dealt(task, "partition=dirichlet", "partition.alpha=1e9").to_numpy()
    kinds = flat.shape[1]
    assert kinds >= 3
    assert (flat.max(0) - flat.min(0)).max() <= 2  # every class in equal pieces: not so if classes were lumped
    inner = dealt(task, "partition=inner_dirichlet", "partition.alpha=1e9").to_numpy()
    share = inner / inner.sum(1, keepdims=True)
    assert share.std(0).max() < 0.05
    skewed = dealt(task, "partition=dirichlet", "partition.alpha=0.3", "partition.sites=3").to_numpy()
    share = skewed[:, 1:] / skewed[:, 1:].sum(1, keepdims=True)
    assert share.std(0).max() > 0.1  # classes other than the first differ between sites, too


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("each", [1, 2])
def test_a_pathological_site_holds_so_many_classes(task: str, each: int) -> None:
    held = dealt(task, "partition=pathological", f"partition.classes={each}", "partition.sites=6").to_numpy() > 0
    assert (held.sum(1) == each).all()
    assert held.any(0).all()


@pytest.mark.parametrize("task", TASKS)
def test_a_site_of_one_class_is_told_when_two_are_asked_for(task: str) -> None:
    words = ["partition=pathological", "partition.sites=6", "partition.min_events=3"]
    with pytest.raises(Refused, match=r"6 of 6 sites with fewer than 3 rows of a second class .* after 1 draw; raise"):
        dealt(task, *words)
    assert len(dealt(task, *words, "partition.classes=2")) == 6


def test_a_site_of_one_class_trains() -> None:
    words = ["task=stage", "cohort.patients=600", "partition=pathological", "partition.sites=5", "rounds=2"]
    run = rehearse(experiment(words))
    assert run.info["status"] == "done"
    assert np.isfinite(run.sites.loc[run.sites["metric"] == "loss", "value"]).all()


# ------------------------------------------------------------------------------------------------ floors and measures

KINDS = ("a", "b", "c")


def cohort(kind: Ints, site: Names | None = None, names: tuple[str, ...] = KINDS) -> Cohort:
    columns: dict[str, object] = {"kind": pd.Categorical.from_codes(kind, names)}
    columns |= {} if site is None else {"site": site}
    outcomes = {"kind": Categorical("kind")}
    return toy.cohort(len(kind), columns=columns, predictors=("age_years",), outcomes=outcomes)


def test_a_floor_is_of_the_second_commonest_class() -> None:
    kind = np.repeat([0, 1, 2, 1, 2, 2], [5, 4, 1, 7, 2, 3])
    site = np.repeat([0, 0, 0, 1, 1, 2], [5, 4, 1, 7, 2, 3])
    lack = Floors(1, 3, KINDS).lack(np.array(["x", "y", "z"]), site, kind)
    assert lack.rows.tolist() == [10, 9, 3]
    assert lack.events.tolist() == [4, 2, 0]
    assert lack.in_words() == "2 of 3 sites with fewer than 3 rows of a second class (y, z)"
    assert lack.remedies() == ["partition.min_events=0"]
    assert Floors(1, 1, KINDS).lack(lack.names, site, kind).in_words() == "1 of 3 sites with one class alone (z)"


def test_what_the_data_name_is_held_to_the_same_floor() -> None:
    whole = cohort(np.array([0, 1, 0, 0, 1, 2]), np.array(["x", "x", "y", "y", "z", "z"]))
    assert set(Natural().assign(whole, "kind", 0)) == {"x", "y", "z"}
    with pytest.raises(Refused, match=r"1 of 3 sites with one class alone \(y\); set partition\.min_events=0"):
        Natural(min_events=1).assign(whole, "kind", 0)


def test_more_second_classes_than_there_are_rows_is_refused_at_once() -> None:
    whole = cohort(np.r_[np.zeros(90, int), 1, 1, 1, 2, 2])
    with pytest.raises(Refused, match="at least 2 per site makes 6 rows outside the commonest class, .* has 5"):
        Iid(sites=3, min_events=2).assign(whole, "kind", 0)


def test_a_class_that_nobody_has_is_not_dealt() -> None:
    whole = cohort(np.arange(300) % 2 * 2, names=("a", "never", "c"))
    held = pd.crosstab(Pathological(sites=4).assign(whole, "kind", 0), whole.table["kind"])
    assert held.to_numpy().sum(1).tolist() == [75, 75, 75, 75]
    assert set(Shards(sites=2, shards=1).assign(whole, "kind", 0)) == {"site-01", "site-02"}


@pytest.mark.parametrize(
    "partition", [Dirichlet(alpha=1.0), InnerDirichlet(), Shards(), Affinity(kappa=Kappa(outcome=1))]
)
def test_no_order_of_the_classes_is_special(partition: Partition) -> None:
    """Were the first class set against all others, renaming it would change who is told apart from whom."""
    rng = np.random.default_rng(0)
    kind = rng.choice(3, 3000, p=[0.5, 0.3, 0.2])
    whole = cohort(kind)
    frame = describe(whole, "kind", partition.assign(whole, "kind", 3))
    held = pd.crosstab(partition.assign(whole, "kind", 3), kind).to_numpy()
    share = held[:, 1:] / np.maximum(held[:, 1:].sum(1, keepdims=True), 1)
    assert np.ptp(share[:, 0]) > 0.1
    assert skew(frame).total_variation > 0.05


def test_measures_are_of_the_classes() -> None:
    """Two sites with the same share of the first class and none of the others in common."""
    kind = np.tile([0, 1, 0, 2], 50)
    site = np.tile(["x", "x", "y", "y"], 50)
    whole = cohort(kind, site)
    frame = describe(whole, "kind", site)
    assert frame["classes"].tolist() == [2, 2]
    # (1/2, 1/2, 0) and (1/2, 0, 1/2) against (1/2, 1/4, 1/4).
    np.testing.assert_allclose(frame["total_variation"], 1 / 4)
    mixed = column_skews(whole, "kind", site).set_index("column")
    assert mixed.loc["kind: classes", "total_variation"] == pytest.approx(1 / 4)
    assert mixed.loc["kind: classes", "levels"] == 3
    far = remoteness(whole, "kind", (site == "y").astype(int), 2)
    lumped = replace(whole, table=whole.table.assign(kind=pd.Categorical.from_codes(np.minimum(kind, 1), KINDS)))
    assert far.min() > 10 * np.abs(remoteness(lumped, "kind", (site == "y").astype(int), 2)).max()


def test_external_and_overlapping_sites_hold_classes() -> None:
    wanted = experiment(
        [
            "task=stage",
            "cohort.patients=900",
            "partition=dirichlet",
            "partition.overlap=0.1",
            "partition.external.count=1",
        ]
    )
    cohort = wanted.task.ask(wanted.cohort.load(0), "stage")
    settled = assign_sites(wanted.partition, cohort, "stage", 0)
    assert len(settled.external) == 1
    assert len(settled.cohort.table) > len(cohort.table)
