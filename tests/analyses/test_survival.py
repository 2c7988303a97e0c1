"""`fedtrial analyse survival`: the curves of a table of one's own, whatever its split into sites."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from lifelines import KaplanMeierFitter
from lifelines.statistics import logrank_test
from typer.testing import CliRunner

from sim.analyses.options import Options
from sim.analyses.run import analyse
from sim.checks import Refused
from sim.cli.main import app


@pytest.fixture
def table(tmp_path: Path) -> pd.DataFrame:
    """Two arms at three hospitals; written to the test's folder as well."""
    rng = np.random.default_rng(3)
    arm = rng.choice(["new", "old"], 150)
    days = np.ceil(rng.exponential(np.where(arm == "new", 700, 400))) + 1
    frame = pd.DataFrame({"hospital": rng.choice(list("abc"), 150), "arm": arm, "days": days})
    frame = frame.assign(died=(rng.random(150) < 0.8).astype(int), age=rng.normal(60, 9, 150))
    frame.to_csv(tmp_path / "arms.csv", index=False)
    return frame


def settings(folder: Path) -> list[str]:
    path, outcome = f"cohort.path={folder / 'arms.csv'}", ["cohort.time=days", "cohort.event=died", "task=cox"]
    return ["cohort=tabular", path, "cohort.site=hospital", "cohort.categorical=[arm]", "partition=natural", *outcome]


def test_medians_and_test_are_lifelines(table: pd.DataFrame, tmp_path: Path) -> None:
    files = ["--json", str(tmp_path / "km.json"), "--figure", str(tmp_path / "km.svg")]
    done = CliRunner().invoke(app, ["analyse", "survival", *settings(tmp_path), "--by", "arm", *files])
    assert done.exit_code == 0, done.output
    new, old = (table[table["arm"] == arm] for arm in ("new", "old"))
    test = logrank_test(new["days"], old["days"], new["died"], old["died"])
    assert f"chi-square {test.test_statistic:.3f}" in done.output
    written = json.loads((tmp_path / "km.json").read_text())["tables"]
    medians, survival = written.values()
    for row, mine in zip(medians, (new, old), strict=True):
        model = KaplanMeierFitter().fit(mine["days"], mine["died"])
        assert row["median, days"] == model.median_survival_time_
        (after,) = [one for one in survival if one["of, after"] == f"{row['arm']}, 1 year"]
        assert after["estimate"] == pytest.approx(float(model.predict(365.25)))
    assert (tmp_path / "km.svg").read_text().startswith("<?xml")


def test_the_split_into_sites_changes_nothing(table: pd.DataFrame, tmp_path: Path) -> None:
    outcome = settings(tmp_path)[-3:]
    one, other = (
        analyse("survival", [*settings(tmp_path)[:-4], *outcome, *more], Options(by="arm"), 0)
        for more in (["partition=natural"], ["partition=iid", "partition.sites=5"])
    )
    for mine, yours in zip(one.tables, other.tables, strict=True):
        pd.testing.assert_frame_equal(mine.frame, yours.frame)


@pytest.mark.parametrize(
    ("words", "by", "why"),
    [
        ([], "nothing", "--by=nothing: no such column"),
        ([], "age", "different values; allowed up to 12"),
        (["cohort.time=", "cohort.event=", "cohort.label=died", "task=classify"], "arm", "has no time to an event"),
    ],
)
def test_what_has_no_curve_is_refused(words: list[str], by: str, why: str, table: pd.DataFrame, tmp_path: Path) -> None:
    kept = [one for one in settings(tmp_path) if one.split("=")[0] not in {word.split("=")[0] for word in words}]
    with pytest.raises(Refused, match=why):
        analyse("survival", [*kept, *words], Options(by=by), 0)
