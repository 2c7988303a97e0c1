"""One federation over the nodes of a Ray cluster: the same bits as in one process, also where nodes die."""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from typing import Any

import pytest
import yaml

from sim.checks import Refused
from sim.config.compose import experiment
from sim.engine.executors import InProcess, OnRay, crew, unnamed
from sim.engine.ray_actors import RayCrew
from sim.processes import choose_environment
from sim.ray_cluster import joining, on_loopback, place, refuse_unreachable
from sim.run.run import prepare, run_id, simulation
from sim.scratch import short_place
from tests.engine.cluster_probe import CASES, MARK
from tests.toy import ROOT, SMALL

pytestmark = pytest.mark.timeout(600)  # a machine that is busy with other things starts a node in half a minute
EXAMPLES = ROOT / "docs" / "cluster"


def probe(mode: str) -> dict[str, Any]:
    """What came of runs on a cluster; in a process of its own, which shares no Ray with other tests."""
    with tempfile.TemporaryDirectory(dir=short_place(), ignore_cleanup_errors=True) as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment |= {"RAY_TMPDIR": folder, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(ROOT / "tests" / "engine" / "cluster_probe.py"), mode]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=560)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.rpartition(MARK)[2].splitlines()[0])  # Ray prints there too
    return found


@pytest.fixture(scope="module")
def two_nodes() -> dict[str, Any]:
    return probe("bits")


@pytest.fixture(scope="module")
def dying_nodes() -> dict[str, Any]:
    return probe("death")


@pytest.mark.ray
@pytest.mark.parametrize("case", CASES)
def test_two_nodes_give_the_bits_of_one_process(case: str, two_nodes: dict[str, Any]) -> None:
    assert two_nodes["same"][case]


@pytest.mark.ray
def test_a_pool_of_processes_is_on_both_nodes(two_nodes: dict[str, Any]) -> None:
    assert two_nodes["pool"] == 2


@pytest.mark.ray
@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("too few", ["3 workers in a Ray cluster of 3 nodes that has 2 CPU", "executor.workers"]),
        ("other", ["executor.address=127.0.0.1:1: this process already uses the Ray at 127.0.0.1:"]),
        ("other code", ["Node 127.0.0.1 of the Ray cluster has other code than this machine: code ", "every node"]),
    ],
)
def test_what_a_cluster_cannot_do_is_refused(what: str, says: list[str], two_nodes: dict[str, Any]) -> None:
    for part in says:
        assert part in two_nodes[what]


@pytest.mark.ray
def test_a_node_that_is_killed_while_it_trains_changes_nothing(dying_nodes: dict[str, Any]) -> None:
    """Three workers, then two: one node less has no CPU for a third."""
    assert dying_nodes["same"]
    assert dying_nodes["left"] == 2


@pytest.mark.ray
def test_when_all_nodes_are_gone_the_run_says_how_it_goes_on(dying_nodes: dict[str, Any]) -> None:
    assert dying_nodes["gone"].startswith("All workers of the Ray cluster are gone")
    assert "The same command goes on from the last checkpoint" in dying_nodes["gone"]


@pytest.mark.ray
def test_a_cluster_of_this_machine_alone_shares_its_memory(ray_here: None) -> None:
    """As without an address: nothing of what sites keep goes through Ray."""
    import ray

    small = experiment(SMALL)
    plan, address = simulation(small, prepare(small)), ray.get_runtime_context().gcs_address
    with crew(OnRay(workers=1, address=address), plan.job) as opened:
        assert isinstance(opened, RayCrew)


@pytest.mark.parametrize("address", ["10.0.0.1", "ray://head:10001", "head:port", ":6379", "head:6379/x", "a b:1"])
def test_an_address_is_a_host_and_a_port(address: str) -> None:
    with pytest.raises(Refused, match=r"executor\.address=.*HOST:PORT"):
        OnRay(address=address)


@pytest.mark.parametrize("address", ["", "auto", "head.example.org:6379", "10.0.0.1:6379", "[fd00::2]:6379"])
def test_addresses(address: str) -> None:
    assert OnRay(address=address).address == address


def test_an_address_and_the_loopback_interface() -> None:
    assert place("[fd00::2]:6379") == ("fd00::2", 6379)
    assert [on_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "10.0.0.1", "head")] == [True] * 3 + [
        False
    ] * 2


def test_where_nothing_answers_nobody_waits() -> None:
    says = r"executor\.address=127\.0\.0\.1:1: nothing answers.*docs/cluster\.md"
    with pytest.raises(Refused, match=says):
        refuse_unreachable("127.0.0.1:1")


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ConnectionError("Failed to connect"), r"could not join.*is not a node of it.*RAY_AUTH_TOKEN"),
        (RuntimeError("Version mismatch: The cluster was started with:\n Ray: 2.50"), r"Ray: 2\.50.*same versions"),
    ],
)
def test_why_a_cluster_cannot_be_joined_is_told(error: Exception, says: str) -> None:
    choose_environment()
    with pytest.raises(Refused, match=rf"executor\.address=head:6379: .*{says}"), joining("head:6379"):
        raise error


def test_a_cluster_that_wants_a_token_says_so() -> None:
    choose_environment()
    from ray.exceptions import AuthenticationError

    with pytest.raises(Refused, match=r"head:6379: .*token was not found.*RAY_AUTH_TOKEN"), joining("head:6379"):
        raise AuthenticationError("no token")


def test_the_cluster_is_no_part_of_a_run_s_name() -> None:
    small = experiment(SMALL)
    assert run_id(replace(small, executor=OnRay(workers=3, address="head:6379"))) == run_id(small)


def test_records_do_not_say_where_a_cluster_is() -> None:
    assert unnamed(OnRay(workers=3, address="head.example.org:6379")) == OnRay(workers=3, address="auto")
    assert unnamed(OnRay(workers=3)) == OnRay(workers=3)
    assert unnamed(InProcess(threads=2)) == InProcess(threads=2)


@pytest.mark.parametrize("file", ["kuberay.yaml"])
def test_the_kubernetes_example_is_yaml(file: str) -> None:
    kinds = [part["kind"] for part in yaml.safe_load_all((EXAMPLES / file).read_text())]
    assert "RayCluster" in kinds


def test_the_slurm_example_is_a_script() -> None:
    subprocess.run(["bash", "-n", str(EXAMPLES / "slurm.sh")], check=True)
