"""The affinity partition: IID at zero, exact sizes, and odds ratios that are those of the formula."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as within
from hypothesis import strategies as st
from scipy import stats

from sim.arrays import Names
from sim.checks import Refused
from sim.cohort.outcomes import Binary
from sim.cohort.table import Cohort
from sim.config.compose import experiment
from sim.partition.affinity import Affinity
from sim.partition.affinity_settings import AffinityColumns, Kappa
from sim.partition.archetype import Archetype
from sim.partition.assign import assign_sites
from sim.partition.axes import catchment, referral, tilt, total_affinity, windows
from sim.partition.case_mix import column_skews
from sim.partition.columns import Levels
from sim.partition.gumbel import assign_by_affinity, site_intercepts
from sim.partition.redraw import labelled_patients
from sim.partition.sizes import apportion, normals, relative_sizes
from sim.random import scatter, uniform
from sim.run.run import prepare
from tests import toy

CANCERS = ["breast", "lung", "colon", "merkel"]
LOOSE = {"min_rows": 1, "min_events": 0}


def cohort(patients: int = 4000, seed: int = 0) -> Cohort:
    """Columns that do not depend on each other, so that an axis can only move its own."""
    rng = np.random.default_rng(seed + 1)
    columns = {
        "cancer": pd.Categorical(rng.choice(CANCERS, patients, p=[0.4, 0.3, 0.27, 0.03]), categories=CANCERS),
        "race": pd.Categorical(rng.choice(["black", "white", "hispanic"], patients)),
        "insurance": pd.Categorical(rng.choice(["private", "public", "dual"], patients)),
        "dx_date": pd.Timestamp("2015-01-01") + pd.to_timedelta(rng.integers(0, 3000, patients), unit="D"),
        "lat": rng.uniform(45, 48, patients),
        "lon": rng.uniform(6, 10, patients),
    }
    known = ("age_years", "cancer", "stage", "male", "race")
    shares = {"north": 0.5, "south": 0.3, "west": 0.2}
    outcomes = {"sick": Binary("sick")}
    return toy.cohort(patients, seed=seed, sites=shares, columns=columns, predictors=known, outcomes=outcomes)


def make(sites: int = 4, columns: AffinityColumns | None = None, **settings: object) -> Affinity:
    kappa = {name: settings.pop(name) for name in list(settings) if name in Kappa.__dataclass_fields__}
    return Affinity(sites=sites, kappa=Kappa(**kappa), columns=columns or AffinityColumns(), **(LOOSE | settings))  # type: ignore[arg-type]


def sizes_of(sites: Names) -> list[int]:
    return np.unique(sites, return_counts=True)[1].tolist()


# --------------------------------------------------------------------------------------------------------- the law


def test_without_affinity_patients_are_dealt_iid() -> None:
    """Given the sizes, events at a site are hypergeometric: the law of dealing without looking."""
    whole = cohort(200)
    partition = make(sizes=[5.0, 2.0, 2.0, 1.0])
    events = whole.events("sick")
    dealt = [partition.assign(whole, "sick", seed) for seed in range(400)]
    assert sizes_of(dealt[0]) == [100, 40, 40, 20]
    for name, size in (("site-01", 100), ("site-04", 20)):
        found = np.array([events[sites == name].sum() for sites in dealt])
        law = stats.hypergeom(200, int(events.sum()), size)
        assert abs(found.mean() - law.mean()) < 4 * law.std() / 20
        assert found.var() == pytest.approx(law.var(), rel=0.3)
    together = np.mean([sites[0] == sites[1] for sites in dealt])  # two patients at one site
    assert together == pytest.approx(sum(n * (n - 1) for n in (100, 40, 40, 20)) / (200 * 199), abs=0.1)


def test_rare_cases_are_referred_with_the_odds_of_the_formula() -> None:
    whole = cohort(20000)
    rare = (whole.table["cancer"] == "merkel").to_numpy()
    for kappa in (0.0, 1.0, 3.0):
        sites = make(5, rare=kappa, sizes=[4.0, 1.0, 1.0, 1.0, 1.0]).assign(whole, "sick", 1)
        top = sites == "site-01"
        cells = np.array([(top & rare).sum(), (~top & rare).sum(), (top & ~rare).sum(), (~top & ~rare).sum()])
        log_odds = np.log(cells[0] * cells[3] / (cells[1] * cells[2]))
        assert abs(log_odds - kappa) < 4 * np.sqrt((1 / cells).sum())
        assert sizes_of(sites) == [10000, 2500, 2500, 2500, 2500]
        # The card of docs/partitions.md: logit(share at the referral site) = logit(its share of patients) + kappa.
        assert cells[0] / cells[:2].sum() == pytest.approx(1 / (1 + np.exp(-kappa)), abs=0.06)


def test_case_mix_is_a_log_normal_tilt_of_sd_kappa() -> None:
    whole = cohort(60000)
    sites = make(6, case_mix=0.8).assign(whole, "sick", 3)
    counts = pd.crosstab(whole.table["cancer"], sites).to_numpy().astype(float)
    z = normals(3, "affinity", 0, "case_mix", shape=(6, 4))
    log_odds = np.log(counts).T - np.log(counts).T.mean(1, keepdims=True)
    wanted = 0.8 * (z - z.mean(1, keepdims=True))
    # Double differences are free of sizes and of the cohort's mix.
    found, told = (part - part.mean(0) for part in (log_odds, wanted))
    error = np.sqrt((1 / counts).max())
    np.testing.assert_allclose(found, told, atol=4 * error)
    assert np.corrcoef(found.ravel(), told.ravel())[0, 1] > 0.99


def test_a_gradient_is_a_slope_of_the_log_odds() -> None:
    whole = cohort(60000)
    columns = AffinityColumns(demographic=["age_years"])
    sites = make(2, columns, demographic=2.0).assign(whole, "sick", 5)
    z = normals(5, "affinity", 0, "demographic", "age_years", shape=(2,))
    log_odds = 2.0 * (z[0] - z[1])
    age = stats.zscore(whole.table["age_years"].to_numpy())
    # P(site 1 | age) is logistic in age with this slope: its score at the truth is zero but for noise.
    p = 1 / (1 + np.exp(-log_odds * age))
    score = (age * ((sites == "site-01") - p)).sum() / np.sqrt((age**2 * p * (1 - p)).sum())
    assert abs(score) < 4
    assert abs(log_odds) > 0.2


@pytest.mark.parametrize(
    ("axis", "own"),
    [("case_mix", "cancer"), ("stage", "stage"), ("outcome", "sick: event"), ("rare", "cancer")],
)
def test_an_axis_moves_its_own_column_and_no_other(axis: str, own: str) -> None:
    whole = cohort(20000)
    ladder = []
    for kappa in (0.0, 0.5, 1.0, 2.0):
        sites = make(8, **{axis: kappa}).assign(whole, "sick", 2)
        frame = column_skews(whole, "sick", sites).set_index("column")
        ladder.append(frame.loc[own, "total_variation"])
        for other in {"cancer", "stage", "male", "race"} - {own}:
            assert stats.chi2_contingency(pd.crosstab(whole.table[other], sites)).pvalue > 1e-4
    assert all(low < high for low, high in zip(ladder, ladder[1:], strict=False))
    assert ladder[-1] > 1.5 * frame.loc[own, "by_chance"]


def test_a_little_more_affinity_moves_few_patients() -> None:
    whole, moved = cohort(5000), []
    for seed in range(4):  # how far the sites differ, and so how many move, depends on the draw
        one, other, far = (make(6, stage=kappa).assign(whole, "sick", seed) for kappa in (1.0, 1.05, 3.0))
        moved.append(((one != other).mean(), (one != far).mean()))
    few, many = np.mean(moved, axis=0)
    assert few < 0.02
    assert many > 0.15


def test_axes_add_up() -> None:
    """With stages graded at the same time, rare cases are still referred with their own odds, within every stage."""
    whole = cohort(40000)
    sites = make(5, rare=2.0, stage=1.0, referral=2).assign(whole, "sick", 1)
    rare, top = (whole.table["cancer"] == "merkel").to_numpy(), np.isin(sites, ["site-01", "site-02"])
    for stage in ("I", "II", "III"):
        here = (whole.table["stage"] == stage).to_numpy()
        table = pd.crosstab(rare[here], top[here]).to_numpy().astype(float)
        log_odds = np.log(table[1, 1] * table[0, 0] / (table[1, 0] * table[0, 1]))
        assert abs(log_odds - 2) < 4 * np.sqrt((1 / table).sum())
    assert stats.chi2_contingency(pd.crosstab(whole.table["stage"], sites)).statistic > 1000


# ------------------------------------------------------------------------------------------------------------ axes


def test_regions_keep_their_patients_and_have_their_share_of_sites() -> None:
    whole = cohort(6000)
    region = whole.table["site"].to_numpy()
    sites = make(10, geography=50.0).assign(whole, "sick", 0)
    main = pd.crosstab(sites, region)
    # Five sites of 600 make the 3,000 patients of the north but for chance; nobody else is needed there.
    assert (main.max(1) / main.sum(1) > 0.9).all()
    assert sorted(np.bincount(main.to_numpy().argmax(1), minlength=3)) == [2, 3, 5]


def test_catchments_are_nearer_than_chance_and_distance_is_that_of_the_sphere() -> None:
    whole = cohort(4000)
    columns = AffinityColumns(latitude="lat", longitude="lon")
    spans = []
    for kappa in (0.0, 0.5, 2.0):
        sites = make(12, columns, geography=kappa).assign(whole, "sick", 0)
        spans.append(whole.table.groupby(sites)[["lat", "lon"]].std().mean().mean())
    assert spans[0] - 0.05 > spans[1] > 1.2 * spans[2]
    latitude, longitude = np.array([0.0, 0.0, 90.0, np.nan]), np.array([0.0, 90.0, 0.0, 5.0])
    axis = catchment(latitude, longitude, np.array([0, 1]), 100.0)
    quarter = -6371 * np.pi / 2 / 100
    expected = [[0, quarter], [quarter, 0], [quarter, quarter], [0, 0]]
    np.testing.assert_allclose(axis.of(np.arange(4)), expected, atol=1e-3)


def test_time_windows_come_apart() -> None:
    whole = cohort(4000)
    day = whole.table["dx_date"].astype("int64").to_numpy() / 8.64e13
    spread = []
    for kappa in (0.0, 1.0, 30.0, 1000.0):
        sites = make(8, time=kappa).assign(whole, "sick", 0)
        spread.append(pd.Series(day).groupby(sites).std().mean() / day.std())
    assert spread[0] > spread[1] > spread[2] > spread[3]
    assert spread[0] == pytest.approx(1, abs=0.05)
    assert spread[3] < 1.3 / 8  # contiguous eighths of a uniform time have an eighth of its spread
    rank, centre = np.array([0.1, np.nan, 0.9]), np.array([0.25, 0.75])
    found = windows(rank, centre, 0.25).of(np.arange(3))
    square = -(((rank[:, None] - centre) / 0.25) ** 2) / 2
    np.testing.assert_allclose(np.diff(found)[[0, 2]], np.diff(square)[[0, 2]])
    assert (found[1] == 0).all()


BREAST = ["cohort=synthea", "cohort.cancers=[breast]"]


@pytest.mark.parametrize(
    ("words", "column"),
    [
        (["cohort.patients=2000", "cohort.years=5"], "diagnosis_year"),
        (["cohort.patients=2000"], "diagnosis_year"),
        ([*BREAST, "task.outcome=mortality_5y"], "dx_year"),
    ],
)
def test_time_finds_the_year_of_diagnosis_by_itself(words: list[str], column: str) -> None:
    """Names see years apart: of the spread of the years, less than half is left inside a site."""
    wanted = experiment([*words, "partition=affinity", "partition.kappa.time=50", "partition.min_events=0"])
    made = prepare(wanted)
    year = made.cohort.table[column].astype(float)
    inside = year.groupby(made.sites).std().mean()
    assert inside < 0.5 * year.std()
    named = experiment([*words, "partition=affinity", "partition.kappa.time=50", "partition.min_events=0"])
    named.partition.columns.time = column
    assert (prepare(named).sites == made.sites).all()


def test_no_time_of_diagnosis_is_told() -> None:
    whole = cohort(300)
    bare = replace(whole, table=whole.table.drop(columns="dx_date"))
    with pytest.raises(Refused, match=r"kappa\.time=1: cohort 'toy' has none of dx_date, .*partition\.columns\.time"):
        make(time=1.0).assign(bare, "sick", 0)
    same = replace(whole, table=whole.table.assign(dx_date=2020))
    with pytest.raises(Refused, match=r"partition\.columns\.time='dx_date': all have the same"):
        make(time=1.0).assign(same, "sick", 0)
    none = replace(whole, table=whole.table.assign(dx_date=np.nan))
    with pytest.raises(Refused, match="nobody has a time"):
        make(time=1.0).assign(none, "sick", 0)


def test_archetypes_have_their_sizes_and_their_patients() -> None:
    whole = cohort(30000)
    kinds = {
        "big": Archetype(share=1, size=4.0, rare=2.0),
        "small": Archetype(share=1, size=1.0, levels={"race": {"black": 1.5}}),
    }
    dealt = make(12, archetype=1.0, archetypes=kinds).assign(whole, "sick", 4)
    size = pd.Series(1, index=dealt).groupby(level=0).sum()
    big = size.index[size > size.mean()]
    assert size.max() == pytest.approx(4 * size.min(), rel=0.01)
    at_big = np.isin(dealt, big)
    black, rare = (whole.table["race"] == "black").to_numpy(), (whole.table["cancer"] == "merkel").to_numpy()
    for trait, log_odds in ((black, -1.5), (rare, 2.0)):
        table = pd.crosstab(at_big, trait).to_numpy().astype(float)
        found = np.log(table[1, 1] * table[0, 0] / (table[1, 0] * table[0, 1]))
        assert abs(found - log_odds) < 4 * np.sqrt((1 / table).sum())


def test_an_archetype_and_a_level_of_one_can_be_taken_away() -> None:
    words = ["~partition.archetypes.rural", "~partition.archetypes.safety_net.levels.race"]
    made = experiment(["partition=affinity", *words]).partition
    assert set(made.archetypes) == {"academic", "community", "safety_net"}
    assert set(made.archetypes["safety_net"].levels) == {"insurance"}


def test_the_known_archetypes_fit_the_calibrated_cohort() -> None:
    wanted = experiment(["partition=affinity", "partition.kappa.archetype=1", "partition.sites=9", "seed=1"])
    whole = wanted.cohort.load(1)
    dealt = assign_sites(wanted.partition, whole, "response", 1).sites
    assert len(set(dealt)) == 9
    frame = column_skews(whole, "response", dealt).set_index("column")
    assert (frame.loc[["stage", "age_years", "insurance"], "total_variation"] > 1.5 * frame["by_chance"].mean()).all()


# --------------------------------------------------------------------------------------------- sizes, noise, capacity


@within(max_examples=60)
@given(st.integers(1, 60), st.integers(0, 3000), st.floats(0, 3), st.integers(0, 20))
def test_sizes_sum_up_and_none_is_below_the_least(sites: int, more: int, power: float, least: int) -> None:
    weight = relative_sizes(sites, power, 0.0, [], np.zeros(sites))
    total = sites * least + more
    found = apportion(weight, total, least)
    assert found.sum() == total
    assert found.min() >= least
    above = found > least + 1
    ratio = (found[above] - 1) / weight[above], (found[above] + 1) / weight[above]
    assert not above.any() or ratio[0].max() <= ratio[1].min()  # in proportion, give or take one
    if least == 0:
        assert np.abs(found - weight / weight.sum() * total).max() < 1


def test_the_power_law_is_zipf_s() -> None:
    whole = cohort(6000)
    size = np.array(sizes_of(make(8, power=1.0, min_rows=1).assign(whole, "sick", 0)))
    np.testing.assert_allclose(size[0] / size, np.arange(1, 9), rtol=0.02)


def test_normals_do_not_change_when_there_are_more_of_them() -> None:
    np.testing.assert_array_equal(normals(1, "x", shape=(3, 2)), normals(1, "x", shape=(5, 4))[:3, :2])
    assert stats.kstest(normals(0, "y", shape=(5000,)), "norm").pvalue > 1e-3


def test_the_race_is_gumbel_max_with_noise_keyed_by_patient_and_site() -> None:
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**63, 500).astype(np.uint64)
    logit = rng.normal(size=(500, 7))
    roomy = np.full(7, 500)
    b = site_intercepts(lambda rows: logit[rows], 500, roomy)
    u = uniform(scatter(99, words[:, None], np.arange(7)))
    expected = np.argmax(logit + b - np.log(-np.log(u)), axis=1)
    found = assign_by_affinity(lambda rows: logit[rows], words, np.arange(500), roomy, 99)
    np.testing.assert_array_equal(found, expected)


def test_intercepts_make_the_expected_sizes_the_wanted_ones() -> None:
    rng = np.random.default_rng(1)
    logit = 2 * rng.normal(size=(3000, 9))
    sizes = apportion(np.arange(1.0, 10), 3000, 1)
    total = logit + site_intercepts(lambda rows: logit[rows], 3000, sizes)
    p = np.exp(total - total.max(1, keepdims=True))
    np.testing.assert_allclose((p / p.sum(1, keepdims=True)).sum(0), sizes, rtol=0.006)
    np.testing.assert_allclose(
        site_intercepts(lambda rows: np.zeros((len(rows), 9)), 3000, sizes), np.log(sizes / 3000)
    )


def test_impossible_patients_take_what_is_left() -> None:
    logit = np.where(np.arange(4) == 0, 0.0, -5000.0) * np.ones((100, 1))
    words = np.arange(100, dtype=np.uint64)
    site = assign_by_affinity(lambda rows: logit[rows], words, np.arange(100), np.full(4, 25), 1)
    assert np.bincount(site).tolist() == [25, 25, 25, 25]


def test_weighed_axes_are_the_sum_of_their_affinities() -> None:
    rng = np.random.default_rng(2)
    levels = Levels(rng.integers(-1, 3, 40), ("a", "b", "c"))
    axes = [
        (0.5, tilt(levels, rng.normal(size=(6, 3)))),
        (2.0, referral(rng.random(40) < 0.3, np.arange(6) == 1)),
        (3.0, catchment(rng.uniform(0, 1, 40), rng.uniform(0, 1, 40), np.arange(6), 50.0)),
    ]
    rows = rng.permutation(40)[:17]
    np.testing.assert_allclose(total_affinity(axes, 6)(rows), sum(kappa * axis.of(rows) for kappa, axis in axes))
    unknown = np.flatnonzero(levels.code < 0)
    assert (axes[0][1].of(unknown) == 0).all()


# ------------------------------------------------------------------------------------------------------- refusals


def test_a_column_that_is_not_there_is_named_with_those_that_are() -> None:
    whole = cohort(300)
    for axis, column in (("stage", "stage"), ("case_mix", "cancer"), ("demographic", "race")):
        bare = replace(whole, table=whole.table.drop(columns=column), predictors={"sick": ("age_years",)})
        with pytest.raises(Refused, match=rf"partition\.columns\.\w+='{column}': allowed .*age_years.*cohort 'toy'"):
            make(**{axis: 1.0}).assign(bare, "sick", 0)
        make(geography=1.0).assign(bare, "sick", 0)  # which does not read the column


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sizes": [1.0, 2.0]}, ["2 sizes for partition.sites=4"]),
        ({"sizes": [1.0, 2.0, -1.0, 1.0]}, [r"partition.sizes[2]=-1.0"]),
        ({"power": -1.0}, ["partition.power=-1.0", "[0, 3]"]),
        ({"referral": 5}, ["partition.referral=5", "[1, 4]"]),
        ({"rare_below": 0.0}, ["partition.rare_below=0.0"]),
        ({"archetypes": {"a": Archetype(size=0.0)}}, ["partition.archetypes.a.size=0.0"]),
        ({"archetypes": {"a": Archetype(share=0.0)}}, ["shares of all are 0"]),
        (
            {"archetypes": {"a": Archetype(levels={"race": {"black": 99.0}})}},
            ["partition.archetypes.a.levels.race.black=99"],
        ),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict[str, object], words: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        make(**settings)
    for word in words:
        assert word in str(refused.value)


def test_more_that_is_refused() -> None:
    whole = cohort(300)
    with pytest.raises(Refused, match=r"partition\.kappa\.stage=-1"):
        Kappa(stage=-1)
    with pytest.raises(Refused, match="coordinates need both"):
        AffinityColumns(latitude="lat")
    with pytest.raises(Refused, match=r"no level of 'stage' has a share below partition\.rare_below=0\.05"):
        make(columns=AffinityColumns(cancer="stage"), rare=1.0).assign(whole, "sick", 0)
    kinds = {"a": Archetype(levels={"race": {"blue": 1.0}})}
    with pytest.raises(Refused, match="'blue': allowed black, hispanic, white"):
        make(archetype=1.0, archetypes=kinds).assign(whole, "sick", 0)
    with pytest.raises(Refused, match=r"'age_years': 300 different values; allowed at most 100"):
        make(columns=AffinityColumns(cancer="age_years"), case_mix=1.0).assign(whole, "sick", 0)
    with pytest.raises(Refused, match=r"lower a partition\.kappa, make the sizes more equal"):
        make(sites=30, outcome=6.0, power=1.5, min_events=1, min_rows=2).assign(whole, "sick", 0)
    text = whole.table.assign(stage=whole.table["stage"].astype(str))
    with pytest.raises(Refused, match="allowed numbers, dates or ordered categories"):
        make(stage=1.0).assign(replace(whole, table=text, predictors={"sick": ("age_years",)}), "sick", 0)


def test_patients_with_several_rows_count_once_with_the_highest() -> None:
    whole = cohort(50)
    twice = pd.concat([whole.table, whole.table.assign(stage=pd.Categorical(["III"] * 50, ["I", "II", "III"]))])
    both = replace(whole, table=twice.reset_index(drop=True))
    assert len(labelled_patients(both, "sick").word) == 50
    sites = make(3, stage=5.0).assign(both, "sick", 0)
    assert (sites[:50] == sites[50:]).all()
    # All of them are stage III somewhere, so that stage cannot matter: the deal is that of no affinity.
    assert (sites == make(3).assign(both, "sick", 0)).all()
