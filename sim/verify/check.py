"""A check holds one class against one theorem; a certificate is what came of it."""

import builtins
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

M = TypeVar("M")


@dataclass(frozen=True)
class Certificate:
    """One entry of an axis, one property, and how far the engine is from it."""

    axis: str
    method: str
    property: str
    error: float  # largest absolute difference; inf when the run broke off or left the numbers
    tolerance: float

    @builtins.property
    def passed(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance


@dataclass(frozen=True)
class Check(Generic[M]):
    """A property of every right implementation of a method M."""

    property: str
    error: Callable[[type[M]], float]  # largest absolute difference between the engine and the theorem
    tolerance: float = 1e-10  # the quantities are of order 1; float64 and some 1000 steps leave about 1e-13

    def certify(self, axis: str, method: str, entry: type[M]) -> Certificate:
        """Certificate of one class. Whatever goes wrong in the run is the class's failure, not the caller's."""
        try:
            with np.errstate(all="ignore"):
                error = self.error(entry)
        except Exception:
            error = math.inf
        return Certificate(axis, method, self.property, math.inf if math.isnan(error) else error, self.tolerance)


def certify(axis: str, method: str, entry: type[M], checks: Iterable[Check[M]]) -> Iterator[Certificate]:
    """Certificates of one entry of an axis; without any checks it fails, and says where they belong."""
    empty = True
    for check in checks:
        empty = False
        yield check.certify(axis, method, entry)
    if empty:
        remedy = (
            "has no certificate: prove it against a closed form in the CHECKS of sim/verify, or as an entry point of "
            "fedtrial.certificates"
        )
        yield Certificate(axis, method, remedy, math.inf, 0.0)
