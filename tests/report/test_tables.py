"""The tables and the answer of a study whose summary is known by construction."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sim.checks import Refused
from sim.metrics import BACKDOOR
from sim.report.across import over_all, text
from sim.report.answer import answer
from sim.report.decision import decide, decisions
from sim.report.scores import scores
from sim.report.table_text import summary_text, terminal_text
from sim.report.tables import per_site, summary
from sim.study.results import OVERLAPS, StudyRecords
from tests.report.known_study import SITE_ROWS, study


def test_summary_is_the_known_answer() -> None:
    table = summary(study()).set_index("method")
    assert list(table.index) == ["FedAvg", "FedProx", "Local only", "Pooled"]
    best = table.loc["FedAvg"]
    assert best["mean"] == pytest.approx(0.70)
    # seeds give 0.69, 0.70, 0.71: sd 0.01; t quantile 0.975 with 2 degrees of freedom is 4.3027
    assert best["high"] - best["mean"] == pytest.approx(4.3027 * 0.01 / 3**0.5, abs=1e-6)
    assert (best["worst_site"], best["worst"]) == ("C", pytest.approx(0.60))
    tally = ["compared", "gaining", "gaining_significantly", "losing", "losing_significantly"]
    assert best[tally].tolist() == [3, 2, 2, 1, 1]
    assert (best["sites"], best["sites_defined"]) == (4, 3)
    assert best["target"] == pytest.approx(0.695)
    assert (best["reached"], best["mb_to_target"], best["mb_total"], best["mb_visit"]) == (3, 8.0, 8.0, 0.5)
    assert (best["mb_evaluation"], best["mb_control"]) == (10.0, 4 * 48e-6)
    assert best["published_se"] == pytest.approx(0.01 / (0.01 / 3**0.5))


def test_diverged_runs_are_counted_and_in_no_mean() -> None:
    row = summary(study()).set_index("method").loc["FedProx"]
    assert (row["seeds"], row["diverged"]) == (2, 1)
    # seeds 0 and 1 only: A 0.72 and 0.76, B 0.68 and 0.69, C 0.49 and 0.50
    assert row["mean"] == pytest.approx((0.72 + 0.76 + 0.68 + 0.69 + 0.49 + 0.50) / 6)
    assert row["reached"] == 0
    assert np.isnan(row["mb_to_target"])


def test_a_target_reached_before_diverging_does_not_count() -> None:
    records = study(dead=("FedAvg", 0))
    assert summary(records).set_index("method").loc["FedAvg", "reached"] == 2


def test_gains_within_chance_are_not_called_significant() -> None:
    row = summary(study(dead=("", 0))).set_index("method").loc["FedProx"]
    # A: gains -0.02, 0.01, 0.04, not significant; B: -0.03 significantly; C: zero up to rounding
    assert (row["gaining_significantly"], row["losing_significantly"]) == (0, 1)


def test_lower_is_better_turns_order_worst_and_gain_round() -> None:
    table = summary(replace(study(), metric="brier", published={})).set_index("method")
    assert list(table.index)[:2] == ["FedAvg", "FedProx"]
    assert table.loc["FedAvg", "mean"] == pytest.approx(0.30)
    assert (table.loc["FedAvg", "worst_site"], table.loc["FedAvg", "worst"]) == ("C", pytest.approx(0.40))
    known = table.dropna(subset=["low"])
    assert (known["low"] <= known["high"]).all()
    assert table.loc["FedAvg", "target"] == pytest.approx(0.305)
    assert table.loc["FedAvg", "reached"] == 3


def test_the_success_of_a_backdoor_stands_beside_the_metric_where_there_is_one() -> None:
    plain, records = summary(study()), study(scenarios=("none", "planted"))
    assert "Backdoor success" not in {*summary_text(plain), *terminal_text(plain)}
    rows = records.sites[records.sites["metric"] == "auroc"].copy()
    rows = rows[rows["run"].astype(str).str.startswith("plantedFed")]
    rows["metric"], rows["value"] = BACKDOOR, np.where(rows["site"] == "A", 1.0, rows["round"] / 8)
    table = summary(replace(records, sites=pd.concat([records.sites, rows], ignore_index=True)))
    planted = table[table["scenario"] == "planted"].set_index("method")["backdoor"]
    assert planted["FedAvg"] == pytest.approx((1 + 3 * 0.5) / 4)  # of the last round, over four sites
    assert planted.isna().tolist() == [False, False, True, True]
    assert table.loc[table["scenario"] == "none", "backdoor"].isna().all()
    for written in (summary_text, terminal_text):
        assert written(table[table["scenario"] == "planted"])["Backdoor success"].tolist() == [
            "0.625",
            "0.625",
            "–",
            "–",
        ]


def test_per_site_rows_gain_and_order() -> None:
    table = per_site(study())
    assert table["site"].unique().tolist() == ["A", "B", "C", "D", "1 site with fewer than 10 test events"]
    found = table.set_index(["site", "method"])
    assert found.loc[("A", "FedAvg"), "gain"] == pytest.approx(0.05)
    assert found.loc[("B", "FedAvg"), "gain"] == pytest.approx(-0.02)
    assert found.loc[("A", "FedAvg"), ["rows", "events"]].tolist() == [100, 50]
    assert found.loc[("D", "FedAvg"), ["mean", "gain"]].isna().all()


def test_records_given_twice_count_once() -> None:
    records = study()
    doubled = replace(
        records, sites=pd.concat([records.sites] * 2), rounds=pd.concat([records.rounds] * 2, ignore_index=True)
    )
    pd.testing.assert_frame_equal(summary(doubled), summary(records))


def said_of(records: StudyRecords) -> list[str]:
    scored = scores(records)
    table, sites = summary(records, scored), per_site(records, scored)
    return answer(table, decide(table, sites, scored, records.margin))


def test_the_first_sentence_answers() -> None:
    records = study(dead=("", 0))
    said = said_of(records)
    # gain at A 0.05, at B -0.02, at C 0.10 with every seed; FedProx is behind by 0.06, 0.05, 0.04, mean 0.05
    assert said[0] == (
        "Join, except B: mean gain over training alone +0.043 AUROC (95 % interval +0.043 to +0.043) with FedAvg; "
        "A and C gain significantly, B loses significantly; FedAvg is the best method."
    )
    assert "Significantly worse than FedAvg, by more than the margin: FedProx (by 0.050)." in said
    assert "3 of 3 runs came within the margin" in " ".join(said)
    assert "Some runs diverged and are not included in any mean: FedProx (1 of 3)." in said_of(study())


def test_differences_below_the_margin_are_ties_whatever_their_interval() -> None:
    said = said_of(replace(study(dead=("", 0)), margin=0.06))
    assert "FedAvg and FedProx are equally good" in said[0]
    assert said[0].startswith("On average, joining makes no relevant difference")  # 0.043 is below the margin too


def test_a_difference_beyond_the_margin_may_be_chance() -> None:
    records = study(dead=("", 0))
    noise = records.sites["run"].str.endswith("-0") & records.sites["run"].str.startswith("FedProx")
    records.sites.loc[noise, "value"] += 0.1
    assert "FedAvg has the best mean, not significantly better than FedProx" in said_of(records)[0]


def test_two_seeds_are_too_few_to_say() -> None:
    said = said_of(study(seeds=(0, 1), dead=("", 0)))
    assert said[0].startswith(
        "These runs cannot show whether joining is worthwhile: mean gain over training alone +0.043 AUROC"
    )
    assert "fewer than 3 seeds give none" in said[1]


def test_sites_too_small_to_judge_are_taken_together() -> None:
    records = study(dead=("", 0))
    few = records.sites["site"].isin(["B", "C"])
    records.sites.loc[few, "events"] = 9
    table, sites = summary(records).set_index("method"), per_site(records)
    best = table.loc["FedAvg"]
    assert best[["too_small", "compared", "losing", "worst_site"]].tolist() == [3, 1, 0, "A"]
    group = sites[(sites["kind"] == "together") & (sites["method"] == "FedAvg")].iloc[0]
    assert group["site"] == "3 sites with fewer than 10 test events"
    assert group["gain"] == pytest.approx((-0.02 + 0.10) / 2)
    assert best["gain"] == pytest.approx((0.05 - 0.02 + 0.10) / 3)  # the mean stays that of all sites
    said = " ".join(said_of(records))
    assert (
        "3 sites have fewer than 10 test events, too few to judge them individually; together they gain +0.040" in said
    )


def test_an_interval_stays_in_the_range_of_the_metric() -> None:
    records = study(dead=("", 0))
    wild = records.sites["run"].str.endswith("-0") & ~records.sites["run"].str.startswith("Pooled")
    records.sites.loc[wild, "value"] = 0.0
    table, sites = summary(records), per_site(records)
    assert table[["low", "high"]].min().min() == 0
    assert table["high"].max() <= 1
    assert sites["low"].min() >= -1


def test_where_patients_are_fixed_the_variance_counts_the_overlap() -> None:
    records = study(dead=("", 0))
    runs, names = records.runs["run"].unique(), ["", *SITE_ROWS]
    shared = pd.DataFrame([(run, site, 0.25) for run in runs for site in names], columns=list(OVERLAPS))
    free, fixed = summary(records), summary(replace(records, overlaps=shared))
    wider = (fixed["high"] - fixed["mean"]) / (free["high"] - free["mean"])
    assert wider.to_numpy() == pytest.approx((1 + 3 * 0.25) ** 0.5)  # (1/3 + 1/4) / (1/3)
    one_split = replace(records, overlaps=shared.assign(overlap=np.nan))
    assert summary(one_split)[["low", "gain_low"]].isna().all().all()
    assert said_of(one_split)[0].startswith("These runs cannot show")


def test_one_answer_over_all_scenarios() -> None:
    records = study(scenarios=("mild", "severe"), dead=("", 0))
    wild = records.runs.loc[(records.runs["scenario"] == "severe") & (records.runs["method"] == "FedAvg"), "run"]
    records.sites.loc[records.sites["run"].isin(wild), "value"] -= 0.2
    scored = scores(records)
    decided = decisions(summary(records, scored), per_site(records, scored), scored, records.margin)
    assert over_all(decided) == (
        "Join in 1 of 2 scenarios (mild); not decided in 1 of 2 scenarios (severe): the mean gain over training alone "
        "ranges from −0.007 to +0.043; at least one site loses significantly in mild and severe; "
        "no method is among the best in all of them."
    )
    assert list(text(decided)["Joining"]) == ["join", "not decided"]


def test_two_runs_for_one_cell_are_refused() -> None:
    records = study()
    with pytest.raises(Refused, match="two runs have the same"):
        replace(records, runs=pd.concat([records.runs, records.runs.iloc[:1]]))


def test_unknown_metric_is_refused() -> None:
    with pytest.raises(Refused, match="Did you mean 'auroc'"):
        replace(study(), metric="aurok")
