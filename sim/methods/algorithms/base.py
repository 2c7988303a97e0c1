"""FedAvg, and the hooks by which other methods differ from it.

McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from sim.arrays import Ints
from sim.lazy import Tensor
from sim.methods.contract import Correction, Gradient, Heard, Local, Message, Role, State
from sim.tasks.task import Batch, Task


@dataclass
class Method:
    """One entry of the `algorithm` config group: a federated algorithm, or a method with a loop of its own."""

    exchanges: ClassVar[bool] = True  # whether sites and server exchange messages
    trains: ClassVar[bool] = True  # whether sites take local steps, so that the `local` settings apply


@dataclass
class Algorithm(Role, Method):
    """FedAvg: sites train separately from the server's model, and the server applies the mean of their changes.

    Source: McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017.
    Rule: site k takes K_k steps `y <- y - lr g_k(y)` from `y = x`; `x <- x + sum p_k (y_k - x)`.
    Values: the paper uses 1, 5 and 20 epochs, batches of 10, 50 and all rows, and a tenth of the clients per round;
    `system.sites=0` lets all hospitals take part.
    Pitfalls: if the sites' optima differ, more than one local step converges to a point other than the pooled optimum;
    a certificate has its closed form. The weights p_k are those of the sites that answered in the round, by their
    training rows. If batch-norm statistics are left out of the mean, FedAvg silently becomes FedBN (PFLlib issue 260,
    FedScale issue 57).
    """

    axis = "algorithm"

    sends: ClassVar[Mapping[str, str]] = {"delta": "P"}  # parts of the message by shape, "P" or ""
    batches: ClassVar[int] = 1  # batches that a local step draws
    in_time: ClassVar[bool] = False  # every upload must be used in its own round: no buffered server
    whole_uploads: ClassVar[bool] = False  # `server` reads single uploads from `Heard.each`, not only their mean
    every_site: ClassVar[bool] = False  # every site that trains must be heard in every update
    prelude: ClassVar[Mapping[str, str]] = {}  # parts of what `before` sends, by shape, "P" or ""
    local: ClassVar[Mapping[str, int]] = {}  # settings of the `local` group that the method fixes
    plain_steps: ClassVar[bool] = False  # local steps are those of SGD without momentum
    class_counts: ClassVar[bool] = False  # sites need `Local.counts`
    alone: ClassVar[Mapping[str, str]] = {}  # axis that must stay at its neutral value -> why

    def fits(self, task: Task) -> None:
        """Refuse a task or a network that the method cannot train."""

    def steps(self, planned: Ints, seed: int, round: int) -> Ints:
        """Local steps of every site in a round, given those of the settings; [S] -> [S]. Used by `system=sync`."""
        return planned

    def before(self, at: Local) -> Message:
        """What each site sends before its local steps (all of `prelude`); the mean is returned in `at.server`."""
        return {}

    @property
    def adaptation_rate(self) -> float:
        """Learning rate of the single step with which sites adapt the shared model before evaluation; 0 = no step."""
        return 0.0

    def begin(self, at: Local) -> Tensor:
        """Initial values of what local steps update: the model, [C, P], or also additional values, [C, P + ...]."""
        return at.start

    def correction(self, at: Local) -> Correction:
        """What is added to every gradient of the round."""
        return Correction()

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        """Direction of one local step, in the shape of `begin`. Methods whose step is not affine in w override this."""
        return c.added(grad(w), w)

    def objective(self, task: Task, v: Tensor, batch: Batch, at: Local) -> Tensor:
        """What one site minimises on a batch, without weight decay; [P] -> scalar. `at` is that of one site, [P]."""
        return task.loss(v, batch)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """What each site sends (all of `sends`) and keeps (all of `site_state`) after its local steps; w as `begin`."""
        return {"delta": w - at.x}, {}

    def weights(self, base: Tensor, state: State) -> Tensor:
        """Unnormalised weight of each site in the mean of a round, given that of the experiment; [S] -> [S]."""
        return base

    def weigh(self, heard: Heard, state: State) -> Tensor:
        """Factor of each upload in the sum that replaces the mean; float64 [M]. Used if `whole_uploads` is set.

        `heard` has the single uploads, and no mean yet. A rule other than `heard.p` returns a new tensor.
        """
        return heard.p

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """Step of the server model [P] and the new server state."""
        return heard.mean["delta"], {}

    def deployed(self, x: Tensor, state: State) -> Tensor:
        """The model that is evaluated and saved, given the server's model and state after an update; [P] -> [P]."""
        return x
