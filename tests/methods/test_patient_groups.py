"""FairFed and FedFB: whose groups they compare, what they refuse, what travels, and what comes of it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sim.checks import Refused
from sim.config.compose import experiment
from sim.engine.worker import Worker
from sim.federation.groups import Group
from sim.local.settings import Tier, Training
from sim.methods.aggregators.median import Median
from sim.methods.algorithms import ALGORITHMS
from sim.methods.algorithms.base import Algorithm
from sim.methods.algorithms.fairfed import FairFed, difference
from sim.methods.algorithms.fedfb import FedFB
from sim.methods.algorithms.grouped import Grouped
from sim.methods.roles import Roles
from sim.run.check import checked
from sim.run.run import prepare, rehearse, simulation
from sim.verify import groups as known
from tests.toy import SMALL

GROUPED = [name for name, entry in ALGORITHMS.items() if issubclass(entry, Grouped)]
RACE = ["algorithm.group=race", "algorithm.level=black"]


@pytest.mark.parametrize("name", GROUPED)
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["algorithm.group=smoking"], r"algorithm\.group='smoking': allowed .*evaluation\.groups"),
        (["algorithm.group=race"], r"algorithm\.group=race has 5 levels.*Set algorithm\.level.*white, black"),
        (["algorithm.group=race", "algorithm.level=blue"], r"algorithm\.level='blue': allowed .*black"),
        (["algorithm.group=sex"], r"algorithm\.group=sex: all patients are female.*Choose age_band"),
        (["algorithm.group=sex", "evaluation.groups=[race]"], r"algorithm\.group='sex': allowed race"),
        ([*RACE, "task=hazard"], r"compares rates of a yes-or-no outcome.*Hazard has none.*task=response"),
    ],
)
def test_what_has_no_two_groups_is_refused_before_the_first_run(name: str, words: list[str], says: str) -> None:
    with pytest.raises(Refused, match=says):
        checked([("", experiment([*SMALL, f"algorithm={name}", *words]))])


def test_a_group_without_events_is_refused() -> None:
    made = known.four_sites()
    nobody = replace(made, groups={"arm": Group(np.where(made.y["label"], 0, 1).astype(np.int8), ("no", "yes"))})
    train = np.ones(len(made.x), dtype=bool)
    with pytest.raises(Refused, match=r"no training patient of yes has the event"):
        FairFed(group="arm").codes(nobody.groups, made.y["label"], train)
    with pytest.raises(Refused, match=r"no training patient of levels other than no has the event"):
        FairFed(group="arm", level="no").codes(nobody.groups, made.y["label"], train)


@pytest.mark.parametrize("name", ["fairfed"])
def test_another_aggregator_is_refused_for_a_rule_of_weights(name: str) -> None:
    with pytest.raises(Refused, match=r"aggregates uploads by its own rule\. Set aggregator=mean"):
        Roles(ALGORITHMS[name](), aggregator=Median()).check()


@pytest.mark.parametrize("name", GROUPED)
def test_group_1_is_the_named_level_and_rows_without_a_record_are_of_none(name: str) -> None:
    plan_of = experiment([*SMALL, f"algorithm={name}", *RACE])
    prepared = prepare(plan_of)
    codes, levels = prepared.federation.groups["race"]
    codes = codes.copy()
    codes[::7] = -1
    federation = replace(prepared.federation, groups={"race": Group(codes, levels)})
    found = simulation(plan_of, replace(prepared, federation=federation)).codes
    assert found is not None
    np.testing.assert_array_equal(found == 1, codes == levels.index("black"))
    np.testing.assert_array_equal(found == -1, codes == -1)


def test_all_that_is_told_of_groups_is_counted_in_bytes() -> None:
    assert Roles(FairFed()).bytes_up(10, 4) == Roles().bytes_up(10, 4) + 6 * 4
    assert Roles(FedFB()).bytes_up(10, 4) == Roles().bytes_up(10, 4) + 5 * 4
    assert Roles(FedFB()).bytes_down(10, 4) == Roles().bytes_down(10, 4) + 2 * 4


def test_cells_count_rows_positives_and_losses_by_outcome_and_group() -> None:
    made, w = known.four_sites(), torch.tensor(known.START, dtype=torch.float64)
    worker = Worker.open(known.plan(FairFed(group="arm")).job)
    found = worker.cells(w.expand(4, -1), np.arange(4)).numpy()
    codes = made.groups["arm"].codes
    for site, (low, high) in enumerate(made.bounds[:, :2]):
        score = made.x[low:high] @ w.numpy()
        label, group = made.y["label"][low:high], codes[low:high]
        loss = np.log1p(np.exp(np.where(label, -score, score)))
        for y in (0, 1):
            for place, code in enumerate((0, 1, -1)):
                here = (label == y) & (group == code)
                np.testing.assert_allclose(
                    found[site, y, place], [here.sum(), (here & (score > 0)).sum(), loss[here].sum()], atol=1e-12
                )


def gap_of(w: np.ndarray) -> float:
    """Difference of the groups' mean losses over their events."""
    whole = known.joined(known.hospitals())
    loss = whole.loss(w)
    return abs(float(loss[whole.events(1)].mean() - loss[whole.events(0)].mean()))


def test_fedfb_brings_the_losses_of_both_groups_together() -> None:
    before = gap_of(known.path(Algorithm(), rounds=40)[-1])
    after = gap_of(known.path(FedFB(group="arm", alpha=0.05), rounds=40)[-1])
    assert after < 0.75 * before


def test_a_site_with_one_group_is_judged_by_its_accuracy() -> None:
    alone = known.hospitals()[3]
    assert not alone.events(0).any()
    count = {"positive0": 0.0, "events0": 0.0, "positive1": 2.0, "events1": 3.0}
    assert difference({name: torch.tensor(value) for name, value in count.items()}).isnan()
    assert np.isfinite(known.path(FairFed(group="arm", beta=1.0))).all()


@pytest.mark.parametrize("name", GROUPED)
def test_external_sites_and_own_models_go_with_groups(name: str) -> None:
    words = [f"algorithm={name}", *RACE, "partition.external.count=2", "personal=ditto"]
    run = rehearse(experiment([*SMALL, *words]))
    assert run.info["status"] == "done"
    assert run.info["tier"]["is"] == ("stacked" if name == "fedfb" else "fused")


@pytest.mark.parametrize(
    "training",
    [
        Training(lr=0.1, steps=3, batch=8, tier=Tier.stacked),
        Training(lr=0.1, steps=3, batch=8, clip=0.5, tier=Tier.stacked),
    ],
)
def test_alpha_0_is_fedavg_on_batches_and_with_clipped_rows(training: Training) -> None:
    mine, plain = (known.path(method, training=training) for method in (FedFB(group="arm", alpha=0.0), Algorithm()))
    np.testing.assert_array_equal(mine, plain)
