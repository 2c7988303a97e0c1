"""Partitions: everyone is dealt once, order does not matter, alpha is the dial it says it is, and refusals help."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import settings as within
from hypothesis import strategies as st
from matplotlib.figure import Figure
from scipy.spatial.distance import jensenshannon

from sim.checks import Refused
from sim.cohort.table import Cohort
from sim.partition import PARTITIONS
from sim.partition.affinity import Affinity
from sim.partition.affinity_settings import Kappa
from sim.partition.assign import assign_sites
from sim.partition.base import Partition
from sim.partition.describe import describe, effective_sites, skew
from sim.partition.iid import Iid
from sim.partition.label import Dirichlet, InnerDirichlet, Pachinko
from sim.partition.natural import Natural
from sim.partition.pathological import Pathological, Shards
from sim.partition.quantity import Quantity
from sim.report.partition_figure import partition_figure
from tests import toy

Make = Callable[..., Partition]
DRAWN = {
    "iid": Iid,
    "affinity": Affinity,
    "dirichlet": Dirichlet,
    "inner_dirichlet": InnerDirichlet,
    "pachinko": partial(Pachinko, coarse="", fine="region"),
    "pathological": Pathological,
    "shards": Shards,
    "quantity": Quantity,
}
OUTCOMES = ("sick", "survival")


def cohort(patients: int = 400, visits: int = 1, seed: int = 0) -> Cohort:
    """Patients with one to `visits` rows each, in two regions."""
    whole = toy.cohort(patients, visits=visits, seed=seed, named=True, predictors=("age_years",))
    region = whole.table["patient"].str.removeprefix("p").astype(int) % 2
    return replace(whole, table=whole.table.assign(region=region))


def test_the_table_of_partitions_names_every_one() -> None:
    assert {"natural": Natural, **DRAWN, "pachinko": Pachinko} == PARTITIONS


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("name", PARTITIONS)
@within(max_examples=15)
@given(st.integers(30, 300), st.integers(1, 4), st.integers(0, 2**31))
def test_every_row_is_dealt_once_patients_are_whole_and_order_is_nothing(
    name: str, outcome: str, patients: int, visits: int, seed: int
) -> None:
    whole = cohort(patients, visits, seed)
    partition = {"natural": Natural, **DRAWN}[name](min_rows=1, min_events=0)
    if isinstance(partition, Affinity):
        columns = replace(partition.columns, demographic=["age_years"], stage="region", time="age_years")
        partition = replace(
            partition, kappa=Kappa(geography=1, demographic=1, stage=1, time=2, outcome=1), columns=columns
        )
    if isinstance(partition, Dirichlet | Quantity):
        partition.alpha = 2.0  # so that a small cohort can be dealt
    before = whole.table.copy()
    try:
        sites = assign_sites(partition, whole, outcome, seed).sites
    except Refused as refused:  # rightly, where a class has fewer patients than owners
        assume(name != "pathological" or "fewer than 1 row" not in str(refused))
        raise
    assert sites.shape == (len(whole.table),)
    assert sites.dtype.kind == "U"
    if not isinstance(partition, Natural):
        assert set(sites) == {f"site-0{number}" for number in (1, 2, 3, 4)}
    pairs = pd.DataFrame({"patient": whole.table["patient"].to_numpy(), "site": sites}).drop_duplicates()
    assert pairs["patient"].is_unique
    shuffled = np.random.default_rng(seed).permutation(len(sites))
    other = replace(whole, table=whole.table.iloc[shuffled])
    assert (partition.assign(other, outcome, seed) == sites[shuffled]).all()
    pd.testing.assert_frame_equal(whole.table, before)


@pytest.mark.parametrize("make", DRAWN.values())
def test_seeds_draw_otherwise_and_the_same_seed_the_same(make: Make) -> None:
    whole = cohort()
    partition = make(min_events=0)
    assert (partition.assign(whole, "sick", 1) == partition.assign(whole, "sick", 1)).all()
    assert (partition.assign(whole, "sick", 1) != partition.assign(whole, "sick", 2)).any()


@pytest.mark.parametrize("sites", [1, 3, 7, 10, 40])
def test_iid_sites_differ_by_one_patient_at_most(sites: int) -> None:
    whole = cohort(401, visits=3)
    dealt = Iid(sites=sites, min_events=0, min_rows=1).assign(whole, "sick", 0)
    people = pd.Series(whole.table["patient"].to_numpy()).groupby(dealt).nunique()
    assert len(people) == sites
    assert people.max() - people.min() <= 1


def mean_skew(make: Make, alpha: float, measure: str) -> float:
    whole = cohort(4000)
    partition = make(alpha=alpha, sites=8, min_rows=1, min_events=0)
    frames = [describe(whole, "sick", partition.assign(whole, "sick", seed)) for seed in range(12)]
    return float(np.mean([getattr(skew(frame), measure) for frame in frames]))


def test_a_larger_alpha_is_less_label_skew() -> None:
    for measure in ("total_variation", "jensen_shannon"):
        ladder = [mean_skew(Dirichlet, alpha, measure) for alpha in (0.3, 1, 10, 1000)]
        assert all(high > 1.5 * low for high, low in zip(ladder, ladder[1:], strict=False))


def test_a_larger_alpha_is_more_equal_sizes_and_leaves_labels_alone() -> None:
    ladder = [mean_skew(Quantity, alpha, "effective_sites") for alpha in (0.3, 1, 10, 1000)]
    assert all(low < high for low, high in zip(ladder, ladder[1:], strict=False))
    # E[sum q^2] = (alpha + 1) / (S alpha + 1) for a symmetric Dirichlet: 11 / 81 at alpha = 10, S = 8.
    assert ladder[2] == pytest.approx(81 / 11, rel=0.05)
    assert mean_skew(Quantity, 1, "jensen_shannon") < 0.1 * mean_skew(Dirichlet, 1, "jensen_shannon")


def test_in_the_limit_dirichlet_is_stratified_and_quantity_is_even() -> None:
    whole = cohort(400)
    frame = describe(whole, "sick", Dirichlet(alpha=1e9).assign(whole, "sick", 0))
    # Both ends of a site's piece are rounded, in each of the two classes.
    assert frame["events"].max() - frame["events"].min() <= 2
    assert frame["rows"].max() - frame["rows"].min() <= 4
    sizes = describe(whole, "sick", Quantity(alpha=1e9).assign(whole, "sick", 0))["rows"]
    assert sizes.max() - sizes.min() <= 2


def test_survival_is_dealt_by_the_event() -> None:
    whole = cohort(2000)
    sites = Dirichlet(alpha=0.3, min_rows=1, min_events=0).assign(whole, "survival", 0)
    assert skew(describe(whole, "survival", sites)).total_variation > 0.1
    assert skew(describe(whole, "sick", sites)).total_variation < 0.1


def test_natural_sites_are_those_of_the_column_however_small() -> None:
    whole = cohort(4)
    assert (Natural().assign(whole, "survival", 0) == whole.table["site"].to_numpy()).all()
    assert set(Natural(column="region").assign(whole, "survival", 0)) == {"0", "1"}


# -------------------------------------------------------------------------------------------------------- refusals


def refusal(partition: Partition, whole: Cohort, outcome: str = "sick") -> str:
    with pytest.raises(Refused) as refused:
        partition.assign(whole, outcome, 0)
    return str(refused.value)


def test_dirichlet_that_cannot_fill_its_sites_says_which_and_what_to_do() -> None:
    text = refusal(Dirichlet(alpha=0.01, sites=12), cohort(), "survival")
    assert text.startswith("Dirichlet(alpha=0.01) left at best ")
    assert " of 12 sites with fewer than 10 rows (site-" in text
    assert "after 100 draws; " in text
    # A site without a row is never allowed, so that no floor would help.
    assert text.endswith("raise partition.alpha or lower partition.sites.")


@pytest.mark.parametrize(("rows", "events"), [(10, 0), (1, 2), (9, 2)])
def test_the_floor_that_a_refusal_offers_is_one_that_works(rows: int, events: int) -> None:
    whole = cohort(60)
    partition = Dirichlet(alpha=1.5, sites=6, min_rows=rows, min_events=events)
    text = refusal(partition, whole)
    offered = dict(word.rstrip(".").split("=") for word in text.split("set ")[1].split())
    assert set(offered) <= {"partition.min_rows", "partition.min_events"}
    partition.min_rows = int(offered.get("partition.min_rows", partition.min_rows))
    partition.min_events = int(offered.get("partition.min_events", partition.min_events))
    assert len(set(partition.assign(whole, "sick", 0))) == 6


def test_a_yes_or_no_outcome_needs_both_classes_at_a_site() -> None:
    whole = cohort(300)
    sick = np.arange(300) < 288
    whole = replace(whole, table=whole.table.assign(sick=sick, died=sick))
    # 12 non-events, one for each of 12 sites: a draw in 12^12 / 12! = 18 600.
    assert "no event or no non-event" in refusal(Iid(sites=12), whole, "sick")
    assert len(set(Iid(sites=12).assign(whole, "survival", 0))) == 12


@pytest.mark.parametrize(
    ("partition", "words"),
    [
        (Iid(sites=401, min_rows=1, min_events=0), ["partition.sites=401", "401 patients", "has 400"]),
        (Iid(sites=41), ["partition.sites=41", "410 rows", "has 400", "partition.min_rows"]),
        (Iid(sites=4, min_events=99), ["partition.sites=4", "396 rows of the rarer class", "partition.min_events"]),
        (Natural(min_rows=134), ["'site'", "2 of 3 sites with fewer than 134 rows", "set partition.min_rows=133."]),
        (Natural(min_events=90), ["'site'", "fewer than 90 events or non-events", "set partition.min_events="]),
        (Natural(column="sit"), ["partition.column='sit'", "Did you mean 'site'?"]),
    ],
)
def test_what_cannot_be_is_refused_at_once(partition: Partition, words: list[str]) -> None:
    text = refusal(partition, cohort())
    for word in words:
        assert word in text


def test_natural_refuses_gaps_and_patients_at_several_values() -> None:
    whole = cohort(50, visits=3)
    table = whole.table.assign(ward="a")
    table.loc[7, "ward"] = None
    assert "row 7" in refusal(Natural(column="ward"), replace(whole, table=table))
    table["ward"] = np.arange(len(table)) % 2
    assert "Choose a column that is the same in all rows" in refusal(
        Natural(column="ward"), replace(whole, table=table)
    )


@pytest.mark.parametrize("alpha", [0.0, -1.0, np.nan, np.inf])
@pytest.mark.parametrize("make", [Dirichlet, Quantity])
def test_alpha_is_positive_and_finite(make: Make, alpha: float) -> None:
    with pytest.raises(Refused, match=r"partition\.alpha=.*allowed > 0"):
        make(alpha=alpha)


@pytest.mark.parametrize("make", DRAWN.values())
@pytest.mark.parametrize("wrong", [{"sites": 0}, {"min_rows": 0}, {"min_events": -1}])
def test_counts_have_their_ranges(make: Make, wrong: dict[str, int]) -> None:
    with pytest.raises(Refused, match=rf"partition\.{next(iter(wrong))}="):
        make(**wrong)


# ------------------------------------------------------------------------------------------------------ description


def test_description_counts_and_measures() -> None:
    whole = cohort(90, visits=2)
    frame = describe(whole, "sick", Natural().assign(whole, "sick", 0)).set_index("site")
    assert frame["rows"].sum() == len(whole.table)
    assert frame["patients"].sum() == 90
    assert frame["events"].sum() == whole.events("sick").sum()
    north = whole.table[whole.table["site"] == "north"]
    assert frame.loc["north", "age_mean_years"] == pytest.approx(north["age_years"].mean())
    share, overall = north["sick"].mean(), whole.table["sick"].mean()
    divergence = jensenshannon([share, 1 - share], [overall, 1 - overall], base=2) ** 2
    assert frame.loc["north", "jensen_shannon"] == pytest.approx(divergence, rel=1e-9)
    assert frame.loc["north", "total_variation"] == pytest.approx(abs(share - overall))


def test_effective_sites_is_s_when_equal_and_1_when_one_holds_all() -> None:
    assert effective_sites(np.full(7, 30.0)) == pytest.approx(7)
    assert effective_sites(np.array([50.0, 0, 0])) == pytest.approx(1)
    assert effective_sites(np.array([3.0, 1.0])) == pytest.approx(16 / 10)


@pytest.mark.parametrize("sites", [1, 4, 40, 200, 2000])
def test_the_figure_shows_every_site_or_says_that_it_does_not(sites: int) -> None:
    whole = cohort(6000)
    dealt = Iid(sites=sites, min_rows=1, min_events=0).assign(whole, "sick", 0)
    figure = partition_figure(whole, "sick", dealt, describe(whole, "sick", dealt), ["age_years", "no such column"])
    assert isinstance(figure, Figure)
    rows, shares, heat, _, ages, curves = figure.axes
    if sites <= 1000:
        assert sum(bar.get_width() for bar in rows.patches) == 6000
        assert len(rows.patches) == 2 * sites
    assert len(shares.collections[0].get_offsets()) == sites
    shown = min(sites, 40)
    assert heat.images[0].get_array().shape[0] == shown
    assert len(ages.collections[0].get_segments()) == shown
    assert len(curves.lines) == shown + 1
    assert (f"{shown} of {sites} sites" in heat.get_title(loc="left")) == (sites > 40)
    assert figure.get_figheight() <= 35
    figure.canvas.draw()
