"""Rules that bound the influence of one upload: norm bounding and centred clipping."""

from dataclasses import dataclass

from sim.checks import within
from sim.lazy import Tensor, torch
from sim.methods.aggregators.base import Aggregator, Combined, weighted_mean
from sim.methods.contract import Draw, Message, State
from sim.methods.distances import vectors
from sim.methods.quantile import median
from sim.methods.shorten import shortening
from sim.methods.sums import lengths, summed


@dataclass
class NormBound(Aggregator):
    """The weighted mean of uploads whose norms are limited to a common bound.

    Source: Sun, Kairouz, Suresh, McMahan, Can You Really Backdoor Federated Learning?, arXiv 1911.07963, 2019.
    Rule: `u_i <- u_i min(1, M / |u_i|)`, then `sum p_i u_i`; norms over all vectors of the message end to end.
    Values: `bound` M > 0 in units of the model's parameters; 0 = the median of the norms of this update.
    Pitfalls: it bounds the norm and not the direction, so many attackers, or persistent ones, can still change the
    model. A fixed bound soon becomes too large, because updates shrink during training. The paper's noise is not added
    here.
    """

    bound: float = 0.0  # >= 0; 0 = the median norm of the update's uploads

    def __post_init__(self) -> None:
        within("aggregator.bound", self.bound, 0)

    def aggregate(self, sent: Message, p: Tensor, state: State, draw: Draw) -> Combined:
        """The mean, and by how much each upload was shortened; scalars stay as they are."""
        norm = lengths(vectors(sent))
        bound = self.bound or float(median(norm, torch.ones_like(norm) / len(norm)))
        scale = shortening(norm, bound)
        mean = {name: weighted_mean(part, p.double() * scale if part.dim() == 2 else p) for name, part in sent.items()}
        return Combined(mean, scale)


@dataclass
class CentredClip(Aggregator):
    """The last aggregate, moved by uploads whose distance from it is clipped. All sites have the same weight.

    Source: Karimireddy, He, Jaggi, Learning from History for Byzantine Robust Optimization, ICML 2021; buckets:
    Karimireddy, He, Jaggi, Byzantine-Robust Learning on Heterogeneous Datasets via Bucketing, ICLR 2022, Algorithm 1.
    Rule: from the last aggregate v (0 at the start), `iterations` times `v <- v + mean_i (u_i - v) min(1, tau / |u_i -
    v|)`. With `bucket` s > 1 the u_i are means of s uploads each, drawn anew in every round; the last bucket may be
    smaller.
    Values: `tau` 10 for gradients with momentum in the paper [M]; here the uploads are changes of models, so it should
    be close to their distance from each other (`step_norm` of a run without attack shows the scale). One to three
    iterations; `bucket` 2 if sites differ.
    Pitfalls: it relies on small variance over time: in the papers sites use momentum across rounds (`local.momentum`
    restarts in each round and does not replace it). Starting from 0 instead of v discards the history. Buckets reduce
    the number of votes, so f attackers can affect up to f of M / s buckets.
    """

    equal = True
    server_state = {"centre": "P"}

    tau: float = 1.0  # > 0, in units of the model's parameters
    iterations: int = 1  # >= 1
    bucket: int = 1  # >= 1 uploads that are averaged before clipping

    def __post_init__(self) -> None:
        within("aggregator.tau", self.tau, 0, open_low=True)
        within("aggregator.iterations", self.iterations, 1, 1000)
        within("aggregator.bucket", self.bucket, 1)

    def aggregate(self, sent: Message, p: Tensor, state: State, draw: Draw) -> Combined:
        """The new centre, which is kept; scalars are averaged. `used` is the factor of the last iteration."""
        bucket = buckets(draw, len(p), self.bucket)
        names = [name for name, part in sent.items() if part.dim() == 2]
        parts = [sent[name] if self.bucket == 1 else bucket_means(sent[name].double(), bucket) for name in names]
        centres, scale = [state[f"{name}.centre"].double() for name in names], torch.ones(0)
        for _ in range(self.iterations):
            scale = shortening(lengths(parts, centres), self.tau)
            pulled = [summed(part, scale) / len(scale) for part in parts]  # of which the centre's own share is taken
            centres = [v + one - scale.mean() * v for v, one in zip(centres, pulled, strict=True)]
        mean = {name: part.double().mean(0).to(part.dtype) for name, part in sent.items() if part.dim() == 1}
        moved = {name: centre.to(sent[name].dtype) for name, centre in zip(names, centres, strict=True)}
        kept = {f"{name}.centre": centre for name, centre in moved.items()}
        return Combined(mean | moved, scale[bucket], kept)


def buckets(draw: Draw, uploads: int, size: int) -> Tensor:
    """Number of each upload's bucket of `size`, at random; int [M]."""
    if size == 1:
        return torch.arange(uploads)
    return draw("bucket")[:, 0].argsort().argsort() // size


def bucket_means(part: Tensor, bucket: Tensor) -> Tensor:
    """Mean of every bucket; [M, P], int [M] -> [B, P]."""
    total = torch.zeros(int(bucket.max()) + 1, part.shape[1], dtype=part.dtype).index_add_(0, bucket, part)
    return total / bucket.bincount().to(part.dtype)[:, None]
