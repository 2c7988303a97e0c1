"""Ray's environment is chosen, not inherited: long TMPDIR, no HOME, the current folder, and what listens."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sim.checks import Refused
from sim.processes import on_ray, private, ray_session

ROOT = Path(__file__).parents[2]
LOOPBACK = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A session opened in a folder with a module of a standard name, under a TMPDIR and a HOME that Ray cannot use."""
    base = tmp_path_factory.mktemp("here")
    (base / "random.py").write_text("raise SystemExit('a file of the user')\n")
    long = base / "a_scratch_folder_of_somebody_on_a_cluster_with_long_names"
    long.mkdir()
    environment = os.environ | {"TMPDIR": str(long), "HOME": "/proc/nobody", "PYTHONPATH": str(ROOT)}
    for name in [one for one in environment if one.startswith("RAY_")]:
        del environment[name]
    command = [sys.executable, "-P", str(ROOT / "tests" / "ground" / "ray_probe.py")]
    done = subprocess.run(command, cwd=base, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"base": str(base)}


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="sockets are read from /proc")
def test_every_socket_of_the_session_is_on_the_loopback_interface(probe: dict[str, Any]) -> None:
    assert {"raylet", "gcs_server"} <= set(probe["listening"])
    assert probe["listening"]["gcs_server"]
    for program, addresses in probe["listening"].items():
        assert set(addresses) <= LOOPBACK, program


def test_workers_run_in_the_users_folder_and_import_nothing_from_it(probe: dict[str, Any]) -> None:
    assert probe["folder"] == probe["base"]
    assert not {"", probe["base"]} & set(probe["path"])


def test_uv_run_does_not_pack_the_folder(probe: dict[str, Any]) -> None:
    assert probe["uv"] is False


def test_a_running_session_with_too_few_cpus_is_refused(ray_here: None) -> None:
    with pytest.raises(Refused, match=r"99 workers in a Ray session that has 3 CPU"), ray_session(99):
        pass


def test_a_ray_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that is busy with other things, Ray gives up after half a minute."""
    import ray

    def late(**options: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", late)
    monkeypatch.setattr(ray, "shutdown", lambda: None)  # of the other tests' session
    with pytest.raises(Refused, match=r"does not start.*timed out during startup.*--workers 1"), private(2):
        pass


def die(job: int) -> int:
    os._exit(3)


def test_a_task_that_kills_its_worker_every_time_ends_with_the_reason(ray_here: None) -> None:
    jobs = iter([1, None])
    with pytest.raises(Refused, match=r"gave up after 3 restarts.*use fewer workers"):
        list(on_ray(die, lambda: next(jobs, None), 2))


def wrong(job: int) -> int:
    raise Refused("cohort.path: as it was told")


def test_a_refusal_in_a_worker_is_the_same_refusal_here(ray_here: None) -> None:
    jobs = iter([1, None])
    with pytest.raises(Refused, match=r"^cohort.path: as it was told$"):
        list(on_ray(wrong, lambda: next(jobs, None), 2))
