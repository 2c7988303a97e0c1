"""Losses whose gradient is written out by hand, and the mark that says a task has one of them."""

from collections.abc import Callable
from enum import IntEnum
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Loss(IntEnum):
    """Loss of a row, from the outputs z of a network; columns of the target in the order of `Task.targets`."""

    squared = 0  # 1/2 (z - value)^2
    logistic = 1  # cross-entropy of a label 0 or 1
    softmax = 2  # cross-entropy of a class number
    hazard = 3  # sum over time bins, from `survived` and `failed`: see sim.tasks.hazard


def closed_form(loss: Loss) -> Callable[[F], F]:
    """Mark of a `row_loss` that computes just this loss; a subclass that writes its own has no mark."""

    def mark(row_loss: F) -> F:
        row_loss.closed_form = loss  # type: ignore[attr-defined]
        return row_loss

    return mark


def loss_of(row_loss: Callable[..., Any]) -> Loss | None:
    """The loss that a `row_loss` is marked with, or None."""
    return getattr(row_loss, "closed_form", None)
