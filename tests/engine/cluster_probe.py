"""Runs on a Ray cluster of several nodes on one machine and prints, as JSON, what came of it; run as a script."""

import json
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from sim.checks import Refused
from sim.config.compose import experiment
from sim.config.experiment import Experiment
from sim.engine import node_actors
from sim.engine.executors import OnRay
from sim.engine.messages import Broadcast, Order, Upload
from sim.engine.node_actors import NodeCrew
from sim.processes import on_ray, ray_session
from sim.records.store import Run
from sim.run.run import rehearse
from tests.toy import ROOT, SMALL

# Before Ray is loaded: the cluster of a user who has a token, on the loopback interface.
USERS = {
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
MARK = "found: "  # before what is printed
LOOPBACK = {"node_ip_address": "127.0.0.1", "include_dashboard": False}
# Health checks that find a dead node within seconds and not half a minute.
QUICK = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 500,
    "health_check_failure_threshold": 3,
}
# What goes to the nodes and comes home differs in each.
CASES = {
    "fedavg, power of choice": ["system=powerofchoice", "system.candidates=4", "system.sites=2"],
    "scaffold, three of seven sites": ["algorithm=scaffold", "system.sites=3"],
    "fedper, adam at the sites, median": [
        *("personal=fedper", "net=mlp", "net.hidden=[8]", "local.optimizer=adam", "local.state=keep"),
        *("aggregator=median", "attack=signflip"),
    ],
    "finetune, late uploads": ["personal=finetune", "system=buffered", "system.spread=1"],
    "exact cox": ["algorithm=cox_webdisco", "task=cox", "rounds=40"],
}


def cluster(nodes: int) -> Any:
    """A head that computes nothing, and nodes with one CPU each."""
    os.environ.update(USERS)
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={**LOOPBACK, "num_cpus": 0, "_system_config": QUICK})
    for _ in range(nodes):
        made.add_node(**LOOPBACK, num_cpus=1)
    return made


def same(one: Run, other: Run) -> bool:
    """Whether two runs have the same name and the same bits."""
    return one.id == other.id and one.rounds.equals(other.rounds) and one.sites.equals(other.sites)


def on_nodes(wanted: Experiment, workers: int, address: str) -> Run:
    return rehearse(replace(wanted, executor=OnRay(workers=workers, address=address)))


def refusal(do: Callable[[], object]) -> str:
    """What is said when this is refused; empty if it is not."""
    try:
        do()
    except Refused as refused:
        return str(refused)
    return ""


def node(job: int) -> str:
    """Node on which a job of a pool runs."""
    import ray

    time.sleep(0.5)  # so that one process cannot do them all
    return str(ray.get_runtime_context().get_node_id())


@contextmanager
def warm() -> Iterator[None]:
    """Context in which actors go from one crew to the next, because starting one takes longer than a small run."""
    idle: list[Any] = []
    call_up, dismiss = NodeCrew.call_up, NodeCrew.dismiss

    def called(crew: NodeCrew, number: int) -> None:
        while idle and number:
            actor, number = idle.pop(), number - 1
            crew.coming[actor.open.remote(crew.job, crew.rows)] = actor
        call_up(crew, number)

    NodeCrew.call_up, NodeCrew.dismiss = called, lambda crew, actor: idle.append(actor)  # type: ignore[method-assign]
    yield
    NodeCrew.call_up, NodeCrew.dismiss = call_up, dismiss  # type: ignore[method-assign]
    import ray

    for actor in idle:
        ray.kill(actor)


def bits() -> dict[str, Any]:
    """Two nodes: which cases have the bits of one process; a pool over the nodes; what cannot be."""
    made, jobs = cluster(2), iter([1, 2, 3, 4])
    found: dict[str, Any] = {"same": {}}
    with ray_session(2, made.address):
        with warm():
            for case, words in CASES.items():
                wanted = experiment([*SMALL, *words])
                found["same"][case] = same(rehearse(wanted), on_nodes(wanted, 2, made.address))
        pool = on_ray(node, lambda: next(jobs, None), 2, address=made.address)
        found["pool"] = len({where for _, where in pool})
        found["too few"] = refusal(lambda: on_nodes(wanted, 3, made.address))
        found["other"] = refusal(lambda: on_nodes(wanted, 2, "127.0.0.1:1"))
    made.add_node(**LOOPBACK, num_cpus=1, env_vars={"PYTHONPATH": other_code()})
    found["other code"] = refusal(lambda: on_nodes(wanted, 2, made.address))
    made.shutdown()
    return found


def other_code() -> str:
    """Folder with a fedtrial in which one line is another."""
    folder = os.environ["RAY_TMPDIR"]
    shutil.copytree(ROOT / "sim", f"{folder}/sim")
    with open(f"{folder}/sim/random.py", "a") as file:
        file.write("# changed\n")
    return folder


class Doom:
    """Kills nodes while orders are out: their processes stand still from before the orders until the nodes are gone."""

    def __init__(self, made: Any) -> None:
        self.made, self.nodes = made, list(made.worker_nodes)
        self.frozen: dict[Any, list[int]] = {}  # node -> process ids of its workers

    def freeze(self, number: int) -> None:
        """Have the workers of so many nodes take orders and never answer."""
        for doomed in [self.nodes.pop() for _ in range(number)]:
            raylet = doomed.all_processes["raylet"][0].process.pid
            self.frozen[doomed] = children(raylet)
            for process in self.frozen[doomed]:
                os.kill(process, signal.SIGSTOP)

    def strike(self) -> None:
        """The frozen nodes die."""
        while self.frozen:
            doomed, processes = self.frozen.popitem()
            self.made.remove_node(doomed, allow_graceful=False)
            for process in processes:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)


def children(process: int) -> list[int]:
    """Processes that a process has started."""
    return [
        int(one) for task in Path(f"/proc/{process}/task").iterdir() for one in (task / "children").read_text().split()
    ]


def death() -> dict[str, Any]:
    """Three nodes, one of which is killed while it trains, and then both others."""
    made = cluster(3)
    wanted = experiment([*SMALL, "algorithm=scaffold", "rounds=5"])
    alone, answer, train, doom = rehearse(wanted), NodeCrew.answer, NodeCrew.train, Doom(made)
    doomed = {3: 1, 6: 2}  # round -> how many nodes die in it
    node_actors.WAIT = 60.0

    def trained(self: NodeCrew, broadcast: Broadcast, orders: list[Order]) -> list[Upload]:
        nodes = doomed.pop(broadcast.round, 0)
        if nodes == 2:
            node_actors.WAIT = 15.0  # for workers that cannot start, since no node is left
        doom.freeze(nodes)
        return train(self, broadcast, orders)

    def deadly(self: NodeCrew, reference: Any) -> Any:
        doom.strike()  # all orders of the round are out, and the frozen ones' answers are not back
        return answer(self, reference)

    NodeCrew.train, NodeCrew.answer = trained, deadly  # type: ignore[method-assign]
    with ray_session(3, made.address):
        found: dict[str, Any] = {"same": same(alone, on_nodes(wanted, 3, made.address)), "left": len(doom.nodes)}
        found["gone"] = refusal(lambda: on_nodes(replace(wanted, rounds=6), 2, made.address))
    made.shutdown()
    return found


def main(mode: str) -> None:
    print(MARK + json.dumps({"bits": bits, "death": death}[mode]()))


if __name__ == "__main__":
    main(sys.argv[1])
