"""FedFB: gives more weight to events of the patient group in which the model misses more of them."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.algorithms.grouped import LOSS, ROWS, Grouped
from sim.methods.contract import Heard, Local, Message, State
from sim.tasks.layout import call
from sim.tasks.task import Batch, Task, mean_over


@dataclass
class FedFB(Grouped):
    """Raises the weight of events in the group with the larger loss, at every site: equal opportunity for two groups.

    Source: Zeng, Chen, Lee, Improving Fairness via Federated Learning, arXiv 2110.15545, 2021, which extends FairBatch
    (Roh et al., ICLR 2021) to federations; the rule for equal opportunity as in its authors' code.
    Rule: sites minimise the mean over rows of v times the loss, `v = 1` where Y = 0 and `v = lambda_a n / m_a` where Y
    = 1 and A = a, m_a the events of group a among n rows of all sites; FedAvg. After round t the group with the larger
    mean loss over its events gets `lambda_a <- lambda_a + alpha / t` and the other is lowered by the same amount, but
    not below 0; lambda starts at `m_a / n`, where v = 1. The means are computed from sums of losses and counts over
    sites.
    Values: alpha 0.3 in the code [S]; 0 is FedAvg. The step decays with t, so most of the change happens in the first
    rounds. It is a share of all rows: for a group whose events are a hundredth of them, 0.3 is a weight of 31.
    Pitfalls: losses are those of the downloaded model, so lambda is one round behind the authors' code, which asks
    every site again after averaging. That code divides each batch's loss by the sum of its v, so that a batch with
    heavily weighted rows does not take a longer step; here the loss is the mean over rows. declearn compares sums of
    losses and not means, which favours the larger group. Sums of losses of small groups reveal patients.
    """

    sends = {"delta": "P", **dict.fromkeys(("loss0", "events0", "loss1", "events1", "rows"), "")}
    server_state = {"raise0": "", "raise1": "", "count": ""}  # raise_a = v - 1 of an event in group a
    broadcast = ("raise0", "raise1")
    in_time = True
    every_site = True

    alpha: float = 0.3  # >= 0, first change of a lambda, as a share of all rows

    def __post_init__(self) -> None:
        within("algorithm.alpha", self.alpha, 0)

    def objective(self, task: Task, v: Tensor, batch: Batch, at: Local) -> Tensor:
        """Mean of the weighted losses of rows."""
        loss = task.row_loss(call(task.module, task.layout, v, batch.x), batch.y)
        return mean_over(self.row_weight(batch, at) * loss, batch.valid)

    def row_weight(self, batch: Batch, at: Local) -> Tensor:
        """v; [B]."""
        group, event = batch.y["group"], batch.y["label"]
        above = torch.where(group == 1, at.server["raise1"], torch.where(group == 0, at.server["raise0"], 0.0))
        return 1 + event * above

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """Update, and sums over training rows under the downloaded model."""
        cells = at.cells(at.x)  # [C, label, group, 3]
        sums = {f"loss{a}": cells[:, 1, a, LOSS] for a in (0, 1)}
        sums |= {f"events{a}": cells[:, 1, a, ROWS] for a in (0, 1)}
        return {"delta": w - at.x, **sums, "rows": cells[..., ROWS].sum((1, 2))}, {}

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """The mean change, and the next lambda."""
        total = {name: heard.each[name].double().sum() for name in ("loss0", "events0", "loss1", "events1", "rows")}
        share = [total[f"events{a}"] / total["rows"] for a in (0, 1)]
        lam = [(1 + state[f"raise{a}"].double()) * share[a] for a in (0, 1)]
        count = state["count"] + 1
        step = self.alpha / float(count) * torch.sign(self.disparity(total))
        step = step.clamp(-lam[1], lam[0])
        raised = [(lam[0] - step) / share[0] - 1, (lam[1] + step) / share[1] - 1]
        new = {f"raise{a}": raised[a].to(count.dtype) for a in (0, 1)}
        return heard.mean["delta"], {**new, "count": count}

    def disparity(self, total: Message) -> Tensor:
        """Mean loss of group 1 over its events minus that of group 0."""
        return total["loss1"] / total["events1"] - total["loss0"] / total["events0"]
