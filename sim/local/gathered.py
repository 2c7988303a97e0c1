"""Vector instructions for one layer on rows that are read in place: outputs, gradient, and the logistic function.

Panels of LANES numbers cover a row of D >= LANES numbers without reading beyond it: all begin at a multiple of LANES
but the last, which ends with the row. What it has in common with the one before is left out.
"""

import math
from typing import Any

from llvmlite import ir
from numba import types

from sim.jit import instruction
from sim.local.tiles import LANES, ROWS, WORD, Tile, data

# By the bytes of a number:
TERMS = {4: 7, 8: 13}  # of exp's series for |x| <= log(2) / 2, right to one unit in the last place
MANTISSA = {4: 23, 8: 52}  # bits of a number's fraction
LOG2 = {
    4: (0.6931471824645996, -1.904654323148236e-09),
    8: (0.6931471805599453, 2.3190468138462996e-17),
}  # and the rest
LARGEST = {4: 87.0, 8: 708.0}  # exp of which, and of its negative, is a normal number


class Panel:
    """The panel of a row that would begin at `at`: it begins at `first`, and lanes before `at` count for nothing."""

    def __init__(self, tile: Tile, at: Any, size: Any) -> None:
        builder, lane = tile.builder, ir.IntType(32)
        last = builder.sub(size, number(LANES))
        self.tile, self.first = tile, builder.select(builder.icmp_signed("<", at, last), at, last)
        before = builder.trunc(builder.sub(at, self.first), lane)
        kind = ir.VectorType(lane, LANES)
        alone = builder.insert_element(ir.Constant(kind, ir.Undefined), before, lane(0))
        every = builder.shuffle_vector(alone, alone, ir.Constant(kind, [0] * LANES))
        self.counts = builder.icmp_signed(">=", ir.Constant(kind, list(range(LANES))), every)

    def own(self, values: Any) -> Any:
        """Values of the lanes that count, zero in the others."""
        return self.tile.builder.select(self.counts, values, self.tile.zero)


@instruction
def difference(context: Any, u: Any, w: Any, more: Any, less: Any, at: Any) -> Any:
    """u[at : at + LANES] = w[more + at] - w[less + at], and so on; w[more + at] alone if less < 0."""
    n = types.int64
    signature = types.void(u, w, n, n, n)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        u_, w_, more, less, at = arguments
        tile = Tile(context, builder, u.dtype)
        u_, w_ = (data(context, builder, kind, one) for kind, one in ((u, u_), (w, w_)))
        one = tile.load(w_, builder.add(more, at))
        alone = builder.icmp_signed("<", less, number(0))
        other = tile.load(w_, builder.add(builder.select(alone, more, less), at))
        other = builder.select(alone, tile.zero, other)
        builder.store(builder.fsub(one, other), tile.pointer(u_, at), align=tile.bytes)
        return context.get_dummy_value()

    return signature, emit


@instruction
def dots(context: Any, z: Any, z0: Any, x: Any, places: Any, w: Any, size: Any) -> Any:
    """z[z0 + i] = sum over j < size of x[places[z0 + i] + j] w[j], i < 4; x flat."""
    signature = types.void(z, types.int64, x, places, w, types.int64)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        z_, z0, x_, places_, w_, size = arguments
        tile = Tile(context, builder, z.dtype)
        z_, x_, places_, w_ = (
            data(context, builder, kind, one) for kind, one in ((z, z_), (x, x_), (places, places_), (w, w_))
        )
        rows = [builder.load(builder.gep(places_, [tile.index(z0, i, 1)])) for i in map(number, range(ROWS))]

        def terms(at: Any) -> list[Any]:
            panel = Panel(tile, at, size)
            right = panel.own(tile.load(w_, panel.first))
            return [(tile.load(x_, builder.add(row, panel.first)), right) for row in rows]

        for i, total in enumerate(tile.sums(size, LANES, terms)):
            builder.store(tile.folded(total), builder.gep(z_, [tile.index(z0, number(i), 1)]))
        return context.get_dummy_value()

    return signature, emit


@instruction
def weigh(context: Any, w: Any, more: Any, less: Any, at: Any, x: Any, places: Any, d: Any, rows: Any, size: Any,
          scale: Any) -> Any:  # fmt: skip
    """w[more + at + j] += scale * sum over i < rows of d[i] x[places[i] + at + j], j < LANES; rows in fours.

    The same is taken from w[less + at + j], unless less < 0. Numbers from `size` on stay as they are.
    """
    n = types.int64
    signature = types.void(w, n, n, n, x, places, d, n, n, w.dtype)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        w_, more, less, at, x_, places_, d_, rows, size, scale = arguments
        tile = Tile(context, builder, w.dtype)
        w_, x_, places_, d_ = (
            data(context, builder, kind, one) for kind, one in ((w, w_), (x, x_), (places, places_), (d, d_))
        )
        panel = Panel(tile, at, size)

        def terms(row: Any) -> list[Any]:
            found = []
            for i in map(number, range(ROWS)):
                here = builder.add(row, i)
                place = builder.add(builder.load(builder.gep(places_, [here])), panel.first)
                found.append((tile.load(x_, place), tile.spread(builder.load(builder.gep(d_, [here])))))
            return found

        one, two, three, four = tile.sums(rows, ROWS, terms)
        total = panel.own(builder.fadd(builder.fadd(one, two), builder.fadd(three, four)))
        scale = tile.spread(scale)
        place = tile.pointer(w_, builder.add(more, panel.first))
        builder.store(
            builder.call(tile.fma, [scale, total, builder.load(place, align=tile.bytes)]), place, align=tile.bytes
        )
        with builder.if_then(builder.icmp_signed(">=", less, number(0))):
            place = tile.pointer(w_, builder.add(less, panel.first))
            old, back = builder.load(place, align=tile.bytes), builder.fsub(tile.zero, scale)
            builder.store(builder.call(tile.fma, [back, total, old]), place, align=tile.bytes)
        return context.get_dummy_value()

    return signature, emit


@instruction
def logistic(context: Any, z: Any, z0: Any) -> Any:
    """z[z0 : z0 + LANES] = 1 / (1 + exp(-z)); NaN stays NaN."""
    signature = types.void(z, types.int64)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        z_, z0 = arguments
        tile = Tile(context, builder, z.dtype)
        place = tile.pointer(data(context, builder, z, z_), z0)
        value = builder.load(place, align=tile.bytes)
        power = exp(tile, builder.fsub(tile.constant(0.0), value))
        one = tile.constant(1.0)
        builder.store(builder.fdiv(one, builder.fadd(one, power)), place, align=tile.bytes)
        return context.get_dummy_value()

    return signature, emit


def exp(tile: Tile, x: Any) -> Any:
    """exp(x) = 2^n exp(r), n = round(x / log 2) and |r| <= log(2) / 2; from the smallest to the largest normal number.

    Added to a large number, n stands in the lowest bits of the sum, from where it is moved to those of an exponent.
    """
    builder, bits = tile.builder, MANTISSA[tile.bytes]
    for bound, beyond in ((LARGEST[tile.bytes], ">"), (-LARGEST[tile.bytes], "<")):
        limit = tile.constant(bound)
        x = builder.select(builder.fcmp_ordered(beyond, x, limit), limit, x)  # not where x is NaN
    magic = tile.constant(1.5 * 2.0**bits)
    shifted = builder.call(tile.fma, [x, tile.constant(1 / math.log(2)), magic])
    n = builder.fsub(shifted, magic)
    r = x
    for part in LOG2[tile.bytes]:
        r = builder.call(tile.fma, [n, tile.constant(-part), r])
    series = tile.constant(1 / math.factorial(TERMS[tile.bytes]))
    for term in range(TERMS[tile.bytes] - 1, -1, -1):
        series = builder.call(tile.fma, [series, r, tile.constant(1 / math.factorial(term))])
    kind = ir.VectorType(ir.IntType(8 * tile.bytes), LANES)

    def whole(value: int) -> Any:
        return ir.Constant(kind, [value] * LANES)

    exponent = builder.add(builder.bitcast(shifted, kind), whole(2 ** (8 * tile.bytes - 2 - bits) - 1))
    scale = builder.bitcast(builder.shl(exponent, whole(bits)), tile.vector)
    return builder.fmul(series, scale)


def number(value: int) -> Any:
    """A whole number as an instruction takes it."""
    return ir.Constant(WORD, value)
