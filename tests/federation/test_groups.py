"""Patient groups stand beside the rows that they are of, and no feature is made of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sim.checks import Refused
from sim.cohort.outcomes import Binary
from sim.cohort.table import Cohort
from sim.config.compose import experiment
from sim.federation.federation import Federation, build
from sim.federation.groups import BAND_NAMES, groups
from sim.federation.split import Split, split_rows
from sim.federation.standardise import Scaling
from sim.run.run import footing, prepare

ROWS = 200


def cohort(**columns: object) -> Cohort:
    rng = np.random.default_rng(0)
    row = np.arange(ROWS)
    table = pd.DataFrame({"patient": row, "site": np.where(row % 2, "a", "b"), "sick": rng.random(ROWS) < 0.4})
    table["marker"] = row.astype(float)  # tells which row it was
    return Cohort("toy", table.assign(**columns), {"sick": Binary("sick")}, {"sick": ("marker",)})


def federation(made: Cohort, named: tuple[str, ...] = ()) -> Federation:
    whose = split_rows(made, "sick", made.table["site"].to_numpy(), Split(), 0)
    return build(made, "sick", whose, Scaling.none, named)


def test_groups_stand_beside_their_rows_and_are_no_features() -> None:
    race = np.array(["white", "black", None], dtype=object)[np.arange(ROWS) % 3]
    age = 20.0 + np.arange(ROWS) % 70
    age[5] = np.nan
    made = federation(cohort(race=race, age_years=age, male=np.arange(ROWS) % 4 == 0, insurance="private"))
    row = made.x[:, 0].astype(int)
    assert made.features == ("marker",)
    assert set(made.groups) == {"sex", "race", "age_band", "insurance"}
    words = {name: np.array([*group.levels, None], dtype=object)[group.codes] for name, group in made.groups.items()}
    assert words["race"].tolist() == race[row].tolist()
    assert words["sex"].tolist() == ["male" if at % 4 == 0 else "female" for at in row]
    band = [None if at == 5 else BAND_NAMES[sum(age[at] >= first for first in (50, 65, 75))] for at in row]
    assert words["age_band"].tolist() == band
    assert made.groups["race"].codes.dtype == np.int8


def test_the_order_of_the_table_does_not_matter() -> None:
    whole = cohort(race=np.array(["white", "black", "asian"])[np.arange(ROWS) % 3])
    shuffled = replace(whole, table=whole.table.sample(frac=1, random_state=1).reset_index(drop=True))
    mine, other = federation(whole).groups["race"], federation(shuffled).groups["race"]
    assert mine.levels == other.levels == ("asian", "black", "white")
    assert (mine.codes == other.codes).all()


def test_named_groups_are_those_alone() -> None:
    whole = cohort(race="white", smoker=np.arange(ROWS) % 2 == 0, grade=np.arange(ROWS) % 3 + 1.0)
    made = federation(whole, ("smoker", "grade"))
    assert {name: group.levels for name, group in made.groups.items()} == {
        "smoker": ("no", "yes"),
        "grade": ("1", "2", "3"),
    }


def test_a_group_may_predict_where_it_is_named_as_a_predictor() -> None:
    whole = cohort(race=pd.Categorical(np.array(["white", "black"])[np.arange(ROWS) % 2]))
    both = federation(replace(whole, predictors={"sick": ("marker", "race")}))
    assert both.features == ("marker", "race=white")
    assert set(both.groups) == {"race"}


def test_what_is_no_group_is_refused_where_it_is_named_and_left_out_where_not() -> None:
    table, order = cohort(insurance=np.arange(ROWS) * 10.0).table, np.arange(ROWS)
    assert groups(table, (), order) == {}
    with pytest.raises(Refused, match=r"evaluation.groups\[0\]=insurance: column 'insurance' has 200 different values"):
        groups(table, ("insurance",), order)
    with pytest.raises(Refused, match=r"evaluation.groups\[1\]='rase'"):
        groups(table.assign(race="white"), ("race", "rase"), order)
    for own in ("patient", "site", "sex", "age_band"):  # columns of the records, and groups that this table lacks
        with pytest.raises(Refused, match=r"evaluation.groups\[0\]"):
            groups(table, (own,), order)


def test_what_workers_get_holds_no_groups() -> None:
    made = federation(cohort(race="white"))
    assert not made.without_rows().groups


def test_runs_with_other_groups_have_another_federation(tmp_path: Path) -> None:
    words = ["cohort.patients=200", "rounds=1"]
    usual, named = experiment(words), experiment([*words, "evaluation.groups=[stage]"])
    assert footing(usual) != footing(named)
    assert set(prepare(named).federation.groups) == {"stage"}
    assert set(prepare(usual).federation.groups) == {"sex", "race", "age_band", "insurance"}
    assert prepare(usual).federation.features == prepare(named).federation.features


def test_a_table_keeps_columns_as_groups_that_do_not_predict(tmp_path: Path) -> None:
    row = np.arange(80)
    frame = pd.DataFrame({"hospital": row % 2, "age": 40.0 + row, "ethnic": row % 3, "sick": row // 2 % 2})
    frame.to_csv(tmp_path / "a.csv", index=False)
    words = ["cohort=tabular", f"cohort.path={tmp_path / 'a.csv'}", "cohort.site=hospital", "cohort.label=sick"]
    words += ["task=classify", "rounds=1", "cohort.groups=[ethnic]", "evaluation.groups=[ethnic]"]
    made = prepare(experiment(words)).federation
    assert made.features == ("age",)
    assert made.groups["ethnic"].levels == ("0", "1", "2")
    both = prepare(experiment([*words, "cohort.features=[age,ethnic]"])).federation
    assert both.features == ("age", "ethnic")
    assert both.groups["ethnic"].levels == ("0", "1", "2")
    with pytest.raises(Refused, match="cohort.groups='race'"):
        prepare(experiment([*words, "cohort.groups=[race]"]))
