"""Measures over all sites at once: survival curves and case mix."""

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from scipy.spatial.distance import jensenshannon

from sim.partition.case_mix import Mix, jensen_shannon, mix_of
from sim.partition.curves import kaplan_meier
from sim.report.site_panels import heat_map_levels


def test_curves_are_the_product_limit_estimates_of_every_site() -> None:
    rng = np.random.default_rng(0)
    site = rng.integers(0, 6, 400)
    time, event = rng.integers(1, 25, 400).astype(float), rng.random(400) < 0.6
    event[site == 2] = False
    event[site == 3] = True
    curves = kaplan_meier(time, event, site, 7)
    assert curves.start[7] == curves.start[6]  # nobody at the last site
    for number in range(6):
        at, found = curves.of(number)
        fitted = KaplanMeierFitter().fit(time[site == number], event[site == number])
        np.testing.assert_allclose(found, fitted.survival_function_at_times(at).to_numpy(), atol=1e-12)
    assert curves.of(3)[1][-1] == 0
    assert (curves.of(2)[1] == 1).all()


def test_distances_are_those_of_the_textbook() -> None:
    counts = np.array([[10, 20, 0], [5, 0, 5], [30, 30, 30]])
    mix = Mix("stage", ("I", "II", "III"), counts)
    shares, whole = counts / counts.sum(1, keepdims=True), counts.sum(0) / counts.sum()
    each = [jensenshannon(share, whole, base=2) ** 2 for share in shares]
    np.testing.assert_allclose(jensen_shannon(shares, whole), each)
    assert mix.jensen_shannon() == pytest.approx(np.average(each, weights=counts.sum(1)))
    variation = [np.abs(share - whole).sum() / 2 for share in shares]
    assert mix.total_variation() == pytest.approx(np.average(variation, weights=counts.sum(1)))


def test_numbers_are_cut_in_fifths_and_gaps_are_told() -> None:
    value = pd.Series(np.r_[np.arange(100.0), np.nan, np.nan])
    mix = mix_of("age", value, np.arange(102) % 2, 2)
    assert mix.counts.sum(0).tolist() == [20, 20, 20, 20, 20, 2]
    assert mix.levels[-1] == "not recorded"
    assert heat_map_levels(mix) == [(" > 79.2", 4), (" not recorded", 5)]
    flags = mix_of("male", pd.Series(np.arange(10) < 3), np.zeros(10, dtype=int), 1)
    assert heat_map_levels(flags) == [("", 1)]
    assert heat_map_levels(mix_of("grade", pd.Series([1, 2, 3]), np.zeros(3, dtype=int), 1)) == [
        (" 1", 0),
        (" 2", 1),
        (" 3", 2),
    ]
