"""pfl-research's simulator, one process or several under torchrun.  pfl_research.py FILE ROUNDS

Set up as its guide "Fast distributed simulations" asks: rows in memory as `pfl.data.dataset.Dataset`, torchrun for
more than one process. It caches each site's batches and so walks them in the same order in every round, which spares it
the shuffle that all others do.
"""

import sys

import torch
from byhand import BATCH, LR, load
from marks import Marks
from pfl.aggregate.simulate import SimulatedBackend
from pfl.aggregate.weighting import WeightByDatapoints
from pfl.algorithm.base import NNAlgorithmParams
from pfl.algorithm.federated_averaging import FederatedAveraging
from pfl.callback.base import TrainingProcessCallback
from pfl.data.dataset import Dataset
from pfl.data.federated_dataset import FederatedDataset
from pfl.data.sampling import get_user_sampler
from pfl.hyperparam import NNEvalHyperParams, NNTrainHyperParams
from pfl.internal.ops.selector import get_framework_module
from pfl.metrics import Metrics, Weighted
from pfl.model.pytorch import PyTorchModel
from torch import Tensor, nn
from torch.nn.functional import cross_entropy


class Net(nn.Module):
    """The network with the two methods that pfl calls."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def loss(self, x: Tensor, y: Tensor, eval: bool = False) -> Tensor:
        return cross_entropy(self.net(x), y)

    def metrics(self, x: Tensor, y: Tensor) -> dict[str, Weighted]:
        return {"loss": Weighted(float(self.loss(x, y)) * len(y), len(y))}


class Score(TrainingProcessCallback):
    """Scores the model after each round; the first process tells."""

    def __init__(self, file: str, net: nn.Module, rounds: int) -> None:
        self.work, self.net, self.last, self.marks = load(file), net, rounds - 1, Marks()
        self.tells = get_framework_module().distributed.global_rank == 0

    def after_central_iteration(
        self, aggregate_metrics: Metrics, model: PyTorchModel, *, central_iteration: int
    ) -> tuple[bool, Metrics]:
        right = self.work.accuracy(self.net)
        if self.tells:
            self.marks.round(right)
        if central_iteration == self.last:
            self.marks.stay()
        return False, Metrics()


def main() -> None:
    file, rounds = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(1)
    work = load(file)
    net = Net(work.network())
    model = PyTorchModel(
        net,
        local_optimizer_create=torch.optim.SGD,
        central_optimizer=torch.optim.SGD(net.parameters(), lr=1.0),
    )
    users = {site: Dataset(rows, user_id=str(site)) for site, rows in enumerate(work.sites())}
    weights = {site: int(rows) for site, rows in enumerate(work.rows)}
    uneven = weights if len(set(weights.values())) > 1 else None  # pfl's scheduling, for sites of different sizes
    data = FederatedDataset(users.__getitem__, get_user_sampler("minimize_reuse", list(users)), uneven)
    FederatedAveraging().run(
        algorithm_params=NNAlgorithmParams(
            central_num_iterations=rounds,
            evaluation_frequency=10**6,  # its own evaluation at the sites: before the first round only
            train_cohort_size=len(users),
            val_cohort_size=0,
        ),
        backend=SimulatedBackend(training_data=data, val_data=None, postprocessors=[WeightByDatapoints()]),
        model=model,
        model_train_params=NNTrainHyperParams(local_num_epochs=1, local_learning_rate=LR, local_batch_size=BATCH),
        model_eval_params=NNEvalHyperParams(local_batch_size=None),
        callbacks=[Score(file, net.net, rounds)],
        send_metrics_to_platform=False,
    )


if __name__ == "__main__":
    main()
