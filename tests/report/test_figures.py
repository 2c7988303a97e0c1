"""The figures of a study: bands, looks and labels."""

from dataclasses import replace

import numpy as np
import pytest

from sim.metrics import METRICS
from sim.records.store import together
from sim.report import site_figures
from sim.report.figures import convergence, cost
from sim.report.intervals import curve_bands
from sim.report.rows import method_rows
from sim.report.scores import scores
from sim.report.style import OTHERS, curve_legend, labelled, looks, move_apart, svg
from sim.report.tables import per_site, summary
from tests.report.known_study import LAST, study


def test_bands_leave_out_the_effect_of_a_seed_on_all_methods() -> None:
    records = study(dead=("", 0))
    curve = scores(records).curve
    found = curve_bands(curve[curve["reference"] == ""], METRICS["auroc"])
    last = found["FedAvg"].set_index("round").loc[LAST]
    assert last["mean"] == pytest.approx(0.70)
    # The common seed effect is gone. What is left is a third of FedProx's shake of -0.03, 0, 0.03 at one site of three,
    # shared by two methods: own deviations -+0.005, sd 0.005, Morey's factor sqrt 2, t quantile 4.3027, three seeds.
    assert last["high"] - last["mean"] == pytest.approx(4.3027 * 2**0.5 * 0.005 / 3**0.5, abs=1e-6)


@pytest.mark.parametrize("sites", [4, 12, 13, 100])
def test_figure_of_gains_for_few_and_many_sites(sites: int) -> None:
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


def test_looks_are_distinct_and_known_methods_keep_theirs() -> None:
    many = looks([f"method {at}" for at in range(11)] + ["FedAvg"])
    assert len(set(many.values())) == 12
    assert many["FedAvg"] == looks(["FedAvg"])["FedAvg"]


def test_of_many_methods_the_best_fedavg_and_the_references_are_labelled() -> None:
    """Twelve can be told apart; of more, every label lies within the figure and every curve is drawn."""
    few = study(methods=[*(f"method {at:02}" for at in range(11)), "FedProx"])
    assert len(labelled(method_rows(summary(few)))) == 12 + 2
    names = [f"method {at:02}" for at in range(29)]
    many = study(methods=[*names, "FedProx", "FedAvg"], dead=("", 0))
    scored = scores(many)
    table = summary(many, scored)
    rows = method_rows(table)
    named = {row.method for row in labelled(rows)}
    assert named == {row.method for row in rows[:8]} | {"FedAvg", "Local only", "Pooled"}
    others = len(rows) - len(named)
    last = curve_legend(rows)[-1]
    assert (last.label, len(curve_legend(rows))) == (f"{others} other methods", len(named) + 1)
    for figure in (convergence(table, scored), cost(table, scored)):
        (axes,) = figure.axes
        drawn = [text.get_text() for text in axes.texts if not text.get_text().startswith("target")]
        assert sorted(text.rpartition(" ")[0] for text in drawn) == sorted(named)
        assert all(0 <= text.get_position()[1] <= 1 for text in axes.texts if text.get_text() in drawn)
        assert sum(line.get_color() == OTHERS.colour and len(line.get_xdata()) > 1 for line in axes.lines) == others


def test_labels_are_moved_apart_and_no_further() -> None:
    free = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(move_apart(free, 0.1), free)
    np.testing.assert_allclose(move_apart(np.array([0.5, 0.5]), 0.1), [0.45, 0.55])
    crowded = move_apart(np.full(8, 1.0), 0.1)
    np.testing.assert_allclose(np.diff(crowded), 0.1)
    assert crowded.max() == pytest.approx(1.0)
