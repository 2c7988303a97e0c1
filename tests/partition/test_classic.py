"""The partitions of the literature against their definitions: moments of the Dirichlets, counts of classes, shards."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sim.checks import Refused
from sim.cohort.table import Cohort
from sim.partition.base import Partition
from sim.partition.columns import dealt_classes
from sim.partition.label import Dirichlet, InnerDirichlet, Pachinko, Prior
from sim.partition.pathological import Pathological, Shards, owners
from sim.partition.redraw import labelled_patients
from sim.partition.urn import draw_classes
from tests import toy

LOOSE = {"min_rows": 1, "min_events": 0}


def cohort(patients: int = 6000) -> Cohort:
    """Patients with one of six classes, a coarse class above it, and an event that depends on neither."""
    kind = np.random.default_rng(1).choice(6, patients, p=np.arange(1, 7) / 21)
    columns = {"kind": pd.Categorical.from_codes(kind, [f"k{number}" for number in range(6)]), "organ": kind // 2}
    return toy.cohort(patients, named=True, sites={"all": 1.0}, columns=columns, predictors=("age_years", "kind"))


def counts(whole: Cohort, partition: Partition, seed: int = 0, by: str = "kind") -> np.ndarray:
    """Patients of every class at every site; [S, C]."""
    return pd.crosstab(partition.assign(whole, "sick", seed), whole.table[by]).to_numpy()


# ------------------------------------------------------------------------------------------------------- Dirichlet


@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_definition_a_deals_every_class_in_dirichlet_shares(alpha: float) -> None:
    """Share of a class at a site: mean 1 / S, variance (S - 1) / (S^2 (S alpha + 1)); classes do not move together."""
    whole, sites = cohort(), 5
    dealt = []
    for seed in range(150):
        found = counts(whole, Dirichlet(sites=sites, alpha=alpha, by="kind", **LOOSE), seed)
        dealt.append(found / found.sum(0))
    share = np.array(dealt)
    variance = (sites - 1) / sites**2 / (sites * alpha + 1)
    draws = share[:, :, 1:]  # class 0 is small enough for rounding to show
    assert draws.mean() == pytest.approx(1 / sites, rel=1e-6)
    np.testing.assert_allclose(draws.mean((0, 2)), 1 / sites, atol=4 * np.sqrt(variance / 750))
    assert draws.var(axis=0).mean() == pytest.approx(variance, rel=0.1)
    assert abs(np.corrcoef(share[:, 0, 3], share[:, 0, 5])[0, 1]) < 0.3


@pytest.mark.parametrize("alpha", [1.0, 5.0])
def test_definition_b_gives_every_site_a_class_mix_of_its_own(alpha: float) -> None:
    """Hsu: mix ~ Dirichlet(alpha p), so mean p and variance p (1 - p) / (alpha + 1), but for the last turns."""
    whole, sites = cohort(12000), 40
    found = counts(whole, InnerDirichlet(sites=sites, alpha=alpha, by="kind", **LOOSE))
    assert (found.sum(1) == 300).all()
    assert (found.sum(0) == whole.table["kind"].value_counts(sort=False)).all()
    share, p = found / found.sum(1, keepdims=True), found.sum(0) / found.sum()
    expected = (p * (1 - p)).sum() / (alpha + 1)
    assert share.var(0).sum() == pytest.approx(expected, rel=0.25)
    assert share.var(0).sum() < expected * 1.05  # exhaustion can only bring the mixes nearer


def test_definition_b_around_a_uniform_prior_starves_the_common_classes() -> None:
    """Everybody wants all classes alike, so that the rare ones are gone first and the common ones are the leftovers."""
    whole = cohort(12000)
    mixes = {}
    for prior in Prior:
        found = counts(whole, InnerDirichlet(sites=40, alpha=1000.0, prior=prior, by="kind", **LOOSE))
        mixes[prior] = found / found.sum(1, keepdims=True)
    assert mixes[Prior.cohort].std(0).max() < 0.04
    assert mixes[Prior.uniform].std(0).max() < 0.06  # in turns, every site meets the same leftovers


def test_definition_c_has_two_levels() -> None:
    whole = cohort(12000)
    settings = {"sites": 12, "coarse": "organ", "fine": "kind", **LOOSE}

    def spread(alpha: float, beta: float) -> tuple[float, float]:
        """Between sites: variance of the organs' shares, and of a kind's share within its organ."""
        found = np.array([counts(whole, Pachinko(alpha=alpha, beta=beta, **settings), seed) for seed in range(6)])
        organ = found.reshape(6, 12, 3, 2).sum(-1)
        within = found[..., 1::2] / np.maximum(organ, 1)
        return (organ / organ.sum(-1, keepdims=True)).var(1).mean(), within[organ > 50].var()

    apart, even = spread(0.1, 1000.0), spread(1000.0, 0.1)
    assert apart[0] > 20 * even[0]
    assert even[1] > 10 * apart[1]
    assert (counts(whole, Pachinko(**settings)).sum(1) == 1000).all()


def test_the_urn_follows_the_mixes_and_drops_what_is_gone() -> None:
    rng = np.random.default_rng(0)
    top, inner = rng.random((3, 2)) + 0.1, rng.random((3, 5)) + 0.1
    parent, stock = np.array([0, 0, 1, 1, 1]), np.array([30, 2, 9, 1, 18])
    turn, u = rng.integers(0, 3, 60), rng.random((60, 2))
    left, expected = stock.copy(), []
    for site, (first, second) in zip(turn, u, strict=True):
        coarse = top[site] * np.bincount(parent, weights=left > 0, minlength=2).astype(bool)
        group = int(np.searchsorted(np.cumsum(coarse) / coarse.sum(), first, side="right"))
        fine = inner[site] * (parent == group) * (left > 0)
        chosen = int(np.searchsorted(np.cumsum(fine) / fine.sum(), second, side="right"))
        left[chosen] -= 1
        expected.append(chosen)
    np.testing.assert_array_equal(draw_classes(top, inner, parent, turn, u, stock), expected)
    assert stock.sum() == 60


def test_an_urn_that_nobody_wants_is_emptied_all_the_same() -> None:
    nothing = np.zeros((2, 3))
    taken = draw_classes(
        nothing, nothing, np.arange(3), np.array([0, 1, 0, 1]), np.full((4, 2), 0.99), np.array([1, 2, 1])
    )
    assert sorted(taken) == [0, 1, 1, 2]


# ---------------------------------------------------------------------------------------------------- pathological


@pytest.mark.parametrize(("sites", "each"), [(6, 1), (10, 2), (4, 3), (2, 3), (3, 2), (40, 6)])
def test_every_site_owns_so_many_classes_and_they_are_split_evenly(sites: int, each: int) -> None:
    found = counts(cohort(), Pathological(sites=sites, classes=each, by="kind", **LOOSE))
    own = found > 0
    assert (own.sum(1) == each).all()
    assert own.any(0).all()
    for of_class in found.T:
        held = of_class[of_class > 0]
        assert held.max() - held.min() <= 1
    assert all(own[site, site % 6] for site in range(sites))


def test_the_other_classes_are_drawn_at_random() -> None:
    times = np.array([owners(12, 2, 6, word) for word in range(300)])
    assert (times.sum(2) == 2).all()
    second = times.mean(0) - np.eye(6)[np.arange(12) % 6]
    others = second[np.eye(6)[np.arange(12) % 6] == 0]
    assert others.mean() == pytest.approx(1 / 5)
    assert np.abs(others - 1 / 5).max() < 5 * np.sqrt(0.16 / 300)


@pytest.mark.parametrize("shards", [1, 2, 5])
def test_shards_are_equal_runs_of_the_sorted_classes(shards: int) -> None:
    whole = cohort(6000)
    partition = Shards(sites=10, shards=shards, by="kind", **LOOSE)
    found = counts(whole, partition)
    assert (found.sum(1) == 600).all()
    # Every piece is a run in the sorted order, so a class is cut only where pieces end.
    size = 6000 // (10 * shards)
    ends = np.cumsum(found.sum(0))[:-1]
    pieces = 10 * shards
    cells = pieces + len(ends) - (ends % size == 0).sum()
    assert (found > 0).sum() <= cells
    assert (found > 0).sum(1).max() <= shards + len(ends)


def test_the_outcome_is_what_is_dealt_by_default() -> None:
    whole = cohort(600)
    found = counts(whole, Pathological(sites=4, **LOOSE), by="sick")
    assert ((found == 0).sum(1) == 1).all()
    group = labelled_patients(whole, "sick")
    assert dealt_classes(whole, "sick", "", group).names == ("no event", "event")


def test_gaps_are_a_class_of_their_own() -> None:
    whole = cohort(600)
    table = whole.table.copy()
    table.loc[:99, "kind"] = None
    group = labelled_patients(replace(whole, table=table), "sick")
    found = dealt_classes(replace(whole, table=table), "sick", "kind", group)
    assert found.names[-1] == "not recorded"
    assert (found.code == len(found.names) - 1).sum() == 100


@pytest.mark.parametrize(
    ("partition", "words"),
    [
        (Pathological(classes=7, by="kind"), ["partition.classes=7", "[1, 6]", "'kind'"]),
        (Pathological(sites=2, classes=2, by="kind"), ["at most 4 of 6 classes", "Raise partition.classes"]),
        (Shards(sites=70, shards=10, min_rows=1), ["700 pieces of 600 patients"]),
        (Dirichlet(by="kinds"), ["partition.by='kinds'", "Did you mean 'kind'?"]),
        (Dirichlet(by="age_years"), ["'age_years'", "600 different values", "at most 100"]),
        (Shards(by="site"), ["every patient", "'all'", "it cannot divide the patients"]),
        (Pachinko(), ["partition.by='cancer'", "These are the columns of cohort 'toy'"]),
        (Pathological(min_events=1), ["no event or no non-event", "after 1 draw;", "set partition.min_events=0"]),
    ],
)
def test_what_cannot_be_dealt_is_refused(partition: Partition, words: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        partition.assign(cohort(600), "sick", 0)
    for word in words:
        assert word in str(refused.value)


@pytest.mark.parametrize("make", [InnerDirichlet, Pachinko])
def test_concentrations_are_positive(make: type[InnerDirichlet] | type[Pachinko]) -> None:
    with pytest.raises(Refused, match=r"partition\.alpha=0"):
        make(alpha=0)
    with pytest.raises(Refused, match=r"partition\.(classes|shards)=0"):
        Pathological(classes=0)
