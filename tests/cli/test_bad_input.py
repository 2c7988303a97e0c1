"""The unkind user: whatever is wrong with what he gives is told in words, with exit code 2, and nothing is left behind.

One row of a table is one mistake: the command, the files it is given and the words that the refusal must hold. What is
wrong with a setting alone stands in test_cli, with a table of records in test_tabular, test_clinical and
test_intake_refusals.
"""

import gzip
import io
import re
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from sim.cli.main import main
from sim.cohort.clinical.conform import write
from sim.config.compose import experiment
from sim.intake.export import Export
from sim.intake.rules import Rules
from sim.intake.synthea_csv import read
from sim.run import room
from sim.run.run import prepare
from tests.toy import DATA, clinical_table

Files = dict[str, bytes | None]  # name -> what is in it; None = a folder

COLUMNS = ["patient", "hospital", "age", "stage", "sick", "months", "status"]
WHERE = "a.csv, line 6, column"  # of the cell that `wrong` changes


def cells(sites: str = "ABC", count: int = 30) -> list[list[str]]:
    """Rows of a sound table: three hospitals in turn, both answers and both ends at each."""
    return [
        [f"p{i}", sites[i % len(sites)], str(40 + i), ("I", "II")[i % 2], ("yes", "no")[i // 3 % 2], str(10 + i),
         ("dead", "alive")[i // 3 % 2]]
        for i in range(count)
    ]  # fmt: skip


def text(rows: list[list[str]], columns: list[str] = COLUMNS, separator: str = ",") -> bytes:
    return "".join(separator.join(row) + "\n" for row in [columns, *rows]).encode()


def wrong(column: str, value: str) -> bytes:
    """The sound table with one cell of line 6 changed: the second row of site B."""
    rows = cells()
    rows[4][COLUMNS.index(column)] = value
    return text(rows)


def parquet(frame: pd.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


def clinical(change: Callable[[pd.DataFrame], pd.DataFrame] = lambda frame: frame) -> bytes:
    """A file of the clinical table."""
    file = io.BytesIO()
    write(clinical_table(), file)  # type: ignore[arg-type]
    return parquet(change(pd.read_parquet(file)))


ROWS = ["cohort=tabular", "cohort.path=a.csv", "cohort.site=hospital", "cohort.patient=patient"]
ROWS += ["cohort.categorical=[stage]"]
LABEL = [*ROWS, "cohort.label=sick", "cohort.positive='== yes'", "cohort.drop=[months,status]", "task=classify"]
TIME = [*ROWS, "cohort.time=months", "cohort.unit=months", "cohort.event=status", "cohort.happened='== dead'"]
TIME += ["cohort.drop=[sick]", "task=hazard"]
DEAL_LABEL, DEAL_TIME = ["partition", *LABEL], ["partition", *TIME]
DEAL_PARQUET, DEAL_PACKED = ([word.replace("a.csv", name) for word in DEAL_LABEL] for name in ("a.parquet", "a.csv.gz"))
CLINICAL = ["cohort=clinical", "cohort.file=a.parquet", "task=hazard"]
DESCRIBE = ["cohort", "describe", "clinical", "cohort.file=a.parquet"]
SOUND = parquet(pd.DataFrame(cells(), columns=COLUMNS))

TABLES: dict[str, tuple[list[str], Files, list[str]]] = {
    # -------------------------------------------------------------------------------- the file itself
    "missing": (["run", *LABEL], {"b.csv": b""}, ["a.csv: no such file", "Did you mean 'b.csv'?", "cohort.dir"]),
    "folder": (DEAL_LABEL, {"a.csv": None}, ["a.csv: is a folder, not a file", "cohort.dir"]),
    "missing in a sweep": (["run", "-m", *LABEL, "seed=1,2"], {}, ["a.csv: no such file"]),
    "UTF-16": (DEAL_LABEL, {"a.csv": text(cells()).decode().encode("utf-16")}, ["byte 0 is 0xff", "-f utf-16"]),
    "UTF-16 without a mark": (
        DEAL_LABEL,
        {"a.csv": text(cells()).decode().encode("utf-16-le")},
        ["line 1: byte 1 is 0x00"],
    ),
    "latin-1": (DEAL_LABEL, {"a.csv": wrong("stage", "é").decode().encode("latin1")}, ["line 6: byte", "0xe9"]),
    "zip": (DEAL_LABEL, {"a.csv": b"PK\x03\x04\xff\xfe"}, ["line 1: byte 4", "zip archive", "as CSV"]),
    "gzip by another name": (DEAL_LABEL, {"a.csv": gzip.compress(text(cells()))}, ["gzip", "ends in .gz"]),
    "Parquet by another name": (DEAL_LABEL, {"a.csv": SOUND}, ["Parquet", "ends in .parquet"]),
    "truncated gzip": (DEAL_PACKED, {"a.csv.gz": gzip.compress(text(cells()))[:99]}, ["to its end", "copy whole"]),
    "Parquet cut off": (DEAL_PARQUET, {"a.parquet": SOUND[:999]}, ["not readable as Parquet", "copy whole"]),
    "corrupt Parquet": (DEAL_PARQUET, {"a.parquet": SOUND[:99] + b"\xff" * 99 + SOUND[198:]}, ["a.parquet: cann"]),
    "empty Parquet": (DEAL_PARQUET, {"a.parquet": b""}, ["a.parquet: not readable as Parquet"]),
    "no row of Parquet": (DEAL_PARQUET, {"a.parquet": parquet(pd.DataFrame(columns=COLUMNS))}, ["no rows"]),
    "NUL bytes alone": (["run", *LABEL], {"a.csv": b"\0" * 999}, ["a.csv, line 1: byte 0 is 0x00", "A crash"]),
    "NUL in a cell": (DEAL_LABEL, {"a.csv": wrong("stage", "I\0")}, [f"{WHERE} 'stage'", r"'I\x00' holds a byte 0"]),
    "semicolons": (
        DEAL_LABEL,
        {"a.csv": text(cells(), separator=";")},
        ["one column", "perhaps by ';'", "cohort.separator"],
    ),
    "header only": (["cohort", "describe", "tabular", *LABEL[1:]], {"a.csv": text([])}, ["a.csv: no rows"]),
    # ------------------------------------------------------------------------------------ its cells
    "header twice": (DEAL_LABEL, {"a.csv": text(cells(), [*COLUMNS[:-1], "age"])}, ["'age'", "twice"]),
    "misspelt column": (
        ["partition", *(word.replace("=sick", "=sik") for word in LABEL)],
        {"a.csv": text(cells())},
        ["Did you mean 'sick'?"],
    ),
    "negative time": (DEAL_TIME, {"a.csv": wrong("months", "-3")}, [f"{WHERE} 'months'", "'-3' is no time above 0"]),
    "time of no life": (DEAL_TIME, {"a.csv": wrong("months", "1e9")}, ["'1e9'", "up to 1440 months", "cohort.unit"]),
    "infinite time": (DEAL_TIME, {"a.csv": wrong("months", "inf")}, [f"{WHERE} 'months'", "'inf' is not a finite"]),
    "event without a time": (DEAL_TIME, {"a.csv": wrong("months", "")}, [f"{WHERE} 'months'", "cohort.unlabelled"]),
    "no event": (
        DEAL_TIME,
        {"a.csv": text(cells()).replace(b"dead", b"alive")},
        ["False in all 30 rows", "at least one event"],
    ),
    "misspelt event": (
        ["run", *TIME],
        {"a.csv": wrong("status", "ded")},
        [f"{WHERE} 'status'", "'ded' is neither true nor false", "'ded' 1", "== dead else [alive, ded]"],
    ),
    "unknown answer": (DEAL_LABEL, {"a.csv": wrong("sick", "maybe")}, [f"{WHERE} 'sick'", "'maybe'", "'yes' 15"]),
    "word among numbers": (
        [
            "partition",
            *LABEL[:-4],
            "cohort.positive='!= 0'",
            "cohort.drop=[months,status]",
            "task=classify",
            "cohort.label=age",
        ],
        {"a.csv": wrong("age", "unknown")},
        [f"{WHERE} 'age'", "'unknown' is neither true nor false"],
    ),
    "huge number": (DEAL_LABEL, {"a.csv": wrong("age", "1e39")}, [f"{WHERE} 'age'", "'1e39'", "up to 1e+18"]),
    "cell of a megabyte": (
        DEAL_LABEL,
        {"a.csv": wrong("age", "1" * 10**6)},
        ["'age'", "'1111", "... (1000002 letters)"],
    ),
    "text in an analysis": (
        ["analyse", "benefit", *LABEL],
        {"a.csv": wrong("age", "old")},
        [f"{WHERE} 'age'", "'old'"],
    ),
    "one class": (
        DEAL_LABEL,
        {"a.csv": text(cells()).replace(b",no,", b",yes,")},
        ["True in all 30 rows", "both classes"],
    ),
    "a patient a site": (
        ["run", *LABEL],
        {"a.csv": text(cells("ABCDEFGH", 8))},
        ["No test rows", "largest of which has 1 row", "split"],
    ),
    "letter as separator": (
        ["partition", *LABEL, "cohort.separator='é'"],
        {"a.csv": text(cells())},
        ["allowed one character"],
    ),
    # ---------------------------------------------------------------------------- the clinical table
    "clinical: folder": (DESCRIBE, {"a.parquet": None}, ["a.parquet: is a folder", "cohort.file"]),
    "clinical: cut off": (["run", *CLINICAL], {"a.parquet": clinical()[:2000]}, ["not readable as Parquet", "import"]),
    "clinical: day of no life": (
        DESCRIBE,
        {"a.parquet": clinical(lambda t: t.assign(dx_date="0203-01-01"))},
        ["a.parquet, column 'dx_date', row 0", "'0203-01-01'", "from 1850 to 2150"],
    ),
    "clinical: day beyond pandas": (
        ["analyse", "trends", *CLINICAL],
        {"a.parquet": clinical(lambda t: t.assign(dx_date=pd.Timestamp("2500-01-01").as_unit("s")))},
        ["column 'dx_date', row 0", "2500-01-01"],
    ),
    "clinical: one patient": (
        ["partition", *CLINICAL],
        {"a.parquet": clinical(lambda t: t.iloc[1:2])},
        ["1 rows with the same value in every predictor"],
    ),
    "fed_heart: elsewhere": (
        ["run", "cohort=fed_heart", "cohort.dir=d"],
        {"d": None},
        ["d/processed.cleveland.data", "UCI"],
    ),
    "fed_heart: ragged": (
        ["run", "cohort=fed_heart", "cohort.dir=."],
        {f"processed.{city}.data": b"1,2,3\n" for city in ("cleveland", "hungarian", "switzerland", "va")},
        ["processed.cleveland.data: 3 columns, but cohort.columns names 14"],
    ),
    # -------------------------------------------------------------------------- studies and records
    "study: latin-1": (["study", "x.yaml"], {"x.yaml": b"question: \xe9"}, ["x.yaml, line 1: byte 10 is 0xe9"]),
    "study: misspelt key": (
        ["study", "x.yaml"],
        {"x.yaml": b"quesion: a"},
        ["key='quesion'", "Did you mean 'question'?"],
    ),
    "study: a list": (
        ["study", "x.yaml"],
        {"x.yaml": b"{question: a, metric: auroc, seeds: 1, overrides: [], methods: [a]}"},
        ["x.yaml: not a study", "methods: ['a'] is not a mapping", "quickstart.yaml"],
    ),
    "study: number for a setting": (
        ["study", "x.yaml"],
        {"x.yaml": b"{question: a, metric: auroc, seeds: 1, overrides: [3], methods: {A: []}}"},
        ["overrides: [3] is not a list of key=value"],
    ),
    "report: cut off": (
        ["report", "."],
        {"study.json": b'{"study": {'},
        ["study.json: damaged", "Run the study again"],
    ),
    "report: nothing in it": (["report", "."], {"study.json": b"{}"}, ["study.json: damaged"]),
    # --------------------------------------------------------------------- where an answer should go
    "name too long": (["cohort", "describe", "clinical", f"cohort.file={'a' * 300}"], {}, ["aaa: no such file"]),
    "new name too long": (
        ["cohort", "import", "fhir", ".", "--out", "a" * 300 + ".parquet"],
        {},
        ["--out: a name of 308 characters; allowed 200"],
    ),
    "json: folder": (["analyse", "benefit", "--json", "d"], {"d": None}, ["--json d: this is a folder", "Name a file"]),
    "figure: folder": (["partition", "--figure", "d.svg"], {"d.svg": None}, ["--figure d.svg: this is a folder"]),
    "figure: kind": (["analyse", "trends", "--figure", "x.txt"], {}, ["--figure x.txt", ".pdf, .png, .svg"]),
    "proofs: folder": (["verify", "--json", "d"], {"d": None}, ["--json d: this is a folder"]),
}

SETTINGS: dict[str, tuple[list[str], list[str]]] = {
    "below a word": (["scenario.x=1"], ["scenario.x=1: scenario takes one name", "scenario=consortium4 | cross71"]),
    "far below a word": (["scenario.x.y=1"], ["scenario.x.y=1: scenario takes one name"]),
    "below a number": (["cohort.patients.x=3"], ["cohort.patients is a single value"]),
    "misspelt group": (
        ["cohort=calibratd"],
        ["cohort=calibratd: allowed calibrated", "Did you mean cohort=calibrated?"],
    ),
    "misspelt key": (["cohort.patiens=5"], ["cohort=calibrated has", "Did you mean cohort.patients?"]),
    "of another entry": (["partition.alpha=1"], ["partition=natural has", "a setting of partition=dirichlet"]),
    "word for a number": (["partition=dirichlet", "partition.alpha=abc"], ["partition.alpha=abc: allowed a number"]),
    "no number": (["partition=dirichlet", "partition.alpha=nan"], ["partition.alpha=nan: allowed > 0"]),
    "no value": (["cohort.patients=null"], ["cohort.patients=null: allowed a value"]),
    "beyond any machine": (["cohort.patients=99999999999999999999"], ["cohort.patients=", "allowed [4, 1e+08]"]),
    "word for a list": (["cohort.cancers=lung"], ["cohort.cancers: allowed a list", "'cohort.cancers=[a, b]'"]),
    "unknown choice": (
        ["cohort=synthea", "cohort.site=citty"],
        ["cohort.site=citty", "Did you mean cohort.site=city?"],
    ),
    "value for a group": (["local=5"], ["local: this is a group of settings", "local.NAME=VALUE"]),
    "no quotes": (
        ["cohort=tabular", "cohort.label=é"],
        ["cohort.label=é: not an override", "beyond ASCII", "in quotes"],
    ),
    "taken away": (["~rounds"], ["~rounds: a setting cannot be removed", "rounds=VALUE"]),
    "nothing to take away": (
        ["partition=affinity", "~partition.archetypes.rurl"],
        ["partition.archetypes.rurl: no such setting", "Did you mean partition.archetypes.rural?"],
    ),
    "no key": (["=5"], ["=5: the key of a setting is missing"]),
    "Hydra's package": (["cohort@x=lung"], ["cohort@x=lung: the key of a setting is missing"]),
    "configs of one's own": (["--config-dir=d"], ["--config-dir d: no such folder"]),
}


def refused(words: list[str], expected: list[str], folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command is refused in a few lines that hold the words, and changes no file."""
    before = {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}
    runs = words[0] in ("run", "partition")
    sys.argv = ["fedtrial", *words, *(["results.dir=out"] if runs else [])]
    with pytest.raises(SystemExit) as end:
        main()
    told = capsys.readouterr().err
    assert end.value.code == 2, told
    assert told.startswith("Refused: ")
    assert "Traceback" not in told
    lines = told.strip().splitlines()
    numbered = all(re.match(r"(Refused: )?\d+\. ", line) for line in lines)  # all faults of a table at once
    assert len(lines) == 1 or numbered, told
    for word in expected:
        assert word in told
    assert before == {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, entered; the command line is put back afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [])
    return tmp_path


@pytest.mark.parametrize("case", TABLES)
def test_a_bad_table_is_told_and_nothing_is_left(case: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, files, expected = TABLES[case]
    for name, content in files.items():
        (here / name).mkdir() if content is None else (here / name).write_bytes(content)
    refused(words, expected, here, capsys)


@pytest.mark.parametrize("case", SETTINGS)
def test_a_bad_setting_is_told_in_our_words(case: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, expected = SETTINGS[case]
    refused(["run", *words], expected, here, capsys)


@pytest.mark.parametrize(
    "command", [["partition"], ["cohort", "describe", "calibrated"], ["analyse", "benefit"], ["run"]]
)
def test_every_command_refuses_a_setting_given_twice_and_a_cohort_beyond_the_machine(
    command: list[str], here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = ["cohort.patients=50", "cohort.patients=60"]
    refused(
        [*command, *twice], ["cohort.patients=50 and cohort.patients=60: the same setting is given twice"], here, capsys
    )
    monkeypatch.setattr(room, "machine_bytes", lambda: 8 * 10**9)
    arithmetic = "100,000,000 patients x 345 bytes = 34.5 GB: this machine has 8.0 GB"
    refused([*command, "cohort.patients=100000000"], [arithmetic], here, capsys)


def test_a_new_folder_is_made_only_once_there_is_something_to_put_in_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["cohort", "import", "synthea-csv", "nowhere", "--out", "new/deep/x.parquet"]
    refused(words, ["nowhere: no such folder"], here, capsys)


def test_words_that_a_rule_names_need_no_guess(here: Path) -> None:
    """The honest case of three words: those of the other answer are named."""
    (here / "a.csv").write_bytes(wrong("status", "lost"))
    named = [word.replace("dead", "dead else [alive, lost]") for word in TIME]
    assert experiment(named).cohort.load(0).events("survival").sum() == 15


def test_a_site_of_one_patient_trains_and_is_judged_elsewhere(here: Path) -> None:
    """Federations have them; what it cannot define is a gap."""
    rows = cells()
    rows[0][1] = "Z"
    (here / "a.csv").write_bytes(text(rows))
    federation = prepare(experiment([*LABEL, "partition=natural"])).federation
    assert federation.sites[-1] == "Z"
    assert (federation.bounds[-1] - federation.bounds[-1, 0]).tolist() == [0, 1, 1, 1]


def test_an_import_holds_blocks_and_never_the_file(tmp_path: Path) -> None:
    """Eight megabytes of observations of everybody, in blocks of 16 KB: the import's peak is a fraction of them."""
    for name in ("patients", "conditions"):
        (tmp_path / f"{name}.csv").write_bytes((DATA / f"synthea_2020/{name}.csv").read_bytes())
    head, *rows = (DATA / "synthea_2020/observations.csv").read_text().splitlines()
    filler = "2009-02-01T14:30:00Z,p19,,0-0,Something else as it was measured,27.1,kg/m2,numeric\n"
    with (tmp_path / "observations.csv").open("w") as file:
        file.write("\n".join([head, *rows, filler * 100_000]))
    size = (tmp_path / "observations.csv").stat().st_size
    arrow, before = [], pa.total_allocated_bytes()
    tracemalloc.start()
    try:
        made = read(Export(tmp_path, 1 << 14), Rules(), lambda done: arrow.append(pa.total_allocated_bytes() - before))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert made.rows["observations"] > 100_000
    assert size > 8_000_000
    assert len(arrow) > 100
    assert peak + max(arrow) < size / 4
