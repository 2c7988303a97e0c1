"""The numbers do not depend on who computes them, on the order of the table, or on what was run before."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from sim.config.compose import experiment
from sim.config.experiment import Experiment
from sim.engine.executors import InProcess, OnRay
from sim.engine.messages import CHUNKS, LEAST, Broadcast, Order, Upload, cut
from sim.engine.ray_actors import RayCrew, pack
from sim.engine.rounds import simulate
from sim.federation.split import Split
from sim.partition.base import digest
from sim.records.store import Run
from sim.run.run import prepare, rehearse, run_id, simulation
from tests.toy import SMALL, federated

CASES = {
    "fedavg": [],
    "scaffold, three of seven sites": ["algorithm=scaffold", "system.sites=3"],
    "scaffold, nearly all drop out": ["algorithm=scaffold", "system.dropout=0.9", "rounds=5"],
    "feddyn, adam": ["algorithm=feddyn", "server=adam"],
    "mlp, momentum": ["net=mlp", "net.hidden=[8]", "local.momentum=0.9", "local.steps=5"],
    "hazard": ["task=hazard", "task.bins=4"],
    "local only": ["algorithm=local"],
    "stacked": ["local.tier=stacked", "algorithm=scaffold"],
    "clipped": ["local.clip=0.1", "net=mlp", "net.hidden=[8]"],
    "median of seven, one flips": ["aggregator=median", "attack=signflip"],
    "top entries, clipped": ["uplink=[topk,adaptiveclip]", "uplink.topk.ratio=0.3"],
    "ditto": ["personal=ditto"],
    "fedper": ["personal=fedper", "net=mlp", "net.hidden=[8]"],
    "buffered": ["system=buffered", "system.spread=1", "system.dropout=0.2", "rounds=8"],
    "qfedavg": ["algorithm=qfedavg"],
    "ifca": ["algorithm=ifca"],
    "noise at the sites": ["local.noise=1", "local.clip=1", "local.sampling=poisson"],
    "noise at the server": ["uplink=[adaptiveclip,gaussian]", "uplink.adaptiveclip.noise=1", "weighting=sites"],
    "tree": ["uplink=[clip,treenoise]", "weighting=sites", "system.sites=3"],
    "secure sum": ["uplink=[secagg]", "system.dropout=0.1"],
    "random places, levels": ["uplink=[randomk,qsgd]"],
    "ternary both ways": ["uplink=[stc]", "uplink.stc.ratio=0.2", "uplink.stc.downlink=true"],
    "fedsam": ["algorithm=fedsam"],
    "feddgga": ["algorithm=feddgga"],
    "fairfed": ["algorithm=fairfed", "algorithm.group=race", "algorithm.level=white"],
    "fedfb": ["algorithm=fedfb", "algorithm.group=race", "algorithm.level=white"],
    "mime": ["algorithm=mime", "system.sites=5"],
    "fedlc": ["algorithm=fedlc", "task=stage"],
    "centred clipping in buckets, two flip labels": [
        "aggregator=centredclip",
        "aggregator.tau=0.05",
        "aggregator.bucket=2",
        "attack=labelflip",
        "attack.sites=2",
    ],
    "geometric median, min-max, fedexp": ["aggregator=geometricmedian", "attack=minmax", "server=fedexp"],
    "cfl": ["algorithm=cfl", "algorithm.eps1=1", "algorithm.eps2=0.01"],
    "fedem": ["algorithm=fedem"],
    "gossip": ["algorithm=gossip", "algorithm.graph=erdos", "system.dropout=0.2"],
    "oneshot ensemble": ["algorithm=oneshot", "algorithm.how=ensemble", "evaluation.predictions=last"],
    "boosted trees": ["algorithm=histboost", "algorithm.depth=2", "evaluation.predictions=last"],
    "survival forest": ["algorithm=survivalforest", "task=cox", "evaluation.predictions=last"],
    "power of choice": ["system=powerofchoice", "system.candidates=4", "system.sites=2", "system.dropout=0.2"],
    "cyclic": ["system=cyclic", "rounds=8"],
}
# Cases in which sites do what they do in no case before; the others differ at the server, whoever computes.
ON_RAY = [
    *("fedavg", "scaffold, three of seven sites", "scaffold, nearly all drop out", "local only", "stacked", "buffered"),
    "median of seven, one flips",
    *("top entries, clipped", "ditto", "ifca", "fedem", "gossip", "fedfb", "noise at the sites", "oneshot ensemble"),
]
ONE_AND_THREE = {"scaffold, three of seven sites", "median of seven, one flips"}  # of the workers, besides two


def same(one: Run, other: Run) -> None:
    assert one.id == other.id
    pd.testing.assert_frame_equal(one.rounds, other.rounds, check_exact=True)
    pd.testing.assert_frame_equal(one.sites, other.sites, check_exact=True)


@pytest.mark.ray
@pytest.mark.parametrize("case", ON_RAY)
def test_any_number_of_workers_gives_the_same_bits(case: str, warm_actors: None) -> None:
    wanted = experiment([*SMALL, *CASES[case]])
    alone = rehearse(replace(wanted, executor=InProcess(threads=1)))
    for workers in (1, 2, 3) if case in ONE_AND_THREE else (2,):
        same(alone, rehearse(replace(wanted, executor=OnRay(workers=workers))))


@pytest.mark.parametrize("case", CASES)
def test_any_number_of_threads_gives_the_same_bits(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of one site, and sites judged in runs of a few rows, so that threads have something to share."""
    monkeypatch.setattr("sim.engine.evaluation.PART_ROWS", 50)
    wanted = experiment([*SMALL, *CASES[case], "local.chunk=1"])
    alone = rehearse(replace(wanted, executor=InProcess(threads=1)))
    for threads in (2, 5):
        same(alone, rehearse(replace(wanted, executor=InProcess(threads=threads))))


def test_chunks_follow_the_work_and_know_nothing_of_workers() -> None:
    """Each site once, most steps first, none above the limits; the same whatever the order they were chosen in."""
    rng = np.random.default_rng(0)
    steps = rng.lognormal(2, 1, 500).astype(np.int64) + 1
    work = steps * 1e5
    chosen = rng.permutation(500)[:300]
    orders = cut(np.sort(chosen), steps, np.ones(500), work, 40)
    whole = np.concatenate([order.sites for order in orders])
    assert sorted(whole) == sorted(chosen)
    assert (np.diff(steps[whole]) <= 0).all()
    assert max(len(order.sites) for order in orders) <= 40
    share = max(work[chosen].sum() / CHUNKS, LEAST)
    assert all(order.work <= share + work[order.sites[0]] for order in orders)
    assert len(cut(chosen, steps, np.ones(500), np.ones(500), 500)) == 1  # too little to share out


@pytest.mark.parametrize("case", CASES)
def test_a_run_repeated_gives_the_same_bits(case: str) -> None:
    wanted = experiment([*SMALL, *CASES[case]])
    same(rehearse(wanted), rehearse(wanted))


def test_the_order_of_the_table_does_not_matter(small: Experiment) -> None:
    """Not to a bit of a run, nor to the fingerprint of its data."""
    prepared = prepare(small)
    shuffled = np.random.default_rng(0).permutation(len(prepared.cohort.table))
    table = prepared.cohort.table.iloc[shuffled].reset_index(drop=True)
    truth = prepared.cohort.truth
    assert truth is not None
    cohort = replace(prepared.cohort, table=table, truth=truth.iloc[shuffled].reset_index(drop=True))
    sites = small.partition.assign(cohort, "response", small.seed)
    assert digest(cohort, sites) == digest(prepared.cohort, prepared.sites)
    assert cohort.digest == prepared.cohort.digest
    again = federated(cohort, "response", sites, Split(), small.seed)
    assert again.sites == prepared.federation.sites
    np.testing.assert_array_equal(again.bounds, prepared.federation.bounds)
    np.testing.assert_array_equal(again.x, prepared.federation.x)
    np.testing.assert_array_equal(again.y["label"], prepared.federation.y["label"])
    one = list(simulate(simulation(small, prepared), InProcess()))
    other = list(simulate(simulation(small, replace(prepared, federation=again)), InProcess()))
    assert torch.equal(one[-1].model, other[-1].model)


def test_the_executor_is_no_part_of_a_run_s_name(small: Experiment) -> None:
    assert run_id(replace(small, executor=OnRay(workers=3))) == run_id(small)
    assert run_id(replace(small, seed=2)) != run_id(small)
    assert run_id(replace(small, rounds=4)) != run_id(small)


@pytest.mark.parametrize(
    "settings", [["cohort=calibrated", "cohort.patients=500"], ["cohort=synthetic"], ["cohort=fcube"]]
)
def test_the_cohort_is_the_same_bytes_whoever_computes(settings: list[str]) -> None:
    made = [
        experiment([*settings, *executor]).cohort.load(3)
        for executor in (
            ["executor=inprocess"],
            *(["executor=ray", f"executor.workers={workers}"] for workers in (1, 2)),
        )
    ]
    assert len({cohort.digest for cohort in made}) == 1
    for other in made[1:]:
        pd.testing.assert_frame_equal(other.table, made[0].table, check_exact=True)


@pytest.mark.parametrize(
    "settings",
    [["cohort=calibrated", "cohort.cancers=[all]", "cohort.patients=SIZE"], ["cohort=fcube", "cohort.rows=SIZE"]],
)
def test_a_thousand_patients_are_the_same_among_ten_thousand(settings: list[str]) -> None:
    """All that is recorded of each of them, and the truth."""
    few, many = (
        experiment([word.replace("SIZE", str(size)) for word in settings]).cohort.load(3) for size in (1000, 10_000)
    )
    place = pd.Index(many.table["patient"]).get_indexer(few.table["patient"])
    assert (place >= 0).all()
    assert few.truth is not None
    assert many.truth is not None
    for short, long in ((few.table, many.table), (few.truth, many.truth)):
        pd.testing.assert_frame_equal(short, long.iloc[place].reset_index(drop=True), check_exact=True)


def test_longest_first_packing() -> None:
    assert pack([1, 9, 5, 4], 2) == [[1, 0], [2, 3]]
    assert pack([3], 2) == [[0], []]


@pytest.mark.ray
def test_an_actor_that_dies_changes_nothing(warm_actors: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Actors come back and are asked again: an order is a pure function of what is sent."""
    import ray

    train = RayCrew.train
    killed = []

    def deadly(self: RayCrew, broadcast: Broadcast, orders: list[Order]) -> list[Upload]:
        if broadcast.round == 2:
            ray.kill(self.actors[0], no_restart=False)
            killed.append(broadcast.round)
        return train(self, broadcast, orders)

    wanted = experiment([*SMALL, "algorithm=scaffold"])
    alone = rehearse(replace(wanted, executor=InProcess()))
    monkeypatch.setattr(RayCrew, "train", deadly)
    same(alone, rehearse(replace(wanted, executor=OnRay(workers=2))))
    assert killed == [2]
