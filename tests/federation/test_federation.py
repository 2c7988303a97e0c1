"""Splits are stratified, keyed and whole; standardisation is what pooled statistics would be."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sim.checks import Refused
from sim.cohort.encode import encode
from sim.cohort.table import Cohort
from sim.federation.split import Split
from sim.federation.standardise import Scaling
from tests import toy
from tests.toy import federated


def cohort(rows: int = 900) -> Cohort:
    return toy.cohort(rows, sites={"a": 0.6, "b": 0.3, "c": 0.1}, rate=0.2)


def test_every_row_is_dealt_once_and_splits_are_stratified() -> None:
    whole = cohort()
    made = federated(whole, "sick", whole.table["site"].to_numpy(), Split(), 3)
    assert made.bounds[-1, -1] == len(whole.table)
    assert (np.diff(made.bounds.ravel()) >= 0).all()
    for site, bounds in zip(made.sites, made.bounds, strict=True):
        rate = whole.table.loc[whole.table["site"] == site, "sick"].mean()
        for low, high, share in zip(bounds, bounds[1:], (0.6, 0.2, 0.2), strict=False):
            size = (whole.table["site"] == site).sum()
            assert abs((high - low) - share * size) <= 2  # one coin for each of two strata
            assert abs(made.y["label"][low:high].sum() - rate * share * size) <= 1


def test_other_seeds_split_otherwise() -> None:
    whole = cohort()
    one, other = (federated(whole, "sick", whole.table["site"].to_numpy(), Split(), seed) for seed in (0, 1))
    assert not np.array_equal(one.x, other.x)


def test_a_patient_is_never_in_two_splits() -> None:
    whole = cohort()
    table = pd.concat([whole.table, whole.table]).reset_index(drop=True)
    table["age_years"] = table["patient"].astype(float)
    twice = replace(whole, table=table)
    made = federated(twice, "sick", table["site"].to_numpy(), Split(scaling=Scaling.none), 0)
    held = {split: set(made.x[made.held(split)[0], 0]) for split in ("train", "valid", "test")}
    assert not held["train"] & held["valid"]
    assert not held["train"] & held["test"]
    assert not held["valid"] & held["test"]


@pytest.mark.parametrize("kind", ["year", "day", "level"])
def test_the_latest_patients_are_tested_and_the_earlier_ones_train(kind: str) -> None:
    whole = cohort()
    year = np.random.default_rng(1).integers(2010, 2020, 900)
    day = pd.Series(pd.to_datetime(pd.Series(year.astype(str)), format="%Y"))
    when = {"year": year, "day": day, "level": pd.Categorical(year.astype(str), ordered=True)}[kind]
    table = whole.table.assign(when=when, age_years=whole.table["patient"].astype(float))
    dated = replace(whole, table=table)
    made = federated(dated, "sick", table["site"].to_numpy(), Split(time="when", scaling=Scaling.none), 0)
    other = federated(dated, "sick", table["site"].to_numpy(), Split(time="when", scaling=Scaling.none), 1)
    assert not np.array_equal(made.x, other.x)  # who trains and who tunes is chance, and who is tested of one year
    for site, bounds in zip(made.sites, made.bounds, strict=True):
        first, middle, last = (made.x[low:high, 0].astype(int) for low, high in zip(bounds, bounds[1:], strict=False))
        assert year[np.r_[first, middle]].max() <= year[last].min()
        size = (table["site"] == site).sum()
        assert abs(len(last) - 0.2 * size) <= 1
        assert abs(len(first) - 0.6 * size) <= 3
        sick = table["sick"].to_numpy()
        assert abs(sick[middle].sum() - sick[np.r_[first, middle]].mean() * len(middle)) <= 2  # stratified


def test_a_patient_is_as_late_as_the_last_row() -> None:
    whole = cohort(400)
    table = pd.concat([whole.table.assign(when=0), whole.table.assign(when=np.arange(400))]).reset_index(drop=True)
    table["age_years"] = table["patient"].astype(float)
    twice = replace(whole, table=table)
    made = federated(twice, "sick", np.full(800, "a"), Split(time="when", scaling=Scaling.none), 0)
    assert set(made.x[made.held("test")[0], 0].astype(int)) == set(range(320, 400))


def test_times_that_cannot_order_patients_are_refused() -> None:
    whole = cohort()
    sites, split = whole.table["site"].to_numpy(), Split(time="when")
    with pytest.raises(Refused, match=r"split\.time='when'.*allowed .*age_years"):
        federated(whole, "sick", sites, split, 0)
    with pytest.raises(Refused, match="not recorded in 900 of 900 rows"):
        federated(replace(whole, table=whole.table.assign(when=np.nan)), "sick", sites, split, 0)
    with pytest.raises(Refused, match=r"split\.time='site': holds str"):
        federated(whole, "sick", sites, Split(time="site"), 0)
    given = replace(whole, table=whole.table.assign(when=1, side="train"), split="side")
    with pytest.raises(Refused, match="already has a split, in 'side'"):
        federated(given, "sick", sites, split, 0)


def test_federated_scaling_is_pooled_scaling_of_training_rows() -> None:
    whole = cohort()
    made = federated(whole, "sick", whole.table["site"].to_numpy(), Split(), 0)
    assert made.features == ("age_years", "stage=II", "stage=III", "marker", "marker missing")
    train = made.x[made.held("train")[0]]
    np.testing.assert_allclose(train[:, [0, 1, 2, 4]].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(train[:, [0, 1, 2, 4]].std(0), 1, atol=1e-5)
    there = train[:, 3] != 0  # gaps stand at the mean
    np.testing.assert_allclose([train[there, 3].mean(), train[there, 3].std()], [0, 1], atol=1e-5)


def test_site_scaling_uses_each_site_alone() -> None:
    whole = cohort()
    made = federated(whole, "sick", whole.table["site"].to_numpy(), Split(scaling=Scaling.site), 0)
    rows, site = made.held("train")
    for number in range(3):
        np.testing.assert_allclose(made.x[rows[site == number], 0].mean(), 0, atol=1e-6)


def test_a_site_of_one_patient_trains_on_it() -> None:
    whole = cohort(50)
    sites = whole.table["site"].to_numpy().astype("<U8")
    sites[7] = "lonely"
    made = federated(whole, "sick", sites, Split(), 0)
    assert made.rows[made.sites.index("lonely")] == 1


def test_sites_of_a_few_patients_each_train_on_their_first() -> None:
    """Among many: whatever the coin says, every site has a training row, and a patient's rows stay together."""
    whole = cohort(400)
    table = whole.table.assign(patient=np.arange(400) // 2, site=[f"s{row // 4:03d}" for row in range(400)])
    made = federated(replace(whole, table=table), "sick", table["site"].to_numpy(), Split(train=0.2, valid=0.2), 0)
    assert made.rows.min() >= 1
    assert (made.rows == 2).sum() > 50  # one of two patients, with both rows


def test_columns_that_are_missing_together_share_one_indicator() -> None:
    whole = cohort()
    gap = whole.table["marker"].isna()
    table = whole.table.assign(second=np.where(gap, np.nan, 1.5), third=np.where(np.arange(900) < 5, np.nan, 2.0))
    known = dict.fromkeys(whole.outcomes, ("age_years", "marker", "second", "third"))
    made = federated(replace(whole, table=table, predictors=known), "sick", table["site"].to_numpy(), Split(), 0)
    assert made.features == ("age_years", "marker", "marker missing", "second", "third", "third missing")


def test_the_same_gaps_have_one_flag_wherever_the_columns_stand() -> None:
    """First and third column lack the same rows, the second none: a second flag would repeat the first."""
    gap = np.array([False, True, False, True, False])
    value = np.where(gap, np.nan, 1.0)
    word = pd.Categorical(["a", None, "b", None, "a"])
    table = pd.DataFrame({"first": value, "whole": np.arange(5.0), "third": 2 * value, "word": word, "other": value})
    table.loc[0, "other"] = np.nan  # one gap more is another flag
    found = dict(encode(table, ["first", "whole", "third", "word", "other"]))
    assert list(found) == ["first", "first missing", "whole", "third", "word=b", "other", "other missing"]
    np.testing.assert_array_equal(found["first missing"], gap)


def test_shares_that_leave_no_test_rows_are_refused() -> None:
    with pytest.raises(Refused, match="no patients for testing"):
        Split(train=0.8, valid=0.2)


def test_a_split_without_test_rows_is_refused() -> None:
    whole = cohort()
    whole = replace(whole, table=whole.table.assign(part="train"), split="part")
    with pytest.raises(Refused, match="No test rows"):
        federated(whole, "sick", whole.table["site"].to_numpy(), Split(), 0)


def test_a_column_too_large_for_single_precision_is_refused() -> None:
    whole = cohort()
    whole = replace(whole, table=whole.table.assign(age_years=whole.table["age_years"] * 1e30))
    with pytest.raises(Refused, match="Column 'age_years' holds"):
        federated(whole, "sick", whole.table["site"].to_numpy(), Split(), 0)
