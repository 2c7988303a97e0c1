"""What does not go together is refused, with what was asked, what is allowed and what to do; and what does, trains."""

import re
from dataclasses import dataclass, replace

import pytest
from torch import nn

from sim.checks import Refused
from sim.config.compose import experiment
from sim.config.experiment import GROUPS, identity
from sim.methods.aggregators.base import Mean
from sim.methods.aggregators.krum import Krum
from sim.methods.aggregators.median import Median
from sim.methods.algorithms import ALGORITHMS, FedAvg
from sim.methods.personal import Ditto, FedPer, FineTune, Personal
from sim.methods.personal.base import Adapted
from sim.methods.roles import Roles
from sim.methods.systems.buffered import Buffered
from sim.methods.systems.sync import Sync
from sim.methods.uplink.clip import AdaptiveClip, Clip
from sim.methods.uplink.topk import TopK
from sim.run.run import prepare, rehearse, simulation
from sim.run.told import in_words
from sim.tasks.layout import Layout
from tests.refusals import refused
from tests.toy import SMALL

# --- axes that do not go together


@pytest.mark.parametrize("name", [name for name, entry in ALGORITHMS.items() if entry.in_time])
def test_a_buffered_server_takes_no_method_that_needs_uploads_in_time(name: str) -> None:
    refused(f"algorithm={name}", "system=buffered", says=[f"algorithm={name}", "system=buffered", "Set system=sync"])


def test_all_other_algorithms_train_under_a_buffered_server() -> None:
    for name in [name for name, entry in ALGORITHMS.items() if not entry.in_time]:
        Roles(ALGORITHMS[name](), system=Buffered()).check()
    assert {name for name, entry in ALGORITHMS.items() if entry.in_time} == {
        *("scaffold", "feddyn", "qfedavg", "afl", "term", "feddgga", "lossparity", "fairfed", "fedfb"),
        *("scaffnew", "mimelite", "mime", "feddc", "adaptiveprox", "mifa"),
    }


@dataclass
class Chooses(FedAvg):
    """Aggregates by its own rule."""

    whole_uploads = True


@pytest.mark.parametrize("aggregator", [Median(), Krum()])
def test_two_rules_of_aggregation_are_refused(aggregator: Median | Krum) -> None:
    with pytest.raises(Refused, match=r"aggregates uploads by its own rule\. Set aggregator=mean"):
        Roles(Chooses(), aggregator=aggregator).check()
    Roles(Chooses(), aggregator=Mean()).check()


@pytest.mark.parametrize("name", ["pfedme", "apfl"])
def test_an_algorithm_with_own_models_brings_their_role_and_takes_no_other(name: str) -> None:
    roles = experiment([*SMALL, f"algorithm={name}"]).roles
    assert roles.personal.on
    assert in_words(roles, 5, 5, 4, 7)["personal"] == f"algorithm={name}: 5 parameters of its own at every site"
    refused(f"algorithm={name}", "personal=ditto", says=[f"algorithm={name}", "personal=ditto", "algorithm=fedavg"])
    refused(f"algorithm={name}", "local.momentum=0.5", says=["local.momentum=0.5", f"algorithm={name}"])


def test_per_fedavg_is_judged_after_a_step_of_adaptation_unless_told_otherwise() -> None:
    assert experiment([*SMALL, "algorithm=perfedavg"]).roles.personal == FineTune(1, 0.01, Adapted.scored)
    asked = experiment([*SMALL, "algorithm=perfedavg", "personal=finetune", "personal.steps=3"]).roles.personal
    assert asked == FineTune(3)
    assert Roles() == Roles(FedAvg(), personal=Personal())
    told = in_words(experiment([*SMALL, "personal=fedbabu", "net=mlp"]).roles, 4, 6, 4, 7)["personal"]
    assert told == "personal=fedbabu: 6 parameters of its own at every site"


def test_a_mean_of_the_sites_own_models_takes_fedavg_and_uploads_in_time() -> None:
    refused("personal=mrmtl", "algorithm=scaffold", says=["personal=mrmtl", "algorithm=scaffold", "personal=ditto"])
    refused("personal=mrmtl", "system=buffered", says=["personal=mrmtl", "system=buffered", "Set system=sync"])


# --- federations that are too small


@pytest.mark.parametrize(
    ("roles", "members", "words"),
    [
        (Roles(aggregator=Krum(f=1)), 4, ["aggregator=krum", "at least 5", "gets 4", "4 sites train"]),
        (Roles(aggregator=Krum(f=3)), 8, ["at least 9", "smaller aggregator.f", "aggregator=median"]),
        (Roles(aggregator=Krum(f=1), system=Sync(sites=4)), 100, ["at least 5", "gets 4", "system.sites"]),
        (Roles(aggregator=Krum(f=1), system=Buffered()), 9, ["at least 5", "gets 4", "system.buffer"]),
        (Roles(aggregator=Krum(f=1), system=Buffered(buffer=3)), 9, ["at least 5", "gets 3"]),
        (Roles(system=Sync(sites=9)), 8, ["system.sites=9", "8 sites", "0 (all) to 8"]),
        (Roles(system=Buffered(sites=9)), 8, ["system.sites=9", "8 sites"]),
        (Roles(system=Buffered(buffer=9)), 8, ["system.buffer=9", "allowed 1 to 8, or 0"]),
    ],
)
def test_a_federation_with_too_few_sites_is_refused(roles: Roles, members: int, words: list[str]) -> None:
    with pytest.raises(Refused) as found:
        roles.fits(members)
    for part in words:
        assert part in str(found.value)


@pytest.mark.parametrize(
    ("roles", "members"),
    [
        (Roles(), 1),
        (Roles(aggregator=Krum(f=1)), 5),
        (Roles(aggregator=Krum(f=1), system=Buffered()), 10),
        (Roles(aggregator=Krum(f=0), system=Sync(sites=3)), 4),
        (Roles(aggregator=Median(), system=Buffered(buffer=8)), 8),
    ],
)
def test_the_smallest_federation_that_fits_is_taken(roles: Roles, members: int) -> None:
    roles.fits(members)


def test_too_few_sites_are_refused_before_the_first_round() -> None:
    refused("aggregator=krum", "aggregator.f=3", says=["aggregator=krum", "at least 9", "gets 7"])
    refused("system.sites=8", says=["system.sites=8", "7 sites"])
    refused("system=buffered", "system.buffer=8", says=["system.buffer=8"])
    choice = "system=powerofchoice"
    refused(choice, "system.candidates=2", "system.sites=3", says=["system.candidates=2, system.sites=3", "1..2"])
    refused(choice, "system.candidates=9", "system.sites=3", says=["system.candidates=9", "7 sites"])
    refused("system=cyclic", "system.sites=2", says=["system.sites=2", "allowed [0, 1]"])
    refused("system.deadline=0.05", says=["system.deadline=0.05", "messages alone take", "Raise it"])


# --- methods with a loop of their own

BESIDE = {
    "uplink": "uplink=[topk]",
    "attack": "attack=signflip",
    "aggregator": "aggregator=median",
    "server": "server=adam",
    "personal": "personal=ditto",
    "system": "system.sites=3",
}
LOOPS = [name for name in GROUPS["algorithm"] if name not in ALGORITHMS]


@pytest.mark.parametrize("axis", BESIDE)
@pytest.mark.parametrize("name", LOOPS)
def test_an_axis_that_a_loop_of_its_own_does_not_heed_is_refused(name: str, axis: str) -> None:
    words = [*SMALL, f"algorithm={name}", BESIDE[axis]]
    if axis in GROUPS["algorithm"][name].axes:
        experiment(words)
        return
    with pytest.raises(Refused, match=f"algorithm={name} has its own training loop, in which {axis} has no effect"):
        experiment(words)


def test_all_lost_axes_are_named_at_once() -> None:
    refused(
        "algorithm=pooled",
        "uplink=[clip]",
        "aggregator=median",
        says=["uplink, aggregator have no effect", "Leave them out"],
    )


def test_clusters_by_splits_need_the_updates_of_all_sites() -> None:
    refused("algorithm=cfl", "system.sites=3", says=["algorithm=cfl compares", "system.sites=0"])


def test_training_to_the_end_has_no_rounds_to_miss() -> None:
    for setting in ("system.sites=3", "system.dropout=0.2", "system.deadline=9", "system=cyclic"):
        refused("algorithm=oneshot", setting, says=["algorithm=oneshot", "system.dropout=0"])


def test_a_random_graph_that_is_never_connected_is_refused() -> None:
    words = ["algorithm=gossip", "algorithm.graph=erdos", "algorithm.chance=1e-6"]
    refused(*words, says=["algorithm.chance=1e-06", "none of 100 random graphs", "0.28 or more"])
    refused("algorithm=gossip", "system=cyclic", says=["algorithm=gossip", "Set system=sync"])


def test_clusters_wait_for_all_their_sites() -> None:
    refused("algorithm=ifca", "system=buffered", says=["algorithm=ifca", "system=buffered has no effect"])


# --- FedPer's patterns


def test_fedper_keeps_the_head_unless_told_otherwise() -> None:
    layout = Layout.of(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)))
    head = FedPer().private(layout)
    assert head.tolist() == [False] * 16 + [True] * 10
    assert FedPer(r"2\..*").private(layout).equal(head)
    assert FedPer(".*bias").private(layout).sum() == 4 + 2


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("head.*", ["personal.pattern='head.*' matches no parameter", "0.weight, 0.bias, 2.weight, 2.bias"]),
        (".*", ["personal.pattern='.*' keeps all of", "net=mlp", "algorithm=local"]),
        ("2.(", ["personal.pattern='2.('", "not a regular expression"]),
        ("bias", ["matches no parameter"]),  # a pattern is of the whole name
    ],
)
def test_patterns_that_keep_nothing_or_all_are_refused(pattern: str, words: list[str]) -> None:
    refused("personal=fedper", "net=mlp", "net.hidden=[4]", f'personal.pattern="{pattern}"', says=words)


def test_a_network_of_one_layer_has_no_head_to_keep() -> None:
    refused("personal=fedper", says=["personal.pattern=''", "keeps all", "net=mlp"])


# --- the uplink is a chain


def test_the_order_of_the_uplink_is_kept_and_is_part_of_the_run_s_name() -> None:
    first, second = (experiment([*SMALL, "rounds=1", f"uplink=[{chain}]"]) for chain in ("clip,topk", "topk,clip"))
    assert [type(one) for one in first.roles.uplink] == [Clip, TopK]
    assert [type(one) for one in second.roles.uplink] == [TopK, Clip]
    assert [one["is"] for one in identity(first)["uplink"]] == ["clip", "topk"]
    assert [one["is"] for one in identity(second)["uplink"]] == ["topk", "clip"]
    names = {rehearse(one).id for one in (first, second, replace(first, uplink={}))}
    assert len(names) == 3


def test_every_link_of_the_chain_has_its_own_settings() -> None:
    made = experiment([*SMALL, "uplink=[clip,topk]", "uplink.topk.ratio=0.25", "uplink.clip.bound=2"])
    assert made.roles.uplink == (Clip(bound=2.0), TopK(ratio=0.25))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["uplink=[topkk]"], ["uplink=topkk", "allowed adaptiveclip, clip", "Did you mean uplink=topk?"]),
        (["uplink=[clip,median]"], ["uplink=median", "allowed adaptiveclip, clip"]),
        (["uplink=topkk"], ["uplink=topkk", "allowed adaptiveclip, clip"]),
        (["uplink=[topk]", "uplink.topk.ratio=0"], ["uplink.topk.ratio=0", "(0, 1]"]),
        (["uplink=[topk]", "uplink.topk.ratios=1"], ["uplink.topk.ratios"]),
        (["uplink.topk.ratio=0.5"], ["uplink.topk"]),
        (["aggregator=mediam"], ["aggregator=mediam", "Did you mean aggregator=median?"]),
        (["attack=flip"], ["attack=flip", "allowed alie, backdoor, ipm, labelflip"]),
        (["personal=dito"], ["personal=dito", "ditto"]),
        (["system=async"], ["system=async", "allowed buffered, cyclic, powerofchoice, sync"]),
        (["weighting=rows"], ["weighting", "patients, sites"]),
        (["algorithm.weighting=sites"], ["algorithm.weighting"]),
    ],
)
def test_unknown_names_and_settings_are_refused(words: list[str], says: list[str]) -> None:
    refused(*words, says=says)


def test_neutral_axes_leave_no_trace_in_what_sites_keep() -> None:
    """Nothing is kept, and nothing waits, unless a role asks for it."""
    assert Roles().site_state(10, 10) == {}
    assert Roles(aggregator=Median()).site_state(10, 10) == {"up.delta": 10}
    assert Roles(personal=Ditto()).site_state(10, 10) == {"own": 10}
    kept = Roles(ALGORITHMS["scaffold"](), (AdaptiveClip(), TopK()), aggregator=Median(), personal=FedPer()).site_state(
        10, 7
    )
    assert kept == {
        "control": 10,
        "uplink.1.delta.error": 7,
        "uplink.1.control.error": 7,
        "own": 10,
        "up.delta": 7,
        "up.control": 7,
        "up.uplink.0.delta.within": 1,
        "up.uplink.0.control.within": 1,
    }


def test_roles_are_named_as_they_are_set() -> None:
    for name in ALGORITHMS:
        roles = Roles(ALGORITHMS[name](), aggregator=Krum(f=20))
        with pytest.raises(Refused, match=re.escape("aggregator=krum")):
            roles.fits(7)


def test_state_that_cannot_fit_is_refused_with_the_arithmetic(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = experiment([*SMALL, "algorithm=scaffold"])
    plan = simulation(wanted, prepare(wanted))
    size = plan.task.layout.size
    assert plan.job.state_bytes == 2 * 7 * size * 4
    monkeypatch.setattr("sim.engine.job.machine_bytes", lambda: 7 * 4 * size)
    with pytest.raises(Refused, match=rf"7 sites, 2 rows of control {size} numbers, 4 bytes a number"):
        _ = plan.job
