"""Every entry of every axis keeps the contract, what does not is found out, and every entry of every table runs."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from itertools import islice

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sim.checks import Refused, within
from sim.config.compose import experiment
from sim.config.experiment import CHAINS, GROUPS, settings
from sim.methods.aggregators.base import Aggregator
from sim.methods.algorithms import FedAvg
from sim.methods.algorithms.fednova import FedNova
from sim.methods.algorithms.scaffold import Scaffold
from sim.methods.attacks import SignFlip
from sim.methods.contract import Correction, Draw, Gradient, Heard, Local, Message, Phase, State
from sim.methods.personal import FineTune, Personal
from sim.methods.servers import Momentum
from sim.methods.systems.base import Losses, Profile, Tick
from sim.methods.systems.buffered import Buffered
from sim.methods.systems.sync import Sync
from sim.methods.uplink.base import Encoded, Transform, Wire
from sim.methods.uplink.clip import AdaptiveClip, Clip
from sim.run.run import footing, rehearse
from sim.tasks.task import Batch, Task
from sim.verify.conformance import Broken, conform
from tests.toy import SMALL

AXES = ("algorithm", "uplink", "attack", "aggregator", "server", "personal", "system")
ENTRIES = [(axis, name) for axis in AXES for name in GROUPS[axis]]
OTHERS = [(axis, name) for axis, name in ENTRIES if axis not in ("algorithm", "server")]


@pytest.mark.parametrize(("axis", "name"), ENTRIES, ids=str)
def test_every_entry_of_every_axis_keeps_the_contract(axis: str, name: str) -> None:
    conform(GROUPS[axis][name])


WRONG: list[tuple[type, str]] = []


def wrong(words: str) -> Callable[[type], type]:
    """Enter a class into the table of those that `conform` must find out, with the words it must say."""

    def enter(entry: type) -> type:
        WRONG.append((dataclass(entry), words))
        return WRONG[-1][0]

    return enter


# --- settings


@wrong("NoRange.mu takes any number")
class NoRange(FedAvg):
    """No `within`."""

    mu: float = 0.1


@wrong("TakesNaN.mu takes nan")
class TakesNaN(FedAvg):
    """A comparison that NaN passes."""

    mu: float = 0.1

    def __post_init__(self) -> None:
        if self.mu < 0:
            raise Refused("algorithm.mu below 0")


@wrong("must be a `Refused`")
class RaisesOther(FedAvg):
    """Refuses by an assertion."""

    mu: float = 0.1

    def __post_init__(self) -> None:
        assert 0 <= self.mu < 1e9


@wrong("refused without its name")
class Nameless(FedAvg):
    """A refusal that does not say of what."""

    mu: float = 0.1

    def __post_init__(self) -> None:
        within("something else", self.mu + 0 * len("m"), 0)


@wrong("takes any number")
class ForgetsParent(Momentum):
    """A server whose own check replaces its parent's."""

    def __post_init__(self) -> None:
        within("server.beta", self.beta, 0, 1)


@wrong("must have a default")
class NoDefault(FedAvg):
    """A setting that must be given."""

    mu: float = field()


@wrong("do not pass through a config file")
class Opaque(FedAvg):
    """A setting of a type that no config file holds."""

    kept: Tensor = field(default_factory=lambda: torch.ones(2))


@wrong("no docstring")
class Silent(FedAvg):
    pass


# --- algorithms


@wrong("Writes.upload changes its inputs")
class Writes(FedAvg):
    """Works in place."""

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        return {"delta": w.sub_(at.x)}, {}


@wrong("WritesState.server changes its inputs")
class WritesState(Scaffold):
    """Moves the server's state in place."""

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        return heard.mean["delta"], {"control": state["control"].add_(heard.mean["control"])}


@wrong("declared are ['delta']")
class SendsMore(FedAvg):
    """A part of the message that `sends` does not name."""

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        return {"delta": w - at.x, "extra": at.rows}, {}


@wrong("state of KeepsNothing.upload holds []")
class KeepsNothing(Scaffold):
    """A declared state that is not returned."""

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        return super().upload(w, at)[0], {}


@wrong("upload fails: KeyError: 'control'")
class NotBroadcast(Scaffold):
    """Sites read of the server what does not travel."""

    broadcast = ()

    def correction(self, at: Local) -> Correction:
        return Correction(drift=-at.site["control"])


@wrong("broadcast names nothing, which server_state lacks")
class BroadcastsNothing(FedAvg):
    """Broadcasts what nobody keeps."""

    broadcast = ("nothing",)


@wrong("unknown shape 'Q'")
class OddShape(FedAvg):
    """A letter that stands for no shape."""

    site_state = {"kept": "Q"}


@wrong("must say a shape for every name")
class OldTuple(FedAvg):
    """Names without shapes."""

    site_state = ("control",)


@wrong("upload of a site depends on the others")
class SeesOthers(FedNova):
    """Divides by the most steps in the chunk."""

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        return super().upload(w, replace(at, norm=at.norm.max().expand_as(at.norm)))


@wrong("direction of a site depends on the others")
class MixedDirection(FedAvg):
    """Subtracts the mean gradient of the chunk."""

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        return grad(w) - grad(w).mean(0)


@wrong("batch 1 of 1")
class SecondBatch(FedAvg):
    """Asks for a batch that it did not order."""

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        return grad(w, batch=1)


@wrong("message of SilentBefore.before holds []; declared are ['gradient']")
class SilentBefore(FedAvg):
    """Declares an exchange before training and sends nothing."""

    prelude = {"gradient": "P"}


@wrong("Restless.steps differs from one time to the next")
class Restless(FedAvg):
    """Steps that no seed fixes."""

    def steps(self, planned: NDArray[np.int64], seed: int, round: int) -> NDArray[np.int64]:
        return np.random.default_rng().integers(1, 10**6, len(planned))


@wrong("Lazy.steps must be whole numbers >= 1")
class Lazy(FedAvg):
    """Rounds without a step."""

    def steps(self, planned: NDArray[np.int64], seed: int, round: int) -> NDArray[np.int64]:
        return planned - 1


@wrong("is torch.float32 for torch.float64")
class SinglePrecision(FedAvg):
    """Sends another precision than the model's."""

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        return {"delta": (w - at.x).float()}, {}


@wrong("pull of OnePull.correction has shape [3, 1] for [3]")
class OnePull(FedAvg):
    """A pull in the wrong shape."""

    def correction(self, at: Local) -> Correction:
        return Correction(pull=at.rows[:, None])


@wrong("objective fails")
class Branches(FedAvg):
    """An objective that asks for a number."""

    def objective(self, task: Task, v: Tensor, batch: Batch, at: Local) -> Tensor:
        return task.loss(v, batch) if float(v.sum()) > 0 else v.sum()


@wrong("weights is negative")
class Negative(FedAvg):
    """Weights below zero."""

    def weights(self, base: Tensor, state: State) -> Tensor:
        return base - 4


@wrong("step of Scalar.server has shape [] for [6]")
class Scalar(FedAvg):
    """A server that sums its step up."""

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        return heard.mean["delta"].sum(), {}


@wrong("server fails: KeyError: 'delta'")
class WholeUnasked(FedAvg):
    """Reads whole uploads without `whole_uploads`."""

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        return heard.each["delta"].mean(0), {}


# --- the other axes


@wrong("encode of a site depends on the others")
class SharedScale(Clip):
    """Scales by the largest norm of the chunk."""

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        return replace_vector(super().encode(u, at, draw), u / u.norm(dim=1).max())


def replace_vector(made: Encoded, vector: Tensor) -> Encoded:
    return made._replace(vector=vector)


@wrong("announces 1 values, and 6 are sent")
class TooSmall(Transform):
    """Counts fewer values than it sends."""

    def wire(self, size: Wire) -> Wire:
        return size._replace(values=min(size.values, 1))


@wrong("declared are ['within']")
class Unsaid(AdaptiveClip):
    """Leaves out a scalar that it declared."""

    def encode(self, u: Tensor, at: Local, draw: Draw) -> Encoded:
        return super().encode(u, at, draw)._replace(scalars={})


@wrong("tamper changes honest uploads")
class FlipsAll(SignFlip):
    """Everybody's sign."""

    def tamper(self, sent: Message, bad: Tensor) -> Message:
        return {name: -part for name, part in sent.items()}


@wrong("faulty depends on the order of the sites")
class First(SignFlip):
    """The first site, whoever that is."""

    def faulty(self, keys: NDArray[np.uint64], seed: int) -> NDArray[np.bool_]:
        return np.arange(len(keys)) < self.sites


@wrong("aggregate depends on the order of the uploads")
class TakesFirst(Aggregator):
    """The first upload."""

    def combine(self, sent: Message, p: Tensor) -> Message:
        return {name: part[0] for name, part in sent.items()}


@wrong("has shape [1, 6] for [6]")
class KeepsAxis(Aggregator):
    """Does not drop the axis of the uploads."""

    def combine(self, sent: Message, p: Tensor) -> Message:
        return {"delta": sent["delta"].mean(0, keepdim=True), "norm": sent["norm"].mean()}


@wrong("is torch.float64 for torch.float32")
class Doubles(Aggregator):
    """Answers in the precision of the weights."""

    def combine(self, sent: Message, p: Tensor) -> Message:
        return {name: p @ part.double() for name, part in sent.items()}


@wrong("update changes its inputs")
class InPlace(Momentum):
    """A velocity in place."""

    def update(self, step: Tensor, state: State) -> tuple[Tensor, State]:
        velocity = state["velocity"].mul_(self.beta).add_(step)
        return self.lr * velocity, {"velocity": velocity}


@wrong("`on` must be True")
class KeepsQuietly(Personal):
    """Trains a model of its own that nobody keeps."""

    def second(self, at: Local) -> Phase:
        return Phase(at.steps, Correction())


@wrong("both, or neither")
class AdaptsNever(FineTune):
    """Steps of adaptation for which there is no time."""

    @property
    def adapted(self) -> None:
        return None


@wrong("`on` and `shares` must be True")
class AdaptsQuietly(FineTune):
    """Adapted models that nobody keeps."""

    @property
    def on(self) -> bool:
        return False


@wrong("steps must be whole numbers")
class HalfSteps(Personal):
    """One and a half steps."""

    def phases(self, algorithm: FedAvg, at: Local, private: Tensor) -> list[Phase]:
        return [Phase(at.steps / 2, Correction())] * 2


class Altered(Sync):
    """Sync's ticks, of which a subclass spoils one thing."""

    def ticks(self, profile: Profile, rounds: int, losses: Losses) -> Iterator[Tick]:
        return (self.altered(tick) for tick in super().ticks(profile, rounds, losses))

    def altered(self, tick: Tick) -> Tick:
        raise NotImplementedError


@wrong("time runs from")
class Backwards(Altered):
    """Seconds of a round in place of those since the start."""

    def altered(self, tick: Tick) -> Tick:
        return replace(tick, seconds=1 / (1 + tick.seconds))


@wrong("`start` must ascend")
class Unsorted(Altered):
    """Sites in the order of their answers."""

    def altered(self, tick: Tick) -> Tick:
        return replace(tick, start=tick.start[::-1], steps=tick.steps[::-1], arrive=tick.start[::-1])


@wrong("holds uploads back")
class Late(Altered):
    """One upload never arrives."""

    def altered(self, tick: Tick) -> Tick:
        return replace(tick, arrive=tick.arrive[1:], stale=tick.stale[1:])


@wrong("starts that was not asked")
class Unasked(Altered):
    """Nobody is asked."""

    def altered(self, tick: Tick) -> Tick:
        return replace(tick, asked=tick.asked[:0])


@wrong("differs from one time to the next")
class Dice(Altered):
    """Draws that no seed fixes."""

    def altered(self, tick: Tick) -> Tick:
        return replace(tick, seconds=tick.seconds + np.random.random() / 1e6)  # noqa: NPY002


@wrong("updates for 12 rounds")
class Stops(Sync):
    """Ends too early."""

    def ticks(self, profile: Profile, rounds: int, losses: Losses) -> Iterator[Tick]:
        return islice(super().ticks(profile, rounds, losses), rounds - 1)


@wrong("starts again before its upload has arrived")
class Impatient(Buffered):
    """Takes no upload but the first of its buffer, and lets the others begin again."""

    def ticks(self, profile: Profile, rounds: int, losses: Losses) -> Iterator[Tick]:
        for tick in super().ticks(profile, rounds, losses):
            yield replace(tick, arrive=tick.arrive[:1], stale=tick.stale[:1])


@wrong("must be in (0, 1]")
class Grows(Buffered):
    """Late uploads count more."""

    def discount(self, stale: NDArray[np.int64]) -> NDArray[np.float64]:
        return 1.0 + stale


def known(value: object) -> str:
    return value.__name__ if isinstance(value, type) else ""


@dataclass
class Homeless:
    """Of no axis."""


@pytest.mark.parametrize(("entry", "words"), [*WRONG, (Homeless, "belongs to no axis")], ids=known)
def test_what_breaks_the_contract_is_found_out(entry: type, words: str) -> None:
    with pytest.raises(Broken, match=re.escape(words)):
        conform(entry)


def test_a_class_that_is_no_dataclass_itself_is_found_out() -> None:
    class Bare(FedAvg):
        """Its settings would be its parent's."""

        mu: float = 0.1

    with pytest.raises(Broken, match="must be a @dataclass itself"):
        conform(Bare)


FEW = ["rounds=20", "task.without=[race,insurance,stage,marker_1,marker_2,score_z,treated_marker]"]
COX = [*FEW, "task=cox", "local.batch=0"]
ASKED = {  # two groups; a hidden layer; what analyses by sums need: few features, exchanges enough, their own task
    **dict.fromkeys(("fairfed", "fedfb"), ["algorithm.group=race", "algorithm.level=white"]),
    "moon": ["net=mlp", "net.hidden=[4]"],
    **dict.fromkeys(("newton", "meta", "odal"), FEW),
    **dict.fromkeys(("cox_webdisco", "odac", "odach"), COX),
    "lasso": [*FEW, "rounds=80"],
    "cox_iptw": [*COX, "algorithm.treatment=treated"],
}


@pytest.mark.parametrize("name", [name for name in GROUPS["algorithm"] if name != "survivalforest"])
def test_every_method_runs(name: str) -> None:
    more = ASKED.get(name, [])
    run = rehearse(experiment([*SMALL, f"algorithm={name}", *more]))
    assert run.info["status"] == "done"
    values = run.sites[run.sites["metric"] == ("loss" if "task=cox" in more else "brier")]["value"]
    assert len(values)
    assert np.isfinite(values).all()


# Noise needs a bound on equally weighted uploads.
BESIDE = {name: [f"uplink=[clip,{name}]", "weighting=sites"] for name in ("gaussian", "treenoise")}


@pytest.mark.parametrize(("axis", "name"), OTHERS, ids=str)
def test_every_entry_of_the_other_axes_runs(axis: str, name: str) -> None:
    """On a network of two layers, of which FedPer keeps the head, and FedBN the norm of the body."""
    net = "net=mlpbn" if name == "fedbn" else "net=mlp"
    run = rehearse(experiment([*SMALL, net, "net.hidden=[4]", *BESIDE.get(name, [f"{axis}={name}"])]))
    assert run.info["status"] == "done"
    assert np.isfinite(run.rounds["loss"]).all()
    assert (run.rounds["step_norm"][1:] > 0).all()


# Two classes of an outcome cannot both be everywhere where sites own one of them.
NEEDS = {
    "pachinko": ["partition.coarse=race"],
    "pathological": ["partition.min_events=0"],
    "shards": ["partition.min_events=0"],
}


@pytest.mark.parametrize("name", [name for name in GROUPS["partition"] if name != "natural"])
@pytest.mark.parametrize("task", ["response", "hazard"])
def test_every_partition_runs_with_every_task(name: str, task: str) -> None:
    words = [f"partition={name}", "partition.sites=3", f"task={task}", "rounds=1", *NEEDS.get(name, [])]
    run = rehearse(experiment([*SMALL, *words]))
    assert len(run.info["sites"]) == 3


def test_settings_are_plain_and_complete() -> None:
    made = experiment(SMALL)
    shown = settings(made)
    assert set(shown) == {entry.name for entry in fields(made)}
    for group, entries in GROUPS.items():
        if group in CHAINS:
            assert shown[group] == []
        else:
            assert not entries or shown[group]["is"] in entries


def test_divergence_is_a_result_with_its_round() -> None:
    wanted = experiment([*SMALL, "local.lr=1e30", "net=mlp", "rounds=5"])
    run = rehearse(wanted)
    assert "diverged in round" in run.info["status"]
    assert len(run.rounds) < 6
    assert run.rounds["round"].iloc[0] == 0


def test_scoring_less_often_changes_nothing_else() -> None:
    often = experiment([*SMALL, "rounds=4"])
    seldom = replace(often, evaluation=replace(often.evaluation, every=3))
    one, other = rehearse(often), rehearse(seldom)
    assert sorted(set(other.sites["round"])) == [0, 3, 4]
    kept = one.sites[one.sites["round"].isin([0, 3, 4])]["value"].to_numpy()
    np.testing.assert_array_equal(kept, other.sites["value"].to_numpy())
    assert footing(often) == footing(seldom)
