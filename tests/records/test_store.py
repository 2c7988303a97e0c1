"""A run folder is whole or absent, and a changed file is noticed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from sim.checks import Refused
from sim.config.experiment import Experiment
from sim.engine.evaluation import Held
from sim.engine.simulation import Evaluation, KeepPredictions
from sim.federation.federation import Federation
from sim.random import site_keys
from sim.records import predictions
from sim.records.predictions import Predictions
from sim.records.schema import SITES
from sim.records.store import Run, finished, read, together, write
from sim.run.keep import keep
from sim.run.run import holdings, prepare, rehearse
from sim.run.tables import sites_frame

FILES = [
    "DONE",
    "rounds.parquet",
    "sites.parquet",
    "run.json",
    "model.json",
    "model.safetensors",
    "best.safetensors",
    "predictions.parquet",
]


@pytest.fixture
def run(small: Experiment) -> Run:
    return rehearse(replace(small, evaluation=Evaluation(predictions=KeepPredictions.last)))


def test_what_is_written_is_read_back(run: Run, tmp_path: Path) -> None:
    home = write(run, tmp_path)
    again = read(home)
    assert again.rounds.equals(run.rounds)
    assert again.sites.equals(run.sites)
    assert again.info == json.loads(json.dumps(run.info))
    assert sorted(path.name for path in home.iterdir()) == sorted(FILES)


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o700), (0o027, 0o750), (0o022, 0o755)])
def test_a_run_is_as_open_as_its_owner_wants(umask: int, mode: int, run: Run, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        home = write(run, tmp_path)
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o777 == mode
    assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {mode & 0o666}


@pytest.mark.parametrize("name", FILES)
def test_truncated_or_flipped_files_are_noticed(name: str, run: Run, tmp_path: Path) -> None:
    home = write(run, tmp_path)
    good = (home / name).read_bytes()
    flipped = bytes([good[len(good) // 2] ^ 1])
    for bad in (good[:-2], good[: len(good) // 2] + flipped + good[len(good) // 2 + 1 :], b""):
        (home / name).write_bytes(bad)
        assert not finished(home)
        with pytest.raises(Refused, match="run it again"):
            read(home)
    (home / name).write_bytes(good)
    assert finished(home)


def test_done_names_the_files_that_every_run_has(run: Run, tmp_path: Path) -> None:
    home = write(run, tmp_path)
    stated = json.loads((home / "DONE").read_text())
    assert sorted(stated) == sorted(set(FILES) - {"DONE"})
    for bad in ({}, [], None, {name: told for name, told in stated.items() if name != "run.json"}):
        (home / "DONE").write_text(json.dumps(bad))
        assert not finished(home)


def test_a_broken_run_is_moved_aside_not_deleted(run: Run, tmp_path: Path) -> None:
    home = write(run, tmp_path)
    (home / "DONE").unlink()
    assert write(run, tmp_path) == home
    assert finished(home)
    assert (tmp_path / f"{run.id}.broken-1" / "sites.parquet").exists()


def test_a_finished_run_is_kept(small: Experiment, tmp_path: Path) -> None:
    home = keep(small, tmp_path)
    written = (home / "run.json").stat().st_mtime_ns
    assert keep(small, tmp_path) == home
    assert (home / "run.json").stat().st_mtime_ns == written


@pytest.mark.parametrize("after", ["sites.parquet", "run.json", "DONE"])
def test_killed_while_writing_leaves_no_finished_run(after: str, tmp_path: Path) -> None:
    """The process stops itself for good as soon as one file is on disk; a second one then finishes the run."""
    program = f"""
import os, signal, sys
from pathlib import Path
from sim.records import store as records
from sim.config.compose import experiment
from sim.run.keep import keep
sync = records.sync
def stop(path):
    sync(path)
    if path.name == {after!r}:
        os.kill(os.getpid(), signal.SIGKILL)
if len(sys.argv) > 2:
    records.sync = stop
print(keep(experiment(["cohort.patients=300", "rounds=1"]), Path(sys.argv[1])))
"""
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path), "stop"], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".") and finished(path)]
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert finished(Path(done.stdout.strip()))


def test_a_full_disk_is_told_and_leaves_nothing(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OSError(28, os.strerror(28))  # ENOSPC

    monkeypatch.setattr("sim.records.store.sync", full)
    with pytest.raises(Refused, match="No space left"):
        write(run, tmp_path)
    assert not list(tmp_path.iterdir())


def test_two_writers_of_one_run_agree(run: Run, tmp_path: Path) -> None:
    first = write(run, tmp_path)
    at = (first / "DONE").stat().st_mtime_ns
    time.sleep(0.01)
    assert write(run, tmp_path) == first
    assert (first / "DONE").stat().st_mtime_ns == at
    assert [path.name for path in tmp_path.iterdir()] == [run.id]


def consortium(sites: int) -> tuple[Federation, np.ndarray]:
    """A federation of small sites, some without test rows, and who had the event."""
    rng = np.random.default_rng(3)
    counts = np.stack([rng.integers(1, 9, sites), rng.integers(0, 4, sites), rng.integers(0, 4, sites)], axis=1)
    ends = np.cumsum(counts).reshape(counts.shape)
    bounds = np.concatenate([np.r_[0, ends[:-1, 2]][:, None], ends], axis=1)
    names = tuple(f"site-{number:05d}" for number in range(sites))
    event = rng.random(ends[-1, 2]) < 0.3
    return Federation(names, (), np.zeros((len(event), 0)), {"label": event}, bounds, site_keys(names)), event


def test_a_writer_whose_run_appears_in_the_last_moment_keeps_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rename is refused by the system; the run of the other is whole, so that nothing is lost."""
    home = write(run, tmp_path)
    before = (home / "DONE").stat().st_ino
    exists = Path.exists
    monkeypatch.setattr(Path, "exists", lambda path: path != home and exists(path))
    assert write(run, tmp_path) == home
    monkeypatch.undo()
    assert (home / "DONE").stat().st_ino == before
    assert [path.name for path in tmp_path.iterdir()] == [run.id]


def test_every_metric_stands_beside_its_site_round_and_split() -> None:
    federation, event = consortium(40)
    held = Held.of(federation, ("valid", "test"))
    judged = [
        (number, model, {"loss": np.arange(80.0) + number, "auroc": -np.arange(80.0)})
        for number in (0, 2)
        for model in ("shared", "personal")
    ]
    frame = sites_frame("abc", federation, held, event, judged)
    expected = [
        ("abc", number, name, split, high - low, event[low:high].sum(), model, metric, values[2 * site + at])
        for number, model, metrics in judged
        for metric, values in metrics.items()
        for site, (name, bounds) in enumerate(zip(federation.sites, federation.bounds, strict=True))
        for at, split, low, high in ((0, "valid", *bounds[1:3]), (1, "test", *bounds[2:4]))
        if high > low
    ]
    assert list(frame.itertuples(index=False, name=None)) == expected
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == SITES


def test_ten_thousand_sites_take_no_more_memory_than_their_numbers(tmp_path: Path) -> None:
    federation, event = consortium(10_000)
    held = Held.of(federation, ("valid", "test"))
    judged = [(number, "shared", {name: np.full(20_000, 0.5) for name in ("auroc", "brier")}) for number in range(5)]
    frame = sites_frame("abc", federation, held, event, judged)
    assert len(frame) == 10 * len(np.unique(held.segment))
    names = 1_000_000  # each name once
    assert frame.memory_usage(deep=True).sum() < 26 * len(frame) + names  # 4 numbers: 20 bytes, 5 codes: 6 bytes
    home = write(Run("abc", pd.DataFrame({"run": ["abc"]}), frame, {"run": "abc"}), tmp_path)
    again = read(home).sites
    assert again.equals(frame)
    both = together([frame, again.assign(run=again["run"].cat.rename_categories({"abc": "def"}))])
    assert both["run"].value_counts().to_dict() == {"abc": len(frame), "def": len(frame)}
    assert both["site"].tolist() == frame["site"].tolist() * 2
    assert both.memory_usage(deep=True).sum() < 26 * len(both) + names


def test_names_that_were_written_as_plain_text_are_read_as_names(run: Run, tmp_path: Path) -> None:
    spelled = run.sites.astype({name: "str" for name, kind in SITES.items() if kind == "category"})
    again = read(write(Run(run.id, run.rounds, spelled, run.info), tmp_path)).sites
    assert {name: str(kind) for name, kind in again.dtypes.items()} == SITES
    assert again.astype("str").equals(run.sites.astype("str"))


def test_a_run_that_was_never_scored_is_read_back(small: Experiment, tmp_path: Path) -> None:
    federation = prepare(small).federation
    held = Held.of(federation, ("valid", "test"))
    frame = sites_frame("abc", federation, held, np.zeros(len(federation.x), dtype=bool), [])
    again = read(write(Run("abc", pd.DataFrame({"run": ["abc"]}), frame, {"run": "abc"}), tmp_path)).sites
    assert again.empty
    assert {name: str(kind) for name, kind in again.dtypes.items()} == SITES


def test_holdings_are_the_rows_and_events_of_every_split() -> None:
    federation, event = consortium(40)
    told = holdings(federation, event)
    for site, bounds in zip(federation.sites, federation.bounds, strict=True):
        for at, split in enumerate(("train", "valid", "test")):
            mine = event[bounds[at] : bounds[at + 1]]
            assert told[site][split] == {"rows": len(mine), "events": mine.sum()}
    assert json.loads(json.dumps(told)) == told


def test_predictions_are_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predictions, "PIECE_ROWS", 10)
    code = np.arange(37) % 4 - 1
    score = np.random.default_rng(0).random(37)
    made = Predictions({"site": (code, ("a", "b", "c"))}, {"label": score > 0.5, "probability": score})
    assert predictions.write(made, tmp_path) == ["predictions.parquet"]
    assert pq.ParquetFile(tmp_path / "predictions.parquet").num_row_groups == 4
    again = pd.read_parquet(tmp_path / "predictions.parquet")
    assert again["site"].astype(object).where(again["site"].notna(), None).tolist() == [
        (None, "a", "b", "c")[at + 1] for at in code
    ]
    assert again["probability"].tolist() == score.tolist()
    assert again["label"].tolist() == (score > 0.5).tolist()


def test_no_held_out_rows_make_an_empty_file(tmp_path: Path) -> None:
    none = np.zeros(0)
    predictions.write(Predictions({"site": (none.astype(int), ("a",))}, {"probability": none}), tmp_path)
    assert list(pd.read_parquet(tmp_path / "predictions.parquet")) == ["site", "probability"]
