"""FedAvg, and the places where other methods depart from it.

McMahan et al., Communication-Efficient Learning of Deep Networks from Decentralized Data, AISTATS 2017.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from sim.lazy import Tensor
from sim.methods.contract import Correction, Gradient, Heard, Local, Message, Role, State
from sim.tasks.task import Batch, Task


@dataclass
class Method:
    """One entry of the `algorithm` config group: a federated algorithm, or a method with a loop of its own."""

    exchanges: ClassVar[bool] = True  # whether sites and server exchange messages: what axes, bytes and clock are about


@dataclass
class Algorithm(Role, Method):
    """FedAvg: sites train alone from the server's model, the server moves by their mean."""

    axis = "algorithm"

    sends: ClassVar[Mapping[str, str]] = {"delta": "P"}  # parts of the message by shape, "P" or ""
    batches: ClassVar[int] = 1  # batches that a local step draws
    in_time: ClassVar[bool] = False  # every upload must count in the round it was asked for: no buffered server
    whole_uploads: ClassVar[bool] = False  # `server` reads single uploads from `Heard.each`, not their mean alone

    def correction(self, at: Local) -> Correction:
        """What is added to every gradient of the round."""
        return Correction()

    def direction(self, grad: Gradient, w: Tensor, at: Local, c: Correction) -> Tensor:
        """Direction of one local step; [C, P]. Methods whose step is not affine in w override this."""
        return c.added(grad(w), w)

    def objective(self, task: Task, v: Tensor, batch: Batch, at: Local) -> Tensor:
        """What one site minimises on a batch, its weight decay aside; [P] -> scalar. `at` is that of one site, [P]."""
        return task.loss(v, batch)

    def upload(self, w: Tensor, at: Local) -> tuple[Message, State]:
        """What each site sends (all of `sends`) and keeps (all of `site_state`) after its local steps; w [C, P]."""
        return {"delta": w - at.x}, {}

    def weights(self, base: Tensor, state: State) -> Tensor:
        """Unnormalised weight of each site in the mean of a round, from that of the experiment; [S] -> [S]."""
        return base

    def server(self, heard: Heard, state: State) -> tuple[Tensor, State]:
        """Step of the server model [P] and the new server state."""
        return heard.mean["delta"], {}
