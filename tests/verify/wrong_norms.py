"""Known wrong implementations of batch norms at home."""

import torch

from sim.methods.personal.base import Unseen
from sim.methods.personal.fedbn import FedBN, Kept
from tests.verify.wrong import wrong


@wrong("fedbn")
class ByName(FedBN):
    """Layers are found by "bn" in their names, of which a sequence has none: easyFL, and FedAvg under another name."""

    def private(self, layout):
        super().private(layout)
        return layout.marks({name for name in layout.names if "bn" in name.lower()})


@wrong("fedbn")
class OfImages(FedBN):
    """Weights of two-dimensional batch norms alone stay, so that those of a table's network travel: FL-bench."""

    def private(self, layout):
        super().private(layout)
        return layout.statistics


@wrong("fedbn")
class ParametersOnly(FedBN):
    """Weights and biases stay, the buffers are averaged."""

    def private(self, layout):
        return FedBN(keeps=Kept.affine).private(layout)


@wrong("fedbn")
class WholeLayer(FedBN):
    """Everything stays, whichever part was asked for."""

    def private(self, layout):
        return FedBN().private(layout)


@wrong("fedbn")
class OthersStatistics(FedBN):
    """Sites are judged under the server's batch norms, not their own."""

    def deployed(self, x, own, private):
        return x.expand_as(own)


@wrong("fedbn")
class Downloads(FedBN):
    """The server's batch norms replace the site's at every download."""

    def received(self, x, own, private):
        return x


@wrong("fedbn")
class NoNewcomers(FedBN):
    """A site that never trained has no batch norms, and no score."""

    @property
    def newcomer(self):
        return None


@wrong("fedbn")
class OthersRows(FedBN):
    """A new site never reads its own rows, whichever statistics were asked for."""

    @property
    def newcomer(self):
        return Unseen.average


@wrong("fedbn")
class TakesAnyNetwork(FedBN):
    """A network without batch norm is trained all the same: PFLlib issue 22."""

    def private(self, layout):
        return super().private(layout) if layout.norms else torch.zeros(layout.size, dtype=torch.bool)
