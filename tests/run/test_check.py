"""What is told before the first run, what a run that broke leaves, and what the exit code says."""

import sys
from pathlib import Path

import pytest

from sim.checks import Refused
from sim.cli.main import main
from sim.cli.run import launch
from sim.config.compose import experiment
from sim.records.store import finished, read
from sim.records.unfinished import TRACEBACK, State, status, working_folder
from sim.run import room
from sim.run.check import PreparedCache, checked, refuse_unfit
from sim.run.run import prepare, refuse_far, rehearse, run_id
from sim.run.sweep import Launch, ends
from tests.toy import SMALL

TINY = ["cohort.patients=300", "rounds=1", "seed=3"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_cell_that_the_data_refuse_is_told_by_name_before_any_runs(here: Path) -> None:
    """Four sites are too few for Krum; the first cell could run."""
    with pytest.raises(Refused, match=r"Cell 2 of 3 \(aggregator=krum\): aggregator=krum needs at least 5 uploads"):
        launch(["-m", *TINY, "aggregator=mean,krum,median"])
    assert not list(here.iterdir())


def test_the_oracle_is_refused_before_anything_runs(here: Path) -> None:
    rows = [f"{'AB'[i % 2]},{i % 7},{i // 2 % 2}" for i in range(80)]
    (here / "a.csv").write_text("\n".join(["site,x,sick", *rows]) + "\n")
    words = ["cohort=tabular", "cohort.path=a.csv", "cohort.site=site", "cohort.label=sick", "task=classify"]
    with pytest.raises(Refused, match=r"Cell 2 of 3 \(algorithm=oracle\)"):
        launch(["-m", *words, "rounds=1", "algorithm=fedavg,oracle,fedprox"])
    assert [path.name for path in here.iterdir()] == ["a.csv"]


def test_a_cell_that_training_breaks_is_told_and_the_others_go_on(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No model has a gradient of 1e-30."""
    words = ["-m", *TINY, "algorithm=pooled", "algorithm.iterations=1", "algorithm.tolerance=1e-30,1e-5"]
    assert launch(words) == 1
    told = capsys.readouterr().out
    assert "Cell 1 of 2 (algorithm.tolerance=1e-30): failed. The pooled model did not converge" in told
    assert "Cell 2 of 2 (algorithm.tolerance=1e-05): computed. " in told
    assert len(list((here / "results" / "runs").glob("*/DONE"))) == 1


def test_a_sweep_says_which_cell_is_which_and_ends_with_a_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["-m", *TINY, "algorithm=fedavg,scaffold"]
    assert launch(words) == 0
    assert "Cell 2 of 2 (algorithm=scaffold): computed" in capsys.readouterr().out
    assert launch(words) == 0
    told = capsys.readouterr().out
    assert "Cell 1 of 2 (algorithm=fedavg): read" in told
    table = told[told.index("Sweep of 2 cells") :]
    assert "auroc" in table
    assert "│ 2    │ algorithm=scaffold │" in table
    assert table.count("│ done") == 2
    assert sorted(path.name for path in here.iterdir()) == ["results"]  # and no multirun.yaml beside the runs
    assert not list((here / "results" / "runs").glob("*.yaml"))


def test_a_model_far_worse_than_its_start_diverged(here: Path) -> None:
    words = [*TINY, "rounds=2", "local.lr=1e30"]
    run = rehearse(experiment(words))
    assert "diverged in round 2" in run.info["status"]
    assert run.model is None
    sys.argv = ["fedtrial", "run", *TINY[::2], "rounds=2", "local.lr=1e30"]
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    (home,) = (here / "results" / "runs").iterdir()
    assert finished(home)
    assert "the validation loss ends at" in read(home).info["status"]


def test_far_is_a_thousand_times_the_start_or_chance() -> None:
    nan = float("nan")
    for losses in ({0: 0.5, 3: 999.0}, {0: 2.0, 3: 1999.0}, {0: 0.7, 1: 1e9, 2: 0.6}, {0: nan, 1: nan}, {}):
        refuse_far(losses)
    for far in ({0: 0.5, 3: 1001.0}, {0: 2.0, 3: 2001.0}, {0: 0.7, 1: float("inf")}, {2: 1e4}):
        with pytest.raises(ArithmeticError, match="the validation loss ends at"):
            refuse_far(far)


def test_what_cannot_fit_is_told_with_the_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "machine_bytes", lambda: 8 * 10**9)
    for words, said in {
        "cohort.patients=100000000": "100,000,000 patients x 345 bytes = 34.5 GB: this machine has 8.0 GB",
        "cohort=synthetic cohort.sites=100000": "100,000 sites x 453 rows x 1536 bytes = 69.6 GB",
        "cohort=fcube cohort.rows=100000000": "100,000,000 rows x 300 bytes = 30.0 GB",
    }.items():
        wanted = experiment([*words.split(), *(["task=classify"] if "=" in words and "cohort=" in words else [])])
        with pytest.raises(Refused) as refusal:
            checked([("", wanted)])
        assert said in str(refusal.value)
    small = experiment([*SMALL, "rounds=20000000"])
    with pytest.raises(Refused, match=r"20,000,002 scored rounds x 7 sites x 2 splits x 5 metrics .* Raise eval"):
        refuse_unfit(small, prepare(small))


def test_steps_of_all_sites_are_bounded() -> None:
    endless = experiment([*SMALL, "rounds=1000000", "local.steps=900000", "evaluation.every=1000000"])
    with pytest.raises(Refused, match=r"x 7 \(7 sites\) = 6.3e\+12 local steps"):
        refuse_unfit(endless, prepare(endless))


def test_data_are_kept_from_the_check_to_the_runs_as_far_as_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells = [("", experiment([*SMALL[:-1], f"seed={seed}"])) for seed in (1, 2, 3)]
    assert len(checked(cells).held) == 3
    assert len(checked(cells, room=1).held) <= 2
    shelf = PreparedCache(10**9)
    shelf(cells[0][1])
    shelf.forget(cells[0][1])
    assert not shelf.held


def test_a_run_that_dies_is_one_reason_and_not_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (experiment([*SMALL, f"algorithm={name}", "rounds=1"][1:]) for name in ("fedavg", "scaffold"))

    def broken(experiment: object, *rest: object) -> object:
        if experiment is one:
            raise MemoryError("no room")
        return rehearse(experiment, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("sim.run.cell.rehearse", broken)
    left = {run_id(each): each for each in (one, other)}
    ended = {end.run: end.failed for end in ends(left, dict.fromkeys(left, tmp_path), Launch(1), {})}
    assert ended == {run_id(one): "MemoryError: no room", run_id(other): ""}
    now = status(tmp_path, run_id(one))
    assert (now.state, now.why) == (State.FAILED, "MemoryError: no room")
    assert 'raise MemoryError("no room")' in (working_folder(tmp_path, run_id(one)) / TRACEBACK).read_text()
    assert finished(tmp_path / run_id(other))


def test_what_gives_the_outcome_away_is_told_once_before_the_first_round(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{'AB'[i % 2]},{i % 7},{i // 2 % 2 + i % 3 / 9},{i // 2 % 2}" for i in range(80)]
    (here / "a.csv").write_text("\n".join(["site,x,after,sick", *rows]) + "\n")
    words = ["cohort=tabular", "cohort.path=a.csv", "cohort.site=site", "cohort.label=sick", "task=classify"]
    words += ["partition=natural", "partition.min_events=0"]
    checked([("", experiment([*words, f"seed={seed}"])) for seed in (1, 2)])
    told = capsys.readouterr().err
    assert told.count("May give outcome label away: after (AUROC 1.000)") == 1
    assert "set 'task.without=[after]'" in told
    checked([("", experiment([*words, "task.without=[after]"]))])
    assert not capsys.readouterr().err
