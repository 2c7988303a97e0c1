"""Reports on records whose answer is known by construction."""

import io
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from sim.checks import Refused
from sim.metrics import METRICS
from sim.records.schema import ROUNDS, SITES
from sim.records.store import together
from sim.report import sensitivity as dose
from sim.report import sensitivity_words as dose_words
from sim.report import site_figures
from sim.report.answer import answer
from sim.report.intervals import bands
from sim.report.page import csv, write_report
from sim.report.scores import scores
from sim.report.settings_diff import differing
from sim.report.style import apart, looks, svg
from sim.report.tables import per_site, print_summary, summary
from sim.study.dial import Dial
from sim.study.results import StudyRecords

SITE_ROWS = {"A": 100, "B": 50, "C": 10, "D": 5}  # D has one class only: its metric is never defined
SEEDS = (0, 1, 2)
LAST = 4


def final(method, site, seed):
    """Value at the last round; seeds move all methods alike, so gains over local are known."""
    value = {
        "FedAvg": {"A": 0.80, "B": 0.70, "C": 0.60},  # mean 0.700; gains +0.05, -0.02, +0.10 in every seed
        "FedProx": {"A": 0.76, "B": 0.69, "C": 0.50},  # mean 0.650; gains +0.01, -0.03, 0.00 on average
        "Local only": {"A": 0.75, "B": 0.72, "C": 0.50},
        "Pooled": {"A": 0.705, "B": 0.705, "C": 0.705},  # less the margin: target 0.695, which only FedAvg reaches
    }[method].get(site, np.nan)
    shake = (seed - 1) * 0.03 if (method, site) == ("FedProx", "A") else 0.0  # its gain there is not sure
    return value + shake + (seed - 1) * 0.01


def study(
    scenarios=("",), methods=("FedAvg", "FedProx"), references=("local", "pooled"), seeds=SEEDS, dead=("FedProx", 2)
):
    """FedProx diverges with seed 2. A round costs 1 MB down and 1 MB up; test scores at rounds 0, 2 and 4."""
    names = {"local": "Local only", "pooled": "Pooled"}
    runs, rounds, sites, settings = [], [], [], {}
    for scenario in scenarios:
        for method, reference in [*((name, "") for name in methods), *((names[name], name) for name in references)]:
            for seed in seeds:
                run = f"{scenario}{method}-{seed}"
                status = "diverged" if (method, seed) == dead else "done"
                runs.append((run, method, reference, scenario, seed, status, run))
                settings[run] = {"seed": seed, "rounds": LAST, "algorithm": {"is": method}}
                if method == "FedProx":
                    settings[run]["algorithm"]["mu"] = 0.1
                for number in range(LAST + 1) if not reference else []:
                    sent = 10**6 * (number > 0)
                    rounds.append((run, number, 2.0 * number, sent, sent, 4 * (number > 0), 0.6, 1.0))
                for number in (0, 2, LAST) if not reference else (LAST,):
                    for site, rows in SITE_ROWS.items():
                        value = final(method, site, seed) - 0.1 * (LAST - number)
                        for split, shift in (("valid", 0.1), ("test", 0.0)):  # the report must not read validation rows
                            for metric, given in (("auroc", value + shift), ("brier", 1 - value)):
                                sites.append(
                                    (run, number, site, split, rows, rows // 2, reference or "shared", metric, given)
                                )
    return StudyRecords(
        name="known",
        question="Which method?",
        metric="auroc",
        margin=0.01,
        runs=pd.DataFrame(runs, columns=["run", "method", "reference", "scenario", "seed", "status", "folder"]),
        rounds=pd.DataFrame(rounds, columns=list(ROUNDS)).astype(ROUNDS),
        sites=pd.DataFrame(sites, columns=list(SITES)).astype(SITES),
        settings=settings,
        provenance={"command": "fedtrial study known", "commit": "abc"},
        published={"FedAvg": 0.69},
    )


def test_summary_is_the_known_answer():
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


def test_diverged_runs_are_counted_and_in_no_mean():
    row = summary(study()).set_index("method").loc["FedProx"]
    assert (row["seeds"], row["diverged"]) == (2, 1)
    # seeds 0 and 1 only: A 0.72 and 0.76, B 0.68 and 0.69, C 0.49 and 0.50
    assert row["mean"] == pytest.approx((0.72 + 0.76 + 0.68 + 0.69 + 0.49 + 0.50) / 6)
    assert row["reached"] == 0
    assert np.isnan(row["mb_to_target"])


def test_a_target_reached_before_diverging_does_not_count():
    records = study(dead=("FedAvg", 0))
    assert summary(records).set_index("method").loc["FedAvg", "reached"] == 2


def test_unsure_gains_are_not_called_sure():
    row = summary(study(dead=("", 0))).set_index("method").loc["FedProx"]
    # A: gains -0.02, 0.01, 0.04, not sure; B: -0.03 surely; C: zero up to rounding
    assert (row["surely_gaining"], row["surely_losing"]) == (0, 1)


def test_lower_is_better_turns_order_worst_and_gain_round():
    table = summary(replace(study(), metric="brier", published={})).set_index("method")
    assert list(table.index)[:2] == ["FedAvg", "FedProx"]
    assert table.loc["FedAvg", "mean"] == pytest.approx(0.30)
    assert (table.loc["FedAvg", "worst_site"], table.loc["FedAvg", "worst"]) == ("C", pytest.approx(0.40))
    assert (table["low"] <= table["high"]).all()
    assert table.loc["FedAvg", "target"] == pytest.approx(0.305)
    assert table.loc["FedAvg", "reached"] == 3


def test_per_site_rows_gain_and_order():
    table = per_site(study())
    assert table["site"].unique().tolist() == ["A", "B", "C", "D"]
    found = table.set_index(["site", "method"])
    assert found.loc[("A", "FedAvg"), "gain"] == pytest.approx(0.05)
    assert found.loc[("B", "FedAvg"), "gain"] == pytest.approx(-0.02)
    assert found.loc[("A", "FedAvg"), ["rows", "events"]].tolist() == [100, 50]
    assert found.loc[("D", "FedAvg"), ["mean", "gain"]].isna().all()


def test_records_given_twice_count_once():
    records = study()
    doubled = replace(
        records, sites=pd.concat([records.sites] * 2), rounds=pd.concat([records.rounds] * 2, ignore_index=True)
    )
    pd.testing.assert_frame_equal(summary(doubled), summary(records))


def test_answer_says_what_the_numbers_say():
    records = study(dead=("", 0))
    said = " ".join(answer(summary(records), scores(records)))
    assert "FedAvg had the highest mean AUROC over sites (0.700, 95 % interval" in said
    # difference by seed 0.06, 0.05, 0.04: mean 0.05, half 4.3027 * 0.01 / sqrt 3 = 0.025, above zero
    assert "It was ahead of FedProx" in said
    assert "2 of 3 sites do better under FedAvg (2 surely) and 1 does worse (1 surely)" in said
    assert "3 of 3 runs came within the margin" in said
    said = " ".join(answer(summary(study()), scores(study())))
    assert "Some runs diverged and are in no mean: FedProx (1 of 3)." in said


def test_answer_admits_a_draw():
    records = study(dead=("", 0))
    noise = records.sites["run"].str.endswith("-0") & records.sites["run"].str.startswith("FedProx")
    records.sites.loc[noise, "value"] += 0.2
    assert "With 3 seeds it cannot be told apart from" in " ".join(answer(summary(records), scores(records)))


@pytest.mark.parametrize(
    "records",
    [
        study(seeds=(0,)),
        study(references=()),
        study(references=("pooled",), methods=("FedAvg",)),
        study(methods=("FedProx",), seeds=(2,)),  # nothing finished
        study(methods=()),
        study(scenarios=("mild", "severe")),
    ],
    ids=["one seed", "no references", "no local", "all diverged", "no method", "two scenarios"],
)
def test_every_shape_of_study_makes_a_page(records, tmp_path):
    text = write_report(records, tmp_path).read_text()
    assert "nan" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.DOTALL).lower().split()
    memory = io.StringIO()
    print_summary(Console(file=memory, width=200), summary(records))
    assert "AUROC" in memory.getvalue()


def test_page_refers_to_nothing_outside_itself(tmp_path):
    text = write_report(study(), tmp_path).read_text()
    links = re.findall(r'(?:src|href|action|data|poster)\s*=\s*["\']([^"\']*)', text)
    assert links
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert not re.search(r"url\((?!#)|@import|<script|<iframe|<object|<embed", text)
    ids = re.findall(r'\bid="([^"]*)"', text)
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)


def test_names_are_escaped_and_cells_are_no_formulas(tmp_path):
    records = study(methods=("FedAvg",))
    bad = '<script>alert("1")</script>'
    runs = records.runs.replace({"method": {"FedAvg": bad}, "scenario": {"": "=1+1"}})
    sites = records.sites.assign(
        site=records.sites["site"].cat.rename_categories({"A": "=HYPERLINK(1)", "B": "$\\frac"})
    )
    records = replace(records, runs=runs, sites=sites, question="</title><b>?", provenance={"command": "<i>"})
    text = write_report(records, tmp_path).read_text()
    assert "<script" not in text
    assert "<b>?" not in text
    assert "<i>" not in text
    assert "&lt;script&gt;" in text
    assert "'=1+1" in (tmp_path / "summary.csv").read_text()
    assert "'=HYPERLINK" in (tmp_path / "sites.csv").read_text()


def test_csv_leaves_numbers_alone():
    frame = pd.DataFrame({"name": ["-a", "b"], "value": [-1.5, 2.0]})
    assert csv(frame) == "name,value\n'-a,-1.5\nb,2.0\n"


def test_same_records_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        write_report(study(scenarios=("mild", "severe")), tmp_path / name)
    files = [path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*") if path.is_file()]
    assert len(files) == 3 + 2 * 3
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
        if file.suffix == ".svg":
            ElementTree.parse(tmp_path / "one" / file)


def test_bands_leave_out_what_a_seed_gives_to_all_methods():
    records = study(dead=("", 0))
    curve = scores(records).curve
    found = bands(curve[curve["reference"] == ""], METRICS["auroc"])
    last = found["FedAvg"].set_index("round").loc[LAST]
    assert last["mean"] == pytest.approx(0.70)
    # The common seed effect is gone. What is left is a third of FedProx's shake of -0.03, 0, 0.03 at one site of three,
    # shared by two methods: own deviations -+0.005, sd 0.005, Morey's factor sqrt 2, t quantile 4.3027, three seeds.
    assert last["high"] - last["mean"] == pytest.approx(4.3027 * 2**0.5 * 0.005 / 3**0.5, abs=1e-6)


@pytest.mark.parametrize("sites", [4, 12, 13, 100])
def test_figure_of_gains_for_few_and_many_sites(sites):
    records = study(methods=("FedAvg",))
    names = records.sites["site"].cat
    parts = [
        records.sites.assign(site=names.rename_categories([f"{name}-{at}" for name in names.categories]))
        for at in range(sites // 4 + 1)
    ]
    records = replace(records, sites=together(parts))
    table = per_site(records)
    keep = table["site"].unique()[:sites]
    assert svg(site_figures.gains(table[table["site"].isin(keep)])).startswith("<svg")


def test_settings_that_differ():
    own, shared = differing(study())
    assert own[("", "FedProx")] == {"algorithm": "FedProx", "algorithm.mu": "0.1"}
    assert own[("", "FedAvg")] == {"algorithm": "FedAvg"}
    assert shared == {"rounds": "4"}


def test_a_setting_that_changes_with_the_seed_is_told_as_such(tmp_path):
    known = study()
    of_seed = known.runs.set_index("run")["seed"]
    settings = {run: {**words, "cohort": {"consortium": int(of_seed[run])}} for run, words in known.settings.items()}
    changed = replace(known, settings=settings)
    assert differing(changed)[1]["cohort.consortium"] == "(follows the seed)"
    assert "every seed draws its own" in write_report(changed, tmp_path / "changed").read_text()
    assert "not how much it would move with other hospitals" in write_report(known, tmp_path / "same").read_text()


def test_looks_are_distinct_and_known_methods_keep_theirs():
    many = looks([f"method {at}" for at in range(11)] + ["FedAvg"])
    assert len(set(many.values())) == 12
    assert many["FedAvg"] == looks(["FedAvg"])["FedAvg"]


def test_labels_are_moved_apart_and_no_further():
    free = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(apart(free, 0.1), free)
    np.testing.assert_allclose(apart(np.array([0.5, 0.5]), 0.1), [0.45, 0.55])
    crowded = apart(np.full(8, 1.0), 0.1)
    np.testing.assert_allclose(np.diff(crowded), 0.1)
    assert crowded.max() == pytest.approx(1.0)


def test_two_runs_for_one_cell_are_refused():
    records = study()
    with pytest.raises(Refused, match="two runs stand for the same"):
        replace(records, runs=pd.concat([records.runs, records.runs.iloc[:1]]))


def test_unknown_metric_is_refused():
    with pytest.raises(Refused, match="Did you mean 'auroc'"):
        replace(study(), metric="aurok")


def dosed():
    """A dial from "mild" to "wild": there FedAvg loses at two sites of three, and on average."""
    known = study(scenarios=("x=0", "x=1"))
    wild = known.runs.loc[(known.runs["scenario"] == "x=1") & (known.runs["method"] == "FedAvg"), "run"]
    sites = known.sites.copy()
    sites.loc[sites["run"].isin(wild) & sites["site"].isin(["A", "B"]), "value"] -= 0.2
    return replace(known, sites=sites, dials=[Dial("How wild", "x", [0, 1])])


def test_a_dial_is_told_in_words_and_numbers():
    known = dosed()
    table = summary(known)
    lead, said = dose_words.sentences(known.dials, table, per_site(known))
    assert lead == (
        "With FedAvg, by x: at 0, 1 of 3 sites lose, with 30% of the patients; "
        "at 1, 2 of 3 sites lose, with 91% of the patients."
    )
    assert "as x goes from 0 to 1, mean AUROC of FedAvg goes from 0.700 to 0.567" in said
    assert "lose by joining go from 1 to 2 of 3; from 1 on, sites do better alone on average" in said
    text = dose_words.text(known.dials, table).set_index("Setting")
    assert text.loc["x=0", "FedAvg, sites losing"] == "1 of 3 (1 sure)"
    assert text.loc["x=1", "FedAvg, sites losing"] == "2 of 3 (2 sure)"
    assert text.loc["x=1", "FedAvg, worst site"] == "0.500"


def test_figures_of_dials_are_the_same_bytes_and_hold_every_dial(tmp_path):
    known = dosed()
    for name in ("one", "two"):
        write_report(known, tmp_path / name)
    for name in ("dose", "losers-0", "losers-1"):
        drawn = [(tmp_path / folder / "figures" / f"{name}.svg").read_bytes() for folder in ("one", "two")]
        assert drawn[0] == drawn[1]
        ElementTree.fromstring(drawn[0])


def test_sites_too_many_to_be_shown_leave_the_figure_of_losers_out(tmp_path, monkeypatch):
    monkeypatch.setattr(dose, "MOST", 2)
    write_report(dosed(), tmp_path)
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["dose.svg"]
