"""FedBN and SiloBN: batch norm layers that stay at a site."""

from dataclasses import dataclass
from enum import Enum

from sim.checks import Refused
from sim.lazy import Tensor
from sim.methods.personal.base import Personal
from sim.tasks.layout import Layout


class Kept(Enum):
    """Which part of every batch norm layer stays at the site."""

    both = "both"  # weight, bias and running statistics: FedBN
    statistics = "statistics"  # the running statistics; weight and bias are shared: SiloBN
    affine = "affine"  # weight and bias; the running statistics are averaged


@dataclass
class FedBN(Personal):
    """Each site keeps its own batch norm layers and shares all others, for sites with different measurement scales.

    Source: Li et al., FedBN: Federated Learning on Non-IID Features via Local Batch Normalization, ICLR 2021. With
    keeps=statistics it is SiloBN: Andreux et al., Siloed Federated Learning for Multi-Centric Histopathology Datasets,
    DART at MICCAI 2020. keeps=affine is ours, to separate the effects of the two parts.
    Rule: `(shared, norm_i) <- K_i steps of SGD on F_i(shared, norm_i)`; the server averages what is shared. Running
    statistics follow `r <- r + 0.1 (s - r)` with the mean and unbiased variance s of every batch.
    Values: none in the paper; net=mlpbn normalises every hidden layer.
    Pitfalls: without batch norm layers the method is FedAvg, and it is refused. Code that finds the layers by "bn" in
    their names finds none in a sequential network (easyFL); code that looks for two-dimensional ones (FL-bench), or for
    parameters and not buffers, separates weights from statistics. A counter of batches must not be averaged. A site is
    evaluated with its own statistics; an external site has none, and no score.
    """

    keeps: Kept = Kept.both

    @property
    def on(self) -> bool:
        """Yes."""
        return True

    @property
    def shares(self) -> bool:
        """No: the server's batch norms were never trained."""
        return False

    def private(self, layout: Layout) -> Tensor:
        """Marks of what stays; refuses a network without batch norm."""
        if not layout.norms:
            raise Refused(
                f"personal=fedbn: the network ({', '.join(layout.names)}) has no batch norm layer, so nothing would "
                "stay at the sites. Use net=mlpbn, or personal=none."
            )
        affine = layout.marks({f"{norm}.{kind}".lstrip(".") for norm in layout.norms for kind in ("weight", "bias")})
        return {Kept.both: affine | layout.statistics, Kept.statistics: layout.statistics, Kept.affine: affine}[
            self.keeps
        ]
