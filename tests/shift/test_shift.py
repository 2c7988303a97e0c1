"""Shifts: nothing at zero, keyed by site and patient, more with a larger dial, and each its own columns only."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logit

from sim.checks import Refused
from sim.cohort.outcomes import Binary, Outcome, Survival
from sim.cohort.table import Cohort
from sim.config.compose import experiment
from sim.run.prepare import gather
from sim.run.run import footing, prepare, run_id
from sim.shift import Shift
from sim.shift.assay import Assay
from sim.shift.base import ShiftDials, SiteDraws
from sim.shift.coding import Coding
from sim.shift.concept import Concept, Practice
from sim.shift.faults import Faults
from sim.shift.missing import Missing
from sim.shift.outcomes import Ascertainment, FollowUp
from sim.shift.stage import StageMigration
from sim.shift.summary import changed_columns
from tests import toy

RACES = ["white", "black", "other"]


def cohort(patients: int = 6000, sites: int = 12) -> Cohort:
    """What the dials of all shifts read by default; treatment adds 0.2 to the probability of a response."""
    rng = np.random.default_rng(0)
    frail, treated, first = (rng.random(patients) < share for share in (0.2, 0.4, 0.3))
    chance = 0.2 + 0.2 * treated
    columns = {
        "site": [f"h{number}" for number in rng.integers(0, sites, patients)],
        "race": pd.Categorical(rng.choice(RACES, patients), categories=RACES),
        "frail": frail,
        "marker_1": first,
        "marker_2": rng.random(patients) < 0.6,
        "score_z": np.where(rng.random(patients) < 0.05, np.nan, rng.normal(size=patients)),
        "treated": treated,
        "treated_marker": treated & first,
        "response": rng.random(patients) < chance,
    }
    known = ("age_years", "stage", "male", *(name for name in columns if name not in ("site", "response")))
    outcomes: dict[str, Outcome] = {"response": Binary("response"), "survival": Survival("time_days", "died")}
    whole = toy.cohort(patients, columns=columns, predictors=known, outcomes=outcomes)
    truth = pd.DataFrame({"response": chance, "survival": rng.normal(size=patients), "cate": 0.2})
    return replace(whole, truth=truth, derived=product)


def product(table: pd.DataFrame) -> dict[str, pd.Series]:
    """The column that follows from two others, as flags, or as numbers where one of them has gaps."""
    kind = bool if table["marker_1"].dtype == bool else float
    return {"treated_marker": table["treated"].astype(kind) * table["marker_1"].astype(kind)}


def sites_of(whole: Cohort) -> np.ndarray:
    return whole.table["site"].to_numpy(dtype=str)


def shifted(whole: Cohort, shift: Shift, seed: int = 0, outcome: str = "response") -> Cohort:
    return shift.apply(whole, outcome, sites_of(whole), seed)


@dataclass
class Case:
    """A dial, the settings in which it stands at a value, and the columns it may touch."""

    make: Callable[[float], Shift]
    ladder: tuple[float, ...]
    columns: set[str]


def assay(**dials: float) -> Shift:
    return Shift(assay=Assay(**dials))  # type: ignore[arg-type]


CASES: dict[str, Case] = {
    "assay.gain": Case(lambda v: assay(gain=v), (0.1, 0.5, 2.0), {"score_z"}),
    "assay.offset": Case(lambda v: assay(offset=v), (0.1, 0.5, 2.0), {"score_z"}),
    "assay.noise": Case(lambda v: assay(noise=v), (0.1, 0.5, 2.0), {"score_z"}),
    "assay.insensitivity": Case(
        lambda v: assay(insensitivity=v), (0.05, 0.2, 0.6), {"marker_1", "marker_2", "treated_marker"}
    ),
    "assay.unspecificity": Case(
        lambda v: assay(unspecificity=v), (0.05, 0.2, 0.6), {"marker_1", "marker_2", "treated_marker"}
    ),
    "stage.upstage": Case(lambda v: Shift(stage=StageMigration(upstage=v)), (0.05, 0.16, 0.5), {"stage"}),
    "stage.downstage": Case(lambda v: Shift(stage=StageMigration(downstage=v)), (0.05, 0.16, 0.5), {"stage"}),
    "coding.units": Case(lambda v: Shift(coding=Coding(units=v)), (0.05, 0.3, 1.0), {"age_years"}),
    "coding.coarse": Case(lambda v: Shift(coding=Coding(coarse=v)), (0.3, 0.5, 0.9), {"race"}),
    "coding.unknown": Case(lambda v: Shift(coding=Coding(unknown=v)), (0.05, 0.3, 1.0), {"race"}),
    "missing.rate": Case(
        lambda v: Shift(missing=Missing(rate=v)),
        (0.05, 0.2, 0.6),
        {"marker_1", "marker_2", "score_z", "treated_marker"},
    ),
    "missing.panel": Case(
        lambda v: Shift(missing=Missing(panel=v, vendors=0)),
        (0.1, 0.4, 0.9),
        {"marker_1", "marker_2", "score_z", "treated_marker"},
    ),
    "ascertainment.insensitivity": Case(
        lambda v: Shift(ascertainment=Ascertainment(insensitivity=v)), (0.05, 0.2, 0.6), {"response", "died"}
    ),
    "ascertainment.unspecificity": Case(
        lambda v: Shift(ascertainment=Ascertainment(unspecificity=v)), (0.05, 0.2, 0.6), {"response", "died"}
    ),
    "ascertainment.unlinked": Case(
        lambda v: Shift(ascertainment=Ascertainment(unlinked=v)), (0.1, 0.4, 1.0), {"time_days", "died"}
    ),
    "followup.cutoff": Case(lambda v: Shift(followup=FollowUp(cutoff=v)), (0.5, 0.75, 0.95), {"time_days", "died"}),
    "followup.loss": Case(lambda v: Shift(followup=FollowUp(loss=v)), (0.05, 0.3, 2.0), {"time_days", "died"}),
    "faults.unit_swap": Case(lambda v: Shift(faults=Faults(unit_swap=int(v))), (1, 3, 12), {"age_years"}),
    "faults.label_flip": Case(lambda v: Shift(faults=Faults(label_flip=int(v))), (1, 3, 11), {"response", "died"}),
    "faults.stale": Case(lambda v: Shift(faults=Faults(stale=int(v))), (1, 3, 11), {"response", "died", "time_days"}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_dial_does_more_when_it_is_turned_further_and_touches_its_own_columns(name: str) -> None:
    whole, case = cohort(), CASES[name]
    before, truth = whole.table.copy(), whole.truth
    done, rows = [], np.zeros(len(before), dtype=bool)
    for value in case.ladder:
        after = shifted(whole, case.make(value))
        frame = changed_columns(whole, after, sites_of(whole)).set_index("column")
        assert set(frame.index) == case.columns
        assert after.truth is truth
        lead = sorted(case.columns - {"treated_marker", "died"} or case.columns)[0]
        if name.startswith("assay") and lead == "score_z":  # every row changes: by how much, is the dial
            done.append(np.nanmean(np.abs(after.table[lead] - before[lead])))
        else:
            done.append(frame.loc[lead, "changed"])
            old, new = before[lead].to_numpy(), after.table[lead].to_numpy()
            now = np.asarray(pd.isna(new) | (new != old)) & ~before[lead].isna().to_numpy()
            assert (now | ~rows).all()  # what a smaller dial did stays done
            rows = now
    assert 0 < done[0] < done[1] < done[2]
    pd.testing.assert_frame_equal(whole.table, before)


def test_every_dial_has_its_case_here() -> None:
    kinds = [Assay, StageMigration, Coding, Missing, Ascertainment, FollowUp]
    named = {f"{kind.kind}.{dial}" for kind in kinds for dial in kind.limits}
    faults = {f"faults.{fault}" for fault in Faults.__dataclass_fields__}
    assert named | faults == set(CASES) | {"missing.mar", "missing.mnar"}


@pytest.mark.parametrize("name", CASES)
def test_a_dial_at_zero_is_nothing_at_all(name: str) -> None:
    whole = cohort(300)
    assert shifted(whole, CASES[name].make(0)) is whole


def test_without_a_shift_a_run_is_built_from_the_same_bits() -> None:
    wanted = experiment(["cohort.patients=400", "seed=2"])
    assert wanted.shift == Shift()
    whole = wanted.cohort.load(2)
    assert wanted.shift.apply(whole, "response", sites_of(whole), 2) is whole
    prepared = prepare(wanted)
    assert prepared.cohort.digest == whole.digest
    other = experiment(["cohort.patients=400", "seed=2", "shift.het=0.5"])
    assert prepare(other).cohort.digest != whole.digest
    assert run_id(other) != run_id(wanted)
    assert footing(other) != footing(wanted)


@pytest.mark.parametrize("name", [*CASES, "het", "practice", "concept"])
def test_the_order_of_rows_and_the_other_sites_are_nothing_to_a_site(name: str) -> None:
    extra = {
        "het": Shift(het=1.0),
        "practice": Shift(practice=Practice(spread=1.0)),
        "concept": Shift(concept=Concept(tau=0.5, intercept=0.2)),
    }
    shift = extra[name] if name in extra else CASES[name].make(CASES[name].ladder[1])
    whole = cohort(1500)
    after = shifted(whole, shift)
    order = np.random.default_rng(1).permutation(1500)
    assert whole.truth is not None
    mixed = replace(whole, table=whole.table.iloc[order], truth=whole.truth.iloc[order])
    again = shifted(mixed, shift)
    pd.testing.assert_frame_equal(again.table, after.table.iloc[order])
    assert again.digest == after.digest
    if name in ("practice", "concept"):
        assert again.truth is not None
        assert after.truth is not None
        pd.testing.assert_frame_equal(again.truth, after.truth.iloc[order])
    if not name.startswith(("assay.off", "assay.no", "faults", "het", "concept", "followup")):
        # Those speak in units of the whole cohort, or count sites; all others know their own site only.
        some = np.flatnonzero(np.isin(sites_of(whole), ["h1", "h4", "h5"]))
        part = replace(whole, table=whole.table.iloc[some], truth=whole.truth.iloc[some])
        pd.testing.assert_frame_equal(shifted(part, shift).table, after.table.iloc[some], check_dtype=False)
    assert shifted(whole, shift, seed=1).digest != after.digest


def test_het_is_every_dial_of_recording_at_its_reference() -> None:
    whole = cohort(1500)
    kinds: list[type[ShiftDials]] = [Assay, StageMigration, Coding, Missing, Ascertainment, FollowUp]
    by_hand = {kind.kind: kind(**{name: 0.6 * value for name, value in kind.at_het_one.items()}) for kind in kinds}
    one, other = shifted(whole, Shift(het=0.6)), shifted(whole, Shift(**by_hand))  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(one.table, other.table)
    own = shifted(whole, Shift(het=0.6, assay=Assay(gain=0.0, offset=0.0, noise=0.0), missing=Missing(rate=0, panel=0)))
    assert own.table["score_z"].equals(whole.table["score_z"])
    assert not own.table["stage"].equals(whole.table["stage"])
    assert one.truth is whole.truth
    assert set(one.outcomes) == set(whole.outcomes)


# ---------------------------------------------------------------------------------------------- what the dials say


def many() -> Cohort:
    """Three hundred sites of two hundred patients."""
    return cohort(60000, 300)


def test_instruments_have_their_gain_offset_and_noise() -> None:
    whole = many()
    for dial, expected in (("gain", 0.3), ("offset", 0.4)):
        after = shifted(whole, assay(**{dial: expected}))
        old, new = whole.table["score_z"], after.table["score_z"]
        there = old.notna().to_numpy()
        fits = [
            np.polyfit(old[there & at], new[there & at], 1)
            for at in (sites_of(whole) == f"h{number}" for number in range(300))
        ]
        slope, level = np.array(fits).T
        np.testing.assert_allclose(np.abs(new - old)[there & (sites_of(whole) == "h0")] > 0, True)
        if dial == "gain":
            assert np.log(slope).std() == pytest.approx(0.3, rel=0.15)
            np.testing.assert_allclose(level, 0, atol=1e-9)
        else:
            assert level.std() == pytest.approx(0.4 * old.std(), rel=0.15)
            np.testing.assert_allclose(slope, 1, atol=1e-9)
    noise = shifted(whole, assay(noise=0.5)).table["score_z"] - whole.table["score_z"]
    assert noise.std() == pytest.approx(0.5 * whole.table["score_z"].std(), rel=0.02)
    assert abs(noise.mean()) < 0.01
    assert stats.kstest((noise / noise.std()).dropna().iloc[:3000], "norm").pvalue > 1e-3


@pytest.mark.parametrize(("dial", "value", "a", "b"), [("insensitivity", True, 2, 40), ("unspecificity", False, 2, 60)])
def test_tests_err_with_a_share_that_is_beta_over_sites(dial: str, value: bool, a: int, b: int) -> None:
    whole = many()
    after = shifted(whole, assay(**{dial: 0.1}))
    at = (whole.table["marker_2"] == value).to_numpy()
    wrong = after.table["marker_2"].to_numpy() != whole.table["marker_2"].to_numpy()
    assert not wrong[~at].any()
    share = pd.Series(wrong[at]).groupby(sites_of(whole)[at]).mean()
    assert share.mean() == pytest.approx(0.1, rel=0.15)
    law = stats.beta(a, b)
    chance = (share * (1 - share)).mean() / (at.sum() / 300)
    assert share.var() - chance == pytest.approx((0.1 / law.mean()) ** 2 * law.var(), rel=0.4)
    assert after.table["marker_2"].dtype == bool


def test_stages_move_by_one_and_by_half_the_dial_on_average() -> None:
    whole = many()
    step = (
        shifted(whole, Shift(stage=StageMigration(upstage=0.3))).table["stage"].cat.codes
        - whole.table["stage"].cat.codes
    )
    assert set(step) == {0, 1}
    below = (whole.table["stage"] != "III").to_numpy()
    share = step[below].groupby(sites_of(whole)[below]).mean()
    assert share.mean() == pytest.approx(0.15, rel=0.12)
    assert share.max() < 0.45
    numbers = replace(whole, table=whole.table.assign(stage=whole.table["stage"].cat.codes.astype("Int8") + 1))
    moved = shifted(numbers, Shift(stage=StageMigration(upstage=0.3, downstage=0.1))).table["stage"]
    assert moved.dtype == "Int8"
    assert set((moved - numbers.table["stage"]).astype(int)) == {-1, 0, 1}
    assert moved.between(1, 3).all()


def test_codes_and_units_are_what_the_form_has() -> None:
    whole = many()
    units = shifted(whole, Shift(coding=Coding(units=0.2))).table["age_years"] / whole.table["age_years"]
    assert set(units.round(6)) == {1.0, 365.25}
    assert (units > 1).mean() == pytest.approx(0.1, rel=0.15)
    unknown = shifted(whole, Shift(coding=Coding(unknown=0.15))).table["race"].isna()
    share = unknown.groupby(sites_of(whole)).mean()
    assert share.mean() == pytest.approx((0.02 + 0.15) / 2, rel=0.1)
    coarse = shifted(whole, Shift(coding=Coding(coarse=0.4))).table["race"]
    held = pd.crosstab(sites_of(whole), coarse) > 0
    assert held["other"].all()
    assert (1 - held[["white", "black"]].to_numpy().mean()) == pytest.approx(0.4, abs=0.08)
    assert not coarse.isna().any()
    none = shifted(whole, Shift(coding=Coding(coarse=0.4, other="elsewhere"))).table["race"]
    assert none.isna().any()


def test_gaps_have_their_rate_their_driver_and_their_own_value() -> None:
    whole = many()
    frail, value = whole.table["frail"].to_numpy(), whole.table["score_z"].to_numpy()
    there = ~np.isnan(value)

    def gaps(**dials: float) -> np.ndarray:
        found = shifted(whole, Shift(missing=Missing(**dials))).table["score_z"]  # type: ignore[arg-type]
        return found.isna().to_numpy()[there]

    def slope(gap: np.ndarray, x: np.ndarray) -> float:
        """Logistic slope at sites alike: score test estimate about zero would do, but Newton is as short."""
        design, beta = np.column_stack([np.ones(len(x)), x]), np.zeros(2)
        for _ in range(15):
            p = 1 / (1 + np.exp(-design @ beta))
            beta += np.linalg.solve((design * (p * (1 - p))[:, None]).T @ design, design.T @ (gap - p))
        return float(beta[1])

    plain = gaps(rate=0.2)
    assert plain.mean() == pytest.approx(0.2, rel=0.1)
    by_site = pd.Series(plain).groupby(sites_of(whole)[there]).mean()
    assert by_site.std() == pytest.approx(stats.beta(2, 8).std(), rel=0.2)
    assert abs(slope(plain, frail[there])) < 0.1
    assert abs(slope(plain, value[there])) < 0.05
    # Sites differ in their rate, which makes the slope over all of them a little flatter.
    assert slope(gaps(rate=0.2, mar=1.0), frail[there]) == pytest.approx(0.93, abs=0.12)
    assert slope(gaps(rate=0.2, mnar=1.0), value[there]) == pytest.approx(0.93, abs=0.12)
    assert abs(slope(gaps(rate=0.2, mnar=1.0), frail[there])) < 0.1


def test_panels_go_by_vendor_and_never_everywhere() -> None:
    whole = many()

    def absent(**settings: float) -> pd.DataFrame:
        table = shifted(whole, Shift(missing=Missing(**settings))).table  # type: ignore[arg-type]
        return table[["marker_1", "marker_2", "score_z"]].isna().groupby(sites_of(whole)).mean() == 1

    own = absent(panel=0.3, vendors=0)
    assert (own["marker_1"] == own["marker_2"]).all()  # one block
    assert own[["marker_1", "score_z"]].mean().mean() == pytest.approx(0.3, abs=0.06)
    assert len(absent(panel=0.5, vendors=3).drop_duplicates()) <= 3
    for vendors in (0, 1, 3):
        everywhere = absent(panel=1.0, vendors=vendors)
        assert (~everywhere).mean().min() > 0
    lone = cohort(200, 1)
    assert shifted(lone, Shift(missing=Missing(panel=1.0))).table["score_z"].notna().any()


def test_follow_up_ends_and_is_lost_at_the_site_s_own_rate() -> None:
    whole = many()
    old = whole.table
    cut = shifted(whole, Shift(followup=FollowUp(cutoff=0.75))).table
    ends = cut["time_days"].groupby(sites_of(whole)).max()
    longest = old["time_days"].max()
    assert ends.min() == pytest.approx(longest / 4, rel=0.05)
    assert ((cut["time_days"] <= old["time_days"]) & (cut["died"] <= old["died"])).all()
    assert (cut["time_days"][cut["died"]] == old["time_days"][cut["died"]]).all()
    lost = shifted(whole, Shift(followup=FollowUp(loss=0.5))).table
    # Of exponential times of rate a and losses of rate b, a / (a + b) are seen; b is U(3/8, 1) x 0.5 a year.
    b = np.linspace(3 / 8, 1, 1001) * 0.5 / 365.25
    seen = (lost["time_days"] == old["time_days"]).mean()
    assert seen == pytest.approx(np.mean(1 / 800 / (1 / 800 + b)), abs=0.01)


def test_outcomes_are_misread_lost_and_chosen() -> None:
    whole = many()
    found = shifted(whole, Shift(ascertainment=Ascertainment(insensitivity=0.2, outcomes=["response"])))
    assert found.table["died"].equals(whole.table["died"])
    missed = whole.table["response"] & ~found.table["response"]
    assert missed.sum() / whole.table["response"].sum() == pytest.approx(0.2, rel=0.15)
    unlinked = shifted(whole, Shift(ascertainment=Ascertainment(unlinked=0.4))).table
    gone = unlinked["time_days"] < whole.table["time_days"]
    assert gone.mean() == pytest.approx(0.2, rel=0.1)
    assert not unlinked["died"][gone].any()
    fraction = (unlinked["time_days"] / whole.table["time_days"])[gone]
    assert stats.kstest(fraction.iloc[:3000], "uniform").pvalue > 1e-3


def test_faults_hit_so_many_sites_and_are_told() -> None:
    whole = cohort(3000)
    after = shifted(whole, Shift(faults=Faults(unit_swap=2, label_flip=1, stale=1)))
    by_site = (after.table["age_years"] > 200).groupby(sites_of(whole)).mean()
    assert sorted(by_site) == [0] * 10 + [1, 1]
    assert set(by_site.index[by_site == 1]) == set(
        after.notes["faults"].split("; ")[0].removeprefix("unit_swap: ").split(", ")
    )
    flipped = after.notes["faults"].split("label_flip: ")[1].split(";")[0]
    stale = after.notes["faults"].split("stale: ")[1]
    at = (sites_of(whole) == flipped) & (sites_of(whole) != stale)
    if flipped != stale:
        assert (after.table["response"] != whole.table["response"])[at].all()
        here = sites_of(whole) == stale
        early = after.table["time_days"][here] == whole.table["time_days"][here] / 2
        assert early.mean() == pytest.approx(0.5, abs=0.15)
        assert not after.table["died"][here][early].any()


# -------------------------------------------------------------------------------------------------- what happens


def calibrated(tau: float = 0.0, spread: float = 0.0) -> tuple[Cohort, Cohort, np.ndarray]:
    wanted = experiment(["cohort.patients=40000", "cohort.het=0", "cohort.tau=0", "cohort.sites=8", "seed=1"])
    whole = wanted.cohort.load(1)
    sites = sites_of(whole)
    shift = Shift(practice=Practice(spread=spread), concept=Concept(tau=tau, intercept=tau / 2))
    return whole, shift.apply(whole, "response", sites, 1), sites


def test_practice_multiplies_the_odds_of_treatment_and_its_truth_holds() -> None:
    whole, after, sites = calibrated(spread=0.8)
    assert whole.truth is not None
    assert after.truth is not None
    share = [table["treated"].groupby(sites).mean() for table in (whole.table, after.table)]
    moved = logit(share[1]) - logit(share[0])
    draws = SiteDraws.of(whole, sites, 1)
    np.testing.assert_allclose(moved, 0.8 * draws.site_normals("practice"), atol=0.12)
    switched = (whole.table["treated"] != after.table["treated"]).to_numpy()
    step = np.where(after.table["treated"], 1, -1) * whole.truth["cate"].to_numpy()
    old, new = whole.truth["response"].to_numpy(), after.truth["response"].to_numpy()
    np.testing.assert_allclose(new[switched], np.clip(old + step, 0, 1)[switched], atol=1e-12)
    np.testing.assert_array_equal(new[~switched], old[~switched])
    same = (whole.table["response"] == after.table["response"]).to_numpy()
    assert same[~switched].all()
    assert not same[switched].all()
    for part in (switched, ~switched, (sites == "centre-1") & switched):
        error = (after.table["response"].to_numpy() - new)[part]
        assert abs(error.mean()) < 4 * np.sqrt((new * (1 - new))[part].sum()) / part.sum()
    expected = after.table["treated"] & np.where(False, 0, after.table["marker_1"])
    assert after.table["treated_marker"].equals(expected.rename("treated_marker"))
    assert set(after.outcomes) == {"response"}


def test_concept_moves_the_log_odds_by_the_site_s_own_effects_and_its_truth_holds() -> None:
    whole, after, sites = calibrated(tau=0.6)
    assert whole.truth is not None
    assert after.truth is not None
    draws = SiteDraws.of(whole, sites, 1)
    old, new = (logit(made.truth["response"].to_numpy()) for made in (whole, after))  # type: ignore[union-attr]
    treated, marker = whole.table["treated"].to_numpy(), whole.table["treated_marker"].to_numpy()
    score = whole.table["score_z"].to_numpy()
    z = np.nan_to_num((score - np.nanmean(score)) / np.nanstd(score))
    expected = 0.3 * draws.site_normals("concept", "intercept")[draws.site]
    for name, facts in (
        ("treated", treated - treated.mean()),
        ("score_z", z),
        ("treated_marker", marker - marker.mean()),
    ):
        expected += 0.6 * draws.site_normals("concept", name)[draws.site] * facts
    np.testing.assert_allclose(new - old, expected, atol=1e-9)
    p = after.truth["response"].to_numpy()
    for site in np.unique(sites):
        at = sites == site
        error = (after.table["response"].to_numpy() - p)[at]
        assert abs(error.mean()) < 4 * np.sqrt((p * (1 - p))[at].sum()) / at.sum()
    assert "cate" not in after.truth
    pd.testing.assert_frame_equal(after.table.drop(columns="response"), whole.table.drop(columns="response"))


def test_more_concept_shift_changes_more_labels() -> None:
    differ = []
    for tau in (0.0, 0.2, 0.6, 1.5):
        whole, after, _ = calibrated(tau=tau)
        differ.append((whole.table["response"] != after.table["response"]).mean())
    assert differ[0] == 0
    assert differ[0] < differ[1] < differ[2] < differ[3]


def test_a_misread_marker_is_misread_in_its_product_too() -> None:
    wanted = experiment(["cohort.patients=3000", "cohort.cancers=[lung,prostate]", "seed=1"])
    whole = wanted.cohort.load(1)
    after = Shift(assay=Assay(insensitivity=0.3, unspecificity=0.1)).apply(whole, "response", sites_of(whole), 1)
    second = (after.table["cancer"] == "prostate").to_numpy()  # whose predictive marker is the second
    marker = np.where(second, after.table["marker_2"], after.table["marker_1"])
    assert (after.table["treated_marker"].to_numpy() == (after.table["treated"].to_numpy() & marker)).all()
    assert not after.table["treated_marker"].equals(whole.table["treated_marker"])
    gappy = Shift(missing=Missing(rate=0.3)).apply(whole, "response", sites_of(whole), 1).table
    gone = np.where(second, gappy["marker_2"].isna(), gappy["marker_1"].isna())
    assert (gappy["treated_marker"].isna().to_numpy() == gone).all()
    assert whole.derived is not None
    pd.testing.assert_series_equal(
        whole.derived(whole.table)["treated_marker"], whole.table["treated_marker"], check_names=False
    )


# ------------------------------------------------------------------------------------------------------- refusals


REFUSED: list[tuple[Callable[[], Shift], str]] = [
    (lambda: Shift(het=1.6), r"shift\.het=1\.6: allowed \[0, 1\.5\]"),
    (lambda: assay(gain=-0.1), r"shift\.assay\.gain=-0\.1: allowed \[0, 3\]"),
    (lambda: Shift(stage=StageMigration(upstage=0.6)), r"shift\.stage\.upstage=0\.6: allowed \[0, 0\.5\]"),
    (lambda: Shift(missing=Missing(rate=0.9)), r"shift\.missing\.rate=0\.9"),
    (lambda: Shift(missing=Missing(vendors=-1)), r"shift\.missing\.vendors=-1"),
    (lambda: Shift(followup=FollowUp(cutoff=1.0)), r"shift\.followup\.cutoff=1\.0"),
    (lambda: Shift(ascertainment=Ascertainment(unlinked=2)), r"shift\.ascertainment\.unlinked=2"),
    (lambda: Shift(coding=Coding(factors={"psa": 0.0})), r"shift\.coding\.factors\.psa=0\.0"),
    (lambda: Shift(faults=Faults(stale=-1)), r"shift\.faults\.stale=-1"),
    (lambda: Shift(practice=Practice(spread=9)), r"shift\.practice\.spread=9"),
    (lambda: Shift(concept=Concept(tau=-1)), r"shift\.concept\.tau=-1"),
    (lambda: Shift(concept=Concept(columns=["a", "a"])), "'a' is named twice"),
    (lambda: Shift(assay=Assay(numeric=["a"], binary=["a"])), "'a' is named twice"),
    (lambda: Shift(missing=Missing(blocks={"x": ["a"], "y": ["a"]})), "'a' is named twice"),
]


@pytest.mark.parametrize(("make", "words"), REFUSED)
def test_settings_out_of_range_are_refused(make: Callable[[], Shift], words: str) -> None:
    with pytest.raises(Refused, match=words):
        make()


@pytest.mark.parametrize(
    ("shift", "words"),
    [
        (assay(gain=1.0, insensitivity=0.0), None),
        (Shift(assay=Assay(numeric=["psa"], gain=1.0)), r"shift\.assay\.numeric='psa': allowed age_years, .*stage"),
        (Shift(assay=Assay(numeric=["race"], gain=1.0)), r"'race' holds category; allowed numbers"),
        (Shift(assay=Assay(binary=["age_years"], insensitivity=0.1)), "numbers other than 0 and 1"),
        (Shift(stage=StageMigration(column="t", upstage=0.1)), r"shift\.stage\.column='t'"),
        (Shift(coding=Coding(categories=["male"], unknown=0.1)), "'male' holds bool; allowed categories"),
        (Shift(coding=Coding(factors={"psa": 2.0}, units=0.1)), r"shift\.coding\.factors='psa'"),
        (Shift(missing=Missing(blocks={"labs": ["psa"]}, rate=0.1)), r"shift\.missing\.blocks\.labs='psa'"),
        (Shift(missing=Missing(driver="ecog", rate=0.1, mar=1.0)), r"shift\.missing\.driver='ecog'"),
        (Shift(ascertainment=Ascertainment(outcomes=["relapse"], insensitivity=0.1)), "'relapse': allowed response"),
        (Shift(faults=Faults(label_flip=13)), r"shift\.faults\.label_flip=13: allowed 0 to 12"),
        (Shift(faults=Faults(unit_swap=1), coding=Coding(factors={})), "factors is empty"),
        (Shift(practice=Practice(spread=1.0, treatment="surgery")), r"shift\.practice\.treatment='surgery'"),
        (Shift(concept=Concept(tau=1.0, columns=["race"])), "'race' holds category"),
    ],
)
def test_what_a_cohort_does_not_have_is_refused(shift: Shift, words: str | None) -> None:
    whole = cohort(300)
    if words is None:
        shifted(whole, shift)
        return
    with pytest.raises(Refused, match=words):
        shifted(whole, shift)


def test_what_happens_needs_the_truth_of_a_yes_or_no_outcome() -> None:
    whole = cohort(300)
    bare = replace(whole, truth=None)
    for shift, setting in ((Shift(practice=Practice(1.0)), "practice"), (Shift(concept=Concept(1.0)), "concept")):
        with pytest.raises(
            Refused, match=rf"shift\.{setting}: needs a cohort that knows its truth, and 'toy' does not"
        ):
            shifted(bare, shift)
        with pytest.raises(Refused, match=rf"shift\.{setting}: outcome 'survival' is a survival"):
            shifted(whole, shift, outcome="survival")
    assert whole.truth is not None
    with pytest.raises(Refused, match="has no column 'cate'"):
        shifted(replace(whole, truth=whole.truth.drop(columns="cate")), Shift(practice=Practice(1.0)))


def test_practice_moves_no_outcome_but_the_one_whose_gain_is_known() -> None:
    words = ["cohort.patients=600", "cohort.mature_years=5", "task=mortality", "shift.practice.spread=1"]
    with pytest.raises(Refused, match="known of outcome 'response', not of 'mortality_5y'"):
        prepare(experiment(words))


def test_a_survival_dial_needs_a_survival_but_het_does_not_mind() -> None:
    whole = cohort(300)
    label = replace(whole, outcomes={"response": Binary("response")}, predictors={"response": ("age_years", "male")})
    for shift in (Shift(followup=FollowUp(loss=0.1)), Shift(ascertainment=Ascertainment(unlinked=0.1))):
        with pytest.raises(Refused, match="needs a survival outcome"):
            shifted(label, shift)
    after = shifted(label, Shift(het=1.0))
    assert after.table["time_days"].equals(whole.table["time_days"])


# ------------------------------------------------------------------------------------------------------------- floors

DEALT = ["cohort.patients=900", "partition=iid", "partition.sites=9", "seed=1"]
FLIPPED = ["shift.ascertainment.insensitivity=0.9"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            [*FLIPPED, "partition.min_events=12"],
            [r"events or non-events \(site-", r"shift\.ascertainment\.insensitivity,"],
        ),
        (
            ["task=hazard", "shift.followup.cutoff=0.99", "partition.min_events=8"],
            ["fewer than 8 events", r"Lower shift\.followup\.cutoff,"],
        ),
        (
            ["task=hazard", "shift.het=1.5", "shift.ascertainment.unspecificity=0", "partition.min_events=10"],
            ["fewer than 10 events", r"Lower shift\.het,"],
        ),
        (
            [
                "task=hazard",
                "shift.het=1.5",
                "shift.faults.stale=9",
                "shift.faults.unit_swap=1",
                "partition.min_events=8",
            ],
            [r"Lower shift\.het or shift\.faults\.stale, or set partition\.min_events=\d+\."],
        ),
    ],
)
def test_sites_that_fall_below_a_floor_by_the_shift_are_told_with_the_dial(words: list[str], told: list[str]) -> None:
    plain = [word for word in words if not word.startswith("shift")]
    gather(experiment([*DEALT, *plain]))
    with pytest.raises(Refused, match="The shift leaves") as refusal:
        gather(experiment([*DEALT, *words]))
    for word in told:
        assert re.search(word, str(refusal.value)), (word, str(refusal.value))
    loose = re.search(r"set (partition\.min_events=\d+)\.", str(refusal.value))
    assert loose
    gather(experiment([*DEALT, *words, loose.group(1)]))


def test_a_dial_that_leaves_the_outcome_alone_meets_no_floor() -> None:
    gather(experiment([*DEALT, "shift.assay.noise=5", "shift.coding.unknown=1", "partition.min_events=12"]))


def test_an_outcome_that_the_shift_hides_is_refused() -> None:
    """It would be taken for the first class."""
    words = ["task=cancer_type", "cohort.cancers=[breast, lung]", "shift.coding.unknown=0.5"]
    with pytest.raises(Refused, match=r"'cancer_type' not recorded in \d+ of 900 rows.* shift\.coding\.unknown"):
        gather(experiment([*DEALT, *words, "shift.coding.categories=[cancer]"]))
