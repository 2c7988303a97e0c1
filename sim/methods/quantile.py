"""Weighted medians of every coordinate over the uploads, to the bit, without putting all values in order.

A lower and an upper bound on the median of each coordinate close in on it; those of some coordinates move together. A
pass over their values adds up the weight below a guess. Two guesses of three lie on the line between the weights at the
bounds, and beyond the median by the error of a sample of so many values, so that the farther bound moves; the third one
halves what lies between, which ends the search whatever the values are. Halving is of whole numbers in the order of the
values, as a float's bits are sign and magnitude.
"""

import math

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats, Reals
from sim.jit import exact
from sim.lazy import Tensor, torch

WIDTH = 64  # coordinates at a time, whose values stay in a cache; a constant, for else the loops are no vector code
UNIT = 2.0**52  # what the weights add up to as whole numbers: doubles add them in any order without rounding
SLACK = 1e-9 * UNIT  # how near to one half a sum of weights counts as one half

Bits = NDArray[np.signedinteger]


def median(values: Tensor, p: Tensor) -> Tensor:
    """Weighted median of each column; [M, P] or [M], p [M] -> [P] or []."""
    found = weighted_medians(values.numpy().reshape(len(values), -1), p.double().numpy())
    return torch.from_numpy(found).reshape(values.shape[1:])


def weighted_medians(values: Reals, p: Floats) -> Reals:
    """Where half of the weight lies below; midway where a half ends between two values; [M, P], [M] -> [P].

    NaN count as larger than any number. An upload of weight zero is none.
    """
    bits = np.ascontiguousarray(values).view(f"i{values.itemsize}")
    count, kind, weights = bits.shape[1], bits.dtype, np.rint(p / p.sum() * UNIT)
    half, top = weights.sum() / 2, np.iinfo(kind).max
    infinite = kind.type(np.array(np.inf, values.dtype).view(kind).item())
    low, after, upto = np.empty(count + WIDTH, kind), np.empty(count + WIDTH, kind), np.empty(count + WIDTH)
    keys, bounds, mass = np.zeros((len(bits), WIDTH), kind), np.zeros((3, WIDTH), kind), np.zeros((3, WIDTH))
    real = np.empty((3, WIDTH), values.dtype)
    for start in range(0, count, WIDTH):
        some, width = slice(start, start + WIDTH), min(WIDTH, count - start)
        enter(bits, start, width, kind.type(top), infinite, keys)
        close_in(keys, weights, half - SLACK, width, kind.type(top), low[some], bounds, mass, real, real.view(kind))
        beyond(keys, weights, kind.type(top), low[some], after[some], upto[some])
    one, other = (turned(found[:count], top).view(values.dtype) for found in (low, after))
    return midway(one, np.where(upto[:count] <= half + SLACK, other, one))


def turned(bits: Bits, top: int) -> Bits:
    """The bits of floats as whole numbers in the order of floats, and back; `top` is the largest of these."""
    return np.where(bits < 0, bits ^ bits.dtype.type(top), bits)


def midway(one: Reals, other: Reals) -> Reals:
    """Midpoint of two numbers, which are not added where that would be beyond all numbers; [P], [P] -> [P]."""
    with np.errstate(over="ignore", invalid="ignore"):
        whole = (one + other) / 2
        return np.where(one == other, one, np.where(np.isfinite(whole), whole, one / 2 + other / 2))


@exact
def enter(part: Bits, start: int, width: int, top: np.signedinteger, infinite: np.signedinteger, keys: Bits) -> None:
    """Some coordinates of all uploads, as whole numbers in their order; NaN last."""
    for i in range(len(part)):
        for j in range(width):
            value = part[i, start + j]
            keys[i, j] = top if value & top > infinite else value ^ top if value < 0 else value


@exact
def close_in(
    keys: Bits,
    weights: Floats,
    need: float,
    width: int,
    top: np.signedinteger,
    low: Bits,
    bounds: Bits,
    mass: Floats,
    real: Reals,
    bits: Bits,
) -> None:
    """The lower bounds are raised to the smallest values at or below which lies the weight `need`."""
    high, guess, spare = bounds[0], bounds[1], bounds[2]
    under, upto, below = mass[0], mass[1], mass[2]  # weight below the lower bound, up to the upper one, below the guess
    whole, number = weights.sum(), 0
    each = whole / len(weights)
    for j in range(WIDTH):
        low[j], high[j], under[j], upto[j] = -top - 1, top, 0.0, whole
    while True:
        far = False
        for j in range(width):
            far |= low[j] < high[j] and upto[j] - under[j] > 2 * each
        if number % 6 == 0 or not far:
            tighten(keys, low, high, guess, spare)
            apart = False
            for j in range(width):
                apart |= low[j] < high[j]
            if not apart:
                return
        for j in range(width):
            bits[0, j] = low[j] ^ top if low[j] < 0 else low[j]
            bits[1, j] = high[j] ^ top if high[j] < 0 else high[j]
        for j in range(width):
            one = each / max(upto[j] - under[j], each)  # share of one upload in what lies between the bounds
            share = ((need - under[j]) / each - 0.5) * one
            share += math.copysign(math.sqrt(one) / 2, 0.5 - share)
            real[2, j] = real[0, j] + share * (np.float64(real[1, j]) - real[0, j])
        for j in range(width):
            guess[j] = bits[2, j] ^ top if bits[2, j] < 0 else bits[2, j]
            if number % 3 == 2 or not low[j] < guess[j] <= high[j]:
                guess[j] = (low[j] | high[j]) - ((low[j] ^ high[j]) >> 1)  # halfway, rounded up
        weigh(keys, weights, guess, below)
        for j in range(width):
            if low[j] < high[j] and below[j] < need:
                low[j], under[j] = guess[j], below[j]
            elif low[j] < high[j]:
                high[j], upto[j] = guess[j] - 1, below[j]
        number += 1


@exact
def weigh(keys: Bits, weights: Floats, guess: Bits, below: Floats) -> None:
    """Weight below a guess in every coordinate."""
    for j in range(WIDTH):
        below[j] = 0.0
    for i in range(len(keys)):
        weight = weights[i]
        for j in range(WIDTH):
            below[j] += weight if keys[i, j] < guess[j] else 0.0


@exact
def tighten(keys: Bits, low: Bits, high: Bits, least: Bits, most: Bits) -> None:
    """Move either bound to the nearest value between them."""
    for j in range(WIDTH):
        least[j], most[j] = high[j], low[j]
    for i in range(len(keys)):
        for j in range(WIDTH):
            above = keys[i, j] if keys[i, j] >= low[j] else high[j]
            least[j] = above if above < least[j] else least[j]
            under = keys[i, j] if keys[i, j] <= high[j] else low[j]
            most[j] = under if under > most[j] else most[j]
    for j in range(WIDTH):
        low[j], high[j] = least[j], most[j]


@exact
def beyond(keys: Bits, weights: Floats, top: np.signedinteger, value: Bits, after: Bits, upto: Floats) -> None:
    """Weight up to a value of every coordinate, and the next one that has weight."""
    for j in range(WIDTH):
        after[j], upto[j] = top, 0.0
    for i in range(len(keys)):
        weight = weights[i]
        if weight > 0:
            for j in range(WIDTH):
                upto[j] += weight if keys[i, j] <= value[j] else 0.0
                above = keys[i, j] if keys[i, j] > value[j] else top
                after[j] = above if above < after[j] else after[j]
