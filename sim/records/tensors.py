"""Files of named arrays in the safetensors format, written block by block without a second copy in memory."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES = {"float64": "F64", "float32": "F32", "int64": "I64", "int32": "I32", "int8": "I8", "bool": "BOOL"}
ALIGNED = 8  # bytes of which the header's length is a multiple
DIGEST = 16  # bytes

Array = NDArray[Any]


@dataclass(frozen=True)
class Streamed:
    """An array that is generated block by block while it is written."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Iterable[Array] = field(repr=False)  # its rows, in order


def write_whole(path: Path, arrays: Mapping[str, Array | Streamed], about: Mapping[str, str]) -> str:
    """Write a file completely or not at all, flushed to disk, and return the digest of its bytes.

    The digest is inserted into the name before its suffix. `about` is metadata of the file. Raises OSError.
    """
    draft, digest = path.with_name(f".{path.name}.draft"), hashlib.blake2b(digest_size=DIGEST)
    try:
        with draft.open("wb") as file:
            for part in parts(arrays, about):
                file.write(part)
                digest.update(part)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(digested(path, digest.hexdigest()))
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def digested(path: Path, digest: str) -> Path:
    """The path with a digest at the end of its name."""
    return path.with_name(f"{path.stem}-{digest}{path.suffix}")


def parts(arrays: Mapping[str, Array | Streamed], about: Mapping[str, str]) -> Iterator[bytes]:
    """The bytes of a file: length of the header, header, and the arrays one after the other."""
    header: dict[str, Any] = {"__metadata__": dict(about)}
    end = 0
    for name, array in arrays.items():
        size = int(np.prod(array.shape)) * array.dtype.itemsize
        header[name] = {"dtype": TYPES[array.dtype.name], "shape": list(array.shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % ALIGNED)
    yield len(text).to_bytes(8, "little")
    yield text
    for array in arrays.values():
        for block in array.blocks if isinstance(array, Streamed) else (array,):
            yield np.ascontiguousarray(block).tobytes()
