"""FedBN and SiloBN: batch norm layers that stay at a site."""

from dataclasses import dataclass
from enum import Enum

from sim.checks import Refused
from sim.lazy import Tensor
from sim.methods.personal.base import Parted, Unseen
from sim.tasks.layout import Layout


class Kept(Enum):
    """Which part of every batch norm layer stays at the site."""

    both = "both"  # weight, bias and running statistics: FedBN
    statistics = "statistics"  # the running statistics; weight and bias are shared: SiloBN
    affine = "affine"  # weight and bias; the running statistics are averaged


@dataclass
class FedBN(Parted):
    """Each site keeps its own batch norms and shares everything else, for sites that measure on different scales.

    Source: Li et al., FedBN: Federated Learning on Non-IID Features via Local Batch Normalization, ICLR 2021. With
    keeps=statistics it is SiloBN: Andreux et al., Siloed Federated Learning for Multi-Centric Histopathology Datasets,
    DART at MICCAI 2020. keeps=affine is ours, to separate the effects of the two parts.
    Rule: `(shared, norm_i) <- K_i steps of SGD on F_i(shared, norm_i)`; the server averages the shared part. Running
    statistics follow `r <- r + 0.1 (s - r)` with the mean and unbiased variance s of every batch.
    Values: none in the paper; net=mlpbn normalises every hidden layer.
    Pitfalls: a network without batch norm is FedAvg under another name, and is refused. Code that finds the layers by
    "bn" in their names finds none in a sequence (easyFL); code that looks for two-dimensional ones (FL-bench), or for
    parameters but not buffers, separates weights from statistics. A counter of batches must not be averaged. A site is
    evaluated with its own statistics.
    Unseen sites: an external site, and rows of no known site, use the mean of the sites' batch norms, weighted as in
    the server's mean, as the authors advise (med-air/FedBN, issue 9); sites that have not trained yet do not count.
    With unseen=own the running statistics are those of the site's own rows (the authors' other suggestion, and that of
    SiloBN and of Li et al., Revisiting Batch Normalization For Practical Domain Adaptation, 2016): at least two rows,
    all of them together, without outcomes. With noise at the server no mean is computed, because no epsilon covers it.
    """

    keeps: Kept = Kept.both
    unseen: Unseen = Unseen.average

    def __post_init__(self) -> None:
        if self.unseen is Unseen.own and self.keeps is Kept.affine:
            raise Refused(
                "personal.unseen=own: with keeps=affine the running statistics are shared, and a new site has those of "
                "all. Set personal.unseen=average, or keeps=both or statistics."
            )

    @property
    def newcomer(self) -> Unseen:
        """As set."""
        return self.unseen

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
