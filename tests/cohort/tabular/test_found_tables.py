"""Tables as people bring them: gaps, ids, headers, dates and commas are read as meant, or refused with the setting."""

import decimal
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as arrow_parquet
import pytest

from sim.checks import Refused
from sim.cohort.clinical.conform import days_as_written, typed_column
from sim.cohort.clinical.schema import columns
from sim.cohort.encode import Encoder
from sim.cohort.tabular.outcomes import ZeroTime
from sim.cohort.tabular.source import GIVEAWAY, Tabular, Unlabelled
from sim.engine.evaluation import Held
from sim.federation.split import Split
from sim.memory import free_bytes
from sim.partition import Natural
from tests.toy import federated


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Tabular]:
    """A cohort from the text of a CSV, or from an Arrow table, with a site column `h` and a label `y`."""

    def make(content: str | pa.Table, name: str = "a.csv", **settings: object) -> Tabular:
        if isinstance(content, str):
            (tmp_path / name).write_text(content)
        else:
            name = "a.parquet"
            arrow_parquet.write_table(content, tmp_path / name)
        return Tabular(**({"path": str(tmp_path / name), "site": "h", "label": "y"} | settings))  # type: ignore[arg-type]

    return make


def refused(source: Tabular, *words: str) -> str:
    with pytest.raises(Refused) as refusal:
        source.load(0)
    for word in words:
        assert word in str(refusal.value)
    return str(refusal.value)


# ---------------------------------------------------------------------------------------------------------- gaps, ids


def test_a_gap_word_is_neither_a_hospital_nor_a_patient(table: Callable[..., Tabular]) -> None:
    refused(table("h,x,y\na,1,1\nNA,2,0\na,3,0\n"), "line 3", "'h'", "names no site", "cohort.missing_marks")
    refused(table("h,x,y,p\na,1,1,None\na,2,0,None\n", patient="p"), "line 2", "'p'", "names no patient")
    kept = table("h,x,y\na,1,1\n,2,\na,3,0\n", unlabelled=Unlabelled.drop).load(0)
    assert kept.notes["left out"] == "no site 1"  # a row that is dropped needs no site
    assert set(kept.table["site"]) == {"a"}


def test_whole_numbers_of_parquet_never_pass_through_float(table: Callable[..., Tabular]) -> None:
    ids = [2**53 + at for at in range(5)]  # as floats, 2**53 + 1 is 2**53
    rows = pa.table({"p": [*ids, None], "h": ["a"] * 6, "x": [1.0, 2.0, 3.0] * 2, "y": [1, 0, 1, 0, 1, None]})
    made = table(rows, patient="p", unlabelled=Unlabelled.drop).load(0)
    assert made.table["patient"].tolist() == [str(number) for number in ids]
    refused(table(rows.set_column(0, "p", pa.array([1e17] * 6)), patient="p"), "'1e+17'", "rounded", "whole numbers")


def test_minus_zero_is_zero_and_long_codes_stay_apart(table: Callable[..., Tabular]) -> None:
    rows = pa.table({"flag": [-0.0, 0.0, 1.0, -0.0], "h": ["a"] * 4, "y": [1, 0, 1, 0]})
    assert table(rows, categorical=["flag"]).load(0).table["flag"].cat.categories.tolist() == ["0", "1"]
    codes = ["123456789012345.1", "123456789012345.2"]  # 16 digits: one float with 15
    text = table(f"h,c,y\na,{codes[0]},1\na,{codes[1]},0\n", categorical=["c"]).load(0)
    assert text.table["c"].cat.categories.tolist() == codes


def test_a_day_is_that_of_the_clock_it_was_written_with() -> None:
    berlin = pd.Series(pd.to_datetime(["2016-01-01", None]).tz_localize("Europe/Berlin"))
    assert days_as_written(berlin).dt.year.tolist()[0] == 2016
    words = pd.Series(["2016-01-01T00:30:00+01:00", "2016-01-01 23:30:00-0500", "20160101", "2016-01-01T00:00:00Z"])
    assert (days_as_written(words).dt.date == pd.Timestamp("2016-01-01").date()).all()
    assert days_as_written(pd.Series(["2016-01", "2016"])).isna().all()


def test_decimals_are_numbers_of_the_clinical_table() -> None:
    frame = pd.DataFrame({"age_at_dx": [decimal.Decimal("61.25")], "patient_id": ["p"]})
    assert typed_column(frame, columns()["age_at_dx"], "x").tolist() == [61.25]


def test_two_features_of_one_name_are_refused() -> None:
    stage = pd.Categorical(["1", "2"])
    with pytest.raises(Refused, match=r"'stage' and 'stage=2' both make a feature 'stage=2'"):
        Encoder.of(pd.DataFrame({"stage": stage, "stage=2": [0.0, 1.0]}), ["stage", "stage=2"])


# ------------------------------------------------------------------------------------------------ what cannot predict


def patients(**more: object) -> str:
    rng = np.random.Generator(np.random.PCG64(1))
    frame = pd.DataFrame({"h": ["a", "b"] * 20, "x": rng.normal(size=40), "y": [1, 0, 0, 1] * 10} | more)
    return frame.to_csv(index=False)


def test_a_column_that_numbers_the_patients_is_refused_unless_it_is_named(table: Callable[..., Tabular]) -> None:
    run = np.arange(40)[::-1] + 1
    refused(table(patients(rownames=run)), "'rownames'", "40 patients", "cohort.drop", "cohort.features")
    refused(table(patients(w=[f"w{r}" for r in run]), categorical=["w"]), "'w'", "cohort.patient='w'")
    refused(table(patients(pid=run**2)), "'pid'")
    table(patients(platelets=run**2)).load(0)  # other whole numbers may be a measurement
    table(patients(rownames=run), features=["x", "rownames"]).load(0)


def test_a_column_that_all_but_tells_the_outcome_is_told(table: Callable[..., Tabular]) -> None:
    assert table(patients()).load(0).notes[GIVEAWAY] == "none"
    told = table(patients(z=[1.5, 0.5, 0.5, 1.5] * 10)).load(0).notes[GIVEAWAY]
    assert told == "z (AUROC 1.000)"
    time = np.arange(1, 41) * 3.5
    source = table(patients(t=time, rtime=time * 0.9), label="", time="t", event="y")
    assert source.load(0).notes[GIVEAWAY] == "rtime (rank correlation with the time 1.000)"


# --------------------------------------------------------------------------------------------------- lines and headers


def test_comment_lines_and_a_title_stand_above_the_header(table: Callable[..., Tabular]) -> None:
    rows = "h\tx\ty\na\t1\t1\na\t2\t0\na\tq\t0\n"
    text = '#Where\t"Value\n#STRING\tNUMBER\n' + rows
    refused(table(text), "comment lines", "'cohort.comment=\"#\"'", "'cohort.separator=\"\\t\"'")
    refused(table(text, comment="#", separator="\\t"), "line 6", "'q'")  # lines are those of the file
    read = table(text, comment="#", separator="\\t", missing_marks=["q"]).load(0)
    assert read.table["x"].tolist()[:2] == [1, 2]
    refused(table("#c\nh,x,y\n#end,1,1\n", site="", comment="#"), "line 3: begins with '#'")
    title = "Extract of March,,\nh,x,y\na,1,1\na,2,0\n"
    refused(table(title), "title", "cohort.skip=1")
    assert table(title, skip=1).load(0).table["x"].tolist() == [1, 2]


def test_row_names_without_a_header_are_no_predictor(table: Callable[..., Tabular]) -> None:
    text = ",h,x,y\nr1,a,1,1\nr2,a,2,0\n"
    assert table(text).load(0).predictors["label"] == ("x",)
    assert table(text, patient="row_names").load(0).table["patient"].tolist() == ["r1", "r2"]


def test_a_header_cell_may_hold_a_line_break_and_lines_are_counted_as_lines(table: Callable[..., Tabular]) -> None:
    text = 'h,"x\n(mm)",y\na,1,1\na,"2\n",0\na,3\n'
    refused(table(text), "line 6: 2 cells where the others have 3")
    assert table(text[: -len("a,3\n")]).load(0).predictors["label"] == ("x\n(mm)",)


def test_a_column_twice_in_parquet_is_said_so(table: Callable[..., Tabular]) -> None:
    rows = pa.Table.from_arrays([pa.array(["a"]), pa.array([1]), pa.array([2])], names=["h", "x", "x"])
    refused(table(rows), "'x'", "twice")


def test_what_macos_puts_beside_a_file_is_passed_over(tmp_path: Path) -> None:
    for name in ("v-a.csv", "v-b.csv"):
        (tmp_path / name).write_text("x,y\n1,1\n2,0\n")
    (tmp_path / "._a.csv").write_bytes(b"\0\x05\x16\x07")
    found = Tabular(dir=str(tmp_path), path="*.csv", label="y").load(0)
    assert set(found.table["site"]) == {"v-a", "v-b"}


def test_a_column_that_one_hospital_has_does_no_harm_unless_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,code\n1,1,q\n2,0,q\n")
    (tmp_path / "b.csv").write_text("x,y\n1,1\n2,0\n")
    words = {"dir": str(tmp_path), "path": "*.csv", "label": "y"}
    refused(Tabular(**words), "'code' is in 'a' only", "cohort.drop", "cohort.features")  # type: ignore[arg-type]
    named = Tabular(**words, features=["x"]).load(0)  # type: ignore[arg-type]
    assert named.digest == Tabular(**words, drop=["code"]).load(0).digest  # type: ignore[arg-type]


KINDS = {
    "bzip2": (b"BZh91AY&SY\x9a\xff", "packed by bzip2"),
    "xz": (b"\xfd7zXZ\x00\x00\x04\xff", "packed by xz"),
    "SAS": (b"\0" * 12 + b"\xc2\xea\x81\x60" + b"\xb3", "SAS data set"),
    "JSON lines": (b'{"age": 65.1, "dead": 0}\n', "looks like JSON"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_another_format_is_named(kind: str, tmp_path: Path) -> None:
    content, words = KINDS[kind]
    (tmp_path / "a.csv").write_bytes(content)
    refused(Tabular(path=str(tmp_path / "a.csv"), label="y"), words)


# ---------------------------------------------------------------------------------------------------- commas and days


def test_decimal_commas(table: Callable[..., Tabular]) -> None:
    text = "h;x;y;c\na;62,5;1;1,0\na;-0,25;0;1\n"
    refused(table(text, separator=";", categorical=["c"]), "'62,5'", "'cohort.decimal=\",\"'")
    made = table(text, separator=";", decimal=",", categorical=["c"]).load(0).table
    assert made["x"].tolist() == [62.5, -0.25]
    assert made["c"].cat.categories.tolist() == ["1"]
    refused(table("h;x;y\na;1.234;1\na;2,5;0\n", separator=";", decimal=","), "'1.234'", "has a point")
    rows = pa.table({"h": ["a", "a"], "x": [1.5, 2.5], "y": [1, 0]})
    assert table(rows, separator=";", decimal=",").load(0).table["x"].tolist() == [1.5, 2.5]
    with pytest.raises(Refused, match=r"cohort\.decimal=','"):
        table(text, decimal=",")


def test_days_are_numbers_of_days(table: Callable[..., Tabular]) -> None:
    text = "h,d,y\na,1970-01-02,1\na,2016-01-01T00:30:00+01:00,0\na,,1\n"
    message = refused(table(text), "'1970-01-02'", "cohort.dates", "cohort.drop")
    assert "categorical" not in message
    days = table(text, dates=["d"]).load(0).table["d"]
    assert days.tolist()[:2] == [1.0, 16801.0]  # 46 years, 11 of them leap years: 46 * 365 + 11
    assert np.isnan(days.iloc[2])
    refused(table("h,d,y\na,31.12.2015,1\na,,0\n", dates=["d"]), "'31.12.2015' is no day", "2015-12-31")


def test_a_time_of_zero_is_refused_dropped_or_half_a_day(table: Callable[..., Tabular]) -> None:
    text = "h,x,t,dead\na,1,0,1\na,2,0.0,0\na,3,2,1\n"
    words = {"label": "", "time": "t", "event": "dead"}
    refused(table(text, **words), "'0'", "cohort.zero_time=half_day", "cohort.zero_time=drop")
    assert table(text, **words, zero_time=ZeroTime.half_day).load(0).table["time_days"].tolist() == [0.5, 0.5, 2.0]
    assert table(text, **words, zero_time=ZeroTime.drop).load(0).table["time_days"].tolist() == [2.0]


def test_all_that_cannot_be_read_is_told_at_once(table: Callable[..., Tabular]) -> None:
    frame = {"t": 0, "sex": ["f", "m"] * 20, "day": "2015-01-01", "note": [f"n{at}" for at in range(40)]}
    source = table(patients(**frame), label="", time="t", event="y", drop=["x"])
    message = refused(source, "1. ", "cohort.zero_time=half_day", "\n2. ", "'sex'", "'day'", "'note'")
    assert "'cohort.categorical=[sex]' 'cohort.dates=[day]' 'cohort.drop=[x, note]'" in message


# --------------------------------------------------------------------------------------------------------------- size


def test_rows_that_do_not_fit_are_refused_with_the_arithmetic(
    table: Callable[..., Tabular], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with gzip.open(tmp_path / "b.csv.gz", "wt") as file:
        file.write("h,x,y\n" + "a,1,1\n" * 400_000)
    monkeypatch.setattr("sim.cohort.tabular.read.free_bytes", lambda: 1e7)
    source = Tabular(path=str(tmp_path / "b.csv.gz"), site="h", label="y")
    message = refused(source, "b.csv.gz", "of 3 columns", "GB of text", "0.01 GB of memory")
    assert " 400,000 rows" not in message  # it was not read to its end
    monkeypatch.setattr("sim.cohort.tabular.parquet.free_bytes", lambda: 1e3)
    refused(table(pa.table({"h": ["a"] * 50, "x": [1] * 50, "y": [1] * 50})), "50 rows or more of 3 columns")
    assert free_bytes() > 0


def test_sites_without_held_out_rows_may_come_first(table: Callable[..., Tabular]) -> None:
    text = "h,x,y\na,1.5,0\n" + "".join(f"z,{row * 0.5},{row % 2}\n" for row in range(40))
    cohort = table(text).load(0)
    made = federated(cohort, "label", Natural().assign(cohort, "label", 0), Split(), 0)
    assert np.diff(made.bounds, axis=1)[0].tolist() == [1, 0, 0]
    parts = Held.of(made, ("valid", "test")).parts()
    assert [part.sites for part in parts] == [(0, 2)]  # a part without rows would have nothing to judge
