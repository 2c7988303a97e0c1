"""A training is a value: a standing and what sites keep; saved and taken up again it has the same bits."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sim.config.compose import experiment
from sim.engine.executors import Crew, Executor, InProcess, OnRay, crew
from sim.engine.messages import Floats, Ints
from sim.engine.rounds import advance, begin, rounds
from sim.engine.simulation import Round, Simulation, Standing
from sim.engine.site_state import SiteState
from sim.run.run import prepare, simulation
from tests.toy import SMALL

CASES = {
    "fedavg, momentum at the server": ["server=momentum"],
    "adam, three sites a round": ["server=adam", "system.sites=3"],
    "buffered": ["system=buffered", "system.spread=1", "system.dropout=0.2"],
    "scaffold, four sites a round": ["algorithm=scaffold", "system.sites=4", "system.dropout=0.2"],
    "feddyn, stacked": ["algorithm=feddyn", "local.tier=stacked"],
    "ditto": ["personal=ditto"],
    "fedper": ["personal=fedper", "net=mlp", "net.hidden=[4]"],
    "top entries with feedback": ["uplink=[topk]", "uplink.topk.ratio=0.2"],
    "adaptive clip, median": ["uplink=[adaptiveclip]", "aggregator=median", "attack=signflip"],
    "all at once": ["uplink=[clip,topk]", "personal=ditto", "system=buffered", "server=yogi", "aggregator=median"],
}
cases = pytest.mark.parametrize("case", CASES)


def planned(case: str) -> Simulation:
    wanted = experiment([*SMALL, "rounds=7", *CASES[case]])
    return simulation(wanted, prepare(wanted))


def whole(plan: Simulation) -> list[Round]:
    with crew(InProcess(threads=1), plan.job) as opened:
        return list(rounds(plan, opened, plan.standing()))


def same(one: Round, other: Round, metrics: bool = True) -> None:
    assert torch.equal(one.model, other.model)
    for name in ("number", "seconds", "bytes_down", "bytes_up", "sites", "step_norm"):
        assert getattr(one, name) == getattr(other, name), name
    if metrics:
        assert set(one.metrics) == set(other.metrics)
        for kind, found in one.metrics.items():
            for name, values in found.items():
                np.testing.assert_array_equal(values, other.metrics[kind][name], err_msg=f"{kind} {name}")


def unasked(sites: Ints) -> Floats:
    raise AssertionError("none of these systems asks for the sites' losses")


def stepped(plan: Simulation, opened: Crew) -> Iterator[tuple[Standing, Round]]:
    """Standing and round after every tick, by hand."""
    here = plan.standing()
    begin(plan, opened, here)
    for tick in plan.ticks(unasked):
        here, done = advance(plan, opened, here, tick)
        yield here, done


def save(folder: Path, here: Standing, memory: SiteState) -> None:
    """A checkpoint: two files."""
    tensors = {"x": here.x, **prefixed("state/", here.state), **prefixed("optimiser/", here.optimiser)}
    save_file({name: part.contiguous() for name, part in tensors.items()}, folder / "server.safetensors")
    np.savez(folder / "sites.npz", current=memory.current, **prefixed("array/", memory.arrays))


def load(folder: Path, number: int, seconds: float, memory: SiteState) -> Standing:
    """The standing; what sites keep is put into the memory of an open crew."""
    tensors = load_file(folder / "server.safetensors")
    with np.load(folder / "sites.npz") as kept:
        memory.current[:] = kept["current"]
        assert {f"array/{name}" for name in memory.arrays} == set(kept) - {"current"}
        for name, part in memory.arrays.items():
            part[:] = kept[f"array/{name}"]
    return Standing(number, seconds, tensors["x"], below("state/", tensors), below("optimiser/", tensors))


def prefixed(prefix: str, parts: dict) -> dict:
    return {prefix + name: part for name, part in parts.items()}


def below(prefix: str, parts: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): part for name, part in parts.items() if name.startswith(prefix)}


@cases
def test_tick_by_tick_is_the_whole_training(case: str) -> None:
    plan = planned(case)
    expected = whole(plan)
    with crew(InProcess(threads=1), plan.job) as opened:
        seen = list(stepped(plan, opened))
    assert [here.number for here, _ in seen] == list(range(1, 8))
    for (here, done), other in zip(seen, expected[1:], strict=True):
        same(done, other, metrics=False)
        assert torch.equal(here.x, done.model)
        assert here.seconds == done.seconds
    assert not torch.equal(expected[-1].model, expected[3].model)


def resumed(plan: Simulation, folder: Path, after: int, executor: Executor) -> list[Round]:
    """The rounds that a second crew makes of the files that the first left after so many."""
    with crew(InProcess(threads=1), plan.job) as opened:
        here, _ = next(pair for pair in stepped(plan, opened) if pair[0].number == after)
        save(folder, here, opened.memory)
    with crew(executor, plan.job) as opened:
        return list(rounds(plan, opened, load(folder, here.number, here.seconds, opened.memory)))


@cases
def test_a_training_saved_and_taken_up_again_has_the_same_bits(case: str, tmp_path: Path) -> None:
    plan = planned(case)
    expected = whole(plan)
    found = resumed(plan, tmp_path, 3, InProcess(threads=1))
    assert [here.number for here in found] == [4, 5, 6, 7]
    for here, other in zip(found, expected[4:], strict=True):
        same(here, other)


def test_what_sites_keep_is_part_of_the_standing() -> None:
    """Without it the training goes elsewhere: the test above would see a checkpoint that forgot it."""
    plan = planned("scaffold, four sites a round")
    expected = whole(plan)
    with crew(InProcess(threads=1), plan.job) as opened:
        here, _ = next(pair for pair in stepped(plan, opened) if pair[0].number == 3)
    with crew(InProcess(threads=1), plan.job) as opened:
        *_, last = rounds(plan, opened, here)
    assert not torch.equal(last.model, expected[-1].model)


@pytest.mark.ray
def test_a_training_goes_on_with_other_workers(ray_here: None, tmp_path: Path) -> None:
    plan = planned("all at once")
    expected = whole(plan)
    for here, other in zip(resumed(plan, tmp_path, 3, OnRay(workers=2)), expected[4:], strict=True):
        same(here, other)


@cases
def test_an_update_is_a_function_of_its_arguments_and_of_what_sites_keep(case: str) -> None:
    """The same tick, carried out again on a copy of what sites kept, leaves the same standing and the same state."""
    plan = planned(case)
    every = np.arange(len(plan.federation.sites))
    with crew(InProcess(threads=1), plan.job) as opened:
        memory, here = opened.memory, plan.standing()
        begin(plan, opened, here)
        for tick in plan.ticks(unasked):
            arrays, current = {name: part.copy() for name, part in memory.arrays.items()}, memory.current.copy()
            given = {"x": here.x, **prefixed("state/", here.state), **prefixed("optimiser/", here.optimiser)}
            kept = {name: part.clone() for name, part in given.items()}
            after, done = advance(plan, opened, here, tick)
            left = memory.read(every)
            for name, part in memory.arrays.items():
                part[:] = arrays[name]
            memory.current[:] = current
            again, repeated = advance(plan, opened, here, tick)
            same(done, repeated)
            assert torch.equal(after.x, again.x)
            for name, part in memory.read(every).items():
                np.testing.assert_array_equal(part, left[name], err_msg=name)
            assert all(torch.equal(part, kept[name]) for name, part in given.items()), "a standing is never changed"
            here = after
