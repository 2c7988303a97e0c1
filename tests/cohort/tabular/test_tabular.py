"""The user's own tables: what is read from config alone, and what is refused, with row and remedy."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from sklearn.model_selection import train_test_split

from sim.assets import locate, root
from sim.checks import Refused
from sim.cohort.outcomes import Survival
from sim.cohort.real import Lung
from sim.cohort.tabular.columns import category
from sim.cohort.tabular.outcomes import Unit
from sim.cohort.tabular.read import TextFile
from sim.cohort.tabular.rule import parse
from sim.cohort.tabular.sheet import concatenate
from sim.cohort.tabular.source import Incomplete, Tabular, Unlabelled
from sim.federation.split import Split
from sim.partition import Natural
from tests.toy import FED_HEART, federated

HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
heart_at_hand = pytest.mark.skipif(
    not FED_HEART.is_dir(), reason="the four UCI files are not ours to ship; see card.md"
)

NORTH = "age,stage,sick\n61,I,yes\n70,II,no\n55,I,no\n"
SOUTH = "stage,sick,age\nIII,yes,48\nI,no,66\n"


def write(folder: Path, **texts: str) -> dict[str, str]:
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text)
    return {name: f"{name}.csv" for name in texts}


def two(folder: Path, **other: object) -> Tabular:
    settings: dict[str, object] = {
        "files": write(folder, north=NORTH, south=SOUTH),
        "dir": str(folder),
        "label": "sick",
        "positive": "== yes",
        "categorical": ["stage"],
    }
    return Tabular(**(settings | other))  # type: ignore[arg-type]


def preset(**other: object) -> Tabular:
    """The preset as Hydra merges it: the structured config, then the file, then the user's words."""
    words = OmegaConf.load(root() / "configs/cohort/fed_heart.yaml")
    assert isinstance(words, type(OmegaConf.create({})))
    assert list(words.pop("defaults")) == ["tabular", "_self_"]
    made = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Tabular), words, other))
    assert isinstance(made, Tabular)
    return made


# ---------------------------------------------------------------------------------------------- Fed-Heart-Disease


@heart_at_hand
def test_fed_heart_is_the_cohort_of_flamby() -> None:
    cohort = preset(dir=str(FED_HEART)).load(0)
    assert cohort.table["site"].value_counts().to_dict() == dict(zip(HOSPITALS, (303, 261, 46, 130), strict=True))
    assert cohort.notes["left out"] == "hungarian 33, switzerland 77, va 70"
    made = federated(cohort, "label", Natural().assign(cohort, "label", 0), Split(), 0)
    assert made.x.shape == (740, 13)  # du Terrail et al. 2022: 13 features after one-hot coding without a first level
    counts = np.diff(made.bounds, axis=1)
    assert counts.tolist() == [[199, 0, 104], [172, 0, 89], [30, 0, 16], [85, 0, 45]]


@heart_at_hand
@pytest.mark.parametrize("hospital", HOSPITALS)
def test_fed_heart_split_is_that_of_scikit_learn(hospital: str) -> None:
    raw = pd.read_csv(FED_HEART / f"processed.{hospital}.data", header=None, na_values="?")
    whole = raw.drop(columns=[10, 11, 12]).dropna()
    sick = (whole[13] > 0).to_numpy()
    stratify = sick if min(sick.sum(), (~sick).sum()) > 2 else None
    train, test = train_test_split(
        np.arange(len(whole)), train_size=0.66, test_size=0.34, random_state=43, shuffle=True, stratify=stratify
    )
    table = preset(dir=str(FED_HEART)).load(0).table
    here = table[table["site"] == hospital]
    assert here["label"].tolist() == sick.tolist()
    split = here["split"].to_numpy()
    assert (split[train] == "train").all()
    assert (split[test] == "test").all()
    assert here["patient"].tolist() == [f"{hospital}/{row}" for row in whole.index]


def test_fed_heart_without_its_files_says_where_they_are() -> None:
    with pytest.raises(Refused, match=r"nowhere.*no such file.*cohort\.dir.*UCI.*card\.md"):
        preset(dir="nowhere").load(0)


# ---------------------------------------------------------------------------------------------------- what is read


def test_columns_are_found_by_name_and_levels_are_those_of_all_sites(tmp_path: Path) -> None:
    cohort = two(tmp_path).load(0)
    table = cohort.table
    assert table["age"].tolist() == [61, 70, 55, 48, 66]
    assert table["label"].tolist() == [True, False, False, True, False]
    assert table["stage"].cat.categories.tolist() == ["I", "II", "III"]
    assert table["patient"].tolist() == ["north/0", "north/1", "north/2", "south/0", "south/1"]
    assert cohort.predictors == {"label": ("age", "stage")}


def test_csv_gz_and_parquet_are_the_same_cohort(tmp_path: Path) -> None:
    plain = two(tmp_path).load(0)
    with gzip.open(tmp_path / "north.csv.gz", "wt") as file:
        file.write(NORTH)
    typed = pd.read_csv(tmp_path / "south.csv").astype({"stage": "category"})
    typed.to_parquet(tmp_path / "south.parquet")
    other = two(tmp_path, files={"north": "north.csv.gz", "south": "south.parquet"}).load(0)
    assert other.digest == plain.digest


def test_parquet_flags_and_gaps_need_no_rule(tmp_path: Path) -> None:
    frame = pd.DataFrame({"x": [1.5, np.nan, 2.5], "dead": [True, False, True], "days": [3, 4, 5]})
    frame.to_parquet(tmp_path / "all.parquet")
    table = Tabular(path="all.parquet", dir=str(tmp_path), time="days", event="dead", missing_marks=[]).load(0).table
    assert table["event"].tolist() == [True, False, True]
    assert table["x"].isna().tolist() == [False, True, False]
    assert set(table["site"]) == {"all"}


def test_one_file_with_a_site_column_equals_one_file_a_site(tmp_path: Path) -> None:
    files = write(tmp_path, north=NORTH, south=SOUTH)
    whole = pd.concat([pd.read_csv(tmp_path / file, dtype=str).assign(hospital=site) for site, file in files.items()])
    whole.to_csv(tmp_path / "whole.csv", index=False, sep=";")
    one = two(tmp_path, files={}, path="whole.csv", site="hospital", separator=";").load(0)
    assert one.digest == two(tmp_path).load(0).digest


def test_a_star_names_the_sites(tmp_path: Path) -> None:
    plain = two(tmp_path)
    expected = plain.load(0).digest
    for site in ("south", "north"):
        (tmp_path / f"{site}.csv").rename(tmp_path / f"visits-{site}.csv")
    assert replace(plain, files={}, path="visits-*.csv").load(0).digest == expected
    refuses(replace(plain, files={}, path="visit-*.csv"), ["visit-*.csv", "no such file", "cohort.dir"])
    refuses(replace(plain, files={}, path="*-*.csv"), ["*-*.csv", "one *"])


def test_a_level_written_1_and_one_written_1_0_are_one_level_but_01_is_a_name() -> None:
    def coded(*codes: str) -> TextFile:
        return TextFile(Path("x.csv"), pd.DataFrame({"code": codes}))

    sheet = concatenate({"a": coded("1", "2"), "b": coded("1.0", "10")})
    assert category(sheet, "code").tolist() == ["1", "2", "1", "10"]
    assert category(sheet, "code").categories.tolist() == ["1", "2", "10"]
    sheet = concatenate({"a": coded("1", "01")})
    assert category(sheet, "code").tolist() == ["1", "01"]


def test_times_are_days(tmp_path: Path) -> None:
    write(tmp_path, t="months,status,x\n12,2,1\n24,1,2\n")
    cohort = Tabular(
        path="t.csv", dir=str(tmp_path), time="months", unit=Unit.months, event="status", happened="== 2"
    ).load(0)
    assert cohort.table["time_days"].tolist() == [365.25, 730.5]
    assert cohort.table["event"].tolist() == [True, False]
    assert isinstance(cohort.outcomes["survival"], Survival)


def test_gaps_are_kept_or_their_rows_dropped_and_noted(tmp_path: Path) -> None:
    files = write(tmp_path, a="x,y\n1,1\n-9,0\n3,0\n", b="x,y\n4,1\n5,\n")
    kept = Tabular(files=files, dir=str(tmp_path), label="y", missing_marks=["-9"], unlabelled=Unlabelled.drop).load(0)
    assert kept.table["x"].isna().sum() == 1
    assert kept.notes["left out"] == "b 1"
    whole = Tabular(
        files=files,
        dir=str(tmp_path),
        label="y",
        missing_marks=["-9"],
        unlabelled=Unlabelled.drop,
        incomplete=Incomplete.drop,
    ).load(0)
    assert whole.table["patient"].tolist() == ["a/0", "a/2", "b/0"]
    assert whole.notes["left out"] == "a 1, b 1"


def test_patients_with_numbers_of_their_hospital_are_not_one_person(tmp_path: Path) -> None:
    files = write(tmp_path, a="id,x,y\n1,1,1\n1,2,0\n", b="id,x,y\n1,4,1\n")
    local = Tabular(files=files, dir=str(tmp_path), label="y", patient="id", local_patients=True)
    assert local.load(0).table["patient"].tolist() == ["a/1", "a/1", "b/1"]
    with pytest.raises(Refused, match=r"patient '1' is at sites 'a', 'b'.*local_patients"):
        Tabular(files=files, dir=str(tmp_path), label="y", patient="id").load(0)


def test_a_byte_order_mark_and_blanks_are_no_part_of_a_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfx , y\n 1 ,1\n2, 0\n")
    table = Tabular(path="a.csv", dir=str(tmp_path), label="y").load(0).table
    assert table["x"].tolist() == [1, 2]


# --------------------------------------------------------------------------------------------------------- refusals

BAD_TEXT = {
    "text for a number": (
        "age,stage,sick\n61,I,yes\nold,I,no\n",
        ["'age'", "row 1", "'north'", "'old'", "categorical"],
    ),
    "infinite": ("age,stage,sick\ninf,I,yes\n5,I,no\n", ["'age'", "row 0", "inf", "finite"]),
    "short line": ("age,stage,sick\n61,I,yes\n5,I\n", ["north.csv", "line 3: 2 cells where the others have 3"]),
    "long line": ("age,stage,sick\n61,I,yes\n5,I,no,9\n", ["north.csv", "line 3: 4 cells where the others have 3"]),
    "other columns": ("age,grade,sick\n61,I,yes\n", ["'grade'", "north", "south", "same columns"]),
    "column twice": ("age,age,sick\n61,I,yes\n", ["'age'", "twice"]),
    "column without a name": ("age,,sick\n61,I,yes\n", ["without a name", "cohort.columns"]),
    "empty": ("", ["north.csv", "empty"]),
    "header alone": ("age,stage,sick\n", ["north.csv", "no rows"]),
    "no outcome": ("age,stage,sick\n61,I,\n", ["'sick'", "row 0", "not recorded", "cohort.unlabelled=drop"]),
}


@pytest.mark.parametrize("case", BAD_TEXT)
def test_bad_files_are_refused_with_row_and_remedy(case: str, tmp_path: Path) -> None:
    text, words = BAD_TEXT[case]
    source = two(tmp_path)
    (tmp_path / "north.csv").write_text(text)
    refuses(source, words)


BAD_SETTING = {
    "label column": ({"label": "sik"}, ["cohort.label='sik'", "Did you mean 'sick'?"]),
    "dropped column": ({"drop": ["agee"]}, ["cohort.drop='agee'", "Did you mean 'age'?"]),
    "feature": ({"features": ["age", "stge"]}, ["cohort.features='stge'", "'stage'"]),
    "categorical that is dropped": ({"drop": ["stage"]}, ["cohort.categorical='stage'", "Only predictors"]),
    "outcome as feature": ({"features": ["age", "sick"], "categorical": []}, ["'sick'", "cohort.label"]),
    "text that is not categorical": ({"categorical": []}, ["'stage'", "row 0", "'I'", "cohort.categorical"]),
    "rule that cannot be read": ({"positive": "> 0"}, ["'sick'", "'yes'", "cohort.positive", "== value"]),
    "no rule for words": ({"positive": ""}, ["'sick'", "'yes'", "cohort.positive"]),
    "rule that never holds": (
        {"positive": "== sick"},
        ["neither true nor false", "The column holds 'no' 3, 'yes' 2", "else ["],
    ),
    "missing file": ({"files": {"north": "norht.csv"}}, ["norht.csv", "no such file", "cohort.dir"]),
    "wrong separator": ({"separator": ";"}, ["one column, 'age,stage,sick'", "perhaps by ','", "cohort.separator"]),
    "wrong number of names": ({"columns": ["a", "b"]}, ["3 columns", "cohort.columns names 2"]),
    "nothing left": ({"drop": ["age", "stage"], "categorical": []}, ["No predictors are left"]),
}


@pytest.mark.parametrize("case", BAD_SETTING)
def test_bad_settings_are_refused_with_what_is_allowed(case: str, tmp_path: Path) -> None:
    other, words = BAD_SETTING[case]
    refuses(two(tmp_path, **other), words)


def refuses(source: Tabular, words: list[str]) -> None:
    with pytest.raises(Refused) as refusal:
        source.load(0)
    for word in words:
        assert word in str(refusal.value)


BAD_BYTES = {
    "latin-1": ("north.csv", "age,stage,sick\n61,Kr\xe4mer,yes\n".encode("latin-1"), "not UTF-8"),
    "latin-1 header": ("north.csv", "\xe4ge,stage,sick\n61,I,yes\n".encode("latin-1"), "not UTF-8"),
    "half a gzip": ("north.csv.gz", gzip.compress(NORTH.encode() * 50)[:-20], "cannot be read"),
    "no parquet": ("north.parquet", b"age,stage,sick\n", "not readable as Parquet"),
}


@pytest.mark.parametrize("case", BAD_BYTES)
def test_broken_files_are_refused_by_name(case: str, tmp_path: Path) -> None:
    name, content, words = BAD_BYTES[case]
    source = two(tmp_path, files={"north": name})
    (tmp_path / name).write_bytes(content)
    refuses(source, [name, words])


BAD_SIDE = {
    "row that is not there": ("site,row,split\nnorth,7,train\n", ["line 2", "'north'", "'7'"]),
    "site that is not there": ("site,row,split\nnorht,0,train\n", ["line 2", "'norht'", "north, south"]),
    "row twice": ("site,row,split\nnorth,0,train\nnorth,0,test\n", ["line 3", "twice"]),
    "no key": ("site,number,split\nnorth,0,train\n", ["'row'"]),
    "column that the files have": ("site,row,age\nnorth,0,3\n", ["'age'", "Rename"]),
    "row it leaves out": ("site,row,split\nnorth,0,train\n", ["'split'", "train, valid, test"]),
    "word": ("site,row,split\n" + "".join(f"north,{r},train\n" for r in range(3)) + "south,0,training\nsouth,1,test\n",
             ["'split'", "row 3", "'training'"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_SIDE)
def test_a_side_file_must_name_the_rows_of_the_cohort(case: str, tmp_path: Path) -> None:
    text, words = BAD_SIDE[case]
    write(tmp_path, side=text)
    split = "split" if "split" in text else ""
    refuses(two(tmp_path, extra=str(tmp_path / "side.csv"), split=split), words)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "cohort.files .* or cohort.path"),
        ({"path": "a", "files": {"b": "c"}, "label": "y"}, "cohort.files .* or cohort.path"),
        ({"path": "a"}, "No outcome"),
        ({"path": "a", "time": "t"}, "needs both"),
        ({"files": {"b": "c"}, "site": "s", "label": "y"}, "cohort.site='s'"),
        ({"path": "a", "label": "y", "separator": "||"}, "one character"),
        ({"path": "a", "label": "y", "positive": "__import__('os')"}, "not a rule"),
    ],
)
def test_settings_that_contradict_each_other_are_refused_at_once(settings: dict[str, str], words: str) -> None:
    with pytest.raises(Refused, match=words):
        Tabular(**settings)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------- rules


@given(
    st.lists(st.integers(-5, 5), min_size=1), st.integers(-5, 5), st.sampled_from(["==", "!=", ">", ">=", "<", "<="])
)
def test_rules_are_the_comparisons_of_numbers(cells: list[int], value: int, sign: str) -> None:
    # The same number written two ways is the same number.
    text = pd.Series([f"{cell}.0" if at % 2 else str(cell) for at, cell in enumerate(cells)])
    number = np.array(cells)
    truth = {
        "==": number == value, "!=": number != value, ">": number > value,
        ">=": number >= value, "<": number < value, "<=": number <= value,
    }  # fmt: skip
    assert parse("rule", f"{sign} {value}").holds(text).tolist() == truth[sign].tolist()


def test_rules_on_words() -> None:
    text = pd.Series(["dead", "alive", "lost"])
    assert parse("rule", "in [dead, 'lost']").holds(text).tolist() == [True, False, True]
    assert parse("rule", '!= "dead"').holds(text).tolist() == [False, True, True]
    assert parse("rule", "").holds(pd.Series(["True", "0", "1"])).tolist() == [True, False, True]
    assert parse("rule", "> 1").readable(text).tolist() == [False, False, False]


@pytest.mark.parametrize("text", ["yes", "> yes", "in yes", "in []", "==", "= 1", "> 0 or 1", "=> 1", "in [1,]"])
def test_what_is_no_rule_is_refused_with_the_grammar(text: str) -> None:
    with pytest.raises(Refused, match=r"cohort\.positive=.*== value"):
        parse("cohort.positive", text)


# ------------------------------------------------------------------------------------------------------ lung, assets


def test_lung_is_the_published_trial() -> None:
    cohort = Lung().load(0)
    # R, survival::lung: 228 patients, 165 deaths, one of them without institution.
    assert len(cohort.table) == 227
    assert cohort.table["site"].nunique() == 18
    assert cohort.events("survival").sum() == 164
    assert cohort.table["male"].sum() == 137  # 138 men, of whom one has no institution; summary(lung$sex)
    assert cohort.table["meal_kcal"].isna().sum() == 47
    sites = Natural().assign(cohort, "survival", 0)
    assert len(federated(cohort, "survival", sites, Split(), 0).sites) == 18


def test_paths_are_sought_here_and_then_among_the_assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("datasets/fed_heart/split.csv") == root() / "datasets/fed_heart/split.csv"
    (tmp_path / "datasets/fed_heart").mkdir(parents=True)
    (tmp_path / "datasets/fed_heart/split.csv").touch()
    assert locate("datasets/fed_heart/split.csv") == Path("datasets/fed_heart/split.csv")
    assert locate(str(tmp_path / "none")) == tmp_path / "none"


def test_several_classes(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("grade,age\n" + "\n".join(f"{row % 3},{row}" for row in range(60)) + "\n,7\n")
    words = {"path": str(tmp_path / "a.csv"), "classes": "grade"}
    with pytest.raises(Refused, match=r"grade.*is not recorded"):
        Tabular(**words).load(0)
    cohort = Tabular(**words, unlabelled=Unlabelled.drop, features=["age"]).load(0)
    assert cohort.levels("classes") == ("0", "1", "2")
    assert cohort.predictors["classes"] == ("age",)
    with pytest.raises(Refused, match=r"No outcome: name cohort\.label, or cohort\.classes"):
        Tabular(path="a.csv")
