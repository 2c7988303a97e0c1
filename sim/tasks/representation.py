"""The representation of a row: what the last layer of a network is given."""

from __future__ import annotations

from sim.lazy import Tensor, torch
from sim.tasks.layout import frozen
from sim.tasks.task import Task


def body(module: torch.nn.Module) -> tuple[str, torch.nn.Sequential] | None:
    """All layers of a network except the last, and their names in it; None if there is no such part.

    A network has one if it is a sequence of layers that ends in a linear one and has parameters before it.
    """
    from sim.tasks.proportional import Proportional

    prefix, network = ("net.", module.net) if isinstance(module, Proportional) else ("", module)
    if not isinstance(network, torch.nn.Sequential) or len(network) < 2 or not isinstance(network[-1], torch.nn.Linear):
        return None
    layers = torch.nn.Sequential(*list(network)[:-1])
    return (prefix, layers) if list(layers.parameters()) else None


def represent(task: Task, v: Tensor, x: Tensor) -> Tensor:
    """Representation of every row under the parameters in `v`; [P], [B, D] -> [B, H]."""
    found = body(task.module)
    assert found is not None
    prefix, layers = found
    held = {**{name: part.to(v.dtype) for name, part in frozen(task.module).items()}, **task.layout.unpack(v)}
    names = [name for name, _ in layers.named_parameters()]
    z: Tensor = torch.func.functional_call(layers, {name: held[prefix + name] for name in names}, (x,))
    return z.flatten(1)
