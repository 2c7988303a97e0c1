"""The command `fedtrial analyse`: what it writes, what it refuses, and that it prepares the sites as a run does."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from typer.testing import CliRunner

from sim.analyses.options import Options
from sim.analyses.run import analyse
from sim.assets import root
from sim.checks import Refused
from sim.cli.main import app
from sim.config.compose import experiment


def test_command_writes_tables_figure_and_json(tmp_path: Path) -> None:
    words = ["benefit", "cohort.patients=1500", "cohort.sites=3", "--seeds", "2"]
    files = ["--json", str(tmp_path / "new" / "b.json"), "--figure", str(tmp_path / "b.svg")]
    done = CliRunner().invoke(app, ["analyse", *words, *files])
    assert done.exit_code == 0, done.output
    assert "truth held" in done.output
    written = json.loads((tmp_path / "new" / "b.json").read_text())
    assert written["seeds"] == [0, 1]
    assert len(written["tables"]) == 4
    assert (tmp_path / "b.svg").read_text().startswith("<?xml")


def test_commands_answer_for_a_table_of_ones_own(tmp_path: Path) -> None:
    """Features, a year and an outcome in a CSV; no truth, so none is told."""
    rng = np.random.default_rng(0)
    rows = 600
    genes = {f"gene_{at}": rng.normal(size=rows) for at in range(12)}
    table = pd.DataFrame({"patient": np.arange(rows), "hospital": rng.choice(["n", "s", "w"], rows), **genes})
    table["year"] = 2015 + rng.integers(0, 6, rows)
    table["responded"] = (rng.random(rows) < expit(1.5 * genes["gene_3"])).astype(int)
    table.to_csv(tmp_path / "own.csv", index=False)
    own = ["cohort=tabular", f"cohort.path={tmp_path / 'own.csv'}", "cohort.site=hospital", "cohort.label=responded"]
    for name, option in (("discovery", ["--halves", "3"]), ("trends", ["--threshold", "8"])):
        file = tmp_path / f"{name}.json"
        words = [name, *own, "cohort.patient=patient", "task=classify", *option, "--json", str(file)]
        done = CliRunner().invoke(app, ["analyse", *words, "--figure", str(tmp_path / f"{name}.png")])
        assert done.exit_code == 0, done.output
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    found = json.loads((tmp_path / "discovery.json").read_text())["tables"][
        "Features that are associated with the outcome"
    ]
    assert found[0]["chosen"] >= 1
    assert found[0]["recall"] is None
    counts = json.loads((tmp_path / "trends.json").read_text())
    assert len(counts["tables"]["Annual change of new cases, percent"]) == 3
    assert counts["wire"]["Counts under secure summation"]["bytes_up"] == 8 * 6


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["trends", "cohort=lung", "task=hazard"], "no column diagnosis_year or dx_year"),
        (["discovery", "cohort=lung", "task=hazard"], "gene_"),
        (["benefit", "cohort=lung", "task=hazard"], "treated"),
        (["benefit", "--figure", "x.gif"], "--figure"),
        (["discovery", "--rate", "1"], "--rate"),
        (["discovery", "--halves", "1"], "--halves"),
        (["trends", "--threshold", "0"], "--threshold"),
        (["trends"], "cohort.years=10"),
        (["discovery", "cohort.discovery=50", "executor=ray"], "executor=ray: an analysis trains no model"),
        (["discovery", "cohort.discovery=50", "rounds=3"], "rounds=3"),
        (["benefit", "seed=3", "--seeds", "2"], "seed=3 and --seeds 2"),
        (["benefit", "partition.external.count=1"], "partition.external.count=1"),
        (["benefit", "partition=dirichlet"], "partition=dirichlet: it assigns patients by their outcome"),
    ],
)
def test_command_refuses(words: list[str], why: str) -> None:
    done = CliRunner().invoke(app, ["analyse", *words])
    assert isinstance(done.exception, Refused)
    assert why in str(done.exception)


def test_the_shift_of_the_sites_is_applied() -> None:
    """Tests that err at random pull the interaction of the same patients towards zero."""
    words = ["cohort.patients=3000", "cohort.het=0", "cohort.tau=0"]
    whole, shifted = (
        analyse("benefit", [*words, *more], Options(), 0).tables[1].frame["estimate"][0]
        for more in ([], ["shift.assay.insensitivity=0.4", "shift.assay.unspecificity=0.2"])
    )
    assert 0 < shifted < whole - 0.5


def test_commands_of_the_document_compose() -> None:
    text = (root() / "docs" / "analyses.md").read_text().replace("\\\n", " ")
    lines = re.findall(r"^fedtrial analyse (.*)$", text, flags=re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        experiment([word for word in shlex.split(line, comments=True) if re.match(r"[\w.+]+=", word)])


@pytest.mark.parametrize("name", ["benefit", "trends"])
def test_a_floor_that_the_shift_breaks_is_refused(name: str) -> None:
    """Sites that lose events by the shift are refused as in a run, also where the analysis does not ask about them."""
    words = ["cohort.patients=900", "partition=iid", "partition.sites=9", "partition.min_events=12", "seed=1"]
    words += ["cohort.years=10"]
    analyse(name, words, Options(), 0)
    with pytest.raises(Refused, match=r"The shift leaves .* sites with fewer than 12 events.*partition\.min_events=\d"):
        analyse(name, [*words, "shift.ascertainment.insensitivity=0.9"], Options(), 0)


def test_a_setting_may_follow_the_seed() -> None:
    words = ["cohort.cancers=[merkel]", "cohort.patients=300", "cohort.sites=3", "cohort.years=5"]
    both = analyse("trends", [*words, "cohort.consortium=${seed}"], Options(), 2).tables[1].frame
    each = [analyse("trends", [*words, f"seed={n}", f"cohort.consortium={n}"], Options(), 0) for n in (0, 1)]
    lost = [one.tables[1].frame["patients lost"].to_numpy() for one in each]
    assert not np.array_equal(*lost)
    np.testing.assert_allclose(both["patients lost"], np.mean(lost, axis=0))
