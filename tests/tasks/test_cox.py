"""Cox: gradient, optimum and held-out loss against lifelines and against a sum over risk sets; whole sites only."""

import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import CoxPHFitter
from torch.func import grad, vmap

from sim.checks import Refused
from sim.config.compose import experiment
from sim.engine.evaluation import Held, measure, rate
from sim.engine.executors import InProcess
from sim.engine.references import stratified
from sim.engine.rounds import simulate
from sim.local.plan import Sites, steps
from sim.local.rows import Rows
from sim.metrics.partial import partial_loss
from sim.run.run import prepare, rehearse, simulation
from sim.tasks.cox import Cox, CoxSettings, Ties, partial_terms, without_intercept
from sim.tasks.nets import MLP, Linear
from sim.tasks.task import Batch
from tests.toy import SMALL

BETA = np.array([0.7, -0.4, 0.2])
COX = ["task=cox", "local.batch=0"]


def patients(rows: int, tied: bool, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x [n, 3], days and events of an exponential proportional hazards model; tied = whole months."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 3))
    time, censored = rng.exponential(np.exp(-x @ BETA)) * 300 + 1, rng.uniform(1, 900, rows)
    days = np.minimum(time, censored)
    return x, np.ceil(days / 60) if tied else days, time <= censored


def by_definition(log_risk: torch.Tensor, time: np.ndarray, event: np.ndarray, efron: bool) -> torch.Tensor:
    """-log partial likelihood, one event time after another, from the formulas of Breslow and of Efron (1977)."""
    total = torch.zeros((), dtype=log_risk.dtype)
    for day in np.unique(time[event]):
        at_risk = log_risk[torch.from_numpy(time >= day)].exp().sum()
        dying = log_risk[torch.from_numpy((time == day) & event)]
        for number in range(len(dying)):
            total = total + (at_risk - number / len(dying) * dying.exp().sum() * efron).log()
        total = total - dying.sum()
    return total


def whole(x: np.ndarray, days: np.ndarray, event: np.ndarray) -> Batch:
    y = {"time_days": torch.from_numpy(days.copy()), "event": torch.from_numpy(event.astype(float))}
    return Batch(torch.from_numpy(x.copy()), y, torch.ones(len(x), dtype=torch.bool))


@settings(max_examples=150)
@given(
    st.lists(st.tuples(st.integers(1, 5), st.booleans(), st.integers(-3, 3)), min_size=1, max_size=25),
    st.booleans(),
)
def test_loss_is_the_sum_over_risk_sets(rows: list[tuple[int, bool, int]], efron: bool) -> None:
    time, event = np.array([row[0] for row in rows], float), np.array([row[1] for row in rows])
    log_risk = torch.tensor([float(row[2]) for row in rows], dtype=torch.float64)
    expected = by_definition(log_risk, time, event, efron)
    valid = torch.ones(len(rows), dtype=torch.bool)
    days, happened = torch.from_numpy(time), torch.from_numpy(event.astype(float))
    torch.testing.assert_close(
        partial_terms(log_risk, days, happened, valid, efron).sum(), expected, atol=1e-10, rtol=1e-10
    )
    held = partial_loss(log_risk.numpy(), time, event, np.zeros(len(rows), np.int64), 2, efron)
    np.testing.assert_allclose(held, [float(expected) / len(rows), np.nan], atol=1e-12)


def test_huge_risks_keep_the_loss_finite() -> None:
    log_risk, time, event = np.array([900.0, -900.0, 880.0]), np.array([1.0, 2.0, 3.0]), np.array([False, True, True])
    for efron in (True, False):
        held = partial_loss(log_risk, time, event, np.zeros(3, np.int64), 1, efron)
        # By hand: patient 1 dies with 1 and 2 at risk, 880 - -900 = 1780; patient 2 dies alone, 0.
        np.testing.assert_allclose(held, [1780 / 3])
        ours = partial_terms(
            *(torch.from_numpy(part) for part in (log_risk, time, event * 1.0)), torch.ones(3) > 0, efron
        )
        np.testing.assert_allclose(float(ours.sum()), 1780)


@pytest.mark.parametrize("ties", Ties)
def test_padding_and_the_order_of_rows_do_not_matter(ties: Ties) -> None:
    """Whatever stands in rows that are not valid, gradients are those without them."""
    task = Cox(without_intercept(Linear().build(3, 1)), ties)
    v = torch.from_numpy(BETA)
    x, days, event = patients(40, tied=True)
    alone = grad(task.loss)(v, whole(x, days, event))
    turn = np.random.default_rng(1).permutation(40)
    moved = grad(task.loss)(v, whole(x[turn], days[turn], event[turn]))
    torch.testing.assert_close(moved, alone, atol=1e-14, rtol=1e-12)
    padded = whole(*(np.concatenate([part, part[:9]]) for part in (x, days, event)))
    padded = padded._replace(valid=torch.arange(49) < 40)
    torch.testing.assert_close(grad(task.loss)(v, padded), alone, atol=1e-14, rtol=1e-12)
    padded.x[40:], padded.y["time_days"][40:], padded.y["event"][40:] = 1e6, 1e9, 1.0
    torch.testing.assert_close(grad(task.loss)(v, padded), alone, atol=1e-14, rtol=1e-12)
    torch.testing.assert_close(grad(task.loss)(v, whole(x, days, np.zeros_like(event))), torch.zeros(3).double())


def test_gradients_are_those_of_the_definition() -> None:
    for ties in Ties:
        task, (x, days, event) = Cox(without_intercept(Linear().build(3, 1)), ties), patients(60, tied=True, seed=3)
        v = torch.tensor([0.3, 0.1, -0.5], dtype=torch.float64, requires_grad=True)
        (expected,) = torch.autograd.grad(
            by_definition(torch.from_numpy(x) @ v, days, event, ties is Ties.efron) / 60, v
        )  # fmt: skip
        torch.testing.assert_close(grad(task.loss)(v.detach(), whole(x, days, event)), expected)


def fitted(frame: pd.DataFrame) -> np.ndarray:
    """Coefficients of lifelines' Cox model stratified by site (it has Efron's ties), and its log-likelihood."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = CoxPHFitter().fit(frame, "days", "event", strata=["site"], fit_options={"precision": 1e-12})
    return np.array([*model.params_, model.log_likelihood_])


@pytest.mark.parametrize("tied", [True, False])
def test_optimum_is_lifelines_stratified_by_site(tied: bool) -> None:
    """A site's own baseline: the shift of the last column with the site would mislead a model without strata."""
    frames = []
    for site, rows in enumerate((150, 60, 20)):
        x, days, event = patients(rows, tied, seed=site)
        days = days * (1 + 4 * site)
        frames.append(pd.DataFrame({"a": x[:, 0], "b": x[:, 1], "c": x[:, 2] + site, "days": days, "event": event}))
    frame = pd.concat(frames, keys=range(3), names=["site"]).reset_index(level=0)
    expected = fitted(frame)
    task = Cox(without_intercept(Linear().build(3, 1)), Ties.efron)
    batches = [whole(f[["a", "b", "c"]].to_numpy(), f["days"].to_numpy(), f["event"].to_numpy()) for f in frames]
    v = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    solver = torch.optim.LBFGS(
        [v], max_iter=200, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def total() -> torch.Tensor:
        return torch.stack([task.loss(v, batch) * len(batch.x) for batch in batches]).sum()

    def objective() -> torch.Tensor:
        solver.zero_grad()
        loss = total()
        loss.backward()
        return loss

    solver.step(objective)
    np.testing.assert_allclose(v.detach().numpy(), expected[:3], atol=1e-6)
    np.testing.assert_allclose(-float(total().detach()), expected[3], rtol=1e-9)


def test_the_pooled_objective_is_the_stratified_model_and_fedavg_descends_it() -> None:
    """One full-batch step a round of FedAvg is gradient descent on the stratified partial likelihood."""
    held = ["cohort.patients=900", "cohort.sites=3", "cohort.cancers=[lung]", *COX, "seed=2", "split.scaling=federated"]
    made = prepare(experiment(held))
    federation = made.federation
    row, site = federation.held("train")
    frame = pd.DataFrame(federation.x[row].astype(float), columns=list(federation.features))
    frame = frame.loc[:, frame.std() > 0]
    frame["site"], frame["event"] = site, federation.y["event"][row]
    frame["days"] = federation.y["time_days"][row].astype(np.float32).astype(float)
    expected = fitted(frame)
    names = [name for name in frame.columns if name not in ("site", "event", "days")]
    assert names == list(federation.features)
    rows = Rows.of(federation, made.task)
    double = Rows(rows.x.double(), {name: column.double() for name, column in rows.y.items()})
    objective = stratified(made.task, double, federation)
    at = torch.from_numpy(expected[:-1])
    assert float(objective(at)) == pytest.approx(-expected[-1] / len(row), rel=1e-9)
    assert float(grad(objective)(at).abs().max()) < 1e-6
    judged = Held.of(federation, ("test",))
    best = measure(made.task, judged, rate(made.task, double, at, judged.row))
    pooled = rehearse(experiment([*held, "algorithm=pooled"])).sites.query("split == 'test'")
    for name, values in best.items():
        np.testing.assert_allclose(pooled[pooled["metric"] == name]["value"], values, atol=2e-3)
    wanted = experiment([*held, "local.lr=0.5", "rounds=3"])
    start, *rounds = [here.model.double() for here in simulate(simulation(wanted, made), InProcess())]
    for model in rounds:
        step = start - 0.5 * grad(objective)(start)
        torch.testing.assert_close(model, step, atol=1e-6, rtol=1e-5)
        start = model


def test_the_intercept_is_left_out_of_any_net() -> None:
    net = without_intercept(MLP(hidden=[4]).build(3, 1))
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "2.weight"]
    assert Cox(without_intercept(Linear().build(3, 1)), Ties.efron).layout.size == 3


def test_sites_train_together_as_they_would_alone() -> None:
    task = Cox(without_intercept(Linear().build(3, 1)), Ties.efron)
    parts = [patients(rows, True, seed=rows) for rows in (30, 12)]
    stacked = [
        np.stack([np.resize(part, (30, *part.shape[1:])) for part in column]) for column in zip(*parts, strict=True)
    ]
    batch = Batch(
        torch.from_numpy(stacked[0]),
        {"time_days": torch.from_numpy(stacked[1]), "event": torch.from_numpy(stacked[2].astype(float))},
        torch.arange(30) < torch.tensor([[30], [12]]),
    )
    w = torch.from_numpy(np.stack([BETA, -BETA]))
    together = vmap(grad(task.loss))(w, batch)
    for site, part in enumerate(parts):
        torch.testing.assert_close(together[site], grad(task.loss)(w[site], whole(*part)))


def test_batches_and_clipping_are_refused() -> None:
    with pytest.raises(Refused, match=r"local\.batch=16: .*Set local\.batch=0"):
        rehearse(experiment([*SMALL, "task=cox"]))
    with pytest.raises(Refused, match=r"local\.clip=1: .*local\.clip=0"):
        rehearse(experiment([*SMALL, *COX, "local.clip=1"]))
    with pytest.raises(Refused, match=r"local\.tier=fused: the loss of Cox has no closed form"):
        rehearse(experiment([*SMALL, *COX, "local.tier=fused"]))


def test_an_external_site_is_in_no_pooled_risk_set() -> None:
    words = [*SMALL, *COX, "cohort.cancers=[lung]", "algorithm=pooled", "local.weight_decay=0.01"]
    run = rehearse(experiment([*words, "partition.external.sites=[centre-1,centre-5]"]))
    assert run.info["status"] == "done"
    assert np.isfinite(run.sites.query("metric == 'loss'")["value"]).all()


BATCHES = [*SMALL, "task=cox", "task.risk_sets=batch", "algorithm=fedavg", "rounds=1"]


def test_steps_on_batches_descend_the_likelihood_of_each_batch() -> None:
    """A round of one site, replayed batch by batch from the definition."""
    wanted = experiment([*BATCHES, "cohort.sites=1", "cohort.patients=300", "local.lr=0.3"])
    made = prepare(wanted)
    plan, federation = simulation(wanted, made), made.federation
    start, end = (here.model.double() for here in simulate(plan, InProcess()))
    sites = Sites(federation.bounds[:, 0], federation.rows, plan.training.site_steps(federation.rows), federation.keys)
    w = start
    for step in steps(sites, plan.training, plan.seed, 1):
        row = step.row[0][step.valid[0]]
        assert len(row) <= 16
        x = torch.from_numpy(federation.x[row]).double()
        time, event = federation.y["time_days"][row].astype(float), federation.y["event"][row].astype(bool)
        v = w.clone().requires_grad_()
        loss = by_definition(x @ v, time, event, efron=True) / len(row)
        w = w - 0.3 * torch.autograd.grad(loss, v)[0] if event.any() else w
    assert float((w - start).norm()) > 0.1
    torch.testing.assert_close(end, w, atol=1e-5, rtol=1e-4)


def test_without_batches_their_risk_sets_are_those_of_the_site_bit_for_bit() -> None:
    whole, other = (
        rehearse(experiment([*SMALL, *COX, f"task.risk_sets={kind}"])).sites["value"] for kind in ("site", "batch")
    )
    np.testing.assert_array_equal(whole, other)
    assert CoxSettings().risk_sets.value == "site"


def test_the_pooled_reference_is_the_stratified_model_whatever_the_batches() -> None:
    whole, other = (
        rehearse(experiment([*SMALL, *words, "algorithm=pooled"])).sites["value"]
        for words in (COX, ["task=cox", "task.risk_sets=batch"])
    )
    np.testing.assert_array_equal(whole, other)


def test_rows_of_a_batch_are_not_clipped() -> None:
    with pytest.raises(Refused, match=r"local\.clip=1: .*local\.clip=0"):
        rehearse(experiment([*BATCHES, "local.clip=1"]))
