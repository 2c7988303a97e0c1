"""Settings as an unkind user gives them: each is refused in words, and none of them runs code, hangs or dies."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sim.checks import Refused
from sim.config.compose import cells, experiment
from sim.config.experiment import GROUPS
from sim.config.presets import OWN, add_presets
from sim.config.words import refuse_twice

HUGE = "9" * 5000
WRONG = {
    "a section by interpolation": (["shift.missing=${seed}"], ["shift.missing=${seed}: this is a group of settings"]),
    "the environment": (["results.dir=${oc.env:HOME}"], ["${oc.env:HOME} is not allowed", "the shell"]),
    "the environment as an entry": (["algorithm=${oc.env:HOME}"], ["${oc.env:HOME} is not allowed"]),
    "the environment in a list": (["task.without=[a,'${oc.env:X}']"], ["${oc.env:X} is not allowed"]),
    "the environment within": (["cohort.consortium=${${oc.env:X}}"], ["is not allowed"]),
    "the environment beside": (["results.dir=a_${seed}_${oc.env:X,b}"], ["${oc.env:X,b} is not allowed"]),
    "Hydra's own values": (["results.dir=${hydra:runtime.cwd}"], ["${hydra:runtime.cwd} is not allowed"]),
    "a section of another": (["local=${shift}"], ["local=${shift}: this is a group of settings"]),
    "a list by a number": (["task.without=${rounds}"], ["stands for 50", "allowed a list of str"]),
    "a mapping by a number": (["partition=pachinko", "partition.sites=${local}"], ["partition.sites"]),
    "a list of another kind": (["net=mlp", "net.hidden=${cohort.cancers}"], ["allowed a list of int"]),
    "a key of hundreds of parts": (["a." * 300 + "b=1"], ["301 parts; allowed 200 and 20"]),
    "a long word": (["x" * 300], ["a key of 300 letters"]),
    "a number of 5,000 digits": ([f"rounds={HUGE}"], ["more than 300 digits"]),
    "a number in a list": ([f"cohort.sizes=[{HUGE}]"], ["more than 300 digits"]),
    "brackets": (["net=mlp", "net.hidden=" + "[" * 200 + "]" * 200], ["brackets 200 deep"]),
    "1e21 steps": (["local.steps=1" + "0" * 21], ["local.steps=1000000000000000000000: allowed whole numbers below"]),
    "2^63 - 1 steps": (["local.steps=9223372036854775807"], ["rounds=50 x local.steps=9223372036854775807", "1e+12"]),
    "endless epochs": (["local.epochs=99999999999"], ["x local.epochs=99999999999", "Lower one of them"]),
    "endless rounds": (["rounds=9000000000000"], ["rounds=9000000000000 x local.epochs=1"]),
    "a wide seed": (["seed=1" + "0" * 30], ["seed=1000000", "2^63"]),
    "a folder of 256 letters": (["results.dir=" + "n" * 256], ["256 in one name; allowed 3500 and 255"]),
    "1,500 folders": (["results.dir=" + "abc/" * 1500], ["5999 bytes", "Choose a shorter folder"]),
    "a forced key": (["++local.lrr=5"], ["local.lrr: no such setting", "Did you mean local.lr?"]),
    "a forced section": (["++serverr.lr=3"], ["Did you mean server?"]),
    "a search path": (["hydra.searchpath=[file:///x]"], ["hydra.searchpath", "--config-dir"]),
    "callbacks": (["hydra/callbacks=[x]"], ["hydra/callbacks=[x]", "name code"]),
    "added callbacks": (["+hydra/callbacks=x"], ["Hydra's own"]),
    "logging": (["hydra/job_logging=[[x]]"], ["Hydra's own"]),
    "a launcher": (["hydra/launcher=joblib"], ["Hydra's own"]),
    "a folder of Hydra's": (["hydra.sweep.dir=x"], ["results.dir=FOLDER"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_no_setting_can_be_is_refused(case: str) -> None:
    words, expected = WRONG[case]
    with pytest.raises(Refused) as refusal:
        experiment(words)
    assert len(str(refusal.value)) < 500
    for word in expected:
        assert word in str(refusal.value)


def test_interpolations_of_the_right_kind_stay() -> None:
    made = experiment(["cohort.consortium=${seed}", "seed=4", "rounds=${local.batch}", "++local.lr=0.5"])
    assert (made.cohort.consortium, made.rounds, made.local.lr) == (4, 32, 0.5)  # type: ignore[attr-defined]


@pytest.mark.parametrize("words", [["rounds=2", "rounds=3"], ["seed=2", "+seed=2"], ["cohort=lung", "cohort=fcube"]])
def test_one_setting_given_twice_is_refused(words: list[str]) -> None:
    with pytest.raises(Refused, match="given twice"):
        refuse_twice(words)


def test_glob_stands_for_entries_of_a_group() -> None:
    named = [cell[0] for cell in cells(["algorithm=glob(fed*)"])]
    assert named == [f"algorithm={name}" for name in sorted(GROUPS["algorithm"]) if name.startswith("fed")]
    assert len(cells(["server=glob(*)", "seed=1,2"])) == 2 * len(cells(["server=glob(*)"]))
    assert ["algorithm=fedavg"] not in cells(["algorithm=glob([fed*], exclude=fedavg)"])
    for word, said in (
        ("algorithm=glob(x*)", "no entry matches"),
        ("rounds=glob(*)", "entries of a group"),
        ("seed=range(0)", "seed=range.*: stands for no value"),
        ("seed=range(3,1)", "stands for no value"),
    ):
        with pytest.raises(Refused, match=said):
            cells([word])


def test_a_sweep_that_nobody_waits_for_is_refused() -> None:
    with pytest.raises(Refused, match="1,000,000 cells"):
        cells(["seed=range(1000)", "rounds=range(1,1001)"])


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A folder for presets, which are forgotten afterwards."""
    (tmp_path / "cohort").mkdir()
    (tmp_path / "scenario").mkdir()
    yield tmp_path
    OWN.clear()


def test_a_changed_preset_is_read_anew(own: Path) -> None:
    for rounds in (7, 8):
        (own / "scenario" / "long.yaml").write_text(f"scenario: long\nrounds: {rounds}\n")
        add_presets(own)
        assert experiment(["scenario=long"]).rounds == rounds


def test_presets_of_ones_own_are_known_by_name_and_their_keys_are_words(own: Path) -> None:
    text = "defaults: [tabular, _self_]\nfiles: {NO: north.csv, 1: one.csv, on: on.csv}\nlabel: sick\n"
    (own / "cohort" / "nordic.yaml").write_text(text)
    (own / "scenario" / "long.yaml").write_text("defaults:\n  - override /server: adam\nscenario: long\nrounds: 77\n")
    assert add_presets(own) == ["cohort=nordic", "scenario=long"]
    cohort = experiment(["cohort=nordic", "task=classify"]).cohort
    assert cohort.files == {"NO": "north.csv", "1": "one.csv", "on": "on.csv"}  # type: ignore[attr-defined]
    long = experiment(["scenario=long"])
    assert (long.rounds, type(long.server).__name__, long.scenario) == (77, "Adam", "long")
    assert replace(long, rounds=5) == experiment(["rounds=5", "scenario=long"])


PRESETS = {
    "code": ("cohort/a.yaml", "defaults: [tabular]\nx: {_target_: os.system}\n", "'_target_' is not allowed"),
    "the environment": ("cohort/a.yaml", "defaults: [tabular]\nlabel: ${oc.env:HOME}\n", "${oc.env:HOME} is"),
    "the environment's entry": ("scenario/a.yaml", "defaults: [{override /server: '${oc.env:X}'}]\n", "${oc.env:X} is"),
    "Hydra's node": ("scenario/a.yaml", "hydra: {searchpath: [x]}\n", "'hydra' is not allowed"),
    "Hydra's groups": (
        "scenario/a.yaml",
        "defaults: [{/hydra/callbacks: x}]\n",
        "defaults='hydra/callbacks'",
    ),
    "another folder": ("cohort/a.yaml", "defaults: [../../x]\n", "allowed an entry of cohort"),
    "a Python object": ("cohort/a.yaml", "x: !!python/object/apply:os.system [x]\n", "not YAML"),
    "one of ours": ("cohort/tabular.yaml", "x: 1\n", "is one of fedtrial's own"),
    "no group": ("hydra/callbacks/a.yaml", "x: 1\n", "group='hydra/callbacks'"),
    "no keys": ("cohort/a.yaml", "- 1\n", "has no keys"),
    "a name of blanks": ("cohort/a b.yaml", "x: 1\n", "allowed a name of letters"),
}


@pytest.mark.parametrize("case", PRESETS)
def test_presets_are_checked_like_ours(case: str, own: Path) -> None:
    name, text, expected = PRESETS[case]
    (own / name).parent.mkdir(parents=True, exist_ok=True)
    (own / name).write_text(text)
    with pytest.raises(Refused) as refusal:
        add_presets(own)
    assert expected in str(refusal.value)


def test_a_folder_without_presets_is_refused(own: Path) -> None:
    for folder in (own, own / "nowhere"):
        with pytest.raises(Refused, match="--config-dir"):
            add_presets(folder)
