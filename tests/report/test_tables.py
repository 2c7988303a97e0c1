"""The tables and the answer of a study whose summary is known by construction."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sim.checks import Refused
from sim.report.answer import answer
from sim.report.scores import scores
from sim.report.tables import per_site, summary
from tests.report.known_study import study


def test_summary_is_the_known_answer() -> None:
    table = summary(study()).set_index("method")
    assert list(table.index) == ["FedAvg", "FedProx", "Local only", "Pooled"]
    best = table.loc["FedAvg"]
    assert best["mean"] == pytest.approx(0.70)
    # seeds give 0.69, 0.70, 0.71: sd 0.01; t quantile 0.975 with 2 degrees of freedom is 4.3027
    assert best["high"] - best["mean"] == pytest.approx(4.3027 * 0.01 / 3**0.5, abs=1e-6)
    assert (best["worst_site"], best["worst"]) == ("C", pytest.approx(0.60))
    tally = ["compared", "gaining", "surely_gaining", "losing", "surely_losing"]
    assert best[tally].tolist() == [3, 2, 2, 1, 1]
    assert (best["sites"], best["sites_defined"]) == (4, 3)
    assert best["target"] == pytest.approx(0.695)
    assert (best["reached"], best["mb_to_target"], best["mb_total"], best["mb_visit"]) == (3, 8.0, 8.0, 0.5)
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


def test_unsure_gains_are_not_called_sure() -> None:
    row = summary(study(dead=("", 0))).set_index("method").loc["FedProx"]
    # A: gains -0.02, 0.01, 0.04, not sure; B: -0.03 surely; C: zero up to rounding
    assert (row["surely_gaining"], row["surely_losing"]) == (0, 1)


def test_lower_is_better_turns_order_worst_and_gain_round() -> None:
    table = summary(replace(study(), metric="brier", published={})).set_index("method")
    assert list(table.index)[:2] == ["FedAvg", "FedProx"]
    assert table.loc["FedAvg", "mean"] == pytest.approx(0.30)
    assert (table.loc["FedAvg", "worst_site"], table.loc["FedAvg", "worst"]) == ("C", pytest.approx(0.40))
    assert (table["low"] <= table["high"]).all()
    assert table.loc["FedAvg", "target"] == pytest.approx(0.305)
    assert table.loc["FedAvg", "reached"] == 3


def test_per_site_rows_gain_and_order() -> None:
    table = per_site(study())
    assert table["site"].unique().tolist() == ["A", "B", "C", "D"]
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


def test_answer_says_what_the_numbers_say() -> None:
    records = study(dead=("", 0))
    said = " ".join(answer(summary(records), scores(records)))
    assert "FedAvg had the highest mean AUROC over sites (0.700, 95 % interval" in said
    # difference by seed 0.06, 0.05, 0.04: mean 0.05, half 4.3027 * 0.01 / sqrt 3 = 0.025, above zero
    assert "It was ahead of FedProx" in said
    assert "2 of 3 sites do better under FedAvg (2 surely) and 1 does worse (1 surely)" in said
    assert "3 of 3 runs came within the margin" in said
    said = " ".join(answer(summary(study()), scores(study())))
    assert "Some runs diverged and are in no mean: FedProx (1 of 3)." in said


def test_answer_admits_a_draw() -> None:
    records = study(dead=("", 0))
    noise = records.sites["run"].str.endswith("-0") & records.sites["run"].str.startswith("FedProx")
    records.sites.loc[noise, "value"] += 0.2
    assert "With 3 seeds it cannot be told apart from" in " ".join(answer(summary(records), scores(records)))


def test_two_runs_for_one_cell_are_refused() -> None:
    records = study()
    with pytest.raises(Refused, match="two runs stand for the same"):
        replace(records, runs=pd.concat([records.runs, records.runs.iloc[:1]]))


def test_unknown_metric_is_refused() -> None:
    with pytest.raises(Refused, match="Did you mean 'auroc'"):
        replace(study(), metric="aurok")
