"""A Ray cluster that the user operates: joining it, and the checks before any work is sent."""

import hashlib
import ipaddress
import os
import platform
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sim.checks import Refused, brief

AUTO = "auto"  # the cluster of this machine, as Ray finds it
HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]+):(\d{1,5})", re.ASCII)
REACH = 10.0  # seconds for the head node to take a connection
ANSWER = 120.0  # seconds for every node to start a process that tells its versions
BITS = ("fedtrial", "ray", "torch", "numpy", "numba", "llvmlite", "scipy")  # versions on which the numbers depend
PAGE = "docs/cluster.md"


def check_address(setting: str, address: str) -> None:
    """Refuse what is neither empty, nor `auto`, nor HOST:PORT of a head node."""
    if address in ("", AUTO):
        return
    if "://" in address:
        raise Refused(
            f"{setting}={brief(address)}: Ray's client cannot run a federation. Start the command on a node of the "
            f"cluster and give HOST:PORT of its head node, or {AUTO}."
        )
    if HOST_AND_PORT.fullmatch(address) is None:
        raise Refused(f"{setting}={brief(address)}: allowed HOST:PORT of the head node of a Ray cluster, or {AUTO}.")


def place(address: str) -> tuple[str, int]:
    """Host and port of an address."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def on_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback interface."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name
        return host == "localhost"


def choose_cluster_environment(address: str) -> None:
    """Ray's environment for joining a cluster, before Ray is loaded; the token is the user's own."""
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    if address != AUTO and on_loopback(place(address)[0]):  # else Ray takes the machine's other address for it
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"


def refuse_unreachable(address: str) -> None:
    """Refuse an address that accepts no connections; Ray itself would try for minutes."""
    if address == AUTO:
        return
    try:
        socket.create_connection(place(address), REACH).close()
    except OSError as error:
        raise Refused(
            f"executor.address={address}: nothing answers there ({error}). Start a head node (`ray start --head "
            f"--port=6379`) and see {PAGE}; without an address fedtrial starts a Ray of its own."
        ) from None


@contextmanager
def joining(address: str) -> Iterator[None]:
    """Context that explains why Ray could not join."""
    from ray.exceptions import AuthenticationError

    try:
        yield
    except AuthenticationError:
        raise Refused(
            f"executor.address={address}: the cluster's token was not found. Put it into RAY_AUTH_TOKEN, or into the "
            "file ~/.ray/auth_token or that of RAY_AUTH_TOKEN_PATH. A cluster without a token runs code from anybody; "
            f"RAY_AUTH_MODE=disabled joins it. See {PAGE}."
        ) from None
    except (ConnectionError, TimeoutError, ValueError) as error:
        raise Refused(
            f"executor.address={address}: could not join a Ray cluster ({brief(str(error))}). Either none runs there, "
            "or this machine is not a node of it (`ray start --address=HOST:PORT` makes it one; --num-cpus=0 keeps "
            "work "
            f"off it), or its token is another one (RAY_AUTH_TOKEN, ~/.ray/auth_token); see {PAGE}."
        ) from None
    except RuntimeError as error:
        if "ersion mismatch" not in str(error):
            raise
        told = " ".join(str(error).split())
        raise Refused(
            f"executor.address={address}: {told} Install the same versions on every node; see {PAGE}."
        ) from None


def refuse_other(address: str) -> None:
    """Refuse to join one cluster while this process is in another."""
    import ray

    joined: str = ray.get_runtime_context().gcs_address
    if address != AUTO and place(address)[1] != place(joined)[1]:
        raise Refused(
            f"executor.address={address}: this process already uses the Ray at {joined}. Call ray.shutdown() first."
        )


def nodes() -> list[dict[str, Any]]:
    """The living nodes of the cluster that this process has joined, as Ray describes them."""
    import ray

    every: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node for node in every if node["Alive"]]


def cpus(node: dict[str, Any]) -> int:
    """Whole CPUs of a node."""
    return int(node["Resources"].get("CPU", 0))


def alone() -> bool:
    """Whether this machine is the only node that has CPUs, so that all workers share its memory."""
    import ray

    here = ray.get_runtime_context().get_node_id()
    return [node["NodeID"] for node in nodes() if cpus(node)] == [here]


def refuse_too_few_in_cluster(workers: int) -> None:
    """Refuse a cluster with fewer CPUs than workers, which would never all start."""
    living = nodes()
    total = sum(cpus(node) for node in living)
    if total < workers:
        raise Refused(
            f"{workers} workers in a Ray cluster of {len(living)} nodes that has {total} CPU: the workers would never "
            "start. Use fewer (executor.workers, --workers) or add nodes."
        )


def installed() -> dict[str, str]:
    """What this process would compute with: versions, and a fingerprint of fedtrial's own files."""
    digest = hashlib.blake2b(digest_size=8)
    home = Path(__file__).parent
    for path in sorted(home.rglob("*.py")):
        digest.update(f"{path.relative_to(home)}\0".encode() + path.read_bytes())
    return {"python": platform.python_version(), **{one: version(one) for one in BITS}, "code": digest.hexdigest()}


def refuse_other_code() -> None:
    """Refuse nodes without fedtrial, or with other code or versions, because their numbers could differ."""
    import ray
    import ray.exceptions as dead
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    ask: Any = ray.remote(num_cpus=0, max_retries=0)(installed)
    asked = []
    for node in nodes():
        if cpus(node):
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            asked.append((node["NodeManagerAddress"], ask.options(scheduling_strategy=there).remote()))
    ours = installed()
    for host, answer in asked:
        try:
            theirs = ray.get(answer, timeout=ANSWER)
        except dead.RayError as error:
            raise Refused(
                f"Node {host} of the Ray cluster cannot run fedtrial ({reason(error)}). Install fedtrial "
                f"{ours['fedtrial']} there, in the environment that `ray start` runs in; see {PAGE}."
            ) from None
        if theirs != ours:
            told = ", ".join(f"{one} {theirs[one]} for {ours[one]}" for one in ours if theirs[one] != ours[one])
            raise Refused(
                f"Node {host} of the Ray cluster has other code than this machine: {told}. Install the same on every "
                f"node; see {PAGE}."
            )


def reason(error: Exception) -> str:
    """The last line of Ray's report on a failed task."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return brief(lines[-1]) if lines else type(error).__name__
