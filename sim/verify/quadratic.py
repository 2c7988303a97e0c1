"""Federations whose answer is known: every site's objective is a quadratic, written as least squares.

f_i(w) = 1/2 (w - b_i)' A_i (w - b_i) = mean over rows of 1/2 (x'w - y)^2,  X_i'X_i / n_i = A_i,  y = X_i b_i
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sim.federation.federation import Federation, from_arrays
from sim.random import stream
from sim.tasks.closed import Loss, closed_form
from sim.tasks.task import Task

Array = NDArray[np.float64]


class LeastSquares(Task):
    """Half the squared error of a linear map without intercept; the model is its weights, P = D."""

    outputs = 1

    def targets(self, y: Mapping[str, NDArray[np.generic]]) -> dict[str, Tensor]:
        """The value to predict; [R]."""
        return {"value": torch.from_numpy(y["value"])}

    @closed_form(Loss.squared)
    def row_loss(self, output: Tensor, y: dict[str, Tensor]) -> Tensor:
        """1/2 (x'w - y)^2; [B, 1] -> [B]."""
        return 0.5 * (output[:, 0] - y["value"]) ** 2


@functools.cache
def least_squares(features: int) -> LeastSquares:
    """The task in so many dimensions; one object, since the engine traces gradients once per task."""
    return LeastSquares(nn.Linear(features, 1, bias=False, device="meta"))


@dataclass(frozen=True)
class Quadratic:
    """One quadratic a site."""

    curvature: Array  # [S, D, D] A_i, symmetric positive definite
    centre: Array  # [S, D] b_i, the site's own optimum
    copies: NDArray[np.int64]  # [S] >= 1; site i has copies_i * D rows

    @property
    def rows(self) -> NDArray[np.int64]:
        """Training rows of each site, [S]."""
        return np.asarray(self.copies * self.centre.shape[1])

    @property
    def federation(self) -> Federation:
        """The rows. A Cholesky factor gives D of them; copying changes a site's weight and nothing else."""
        sites = {}
        for at, (a, b, copies) in enumerate(zip(self.curvature, self.centre, self.copies, strict=True)):
            x = np.tile(np.sqrt(len(b)) * np.linalg.cholesky(a).T, (copies, 1))
            sites[f"site {at:02d}"] = (x, {"value": x @ b})
        return from_arrays(sites)

    def gradient(self, site: int, w: Array) -> Array:
        """A_i (w - b_i); [D] -> [D]."""
        return np.asarray(self.curvature[site] @ (w - self.centre[site]))

    def optimum(self, p: Array) -> Array:
        """Where sum p_i f_i is least; p [S] -> [D]."""
        return blend(p[:, None, None] * self.curvature, self.centre)


def blend(matrices: Array, points: Array) -> Array:
    """(sum M_i)^-1 sum M_i b_i; [S, D, D], [S, D] -> [D]."""
    return np.asarray(np.linalg.solve(matrices.sum(0), np.einsum("sij,sj->i", matrices, points)))


@functools.cache
def two_sites() -> Quadratic:
    """A = (1, 4), b = (-1, 2), equal rows: the sites' optima are 3 apart and the pooled one is 1.4."""
    return Quadratic(np.array([[[1.0]], [[4.0]]]), np.array([[-1.0], [2.0]]), np.array([1, 1]))


@functools.cache
def six_sites(features: int = 5) -> Quadratic:
    """Random curvatures with eigenvalues in [0.5, 4], optima about 1 apart, row counts that differ by up to 3 times."""
    rng = stream(0, "verify")
    turn, _ = np.linalg.qr(rng.standard_normal((6, features, features)))
    curvature = turn * rng.uniform(0.5, 4.0, (6, 1, features)) @ turn.transpose(0, 2, 1)
    curvature = (curvature + curvature.transpose(0, 2, 1)) / 2
    return Quadratic(curvature, rng.standard_normal((6, features)), np.array([1, 3, 1, 2, 2, 1]))
