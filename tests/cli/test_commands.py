"""The command line as a user meets it: what runs, what is refused, and how."""

import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from sim.records.store import read

TINY = ["cohort.patients=300", "rounds=2", "seed=3"]


def fedtrial(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "sim", *words], cwd=cwd, capture_output=True, text=True, timeout=240)


REFUSED = {
    "unknown algorithm": (["algorithm=fedpro"], ["algorithm=fedpro", "fedprox", "scaffold", "Did you mean"]),
    "word for a number": (["algorithm=fedprox", "algorithm.mu=abc"], ["algorithm.mu=abc", "allowed a number"]),
    "no rounds": (["rounds=0"], ["rounds=0", "allowed >= 1"]),
    "negative alpha": (["partition=dirichlet", "partition.alpha=-1"], ["partition.alpha=-1", "> 0"]),
    "code": (["+algorithm._target_=os.system"], ["_target_", "not allowed"]),
    "typo in a key": (["local.lrr=0.1"], ["local.lrr", "Did you mean local.lr?"]),
    "typo at the top": (["rondes=5"], ["rondes", "Did you mean rounds?"]),
    "new key": (["+rounds2=5"], ["rounds2", "no such setting"]),
    "sweep without -m": (["seed=1,2"], ["seed=1,2", "-m"]),
    "no key": (["scaffold"], ["scaffold", "key=value"]),
    "fraction of a round": (["rounds=1.5"], ["rounds=1.5", "whole number"]),
    "enum": (["weighting=bad"], ["weighting", "patients, sites"]),
    "too many sites": (["system.sites=9"], ["system.sites=9", "4 sites"]),
    "a setting twice": (["local.lr=0.1", "local.lr=0.2"], ["local.lr=0.1 and local.lr=0.2", "Leave one out"]),
    "a pickle": (["--experimental-rerun", "x"], ["--experimental-rerun", "pickle"]),
    "Hydra's completion": (["-sc", "install=bash"], ["fedtrial --install-completion"]),
    "code in a help": (["--help", "hydra/callbacks=[x]"], ["hydra/callbacks=[x]", "Hydra's own"]),
    "wrong outcome for the task": (["task=hazard", "task.outcome=response"], ["task.outcome", "survival"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals_are_short_and_say_what_is_allowed(case: str, tmp_path: Path) -> None:
    words, expected = REFUSED[case]
    given = {word.split("=")[0] for word in words}
    tiny = [word for word in TINY if word.split("=")[0] not in given]
    done = fedtrial("run", *tiny, *words, f"results.dir={tmp_path}", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 4
    for part in expected:
        assert part in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_run_leaves_whole_records_and_is_not_computed_twice(tmp_path: Path) -> None:
    words = ["run", *TINY, "algorithm=scaffold", f"results.dir={tmp_path / 'out'}"]
    done = fedtrial(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (home,) = (tmp_path / "out").iterdir()
    run = read(home)
    assert run.info["status"] == "done"
    assert run.info["settings"]["algorithm"]["is"] == "scaffold"
    # SCAFFOLD sends the model and a control variate each way, float32, to and from four sites.
    assert set(run.rounds["bytes_up"][1:]) == set(run.rounds["bytes_down"][1:]) == {4 * 2 * 4 * run.info["parameters"]}
    before = (home / "run.json").read_bytes()
    assert fedtrial(*words, cwd=tmp_path).returncode == 0
    assert (home / "run.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_every_axis_at_once_trains_and_leaves_its_records(tmp_path: Path) -> None:
    """Both kinds of model are judged; an upload is a tenth of the entries, each with the bits of its place."""
    axes = ["algorithm=fedprox", "uplink=[clip,topk]", "uplink.topk.ratio=0.1", "aggregator=median", "server=adam"]
    axes += ["system=buffered", "personal=ditto"]
    done = fedtrial(
        "run", "cohort.patients=300", "rounds=4", "seed=3", *axes, f"results.dir={tmp_path / 'out'}", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (home,) = (tmp_path / "out").iterdir()
    run = read(home)
    assert run.info["status"] == "done"
    assert run.info["deploys"] == "personal"
    asked = run.info["settings"]
    assert [one["is"] for one in asked["uplink"]] == ["clip", "topk"]
    chosen = {"aggregator": "median", "server": "adam", "personal": "ditto", "system": "buffered"}
    assert {axis: asked[axis]["is"] for axis in chosen} == chosen
    for split in ("valid", "test"):
        part = run.sites[(run.sites["split"] == split) & (run.sites["metric"] == "brier")]
        assert set(part["model"]) == {"shared", "personal"}
        assert set(part.groupby(["site", "round"], observed=True)["model"].nunique()) == {2}
        assert part["value"].between(0, 1).all()
    size = run.info["parameters"]
    few, width = math.ceil(size / 10), math.ceil(math.log2(size))
    upload = math.ceil(few * (32 + width) / 8)
    assert (run.rounds["sites"][1:] == 2).all()  # half of the four sites fill the buffer
    assert (run.rounds["bytes_up"] == run.rounds["sites"] * upload).all()
    assert (run.rounds["bytes_down"][1:] % (4 * size) == 0).all()
    assert run.rounds["seconds"].is_monotonic_increasing
    assert (run.rounds["step_norm"][1:] > 0).all()


def test_a_profile_names_every_stage(tmp_path: Path) -> None:
    done = fedtrial("run", "--profile", *TINY, f"results.dir={tmp_path / 'out'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    table = done.stdout[done.stdout.index("Profile") :]
    for name in ("start", "settings", "cohort", "partition", "federation", "task", "records", "rest", "all"):
        assert f"\n│ {name} " in table, name
    assert "Profile" not in fedtrial("run", *TINY, f"results.dir={tmp_path / 'out'}", cwd=tmp_path).stdout


def test_config_is_shown_without_running(tmp_path: Path) -> None:
    done = fedtrial("run", "rounds=7", "--cfg", "job", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "rounds: 7" in done.stdout
    assert not list(tmp_path.iterdir())


def test_a_sweep_checks_every_cell_before_the_first_runs(tmp_path: Path) -> None:
    done = fedtrial("run", "-m", *TINY, "algorithm=fedavg,fedpro", f"results.dir={tmp_path / 'out'}", cwd=tmp_path)
    assert done.returncode == 2
    assert "fedpro" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_sweep_runs_every_cell(tmp_path: Path) -> None:
    words = ["run", "-m", "cohort.patients=300", "rounds=2", "seed=1,2", "algorithm=fedavg,fedprox"]
    done = fedtrial(*words, f"results.dir={tmp_path / 'out'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").glob("*/DONE"))) == 4


def test_survival_on_the_real_institutions(tmp_path: Path) -> None:
    words = ["run", "cohort=lung", "task=hazard", "partition=natural", "algorithm=fedavg", "server=adam", "rounds=3"]
    done = fedtrial(*words, f"results.dir={tmp_path / 'out'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (home,) = (tmp_path / "out").glob("*/")
    run = read(home)
    assert len(run.info["sites"]) == 18
    c = run.sites[(run.sites["metric"] == "cindex") & (run.sites["split"] == "test")]
    assert c["value"].dropna().between(0, 1).all()
    assert c["value"].notna().any()
    assert isinstance(run.sites, pd.DataFrame)
    assert (c["events"] <= c["rows"]).all()


def test_verify_writes_its_certificates(tmp_path: Path) -> None:
    import json

    done = fedtrial("verify", "--only", "fedprox", "--json", str(tmp_path / "proofs.json"), cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    proofs = json.loads((tmp_path / "proofs.json").read_text())
    assert set(proofs[0]) == {"axis", "method", "property", "error", "tolerance", "passed"}
    assert {(proof["axis"], proof["method"]) for proof in proofs} == {("algorithm", "fedprox")}
    assert len(proofs) > 10
    assert all(proof["passed"] for proof in proofs)
    wrong = fedtrial("verify", "--only", "fedpro", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "fedprox" in wrong.stderr


@pytest.mark.parametrize(("closed", "code"), [(">&-", 0), ("2>&-", 0), (">/dev/full", 1)])
def test_an_output_that_is_closed_or_full_is_no_traceback(closed: str, code: int, tmp_path: Path) -> None:
    command = f"{sys.executable} -m sim methods fedprox {closed}"
    done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert bool(code) == ("the output could not be written (No space left on device)" in done.stderr)
