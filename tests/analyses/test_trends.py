"""Trends: hiding by hand, slopes against scikit-learn, the truth within three standard errors."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import PoissonRegressor

from sim.analyses.answer_trends import summarise_trends
from sim.analyses.figures import trends_figure
from sim.analyses.sites import CohortBySite, group_by_site
from sim.analyses.trends import HIDE_FIRST, NOTHING_HIDDEN, SUM_FIRST, percent_change, trends
from sim.analyses.truth import annual_changes
from sim.checks import Refused
from sim.cohort.calibrated.source import Calibrated
from sim.cohort.outcomes import Binary
from sim.cohort.table import Cohort

YEARS = np.arange(2010.0, 2022.0)


def cohort(cells: list[tuple[str, str, int, int]], column: str = "diagnosis_year") -> Cohort:
    """Patients of (site, cancer, year, count) cells."""
    rows = [(site, cancer, year) for site, cancer, year, count in cells for _ in range(count)]
    table = pd.DataFrame(rows, columns=["site", "cancer", column])
    table["cancer"] = pd.Categorical(table["cancer"])
    table = table.assign(patient=np.arange(len(table)), label=np.arange(len(table)) % 2 == 0)
    return Cohort("made", table, {"label": Binary("label")}, {"label": ("cancer",)})


def held(made: Cohort) -> CohortBySite:
    """A cohort at the sites that its table names."""
    return group_by_site(made, made.table["site"].to_numpy(dtype=str))


def test_hiding_by_hand() -> None:
    # year: north, south -> sum; what north and south may show
    # 2018: 11, 20 -> 31; 2019: 6, 6 -> 12, both hidden; 2020: 4, 0 -> 4, hidden anyhow; 2021: 10, 15 -> 25, shows 15
    cells = [("north", "merkel", 2018, 11), ("north", "merkel", 2019, 6), ("north", "merkel", 2020, 4)]
    cells += [("north", "merkel", 2021, 10), ("south", "merkel", 2018, 20), ("south", "merkel", 2019, 6)]
    cells += [("south", "merkel", 2021, 15)]
    found = trends(held(cohort(cells)), "", "", 11, {})
    whole, first, after = (found.trend["merkel", way] for way in (NOTHING_HIDDEN, SUM_FIRST, HIDE_FIRST))
    np.testing.assert_array_equal(whole.counts, [31, 12, 4, 25])
    np.testing.assert_array_equal(first.counts, [31, 12, np.nan, 25])
    np.testing.assert_array_equal(after.counts, [31, np.nan, np.nan, 15])
    assert first[2:] == pytest.approx((1 / 4, 0, 4 / 72))
    assert after[2:] == pytest.approx((2 / 4, 1 / 4, 1 - 46 / 72))
    assert np.isnan(after.apc.mean)  # two years are no trend
    assert found.traffic["Counts under secure summation"] == (1, 8 * 4, 0)


def test_threshold_is_the_smallest_count_shown() -> None:
    cells = [("a", "x", 2000 + at, count) for at, count in enumerate([9, 10, 11, 12])]
    for threshold, shown in ((11, 2), (10, 3), (1, 4)):
        found = trends(held(cohort(cells)), "", "cancer", threshold, {})
        assert np.isfinite(found.trend["x", SUM_FIRST].counts).sum() == shown


def test_an_exact_course_gives_its_own_change() -> None:
    assert percent_change(YEARS, 50 * 1.03 ** (YEARS - 2010)).mean == pytest.approx(3)
    assert percent_change(YEARS, np.full(12, 7.0)).mean == pytest.approx(0, abs=1e-9)


def test_slope_is_scikit_learns() -> None:
    counts = np.random.default_rng(0).poisson(40 * 0.98 ** (YEARS - 2010)).astype(float)
    model = PoissonRegressor(alpha=0, solver="newton-cholesky", tol=1e-12).fit((YEARS - 2015)[:, None], counts)
    found = percent_change(YEARS, counts)
    assert found.mean == pytest.approx(100 * np.expm1(model.coef_[0]), abs=1e-8)
    # information of the slope: sum of rate (x - weighted mean)^2
    rate = model.predict((YEARS - 2015)[:, None])
    se = ((rate * (YEARS - rate @ YEARS / rate.sum()) ** 2).sum()) ** -0.5
    assert found.high == pytest.approx(100 * np.expm1(model.coef_[0] + 1.959964 * se), rel=1e-6)


def consortium(seed: int, true: dict[str, float]) -> Cohort:
    """Eight sites; counts are Poisson with the true change."""
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(8, 2.0))
    cells = [
        (f"s{site}", name, int(year), int(rng.poisson(base * part * (1 + true[name] / 100) ** (year - 2010))))
        for name, base in (("merkel", 60), ("lung", 1500))
        for year in YEARS
        for site, part in enumerate(share)
    ]
    return cohort(cells)


def test_truth_is_found_by_summing_first_and_lost_by_hiding_first() -> None:
    true = {"merkel": 3.0, "lung": -2.0}
    found = trends(held(consortium(0, true)), "", "", 11, true)
    for name, change in true.items():
        apc = found.trend[name, SUM_FIRST].apc
        slope, se = np.log1p(apc.mean / 100), (np.log1p(apc.high / 100) - np.log1p(apc.mean / 100)) / 1.96
        assert abs(slope - np.log1p(change / 100)) < 3 * se
    assert found.trend["merkel", SUM_FIRST].lost == 0
    assert found.trend["merkel", HIDE_FIRST].lost > 0.3
    assert found.trend["lung", HIDE_FIRST].lost < 0.01
    held_often = [
        low <= 3 <= high
        for seed in range(40)
        for _, low, high in [trends(held(consortium(seed, true)), "", "", 11, {}).trend["merkel", SUM_FIRST].apc]
    ]
    assert np.mean(held_often) >= 0.85  # 95 % expected; 33 of 40 or fewer has a chance of 1 in 1000
    assert len(trends_figure(found).axes) == 2


def test_order_of_rows_does_not_matter() -> None:
    made = consortium(1, {"merkel": 3.0, "lung": -2.0})
    table = made.table.sample(frac=1, random_state=1).reset_index(drop=True)
    again = trends(held(Cohort("made", table, made.outcomes, made.predictors)), "", "", 11, {})
    first = trends(held(made), "", "", 11, {})
    for one, other in zip(summarise_trends(first).tables, summarise_trends(again).tables, strict=True):
        assert one.frame.equals(other.frame)


def test_refusals() -> None:
    made = cohort([("a", "x", 2000 + at, 20) for at in range(4)], column="seen")
    with pytest.raises(Refused, match="diagnosis_year.*seen"):
        trends(held(made), "", "", 11, {})
    assert trends(held(made), "seen", "", 11, {}).years == (2000, 2001, 2002, 2003)
    days = made.table.assign(seen=pd.to_datetime(made.table["seen"].astype(str) + "-03-31"))
    assert trends(held(Cohort("made", days, made.outcomes, made.predictors)), "seen", "", 11, {}).years[0] == 2000
    assert trends(held(made), "seen", "site", 11, {}).groups == ("a",)
    with pytest.raises(Refused, match="--group=kind"):
        trends(held(made), "seen", "kind", 11, {})
    half = Cohort("made", made.table.assign(seen=made.table["seen"] + 0.5), made.outcomes, made.predictors)
    with pytest.raises(Refused, match="whole year"):
        trends(held(half), "seen", "", 11, {})
    two = cohort([("a", "x", 2000, 20), ("a", "x", 2001, 20)])
    with pytest.raises(Refused, match="needs three"):
        trends(held(two), "", "", 11, {})


def test_years_of_a_site_of_its_own_are_no_trend() -> None:
    """Centres that accrue over other years than their neighbours: the counts rise because centres join."""
    own = Calibrated(patients=600).load(0)
    with pytest.raises(Refused, match=r"cohort\.years=10"):
        trends(held(own), "", "", 11, annual_changes(own))
    made = cohort([("old", "x", 2000 + at, 20) for at in range(6)] + [("new", "x", 2003 + at, 20) for at in range(3)])
    assert "first years lie between 2000 and 2003" in summarise_trends(trends(held(made), "", "", 11, {})).notes[-1]


def test_the_rarest_stand_first_and_a_way_without_a_trend_does_not_flatter_the_mean() -> None:
    """Lung is known in every way, Merkel not once sites hide: the mean distance is of lung alone."""
    cells = [("s", "lung", 2000 + at, 100) for at in range(5)]
    cells += [(site, "merkel", 2000 + at, 8) for at in range(5) for site in ("s", "t")]
    found = trends(held(cohort(cells)), "", "", 11, {"lung": 1.0, "merkel": 5.0, "other": 2.0})
    assert found.groups == ("merkel", "lung")
    assert found.true == {"lung": 1.0, "merkel": 5.0}
    cost = summarise_trends(found).tables[1].frame.set_index("way")
    assert cost.loc[SUM_FIRST, "distance from truth"] == pytest.approx(1.0)
    assert cost["without a trend"].tolist() == [0, 0, 0.5]
