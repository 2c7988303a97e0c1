"""The name of a run: settings, files and code, told without loading a patient."""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sim.assets import root
from sim.checks import Refused
from sim.cohort import COHORTS
from sim.cohort.calibrated import published
from sim.cohort.clinical import schema
from sim.cohort.tabular.source import Tabular
from sim.config.compose import experiment
from sim.config.experiment import Experiment, identity
from sim.methods.algorithms.fedprox import FedProx
from sim.records.store import finished
from sim.run.keep import keep
from sim.run.run import footing, prepare, run_id
from sim.run.sweep import unfinished
from tests.toy import SMALL, clinical_table

ROWS = "age,sex,ill\n50,f,1\n60,m,0\n70,f,1\n"


@pytest.fixture
def unloadable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cohort can be loaded."""

    def refuse(self: object, seed: int) -> None:
        raise AssertionError("a cohort was loaded")

    for kind in set(COHORTS.values()):
        monkeypatch.setattr(kind, "load", refuse)


def tables(folder: Path) -> list[str]:
    """A cohort of two hospitals with a file each, and further columns in a third."""
    folder.mkdir(parents=True, exist_ok=True)
    for site in ("north", "south"):
        (folder / f"{site}.csv").write_text(ROWS)
    (folder / "more.csv").write_text("site,row,bmi\nnorth,0,21\n")
    files = [f"+cohort.files.{site}={folder}/{site}.csv" for site in ("north", "south")]
    return ["cohort=tabular", "cohort.label=ill", "task=classify", *files, f"cohort.extra={folder}/more.csv"]


def rewrite(path: Path, old: str, new: str) -> None:
    """Another text in a file, at a time that no clock confuses with the one before."""
    before = path.stat().st_mtime_ns
    path.write_text(path.read_text().replace(old, new))
    os.utime(path, ns=(before + 10**9, before + 10**9))


@pytest.mark.parametrize("cohort", ["calibrated", "lung", "synthetic", "fcube"])
@pytest.mark.usefixtures("unloadable")
def test_a_name_loads_nothing(cohort: str) -> None:
    wanted = experiment([f"cohort={cohort}"])
    assert run_id(wanted) == run_id(experiment([f"cohort={cohort}"]))
    assert run_id(wanted) != run_id(replace(wanted, seed=wanted.seed + 1))


def test_whether_runs_are_finished_is_known_without_their_patients(
    small: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = keep(small, tmp_path)

    def refuse(self: object, seed: int) -> None:
        raise AssertionError("a cohort was loaded")

    monkeypatch.setattr(COHORTS["calibrated"], "load", refuse)
    other = replace(small, rounds=4)
    assert unfinished({run_id(one): one for one in (small, other)}, tmp_path) == {run_id(other): other}
    assert keep(small, tmp_path) == home
    (home / "DONE").unlink()
    assert not finished(home)
    assert unfinished({run_id(small): small}, tmp_path) == {run_id(small): small}


@pytest.mark.usefixtures("unloadable")
def test_files_are_named_by_what_stands_in_them_not_by_where_they_lie(tmp_path: Path) -> None:
    here = run_id(experiment(tables(tmp_path / "here")))
    assert run_id(experiment(tables(tmp_path / "there"))) == here
    for name, old, new in (("north.csv", "50", "51"), ("south.csv", "f,1", "f,0"), ("more.csv", "21", "22")):
        words = tables(tmp_path / f"changed-{name}")
        rewrite(tmp_path / f"changed-{name}" / name, old, new)
        assert run_id(experiment(words)) != here


@pytest.mark.usefixtures("unloadable")
def test_an_edited_file_renames_its_runs_and_moves_their_footing(tmp_path: Path) -> None:
    wanted = experiment(tables(tmp_path))
    name, ground = run_id(wanted), footing(wanted)
    rewrite(tmp_path / "north.csv", "50", "51")
    assert run_id(wanted) != name
    assert footing(wanted) != ground
    rewrite(tmp_path / "north.csv", "51", "50")
    assert run_id(wanted) == name


@pytest.mark.usefixtures("unloadable")
def test_hospitals_that_swap_their_files_are_another_cohort(tmp_path: Path) -> None:
    words = tables(tmp_path)
    rewrite(tmp_path / "north.csv", "50", "51")
    wanted = experiment(words)
    assert isinstance(wanted.cohort, Tabular)
    files = wanted.cohort.files
    swapped = replace(wanted.cohort, files={"north": files["south"], "south": files["north"]})
    assert swapped.fingerprint(0) != wanted.cohort.fingerprint(0)


@pytest.mark.usefixtures("unloadable")
def test_one_more_hospital_under_a_star_is_another_cohort(tmp_path: Path) -> None:
    tables(tmp_path)
    (tmp_path / "more.csv").unlink()
    wanted = experiment(["cohort=tabular", "cohort.label=ill", "task=classify", f'cohort.path="{tmp_path}/*.csv"'])
    two = run_id(wanted)
    (tmp_path / "west.csv").write_text(ROWS)
    assert run_id(wanted) != two


@pytest.mark.usefixtures("unloadable")
def test_a_file_that_is_not_there_is_refused_as_it_is_when_loaded(tmp_path: Path) -> None:
    words = tables(tmp_path)
    (tmp_path / "north.csv").unlink()
    with pytest.raises(Refused, match=r"north\.csv: no such file"):
        run_id(experiment(words))


@pytest.mark.usefixtures("unloadable")
def test_a_clinical_file_counts_and_so_does_the_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clinical_table().to_parquet(tmp_path / "mine.parquet")
    wanted = experiment(["cohort=clinical", f"cohort.file={tmp_path}/mine.parquet", "task=classify"])
    first = run_id(wanted)
    copy = tmp_path / "schema.yaml"
    copy.write_bytes(schema.path().read_bytes())
    monkeypatch.setattr(schema, "path", lambda: copy)
    assert run_id(wanted) == first
    rewrite(copy, "patient_id:", "# people\npatient_id:")
    assert run_id(wanted) != first
    monkeypatch.undo()


def test_the_published_numbers_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small: Experiment) -> None:
    first = run_id(small)
    for name in published.TABLES:
        (tmp_path / name).write_bytes(published.path(name).read_bytes())
    monkeypatch.setattr(published, "path", lambda name: tmp_path / name)
    assert run_id(small) == first
    for name in published.TABLES:
        with (tmp_path / name).open("a") as table:
            table.write("# one more\n")
        assert run_id(small) != first
        (tmp_path / name).write_bytes((root() / "datasets" / "calibrated" / name).read_bytes())
        os.utime(tmp_path / name, ns=(1, 1))
    assert run_id(small) == first


def test_settings_keep_the_name_of_a_file_and_not_its_folder(tmp_path: Path) -> None:
    told = identity(experiment(tables(tmp_path)))["cohort"]
    assert told["files"] == {"north": "north.csv", "south": "south.csv"}
    assert told["extra"] == "more.csv"
    assert str(tmp_path) not in json.dumps(told)


@dataclass
class Mine(FedProx):
    """FedProx under a name of my own."""


@dataclass
class Yours(FedProx):
    """The same settings again."""


def test_a_class_of_the_user_s_own_is_part_of_the_name(small: Experiment) -> None:
    names = {run_id(replace(small, algorithm=kind(mu=0.5))) for kind in (FedProx, Mine, Yours)}
    assert len(names) == 3
    assert run_id(replace(small, algorithm=Mine(mu=0.5))) == run_id(replace(small, algorithm=Mine(mu=0.5)))


def test_footing_is_what_stands_where_and_not_who_learns(small: Experiment) -> None:
    assert footing(small) == footing(experiment([*SMALL, "algorithm=scaffold", "rounds=9", "local.lr=0.5"]))
    for word in ("seed=2", "partition=dirichlet", "cohort.het=0.1", "shift.het=0.5", "split.train=0.5", "net=mlp"):
        assert footing(experiment([*SMALL, word])) != footing(small)


CASES = {
    "calibrated": ["response", "mortality", "hazard", "cox", "cancer_type"],
    "lung": ["hazard", "cox"],
    "synthetic": ["classify"],
    "fcube": ["classify"],
}
MORE = {"mortality": ["cohort.mature_years=5"], "cancer_type": ["cohort.cancers=[all]"], "cox": ["local.batch=0"]}


@pytest.mark.parametrize(("cohort", "task"), [(name, task) for name, tasks in CASES.items() for task in tasks])
def test_a_source_knows_its_truth_where_its_cohort_holds_it(cohort: str, task: str) -> None:
    size = ["cohort.patients=600"] if cohort == "calibrated" else []
    wanted = experiment([f"cohort={cohort}", f"task={task}", *size, *MORE.get(task, [])])
    assert wanted.cohort.knows_truth(wanted.task.kind) == (prepare(wanted).federation.best is not None)
