"""Packs an encoded vector into the bytes that `wire` announces, and unpacks it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Ints
from sim.methods.uplink.base import Transform
from sim.methods.uplink.coded import QSGD, STC, Sign
from sim.methods.uplink.secagg import SecAgg
from sim.methods.uplink.topk import RandomK, TopK, index_bits, share

Reals = NDArray[np.floating]
Bits = NDArray[np.uint8]
Thin = TopK | RandomK | STC
Code = QSGD | Sign | STC | SecAgg


def pack(uplink: Sequence[Transform], vector: Reals, scalars: Mapping[str, float], places: Ints | None = None) -> bytes:
    """Bytes of one encoded vector [P]; `scalars` of its transforms, which travel beside it.

    places: where random entries are sent, which site and server know from their key.
    """
    thin, code = parts(uplink)
    where = np.arange(len(vector))
    if isinstance(thin, RandomK):
        assert places is not None
        where = places
    elif thin is not None:
        count = share(thin.ratio, len(vector))
        where = np.sort(np.argsort(-np.abs(vector), kind="stable")[:count])
    bits, tail = written(code, vector[where], scalars)
    if sends_places(thin):
        bits = np.concatenate([bits, binary(where, index_bits(len(vector)))], axis=1)
    return np.packbits(bits).tobytes() + tail


def unpack(
    uplink: Sequence[Transform],
    data: bytes,
    size: int,
    dtype: np.dtype[np.floating],
    scalars: Mapping[str, float],
    places: Ints | None = None,
) -> Reals:
    """The vector of P = `size` entries that was packed, bit for bit."""
    thin, code = parts(uplink)
    count = share(thin.ratio, size) if thin is not None else size
    width = bits_of(code, dtype)
    total = width + (index_bits(size) if sends_places(thin) else 0)
    body = -(-count * total // 8)
    bits = np.unpackbits(np.frombuffer(data[:body], np.uint8))[: count * total].reshape(count, total)
    where = whole(bits[:, width:]) if sends_places(thin) else np.arange(size) if thin is None else places
    vector = np.zeros(size, dtype)
    vector[where] = read(code, bits[:, :width], data[body:], dtype, scalars)
    return vector


def parts(uplink: Sequence[Transform]) -> tuple[Thin | None, Code | None]:
    """The transform that thins a vector out, and the one that codes what is left."""
    thin = next((one for one in uplink if isinstance(one, Thin)), None)
    return thin, next((one for one in uplink if isinstance(one, Code)), None)


def sends_places(thin: Thin | None) -> bool:
    """Whether the places of what is left travel."""
    return isinstance(thin, TopK | STC)


def bits_of(code: Code | None, dtype: np.dtype[np.floating]) -> int:
    """Bits of an entry, without its place."""
    if isinstance(code, QSGD):
        return 1 + code.level_bits
    if isinstance(code, SecAgg):
        return code.field
    return 8 * dtype.itemsize if code is None else 1


def written(code: Code | None, values: Reals, scalars: Mapping[str, float]) -> tuple[Bits, bytes]:
    """Bits of some entries, a row for each, and what follows them all."""
    negative = (values < 0).astype(np.uint8)[:, None]
    if isinstance(code, QSGD):
        norm = values.dtype.type(scalars["norm"])
        level = np.rint(np.abs(values) * code.levels / norm) if norm else np.zeros_like(values)
        return np.concatenate([negative, binary(level.astype(np.int64), code.level_bits)], axis=1), b""
    if isinstance(code, SecAgg):
        number = np.rint(values * values.dtype.type(2.0**code.fraction)).astype(np.int64)
        return binary(number & ((1 << code.field) - 1), code.field), b""
    if code is not None:
        return negative, np.abs(values).max(initial=0).astype(values.dtype).tobytes() if len(values) else b""
    width = 8 * values.itemsize
    return np.unpackbits(np.ascontiguousarray(values).view(np.uint8)).reshape(len(values), width), b""


def read(
    code: Code | None, bits: Bits, tail: bytes, dtype: np.dtype[np.floating], scalars: Mapping[str, float]
) -> Reals:
    """The entries from their bits."""
    if code is None:
        return np.packbits(bits, axis=1).reshape(-1).view(dtype)
    if isinstance(code, SecAgg):
        number = whole(bits)
        number = np.where(number >= 1 << (code.field - 1), number - (1 << code.field), number)
        return np.asarray(number.astype(dtype) * dtype.type(2.0**-code.fraction))
    sign = np.where(bits[:, 0] == 1, -1, 1).astype(dtype)
    if isinstance(code, QSGD):
        level = whole(bits[:, 1:]).astype(dtype)
        return np.asarray(dtype.type(scalars["norm"]) * sign * (level / dtype.type(code.levels)))
    return np.asarray(sign * np.frombuffer(tail, dtype)[0]) if len(sign) else sign


def binary(numbers: Ints, width: int) -> Bits:
    """Digits of whole numbers, the highest first; [n] -> [n, width]."""
    return (numbers[:, None] >> np.arange(width)[::-1] & 1).astype(np.uint8)


def whole(bits: Bits) -> Ints:
    """Whole numbers from their digits; [n, width] -> [n]."""
    return np.asarray(bits.astype(np.int64) @ (1 << np.arange(bits.shape[1])[::-1]))
