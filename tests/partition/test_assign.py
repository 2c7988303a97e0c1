"""Copies of patients at a second site, and sites kept out of training."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sim.checks import Refused
from sim.cohort.table import Cohort
from sim.config.compose import experiment
from sim.federation.split import RowSplit, Split, split_rows
from sim.federation.standardise import Scaling
from sim.partition.assign import assign_sites, check_promises
from sim.partition.base import digest
from sim.partition.external import External, ExternalChoice, remoteness
from sim.partition.iid import Iid
from sim.partition.natural import Natural
from sim.partition.overlap import with_overlap
from sim.run.run import prepare, rehearse
from tests import toy
from tests.toy import federated


def cohort(patients: int = 900, named: bool = False) -> Cohort:
    """Four sites, at one of which patients are nine years older."""
    whole = toy.cohort(patients, named=named, sites={"a": 0.4, "b": 0.3, "c": 0.2, "d": 0.1}, truth=True)
    older = whole.table["age_years"] + 9 * (whole.table["site"] == "c")
    return replace(whole, table=whole.table.assign(age_years=older))


# --------------------------------------------------------------------------------------------------------- overlap


@pytest.mark.parametrize("named", [False, True])
def test_copies_are_the_same_patients_under_a_number_of_their_own(named: bool) -> None:
    whole = cohort(6000, named=named)
    sites = whole.table["site"].to_numpy(dtype=str)
    both, where, _ = with_overlap(whole, sites, 0.2, 3)
    added = len(both.table) - 6000
    assert added == pytest.approx(1200, abs=4 * np.sqrt(960))
    assert both.table["patient"].is_unique
    assert both.table["patient"].dtype == whole.table["patient"].dtype
    pd.testing.assert_frame_equal(both.table.iloc[:6000], whole.table)
    assert (where[:6000] == sites).all()
    original = both.table["patient"].iloc[6000:]
    original = original.str.removesuffix("/again") if named else original - 2**62
    rows = whole.table.reset_index().set_index("patient").loc[original, "index"].to_numpy()
    same = [column for column in whole.table if column != "patient"]
    pd.testing.assert_frame_equal(
        both.table[same].iloc[6000:].reset_index(drop=True), whole.table[same].iloc[rows].reset_index(drop=True)
    )
    assert both.truth is not None
    assert whole.truth is not None
    np.testing.assert_array_equal(both.truth["sick"].to_numpy()[6000:], whole.truth["sick"].to_numpy()[rows])
    assert (where[6000:] != sites[rows]).all()
    # Of those who come from a, second sites are b, c, d in proportion 3 : 2 : 1.
    from_a = pd.Series(where[6000:][sites[rows] == "a"]).value_counts(normalize=True)
    np.testing.assert_allclose(from_a[["b", "c", "d"]], [1 / 2, 1 / 3, 1 / 6], atol=0.09)


def test_more_overlap_keeps_the_copies_there_were_and_order_is_nothing() -> None:
    whole = cohort()
    sites = whole.table["site"].to_numpy(dtype=str)
    few, many = (with_overlap(whole, sites, share, 1) for share in (0.1, 0.4))
    pairs = [set(zip(c.table["patient"], where, strict=True)) for c, where, _ in (few, many)]
    assert pairs[0] < pairs[1]
    order = np.random.default_rng(0).permutation(len(sites))
    assert whole.truth is not None
    other = replace(whole, table=whole.table.iloc[order], truth=whole.truth.iloc[order])
    again = with_overlap(other, sites[order], 0.4, 1)
    assert digest(*again[:2]) == digest(*many[:2])
    assert again.cohort.digest == many.cohort.digest


def test_without_overlap_nothing_is_touched() -> None:
    whole = cohort()
    sites = whole.table["site"].to_numpy(dtype=str)
    settled = assign_sites(Natural(), whole, "sick", 0)
    assert settled.cohort is whole
    assert (settled.sites == sites).all()
    assert settled.external == ()


def test_overlap_that_cannot_be_is_refused() -> None:
    whole = cohort()
    with pytest.raises(Refused, match=r"partition\.overlap=2"):
        Natural(overlap=2)
    with pytest.raises(Refused, match="a second site is needed"):
        assign_sites(Iid(sites=1, overlap=0.1), whole, "sick", 0)
    below = replace(whole, table=whole.table.assign(patient=whole.table["patient"] - 5))
    with pytest.raises(Refused, match=r"numbers patients from -\d to .*allowed 0"):
        assign_sites(Natural(overlap=0.9), below, "sick", 0)
    named = cohort(named=True)
    twice = named.table.assign(patient=np.where(named.table["patient"] == "p1", "p2/again", named.table["patient"]))
    with pytest.raises(Refused, match="ends in '/again'.*set it to 0"):
        assign_sites(Natural(overlap=1.0), replace(named, table=twice), "sick", 0)


def split_of(partition: Iid, split: Split, whole: Cohort, seed: int = 0) -> RowSplit:
    held, sites, external, again = assign_sites(partition, whole, "sick", seed)
    return split_rows(held, "sick", sites, split, seed, external, again)


@pytest.mark.parametrize("named", [False, True])
def test_who_is_known_at_two_sites_is_on_one_side_by_default(named: bool) -> None:
    whole = cohort(3000, named=named)
    stand = split_of(Iid(sites=5, overlap=0.4), Split(), whole)
    assert stand.leak.trained == 0
    assert stand.leak.twice == len(stand.person) - 3000 > 1000
    frame = pd.DataFrame({"person": stand.person, "part": stand.part, "site": stand.site})
    assert len(frame[["person", "part"]].drop_duplicates()) == 3000
    # Nobody's side changes because others are known twice, and sites keep their shares in expectation.
    assert (stand.part[:3000] == split_of(Iid(sites=5), Split(), whole).part).all()
    share = pd.crosstab(stand.site, stand.part, normalize="index").to_numpy()
    np.testing.assert_allclose(share, np.tile([0.6, 0.2, 0.2], (5, 1)), atol=0.06)


def test_unlinked_sites_leak_as_much_as_two_independent_splits() -> None:
    """A copy trains here and is tested there with chance 2 x 0.6 x 0.2; a test patient is caught accordingly."""
    whole = cohort(6000)
    stand = split_of(Iid(sites=5, overlap=0.3), Split(linked=False), whole)
    twice, tested, trained = stand.leak
    assert trained / twice == pytest.approx(0.24, abs=4 * np.sqrt(0.24 * 0.76 / twice))
    both = 0.3 * (1 - 0.8**2) + 0.7 * 0.2  # tested somewhere
    assert tested == pytest.approx(6000 * both, rel=0.06)
    assert stand.leak.in_words().startswith(
        f"{twice} patients are known at two sites. Of {tested} test patients {trained} ("
    )
    names = pd.DataFrame({"person": stand.person, "site": stand.site, "part": stand.part})
    by_hand = sum(
        bool((a := rows[rows["part"] == 0]["site"]).size and not set(rows[rows["part"] == 2]["site"]) <= set(a))
        for _, rows in names[names["part"] != 1].groupby("person")
        if (rows["part"] == 2).any()
    )
    assert trained == by_hand


def test_nobody_tested_outside_is_trained_on_inside() -> None:
    whole = cohort(3000)
    made = Iid(sites=5, overlap=0.4, external=External(count=1))
    linked, apart = (split_of(made, Split(linked=linked), whole) for linked in (True, False))
    assert linked.leak.trained == 0
    assert apart.leak.trained > 100
    assert (linked.part[linked.external[linked.site]] == 2).all()


def test_a_site_that_keeps_one_for_training_keeps_them_everywhere() -> None:
    """Sites of a few patients, most of them copies: each trains on somebody, and still nobody is on two sides."""
    whole = cohort(60)
    for seed in range(20):
        partition = Iid(sites=12, overlap=0.9, min_rows=1, min_events=0)
        stand = split_of(partition, Split(train=0.1, valid=0.1), whole, seed)
        assert (np.bincount(stand.site[stand.part == 0], minlength=12) > 0).all()
        assert stand.leak.trained == 0


def test_a_split_of_the_cohort_s_own_does_not_leak() -> None:
    whole = cohort()
    part = np.where(np.arange(900) % 5 == 0, "test", "train")
    stand = split_of(
        Iid(overlap=0.5), Split(linked=False), replace(whole, table=whole.table.assign(part=part), split="part")
    )
    assert stand.leak.trained == 0
    assert stand.leak.twice > 300


def test_the_record_states_the_leak() -> None:
    words = ["cohort.patients=900", "rounds=1", "seed=1", "partition=iid"]
    assert rehearse(experiment(words)).info["overlap"] is None
    told = rehearse(experiment([*words, "partition.overlap=0.3", "split.linked=false"])).info["overlap"]
    assert told["twice"] > told["trained"] > 20
    assert rehearse(experiment([*words, "partition.overlap=0.3"])).info["overlap"]["trained"] == 0


# -------------------------------------------------------------------------------------------------- external sites


def test_external_sites_hold_test_rows_only_and_change_nothing_elsewhere() -> None:
    whole = cohort()
    sites = whole.table["site"].to_numpy(dtype=str)
    plain = federated(whole, "sick", sites, Split(scaling=Scaling.none), 0)
    made = federated(whole, "sick", sites, Split(scaling=Scaling.none), 0, ["c"])
    at = made.sites.index("c")
    assert made.rows[at] == 0
    assert made.bounds[at, 2] == made.bounds[at, 1] == made.bounds[at, 0]
    assert made.bounds[at, 3] - made.bounds[at, 2] == (sites == "c").sum()
    assert made.members.tolist() == [0, 1, 3]
    for other in (0, 1, 3):
        np.testing.assert_array_equal(np.diff(made.bounds[other]), np.diff(plain.bounds[other]))
        rows = slice(*made.bounds[other, [0, 3]])
        np.testing.assert_array_equal(made.x[rows], plain.x[slice(*plain.bounds[other, [0, 3]])])


def test_external_sites_are_scaled_by_those_that_train_or_by_themselves() -> None:
    whole = cohort()
    sites = whole.table["site"].to_numpy(dtype=str)
    made = federated(whole, "sick", sites, Split(), 0, ["c"])
    train = made.x[made.held("train")[0]]
    np.testing.assert_allclose([train[:, 0].mean(), train[:, 0].std()], [0, 1], atol=1e-5)
    outside = made.x[slice(*made.bounds[2, [0, 3]])]
    assert outside[:, 0].mean() > 0.6  # nine years older than those who trained
    alone = federated(whole, "sick", sites, Split(scaling=Scaling.site), 0, ["c"])
    own = alone.x[slice(*alone.bounds[2, [0, 3]])]
    np.testing.assert_allclose([own[:, 0].mean(), own[:, 0].std()], [0, 1], atol=1e-5)


def test_a_split_of_the_cohort_s_own_gives_way_at_an_external_site() -> None:
    whole = cohort()
    part = np.where(np.arange(900) % 5 == 0, "test", "train")
    whole = replace(whole, table=whole.table.assign(part=part), split="part")
    made = federated(whole, "sick", whole.table["site"].to_numpy(dtype=str), Split(), 0, ["d"])
    assert made.members.tolist() == [0, 1, 2]


def test_the_most_remote_site_is_found_and_chance_is_not_remote() -> None:
    whole = cohort(3000)
    sites = whole.table["site"].to_numpy(dtype=str)
    assert External(count=1, by=ExternalChoice.shift).reserve(whole, "sick", sites, 0) == ("c",)
    assert External(count=1, by=ExternalChoice.shift).reserve(whole, "sick", sites, 9) == ("c",)
    plain = replace(whole, table=whole.table.assign(age_years=np.random.default_rng(1).normal(60, 10, 3000)))
    under_iid = [
        remoteness(plain, "sick", np.random.default_rng(seed).permutation(3000) % 30, 30) for seed in range(40)
    ]
    assert abs(np.mean(under_iid)) < 4 * np.std(np.mean(under_iid, axis=1)) / np.sqrt(40)
    assert np.mean(under_iid) < 1e-3


def test_sites_are_reserved_by_name_by_number_and_by_key() -> None:
    whole = cohort()
    sites = assign_sites(Iid(sites=20), whole, "sick", 0).sites
    some = External(count=5).reserve(whole, "sick", sites, 0)
    more = External(count=8).reserve(whole, "sick", sites, 0)
    assert len(some) == 5
    assert set(some) < set(more)
    assert External(count=5).reserve(whole, "sick", sites, 1) != some
    named = External(count=2, sites=["site-07"]).reserve(whole, "sick", sites, 0)
    assert len(named) == 3
    assert "site-07" in named
    order = np.random.default_rng(0).permutation(900)
    assert whole.truth is not None
    other = replace(whole, table=whole.table.iloc[order], truth=whole.truth.iloc[order])
    for by in ExternalChoice:
        wanted = External(count=6, by=by)
        assert wanted.reserve(other, "sick", sites[order], 0) == wanted.reserve(whole, "sick", sites, 0)


@pytest.mark.parametrize(
    ("external", "words"),
    [
        (External(count=4), "4 of 4 sites are left to choose from"),
        (External(count=3, sites=["a"]), "3 of 4 sites are left"),
        (External(sites=["a", "b", "c", "d"]), "names every site"),
        (External(sites=["e"]), r"partition\.external\.sites='e': allowed a, b, c, d"),
    ],
)
def test_one_site_must_train(external: External, words: str) -> None:
    whole = cohort()
    with pytest.raises(Refused, match=words):
        external.reserve(whole, "sick", whole.table["site"].to_numpy(dtype=str), 0)


def test_a_run_trains_on_members_and_judges_everybody() -> None:
    words = ["cohort.patients=900", "rounds=2", "seed=1", "partition.external.sites=[centre-3]"]
    wanted = experiment([*words, "partition.overlap=0.1"])
    prepared = prepare(wanted)
    assert prepared.federation.members.tolist() == [0, 1, 3]
    assert len(prepared.cohort.table) > 900
    run = rehearse(wanted)
    assert run.info["sites"]["centre-3"]["train"]["rows"] == 0
    judged = run.sites[(run.sites["split"] == "test") & (run.sites["metric"] == "auroc")]
    assert "centre-3" in set(judged["site"])
    assert "centre-3" not in set(run.sites.loc[run.sites["split"] == "valid", "site"])
    assert run.info["settings"]["partition"]["external"]["sites"] == ["centre-3"]


def test_a_partition_that_breaks_its_promise_is_a_mistake() -> None:
    whole = cohort(50)
    sites = whole.table["site"].to_numpy(dtype=str).copy()
    check_promises(Natural(), whole, "sick", sites)
    with pytest.raises(AssertionError, match="not one site"):
        check_promises(Natural(), whole, "sick", sites[:-1])
    with pytest.raises(AssertionError, match="below a floor"):
        check_promises(Natural(min_rows=40), whole, "sick", sites)
    sites[3] = ""
    with pytest.raises(AssertionError, match="without a site"):
        check_promises(Natural(), whole, "sick", sites)
    twice = pd.concat([whole.table, whole.table]).reset_index(drop=True)
    both = replace(whole, table=twice, truth=None)
    with pytest.raises(AssertionError, match="at several sites"):
        check_promises(Natural(), both, "sick", np.repeat(["a", "b"], 50))
