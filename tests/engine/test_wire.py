"""Bytes that are counted before training are those of a message that is really packed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sim.catalogue.table import table
from sim.config.compose import experiment
from sim.engine.executors import InProcess, crew
from sim.engine.own_loops import OWN_LOOPS
from sim.engine.rounds import rounds
from sim.engine.simulation import Simulation
from sim.engine.traffic import order, report
from sim.engine.uplink import Draws
from sim.methods.contract import example
from sim.methods.roles import UP
from sim.methods.uplink.base import Transform, Wire
from sim.methods.uplink.coded import QSGD, STC, Sign
from sim.methods.uplink.pack import pack, unpack
from sim.methods.uplink.powersgd import PowerSGD
from sim.methods.uplink.secagg import SecAgg
from sim.methods.uplink.topk import RandomK, TopK, share
from sim.run.run import prepare, rehearse, simulation
from tests.toy import SMALL

CASES = {
    "dense": ["system=buffered"],
    "top entries": ["uplink=[topk]", "uplink.topk.ratio=0.1", "system=buffered"],
    "clipped, then top entries": ["uplink=[clip,topk]", "uplink.topk.ratio=0.3", "system=buffered"],
    "two vectors": ["algorithm=scaffold", "uplink=[topk]", "uplink.topk.ratio=0.2", "aggregator=median"],
    "a vector and a number": ["algorithm=fednova", "uplink=[topk]", "system=buffered"],
    "shared layers alone": ["personal=fedper", "net=mlp", "net.hidden=[6]", "uplink=[topk]", "system=buffered"],
    "all are sent": ["uplink=[topk]", "uplink.topk.ratio=1", "system=buffered"],
    "random places": ["uplink=[randomk]", "uplink.randomk.ratio=0.3", "aggregator=median"],
    "random places, levels": ["uplink=[randomk,qsgd]", "uplink.randomk.ratio=0.3", "aggregator=median"],
    "levels": ["uplink=[clip,qsgd]", "uplink.qsgd.levels=6", "system=buffered"],
    "levels of the top": ["uplink=[topk,qsgd]", "uplink.topk.ratio=0.3", "system=buffered"],
    "signs": ["uplink=[sign]", "system=buffered"],
    "signs of two vectors": ["uplink=[sign]", "algorithm=scaffold", "aggregator=median"],
    "ternary": ["uplink=[stc]", "uplink.stc.ratio=0.2", "aggregator=median"],
}


@pytest.mark.parametrize("case", CASES)
def test_bytes_of_an_upload_are_those_of_a_packed_message(case: str) -> None:
    """A buffered server or a median sees uploads one by one: they wait where sites keep their state."""
    wanted = experiment([*SMALL, "rounds=4", *CASES[case]])
    plan = simulation(wanted, prepare(wanted))
    with crew(InProcess(threads=1), plan.job) as opened:
        done = list(rounds(plan, opened, plan.standing()))
        kept = opened.memory.read(plan.federation.members)
    uploads = {name.removeprefix(UP): part for name, part in kept.items() if name.startswith(UP)}
    assert set(uploads) == set(plan.roles.sends())
    for at, site in enumerate(plan.federation.members):
        message = b""
        for name, part in uploads.items():
            vector = np.ascontiguousarray(part[at])
            packed = vector.tobytes()
            if name in plan.roles.vectors:
                beside = {
                    key.split(".")[-1]: float(value[at, 0]) for key, value in uploads.items() if f".{name}." in key
                }
                places = known(plan, name, site)
                packed = pack(plan.roles.uplink, vector, beside, places)
                found = unpack(plan.roles.uplink, packed, plan.shared, vector.dtype, beside, places)
                np.testing.assert_array_equal(found, vector)
            message += packed
        assert len(message) == plan.profile.bytes_up
    for here in done[1:]:
        assert here.bytes_up == here.sites * plan.profile.bytes_up > 0


def known(plan: Simulation, vector: str, site: int) -> NDArray[np.int64]:
    """Random places of the last round, as site and server know them from their key."""
    draws = Draws(plan.seed, 4, plan.federation.keys[[site]])
    chance = draws.of(f"uplink.0.{vector}.", torch.zeros(1, plan.shared, dtype=plan.dtype))("place")
    return chance.argsort(dim=1, stable=True)[0, : share(0.3, plan.shared)].numpy()


@pytest.mark.parametrize("field", [20, 33])
def test_numbers_of_a_ring_are_packed_in_its_bits(field: int) -> None:
    made = SecAgg(fraction=8, bits=14, field=field)
    u = torch.from_numpy(np.random.default_rng(0).normal(0, 20, (1, 37)).astype(np.float32))
    vector = made.encode(u, example(1, 37), lambda name, round=None: u).vector[0].numpy()
    packed = pack([made], vector, {})
    assert len(packed) == made.wire(Wire(37, 32)).bytes
    np.testing.assert_array_equal(unpack([made], packed, 37, vector.dtype, {}), vector)


def test_factors_and_what_travels_beside_them_are_packed_in_their_bytes() -> None:
    wanted = experiment([*SMALL, "uplink=[powersgd]", "net=mlp", "net.hidden=[6]"])
    plan = simulation(wanted, prepare(wanted))
    (made,) = plan.roles.uplink
    assert isinstance(made, PowerSGD)
    u = torch.from_numpy(np.random.default_rng(0).normal(size=(1, plan.shared)).astype(np.float32))
    chance, local = torch.rand(1, plan.shared), example(1, plan.shared)
    local = replace(local, site={"error": torch.zeros_like(u), "right": torch.zeros_like(u)})
    vector, rest, packed = made.encode(u, local, lambda name, round=None: chance).vector[0], u[0].clone(), b""
    for one, left, right in made.factors(u, local, lambda name, round=None: chance):
        packed += left.numpy().tobytes() + right.numpy().tobytes()
        part = slice(one.place, one.place + one.rows * one.columns)
        torch.testing.assert_close((left[0] @ right[0].T).ravel(), vector[part])
        rest[part] = torch.nan
    sent = ~rest.isnan()
    assert torch.equal(rest[sent], vector[sent])
    assert len(packed + rest[sent].numpy().tobytes()) == plan.profile.bytes_up < 4 * plan.shared


@pytest.mark.parametrize("entry", [TopK(), RandomK(), QSGD(), Sign(), STC(), SecAgg()])
def test_of_a_network_of_which_nothing_travels_nothing_is_sent(entry: Transform) -> None:
    none = np.zeros(0, np.float32)
    packed = pack([entry], none, {"norm": 0.0}, none.astype(np.int64))
    assert len(packed) == entry.wire(Wire(0, 32)).bytes == 0


def test_bytes_are_what_a_reader_counts_by_hand() -> None:
    """P parameters in float32; SCAFFOLD twice; adaptive clipping its bound down and one bit up."""
    size = 4 * rehearse(experiment([*SMALL, "rounds=1"])).info["parameters"]
    for words, down, up in (
        ([], size, size),
        (["algorithm=scaffold"], 2 * size, 2 * size),
        (["algorithm=fednova"], size, size + 4),
        (["uplink=[clip]"], size, size),
        (["uplink=[adaptiveclip]"], size + 4, size + 1),
        (["personal=ditto"], size, size),
        (["algorithm=fedem", "algorithm.components=2"], 2 * size, 2 * size),
        (["algorithm=cfl"], size, size),
        (["algorithm=ifca", "algorithm.clusters=3"], 3 * size, size + 4),  # the number of its cluster
    ):
        run = rehearse(experiment([*SMALL, "rounds=1", *words]))
        assert run.rounds["bytes_down"].iloc[1] == 7 * down, words
        assert run.rounds["bytes_up"].iloc[1] == 7 * up, words


SCORED = {
    "one shared model": [],
    "a scoring now and then": ["evaluation.every=3"],
    "the shared model and the sites' own": ["personal=ditto"],
    "a private head": ["personal=fedper", "net=mlp", "net.hidden=[4]"],
    "adapted after the last round": ["personal=finetune"],
    "sites that are asked, of which some do not answer": ["system.sites=4", "system.dropout=0.3"],
    "clusters": ["algorithm=ifca"],
    "an external site": ["partition.external.sites=[centre-1]"],
}


@pytest.mark.parametrize("case", SCORED)
def test_orders_and_scorings_are_counted_as_they_are_packed(case: str) -> None:
    wanted = experiment([*SMALL, *SCORED[case]])
    prepared = prepare(wanted)
    run, plan, held = rehearse(wanted, prepared), simulation(wanted, prepared), prepared.federation
    sites = run.sites[run.sites["metric"] != "consensus_distance"]
    for number, done in enumerate(run.rounds.itertuples()):
        told = sites[sites["round"] == number]
        if case.startswith("adapted") and number < plan.rounds:
            told = told[told["model"] == "shared"]  # the model of a site is still that one, so nothing is sent twice
        spent = 0
        for site, values in told.groupby("site", observed=True):
            numbers = np.zeros(plan.shared, held.x.dtype)
            reports = values.groupby(["split", "model"], observed=True)
            packed = [report(dict(zip(part["metric"], part["value"], strict=True))) for _, part in reports]
            assert len(packed) == sum(
                held.rows_of(split)[held.sites.index(str(site))] > 0 for split in ("valid", "test")
            ) * len(told["model"].unique())
            spent += len(numbers.tobytes()) + sum(map(len, packed))
        assert done.bytes_evaluation == spent
        asked = 0 if number == 0 else wanted.system.sites or len(held.members)
        assert done.bytes_control == asked * len(order(number, 3, 0.1))
    assert (run.rounds["bytes_evaluation"] > 0).sum() == (2 if "now and then" in case else 4)


LOOPS = ("ifca", "cfl", "fedem", "gossip")


@pytest.mark.parametrize("name", LOOPS)
def test_messages_of_a_method_with_a_loop_of_its_own_are_the_models_that_it_says(name: str) -> None:
    run = rehearse(experiment([*SMALL, "rounds=1", f"algorithm={name}"]))
    last, size = run.rounds.iloc[-1], 4 * run.info["parameters"]
    (row,) = table({"algorithm": {name: OWN_LOOPS[name]}})
    assert (last["bytes_down"] // (7 * size), last["bytes_up"] // (7 * size)) == (int(row.down), int(row.up))
