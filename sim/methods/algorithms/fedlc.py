"""FedLC: logits are calibrated by how many patients of each class a site has."""

from dataclasses import dataclass

from sim.checks import Refused, within
from sim.lazy import Tensor, torch
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Local
from sim.tasks.layout import call
from sim.tasks.task import Batch, Task, mean_over


@dataclass
class FedLC(Algorithm):
    """Rare classes get a larger margin in the local loss, so that a site does not unlearn what it seldom sees.

    Source: Zhang et al., Federated Learning with Label Distribution Skew via Logits Calibration, ICML 2022.
    Rule: site k minimises the cross-entropy of `f_c(x) - tau n_kc^(-1/4)`, `n_kc` its training rows of class c; a
        binary task has the logits 0 and f. Then FedAvg.
    Values: tau = 1; tau = 0 is FedAvg.
    Pitfalls: the margin of an absent class is infinite. It is left out of the softmax here, which is the limit of
        n -> 0 and what FL-bench's n = 1e-8 comes to: the site neither raises nor lowers its logit, and a site with one
        class learns nothing. PFLlib takes the counts of all sites together, which calibrates nothing that differs
        between sites. The counts stay at the site. For classes only: survival tasks are refused.
    """

    class_counts = True

    tau: float = 1.0  # >= 0, margin of a class of one row

    def __post_init__(self) -> None:
        within("algorithm.tau", self.tau, 0)

    def fits(self, task: Task) -> None:
        """Refuse a task without classes."""
        if not task.classes:
            raise Refused(
                f"algorithm=fedlc calibrates the logits of classes, but {type(task).__name__} has none. Use a binary "
                "or multi-class task (task=response, mortality, classify, stage, cancer_type, multiclass), or "
                "algorithm=fedavg."
            )

    def objective(self, task: Task, v: Tensor, batch: Batch, at: Local) -> Tensor:
        """The task's loss of calibrated logits."""
        if not self.tau:
            return task.loss(v, batch)
        assert at.counts is not None
        output = call(task.module, task.layout, v, batch.x)
        return mean_over(task.row_loss(output - self.margins(at.counts, output.shape[1]), batch.y), batch.valid)

    def margins(self, counts: Tensor, outputs: int) -> Tensor:
        """What is taken off each output, out of reach for an absent class; [K] -> [outputs]."""
        never = torch.full_like(counts, torch.finfo(counts.dtype).max / 4)
        margin = torch.where(counts > 0, self.tau * counts.clamp_min(1) ** -0.25, never)
        return margin if outputs > 1 else margin[1:] - margin[:1]
