"""What makes the calibrated cohort hard: each mode does what it says, and leaves the published survival alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from lifelines import CoxPHFitter
from scipy.stats import kstest, norm

from sim.checks import Refused
from sim.cohort.calibrated.centres import centres, referral_factors
from sim.cohort.calibrated.published import cancers, law
from sim.cohort.calibrated.source import Calibrated
from sim.cohort.calibrated.world import Hard
from sim.cohort.outcomes import DAYS_PER_YEAR
from sim.cohort.table import Cohort
from sim.config.compose import experiment
from sim.run.run import rehearse


def made(cancer: str, patients: int, *hard: Hard, **more: object) -> Cohort:
    plain = {"het": 0.0, "tau": 0.0, "sites": 1}
    return Calibrated(cancers=[cancer], patients=patients, hard=list(hard), **(plain | more)).load(0)


def known(cohort: Cohort) -> pd.DataFrame:
    """What acts on the hazard, with time and event of death from cancer."""
    table, truth = cohort.table, cohort.truth
    assert truth is not None
    names = ("age_years", "male", "frail", "marker_1", "marker_2", "score_z")
    data = pd.DataFrame({name: truth[name] if name in truth else table[name] for name in names}).astype(float)
    data = data.assign(response=table["response"].astype(float), stage=truth["stage"].cat.codes)
    return data.assign(time=table["time_days"], event=table["died"] & (truth["cause"] == "cancer"))


@pytest.mark.parametrize("name", ["lung", "breast", "aml"])
def test_published_survival_holds_whatever_is_hard(name: str) -> None:
    truth = made(name, 60_000, Hard.time_varying, Hard.stage_effects).truth
    assert truth is not None
    survival = np.broadcast_to(cancers()[name]["survival_5y"].value, 3)
    for stage, published in enumerate(survival):
        mine = truth["stage"].cat.codes == stage
        if mine.any():
            alive = (truth["time_cancer_days"][mine] > 5 * DAYS_PER_YEAR).mean()
            assert abs(alive - published) < 3.5 * np.sqrt(published * (1 - published) / mine.sum()) + 0.0005


def test_frailty_and_score_act_more_early_than_late() -> None:
    data = known(made("lung", 40_000, Hard.time_varying))
    early = data.assign(
        event=data["event"] & (data["time"] < 2 * DAYS_PER_YEAR), time=np.minimum(data["time"], 2 * DAYS_PER_YEAR)
    )
    late = data[data["time"] > 2 * DAYS_PER_YEAR]
    # population.yaml: up to two years 1.5 times, then .5 times; lung: frail .8, score .20, marker_1 ln .60 all along
    for part, factor in ((early, 1.5), (late, 0.5)):
        found = CoxPHFitter().fit(part, "time", "event", strata=["stage"]).summary
        expected = pd.Series({"frail": 0.8 * factor, "score_z": 0.20 * factor, "marker_1": np.log(0.60)})
        off = (found.loc[expected.index, "coef"] - expected) / found.loc[expected.index, "se(coef)"]
        assert (np.abs(off) < 3).all(), found[["coef", "se(coef)"]]
        assert found.loc["frail", "se(coef)"] < 0.1  # the two are .8 apart
    steady = CoxPHFitter().fit(known(made("lung", 10_000)), "time", "event", strata=["stage"]).summary
    assert abs(steady.loc["frail", "coef"] - 0.8) < 3 * steady.loc["frail", "se(coef)"]


def test_the_risk_at_five_years_is_that_of_the_times() -> None:
    truth = made("aml", 40_000, Hard.time_varying).truth
    assert truth is not None
    alive = (truth["time_cancer_days"] > 5 * DAYS_PER_YEAR).to_numpy()
    chance = np.exp(-np.exp(truth["survival_cancer"].to_numpy()))
    # In tenths of the predicted chance the observed share agrees: 4,000 patients each, 4 binomial standard errors.
    for tenth in np.array_split(np.argsort(chance), 10):
        p = chance[tenth].mean()
        assert abs(alive[tenth].mean() - p) < 4 * np.sqrt(p * (1 - p) / len(tenth))


def test_triple_negative_is_worst_in_regional_disease() -> None:
    data = known(made("breast", 150_000, Hard.stage_effects))
    for stage, ratio in enumerate((1.9, 4.0, 1.9)):  # cancers.yaml, marker_1_by_stage
        mine = data[data["stage"] == stage].drop(columns=["stage", "male"])
        found = CoxPHFitter().fit(mine, "time", "event").summary.loc["marker_1"]
        assert abs(found["coef"] - np.log(ratio)) < 3 * found["se(coef)"], found[["coef", "se(coef)"]]
        assert found["se(coef)"] < 0.16  # ln 4.0 - ln 1.9 = .74


def test_effects_differ_from_centre_to_centre_as_far_as_tau() -> None:
    at = centres(0, 400, 0.0, 0.3, (), frozenset({Hard.site_effects}))
    np.testing.assert_array_equal(at.scale[:, [1, 5]], 1)  # sex stays, and tau moves the score anyhow
    for column in (0, 2, 3, 4):
        assert kstest(at.scale[:, column], norm(1, 0.3).cdf).pvalue > 1e-3
    assert kstest(at.per_stage, norm(0, 0.3).cdf).pvalue > 1e-3
    still = centres(0, 400, 0.0, 0.3, ())
    assert (still.scale == 1).all()
    assert not still.per_stage.any()
    # and a patient's risk is what the centre makes of it
    cohort = made("melanoma", 3000, Hard.site_effects, tau=0.5)
    here = centres(0, 1, 0.0, 0.5, ("melanoma",), frozenset({Hard.site_effects}))
    data = known(cohort)
    assert cohort.truth is not None
    columns = [(data["age_years"] - 64) / 10, data["male"] - 0.577, data["frail"] - 0.15, data["marker_1"]]
    columns += [data["marker_2"], data["score_z"], data["response"], *(data["stage"] == at for at in range(3))]
    found, *_ = np.linalg.lstsq(np.column_stack(columns).astype(float), cohort.truth["survival_cancer"], rcond=None)
    factor = here.scale[0]
    effects = [0.12 * factor[0], 0.20, 0.7 * factor[2], np.log(1.15) * factor[3], np.log(1.1) * factor[4]]
    effects += [0.35 + here.concept[0, 3], np.log(0.55)]
    np.testing.assert_allclose(found[:7], effects, atol=1e-8)
    plain = known(made("melanoma", 3000))
    assert plain["stage"].equals(data["stage"])


def test_twice_as_many_stages_are_recorded_too_high() -> None:
    usual, hard = (centres(0, 300, 1.0, 0.0, (), modes) for modes in (frozenset(), frozenset({Hard.stage_migration})))
    np.testing.assert_allclose(hard.upstage, 2 * usual.upstage)  # .16 for .08 (centres.yaml)
    assert hard.upstage.max() <= 0.16


def test_rare_cancers_are_referred() -> None:
    names = tuple(cancers())
    assert [name for name, rare in zip(names, law(names).rare, strict=True) if rare] == [
        *("ovary", "aml", "glioblastoma", "sarcoma", "male_breast", "merkel")  # below 25,000 cases a year
    ]
    times, volume = referral_factors(0, 4000, 5.0, law(names))
    here = volume > 1
    assert abs(here.mean() - 0.25) < 4 * np.sqrt(0.25 * 0.75 / 4000)  # centres.yaml
    np.testing.assert_array_equal(times[here][:, law(names).rare], 5.0)
    assert (times[~here] == 1).all()
    # 4 % of cases are rare... all others stay as they were, so that a centre grows by 4 times their share.
    rare = law(names).share[law(names).rare].sum()
    np.testing.assert_allclose(volume[here], 1 + 4 * rare)
    plain, boosted = (
        Calibrated(cancers=["all"], patients=80_000, sites=8, het=0.0, tau=0.0, rare_boost=boost).load(0).table
        for boost in (1.0, 5.0)
    )
    share = [
        table["cancer"].isin(["merkel", "sarcoma", "ovary"]).groupby(table["site"]).mean() for table in (plain, boosted)
    ]
    names_here = [
        f"centre-{number + 1}" for number in np.flatnonzero(referral_factors(0, 8, 5.0, law(names))[0].max(1) > 1)
    ]
    assert 0 < len(names_here) < 8
    ratio = (share[1] / share[0]).loc[names_here]
    assert (np.abs(ratio - 5 / (1 + 4 * rare)) < 0.9).all()  # 300 of 10,000: a ratio's se is near .3
    alone = Calibrated(cancers=["merkel"], patients=8000, sites=8, het=0.0, tau=0.0, rare_boost=5.0).load(0).table
    sizes = alone["site"].value_counts()
    assert sizes[names_here].min() / sizes.drop(names_here).max() == pytest.approx(5, rel=0.01)


def test_markers_have_gaps_and_some_centres_lack_all_biomarkers() -> None:
    cohort = Calibrated(cancers=["breast"], patients=30_000, sites=60, het=1.0, marker_gaps=True).load(0)
    table = cohort.table
    gaps = table[["marker_1", "marker_2", "score_z"]].isna().groupby(table["site"].to_numpy()).mean()
    at = centres(0, 60, 1.0, 0.3, ("breast",))
    lacking = {f"centre-{number + 1}" for number in np.flatnonzero(at.panels[:, 0])}
    assert lacking
    assert set(gaps.index[(gaps == 1).all(axis=1)]) >= lacking
    kept = gaps.drop(sorted(lacking))
    assert (kept < 0.9).all(axis=None)
    assert kept["marker_1"].corr(kept["marker_2"]) < 0.6  # features have gaps of their own
    seen = table["marker_1"].notna()
    assert set(table["marker_1"][seen]) == {0.0, 1.0}
    # not treated: the product is known whatever the marker is
    assert (table["treated_marker"].isna() == (table["treated"] & ~seen)).all()
    assert (table.loc[~table["treated"], "treated_marker"] == 0).all()
    whole = Calibrated(cancers=["breast"], patients=300, het=1.0).load(0).table
    assert whole["marker_1"].dtype == bool


def test_gaps_are_learned_from() -> None:
    words = ["cohort.marker_gaps=true", "cohort.patients=2000", "cohort.het=1", "rounds=2"]
    run = rehearse(experiment(words))
    assert "marker_1 missing" in run.info["features"]
    assert run.info["status"] == "done"


def test_modes_are_words_of_the_command_line() -> None:
    wanted = experiment(["cohort.hard=[time_varying,stage_migration]", "cohort.years=10", "cohort.rare_boost=5"])
    assert wanted.cohort.hard == [Hard.time_varying, Hard.stage_migration]
    assert "hard=[time_varying,stage_migration]" in wanted.cohort.load(0).notes["settings"]
    with pytest.raises(Refused, match=r"cohort\.hard"):
        experiment(["cohort.hard=[wild]"])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"years": 2}, ["cohort.years=2", "[3, 40]"]),
        ({"rare_boost": 0.5}, ["cohort.rare_boost=0.5", "[1, 20]"]),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, float], words: list[str]) -> None:
    with pytest.raises(Refused) as refusal:
        Calibrated(**settings)
    for word in words:
        assert word in str(refusal.value)


def test_years_are_those_of_the_follow_up() -> None:
    """The later a patient came, the shorter she can have been followed; data end with 2025, less what matures."""
    for mature in (0.0, 3.0):
        table = made("pancreas", 4000, years=6, mature_years=mature).table
        assert set(table["diagnosis_year"]) == set(range(2020 - int(mature), 2026 - int(mature)))
        left = 2026 - table["diagnosis_year"]
        assert (table["time_days"] <= (left + 0.05 + 1e-9) * DAYS_PER_YEAR).all()
        followed = table["time_days"] > (left - 1 - 1e-9) * DAYS_PER_YEAR
        assert followed[~table["died"]].mean() > 0.5  # the others were lost


def test_a_centre_with_a_longer_accrual_has_older_patients() -> None:
    cohort = Calibrated(patients=8000, sites=4, sizes=[1, 1, 1, 1], het=1.0).load(0)
    at = centres(0, 4, 1.0, 0.3, ("breast",))
    first = cohort.table["diagnosis_year"].groupby(cohort.table["site"]).min()
    np.testing.assert_array_equal(first, np.ceil(2026 - at.cutoff_years) - 1)
    assert replace(at).cutoff_years.std() > 0.5
