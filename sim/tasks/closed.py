"""Losses with a hand-written gradient, and the decorator by which a task declares that it has one of them."""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Loss(IntEnum):
    """Loss of a row, from the outputs z of a network; its targets are columns in the order of `Task.targets`."""

    squared = 0  # 1/2 (z - value)^2
    logistic = 1  # cross-entropy of a label 0 or 1
    softmax = 2  # cross-entropy of a class number
    hazard = 3  # sum over time bins, from `survived` and `failed`: see sim.tasks.hazard


def closed_form(loss: Loss) -> Callable[[F], F]:
    """Decorator that marks a `row_loss` as computing exactly this loss; a subclass that overrides it has no mark."""

    def mark(row_loss: F) -> F:
        row_loss.closed_form = loss  # type: ignore[attr-defined]
        return row_loss

    return mark


def loss_of(row_loss: Callable[..., Any]) -> Loss | None:
    """Loss with which a `row_loss` is marked, or None."""
    return getattr(row_loss, "closed_form", None)
