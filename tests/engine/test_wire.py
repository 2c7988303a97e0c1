"""Bytes that are counted before training are those of a message that is really packed."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sim.config.compose import experiment
from sim.engine.executors import InProcess, crew
from sim.engine.rounds import rounds
from sim.methods.roles import UP
from sim.methods.uplink.topk import TopK
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
}


def pack(vector: NDArray[np.float32], count: int) -> bytes:
    """The `count` largest entries, each as four bytes and the bits of its place."""
    width = max(int(np.ceil(np.log2(len(vector)))), 1)
    place = np.sort(np.argsort(-np.abs(vector), kind="stable")[:count])
    value = np.unpackbits(vector[place].view(np.uint8)).reshape(count, 32)
    index = (place[:, None] >> np.arange(width)[::-1] & 1).astype(np.uint8)
    return np.packbits(np.concatenate([value, index], axis=1)).tobytes()


def unpack(data: bytes, size: int, count: int) -> NDArray[np.float32]:
    """The vector of P = `size` entries that was packed."""
    width = max(int(np.ceil(np.log2(size))), 1)
    bits = np.unpackbits(np.frombuffer(data, np.uint8))[: count * (32 + width)].reshape(count, 32 + width)
    place = bits[:, 32:].astype(np.int64) @ (1 << np.arange(width)[::-1])
    vector = np.zeros(size, np.float32)
    vector[place] = np.packbits(bits[:, :32], axis=1).reshape(-1).view(np.float32)
    return vector


@pytest.mark.parametrize("case", CASES)
def test_bytes_of_an_upload_are_those_of_a_packed_message(case: str) -> None:
    """A buffered server or a median sees uploads one by one: they wait where sites keep their state."""
    wanted = experiment([*SMALL, "rounds=4", *CASES[case]])
    plan = simulation(wanted, prepare(wanted))
    sparse = [one for one in plan.roles.uplink if isinstance(one, TopK)]
    with crew(InProcess(threads=1), plan.job) as opened:
        done = list(rounds(plan, opened, plan.standing()))
        kept = opened.memory.read(plan.federation.members)
    uploads = {name.removeprefix(UP): part for name, part in kept.items() if name.startswith(UP)}
    assert set(uploads) == set(plan.roles.sends())
    for site in range(len(plan.federation.members)):
        message = b""
        for name, part in uploads.items():
            vector = np.ascontiguousarray(part[site])
            packed = vector.tobytes()
            if name in plan.roles.vectors and sparse:
                count = sparse[0].count(plan.shared)
                assert 0 < np.count_nonzero(vector) <= count
                packed = pack(vector, count)
                np.testing.assert_array_equal(unpack(packed, plan.shared, count), vector)
            message += packed
        assert len(message) == plan.profile.bytes_up
    for here in done[1:]:
        assert here.bytes_up == here.sites * plan.profile.bytes_up > 0


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
        (["algorithm=ifca", "algorithm.clusters=3"], 3 * size, size + 4),  # the number of its cluster
    ):
        run = rehearse(experiment([*SMALL, "rounds=1", *words]))
        assert run.rounds["bytes_down"].iloc[1] == 7 * down, words
        assert run.rounds["bytes_up"].iloc[1] == 7 * up, words
