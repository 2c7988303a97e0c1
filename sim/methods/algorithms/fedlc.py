"""FedLC: logits are calibrated by the number of patients of each class at a site."""

from dataclasses import dataclass

from sim.checks import Refused, within
from sim.lazy import Tensor, torch
from sim.methods.algorithms.base import Algorithm
from sim.methods.contract import Local
from sim.tasks.layout import call
from sim.tasks.task import Batch, Task, mean_over


@dataclass
class FedLC(Algorithm):
    """Gives rare classes a larger margin in the local loss, so that a site does not forget classes it rarely sees.

    Source: Zhang et al., Federated Learning with Label Distribution Skew via Logits Calibration, ICML 2022.
    Rule: site k minimises the cross-entropy of `f_c(x) - tau n_kc^(-1/4)`, `n_kc` its training rows of class c; a
    binary task has the logits 0 and f. Then FedAvg.
    Values: tau = 1; tau = 0 is FedAvg.
    Pitfalls: the margin of an absent class is infinite. Here the class is left out of the softmax, which is the limit n
    -> 0 and equivalent to FL-bench's n = 1e-8: the site neither raises nor lowers its logit, and a site with one class
    learns nothing. PFLlib uses the counts of all sites together, which ignores differences between sites. The counts
    stay at the site. For classes only: survival tasks are refused.
    """

    class_counts = True

    tau: float = 1.0  # >= 0, margin of a class with one row

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
        """What is subtracted from each output, prohibitively large for an absent class; [K] -> [outputs]."""
        never = torch.full_like(counts, torch.finfo(counts.dtype).max / 4)
        margin = torch.where(counts > 0, self.tau * counts.clamp_min(1) ** -0.25, never)
        return margin if outputs > 1 else margin[1:] - margin[:1]
