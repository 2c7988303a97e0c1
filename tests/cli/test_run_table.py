"""The table of coefficients on the terminal has the columns that an analysis can fill."""

import pytest

from sim.cli.run_table import coefficients
from sim.config.compose import experiment
from sim.run.run import rehearse

FEW = "task.without=[race,insurance,stage,marker_1,marker_2,score_z,treated_marker]"
SMALL = ["cohort.patients=900", "rounds=80", FEW]
ERRORS = ["log ratio", "se", "ratio", "95% interval", "p"]


@pytest.mark.parametrize(
    ("settings", "title", "columns"),
    [
        (["algorithm=newton"], "Odds ratios", ERRORS),
        (["algorithm=meta"], "Odds ratios", [*ERRORS, "I2", "p of Q"]),
        (["algorithm=lasso"], "Odds ratios", ["log ratio", "ratio"]),
        (
            ["algorithm=cox_iptw", "algorithm.treatment=treated", "task=cox", "cohort.cancers=[lung]"],
            "Hazard ratios",
            ["log ratio", "se", "robust", "ratio", "95% interval", "p"],
        ),
    ],
)
def test_columns_are_those_that_are_known(settings: list[str], title: str, columns: list[str]) -> None:
    table = coefficients(rehearse(experiment([*SMALL, *settings])))
    assert str(table.title).startswith(f"{title}, per recorded unit")
    assert [column.header for column in table.columns] == ["feature", *columns]
