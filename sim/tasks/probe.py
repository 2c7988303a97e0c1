"""Checks whether the engine can train a network, by passing a few artificial rows through it before training.

A site's batch is padded with copies of its rows, sites train together, and every random number is keyed. The output for
a row must therefore depend only on this row, and on nothing that is drawn while the network runs.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.func import grad, vmap
from torch.utils._python_dispatch import TorchDispatchMode

from sim.checks import Refused
from sim.tasks.layout import call
from sim.tasks.task import Task
from sim.tasks.traced import traced

ROWS, KEPT = 8, 3  # made-up rows, and those of them that stay while the others change
NEAR = 1e-3  # relative difference that rounding in single precision explains

_passed: WeakKeyDictionary[Task, set[tuple[int, torch.dtype]]] = WeakKeyDictionary()  # features, precision


class Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records every operation that draws random numbers from torch's generator."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: set[str] = set()

    def __torch_dispatch__(
        self, op: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Carry the operation out. Attention bears the mark even where it drops nothing; outputs tell it apart."""
        if torch.Tag.nondeterministic_seeded in op.tags and "attention" not in op.name():
            self.found.add(op.name())
        return op(*args, **(kwargs or {}))


def shapes(task: Task, features: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Parameters near the start and rows that the network takes, and what it gives; [P], [ROWS, D], [ROWS, K].

    Refuses a network that does not accept this number of features, or whose output has the wrong shape for the task.
    """
    g, name = torch.Generator().manual_seed(0), type(task.module).__name__
    start = task.init(0)
    # Off the start: a last layer that begins at zero would hide all that comes before it.
    v = (start + 0.1 * torch.randn(start.shape, generator=g, dtype=start.dtype)).to(dtype)
    x = torch.randn(ROWS, features, generator=g, dtype=torch.float64).to(dtype)
    try:
        output: object = call(task.module, task.layout, v, x)
    except Exception as error:
        raise Refused(
            f"{name} does not take rows of {features} features in {dtype}: {first_line(error)}. Build it for "
            f"{features} inputs."
        ) from error
    if not isinstance(output, Tensor) or output.dim() < 2 or len(output) != ROWS:
        found = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise Refused(f"{name} gives {found} for {ROWS} rows; {type(task).__name__} needs [{ROWS}, {wanted(task)}].")
    if task.outputs is not None and list(output.shape[1:]) != [task.outputs]:
        raise Refused(
            f"{name} gives {list(output.shape)} for {ROWS} rows; {type(task).__name__} needs [{ROWS}, {wanted(task)}]."
        )
    if output.dtype != dtype:
        raise Refused(
            f"{name} gives {output.dtype} for features in {dtype}: keep its output in the precision of its input."
        )
    return v, x, output


def probe(task: Task, features: int, dtype: torch.dtype) -> None:
    """Refuse a network that mixes rows, draws random numbers, or cannot be trained at several sites at a time.

    A task that has passed is not sent through again: the cells of a sweep share theirs.
    """
    passed = _passed.setdefault(task, set())
    if (features, dtype) in passed:
        return
    v, x, output = shapes(task, features, dtype)
    same_in_training(task, v, x, output)
    together(task, v, x)
    own_rows(task, v, x, output)
    passed.add((features, dtype))


def same_in_training(task: Task, v: Tensor, x: Tensor, output: Tensor) -> None:
    """Refuse a module whose training mode differs from its evaluation mode, or is random."""
    training, draws = deepcopy(task.module).train(), Draws()
    with torch.random.fork_rng(devices=[]), torch.no_grad(), draws:
        try:
            there: Tensor | None = call(training, task.layout, v, x)
        except Exception:  # such as a normalisation that wants other rows: it is refused as it would be below
            there = None
        again = call(task.module, task.layout, v, x)
    if draws.found or there is None or not near(there, output) or not near(again, output):
        chances = [(type(part).__name__, getattr(part, "p", None)) for part in task.module.modules()]
        noisy = [f"{name}(p={p:g})" for name, p in chances if isinstance(p, float)]
        raise Refused(
            f"{type(task.module).__name__} behaves differently in training and in use, or draws random numbers "
            f"({', '.join(noisy) or 'see its forward'}). Noise between layers is not supported, because local steps "
            "must be the same whichever process computes them. Remove Dropout or set p=0; local.weight_decay, a "
            "smaller network or fewer rounds also reduce overfitting."
        )


def own_rows(task: Task, v: Tensor, x: Tensor, output: Tensor) -> None:
    """Refuse a module in which the output of a row depends on the other rows, or on how many there are."""
    other = torch.cat([x[:KEPT], 10 * x[KEPT:].flip(0) + 1])
    try:
        changed = call(task.module, task.layout, v, other)[:KEPT]
        alone = call(task.module, task.layout, v, x[:1])
        mixes = not near(changed, output[:KEPT]) or not near(alone, output[:1])
    except Exception:
        mixes = True
    if mixes:
        names = sorted({type(part).__name__ for part in task.module.modules() if "BatchNorm" in type(part).__name__})
        raise Refused(
            f"{type(task.module).__name__} mixes rows: its output for a patient depends on the other patients in the "
            "batch"
            f"{' (' + ', '.join(names) + ')' if names else ''}. Batches are padded with copies of rows, and a "
            "prediction must be that of one patient. Normalise within a row: LayerNorm or GroupNorm."
        )


def together(task: Task, v: Tensor, x: Tensor) -> None:
    """Refuse a module whose gradient cannot be taken for several sites at a time."""

    def total(v: Tensor, x: Tensor) -> Tensor:
        return call(task.module, task.layout, v, x).sum()

    try:
        traced(vmap(grad(total)), torch.stack([v, v]), torch.stack([x, x]))
    except Exception as error:
        raise Refused(
            f"{type(task.module).__name__} cannot be trained at several sites at a time: {first_line(error)} Its "
            "forward must not branch on values, call .item() or numpy, or write into its input; use torch.where."
        ) from error


def near(one: Tensor, other: Tensor) -> bool:
    """Equal to rounding."""
    if one.shape != other.shape:
        return False
    scale = float(other.abs().max()) if other.numel() else 0.0
    return bool(torch.allclose(one, other, rtol=NEAR, atol=NEAR * scale, equal_nan=True))


def wanted(task: Task) -> str:
    """The task's outputs as text."""
    return "outputs" if task.outputs is None else str(task.outputs)


def first_line(error: Exception) -> str:
    """The first line of an error, without torch's advice."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
