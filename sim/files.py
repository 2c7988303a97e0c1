"""Output files: refused before any work if they cannot be written; flushed to disk before they are renamed."""

import mmap
import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused

LONGEST_NAME = 200  # bytes of a file name; file systems take 255, and drafts add a prefix and a suffix


def mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.floating]) -> NDArray[np.floating]:
    """Array on a memory-mapped file that every process of this machine may share; zeros where nothing was written."""
    size = int(np.prod(shape)) * dtype.itemsize
    if not size:
        return np.zeros(shape, dtype)
    with path.open("a+b") as file:
        file.truncate(size)
        return np.frombuffer(mmap.mmap(file.fileno(), size), dtype).reshape(shape)


def writable(folder: Path) -> Path:
    """`folder`, not made yet; refuses one that could not be written to hours later."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise Refused(f"{folder}: cannot be written to ({error.strerror}); choose another.") from None
    return folder


def writable_file(option: str, path: Path) -> None:
    """Refuse a file that could not be written once everything is computed; `option` names it in the message."""
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise Refused(f"{option}: a name of {len(path.name)} letters; allowed {LONGEST_NAME}. Choose another.")
    if path.is_dir():
        raise Refused(f"{option} {path}: is a folder. Name a file.")
    writable(path.parent)


def make_folder(folder: Path) -> Path:
    """`folder`, made if it does not exist; refuses one that cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{folder}: cannot be written to ({error.strerror}); choose another.") from None
    return writable(folder)


def sync(path: Path) -> None:
    """Flush a file to disk (fsync), so that it survives a crash of the machine."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def writable_parquet(out: Path, overwrite: bool) -> None:
    """Refuse an --out that is no writable .parquet file, or that exists unless `overwrite`."""
    if out.suffix != ".parquet":
        raise Refused(f"--out {out}: allowed a name that ends in .parquet.")
    writable_file("--out", out)
    if out.exists() and not overwrite:
        raise Refused(f"--out {out}: exists already. Choose another name, or add --overwrite.")
