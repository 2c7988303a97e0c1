"""Small matrix products in vector registers: what a site's local step is made of.

Two products cover forward, backward and weight gradient of a dense layer. Both work four rows at a time with their
sums in registers from start to end, which plain compiled loops do not reach: they run at the speed of a large GEMM on
matrices of 32 by 64, where a call into BLAS costs more than the product. Matrices are parts of flat arrays, given by
the number of their first element and the distance of their rows (`ld`, a multiple of LANES).
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from sim.arrays import Reals
from sim.jit import instruction, lean

LANES = 16  # numbers handled as one vector; columns are padded to a multiple of it, rows to a multiple of four
ROWS = 4
WORD = ir.IntType(64)
SUM = ("reassoc", "contract", "nsz", "arcp")


class Tile:
    """Instructions of one tile: addresses, loads and the loop over the inner dimension."""

    def __init__(self, context: Any, builder: Any, dtype: Any) -> None:
        self.builder = builder
        self.element = context.get_data_type(dtype)
        self.vector = ir.VectorType(self.element, LANES)
        self.bytes = context.get_abi_sizeof(self.element)
        self.zero = self.constant(0.0)
        name = f"v{LANES}f{8 * self.bytes}"
        kind = ir.FunctionType(self.vector, [self.vector] * 3)
        self.fma = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.{name}")
        total = ir.FunctionType(self.element, [self.element, self.vector])
        self.fold = cgutils.get_or_insert_function(builder.module, total, f"llvm.vector.reduce.fadd.{name}")

    def index(self, first: Any, step: Any, count: Any) -> Any:
        """first + step * count."""
        count = ir.Constant(WORD, count) if isinstance(count, int) else count
        return self.builder.add(first, self.builder.mul(step, count))

    def pointer(self, data: Any, index: Any) -> Any:
        """Address of LANES elements."""
        return self.builder.bitcast(self.builder.gep(data, [index]), self.vector.as_pointer())

    def load(self, data: Any, index: Any) -> Any:
        """LANES elements from `index`."""
        return self.builder.load(self.pointer(data, index), align=self.bytes)

    def constant(self, number: float) -> Any:
        """The same number in all lanes."""
        return ir.Constant(self.vector, [number] * LANES)

    def folded(self, total: Any) -> Any:
        """Sum of all lanes."""
        return self.builder.call(self.fold, [ir.Constant(self.element, 0.0), total], fastmath=SUM)

    def spread(self, number: Any) -> Any:
        """A number in all lanes."""
        empty = ir.Constant(self.vector, ir.Undefined)
        first = self.builder.insert_element(empty, number, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(first, empty, ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES))

    def sums(self, count: Any, stride: int, terms: Any) -> list[Any]:
        """Four vector sums over 0, stride, 2 stride, ... < count of the products that `terms(index)` returns."""
        builder, entry = self.builder, self.builder.block
        loop, done = builder.append_basic_block("inner"), builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        at = builder.phi(WORD)
        sums = [builder.phi(self.vector) for _ in range(ROWS)]
        at.add_incoming(ir.Constant(WORD, 0), entry)
        new = [builder.call(self.fma, [*pair, old]) for pair, old in zip(terms(at), sums, strict=True)]
        following = builder.add(at, ir.Constant(WORD, stride))
        at.add_incoming(following, loop)
        for old, now in zip(sums, new, strict=True):
            old.add_incoming(self.zero, entry)
            old.add_incoming(now, loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
        builder.position_at_end(done)
        return new


def data(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Address of an array's first element."""
    return context.make_array(kind)(context, builder, array).data


@instruction
def _outer(context: Any, c: Any, c0: Any, ldc: Any, a: Any, a0: Any, row: Any, col: Any, b: Any, b0: Any, ldb: Any,
           inner: Any, scale: Any, add: Any) -> Any:  # fmt: skip
    """C[4, LANES] = scale * A[4, inner] B[inner, LANES] (+ C)."""
    n = types.int64
    signature = types.void(c, n, n, a, n, n, n, b, n, n, n, c.dtype, types.boolean)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        c_, c0, ldc, a_, a0, row, col, b_, b0, ldb, inner, scale, add = arguments
        tile = Tile(context, builder, c.dtype)
        c_, a_, b_ = (data(context, builder, kind, one) for kind, one in ((c, c_), (a, a_), (b, b_)))

        def terms(at: Any) -> list[Any]:
            right, left = tile.load(b_, tile.index(b0, ldb, at)), tile.index(a0, col, at)
            heads = (builder.load(builder.gep(a_, [tile.index(left, row, i)])) for i in range(ROWS))
            return [(tile.spread(head), right) for head in heads]

        scale = tile.spread(scale)
        for i, total in enumerate(tile.sums(inner, 1, terms)):
            place = tile.pointer(c_, tile.index(c0, ldc, i))
            old = builder.select(add, builder.load(place, align=tile.bytes), tile.zero)
            builder.store(builder.call(tile.fma, [scale, total, old]), place, align=tile.bytes)
        return context.get_dummy_value()

    return signature, emit


@instruction
def _inner(context: Any, c: Any, c0: Any, ldc: Any, a: Any, a0: Any, lda: Any, b: Any, b0: Any, panel: Any,
           inner: Any) -> Any:  # fmt: skip
    """C[4, 1] = A[4, inner] b[inner]; `inner` a multiple of LANES, `panel` from LANES of b to the next."""
    n = types.int64
    signature = types.void(c, n, n, a, n, n, b, n, n, n)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        c_, c0, ldc, a_, a0, lda, b_, b0, panel, inner = arguments
        tile = Tile(context, builder, c.dtype)
        c_, a_, b_ = (data(context, builder, kind, one) for kind, one in ((c, c_), (a, a_), (b, b_)))

        def terms(at: Any) -> list[Any]:
            right = tile.load(b_, tile.index(b0, panel, builder.udiv(at, ir.Constant(WORD, LANES))))
            return [(tile.load(a_, builder.add(tile.index(a0, lda, i), at)), right) for i in range(ROWS)]

        for i, total in enumerate(tile.sums(inner, LANES, terms)):
            builder.store(tile.folded(total), builder.gep(c_, [tile.index(c0, ldc, i)]))
        return context.get_dummy_value()

    return signature, emit


@instruction
def fetch(context: Any, x: Any, row: Any, column: Any) -> Any:
    """Ask for the cache line of x[row, column] ahead of time."""
    signature = types.void(x, types.int64, types.int64)

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = context.make_array(x)(context, builder, arguments[0])
        place = cgutils.get_item_pointer(context, builder, x, array, arguments[1:])
        byte, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, flag, flag, flag])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read, near, of_data = (ir.Constant(flag, value) for value in (0, 3, 1))
        builder.call(ask, [builder.bitcast(place, byte), read, near, of_data])
        return context.get_dummy_value()

    return signature, emit


@lean
def ask(x: Reals, first: int, rows: int) -> None:
    """Ask for rows x[first : first + rows] ahead of time."""
    for row in range(first, first + rows):
        for j in range(0, x.shape[1], LANES):
            fetch(x, row, j)


@lean
def outer(
    c: Reals, c0: int, ldc: int, next_c: int, rows: int, columns: int,
    a: Reals, a0: int, row: int, col: int, b: Reals, b0: int, ldb: int, next_b: int, inner: int,
    scale: np.floating, add: bool,
) -> None:  # fmt: skip
    """C[rows, columns] = scale * A B (+ C if `add`); A[i, k] = a[a0 + i row + k col], so that it may be transposed.

    rows a multiple of four, columns one of LANES, inner >= 1; next_c, next_b from LANES columns to the next.
    """
    for j in range(columns // LANES):
        for i in range(0, rows, ROWS):
            _outer(
                c, c0 + i * ldc + j * next_c, ldc, a, a0 + i * row, row, col, b, b0 + j * next_b, ldb, inner, scale, add
            )


@lean
def inner(
    c: Reals, c0: int, ldc: int, rows: int, columns: int,
    a: Reals, a0: int, lda: int, b: Reals, b0: int, ldb: int, next_b: int, inner: int,
) -> None:  # fmt: skip
    """C[rows, columns] = A[rows, inner] B[columns, inner]'; rows a multiple of four, inner one of LANES.

    next_b from LANES columns of B to the next.
    """
    for j in range(columns):
        for i in range(0, rows, ROWS):
            _inner(c, c0 + i * ldc + j, ldc, a, a0 + i * lda, lda, b, b0 + j * ldb, next_b, inner)
