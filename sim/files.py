"""Files that are written whole or not at all, and refused early where they could not be written."""

import mmap
import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused

LONGEST_NAME = 200  # bytes of a file; with what is put around it while it is written, file systems take 255


def mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.floating]) -> NDArray[np.floating]:
    """Array on a file that every process of this machine may map; zeros where nothing was written yet."""
    size = int(np.prod(shape)) * dtype.itemsize
    if not size:
        return np.zeros(shape, dtype)
    with path.open("a+b") as file:
        file.truncate(size)
        return np.frombuffer(mmap.mmap(file.fileno(), size), dtype).reshape(shape)


def writable(folder: Path) -> Path:
    """The folder, not made yet; refuses at once what could not be written hours later."""
    there = next(one for one in (folder, *folder.parents) if one.exists())
    try:
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise Refused(f"{folder}: cannot be written to ({error.strerror}); choose another.") from None
    return folder


def writable_file(option: str, path: Path) -> None:
    """Refuse at once a file that could not be written after all was computed."""
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise Refused(f"{option}: a name of {len(path.name)} letters; allowed {LONGEST_NAME}. Choose another.")
    if path.is_dir():
        raise Refused(f"{option} {path}: is a folder. Name a file.")
    writable(path.parent)


def ready(folder: Path) -> Path:
    """The folder, made if it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{folder}: cannot be written to ({error.strerror}); choose another.") from None
    return writable(folder)


def sync(path: Path) -> None:
    """Have the disk hold what was written."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def allowed(out: Path, overwrite: bool, suffixes: tuple[str, ...] = (".parquet",)) -> None:
    """Refuse at once what could not be written after reading for an hour."""

    if out.suffix not in suffixes:
        raise Refused(f"--out {out}: allowed a name that ends in {' or '.join(suffixes)}.")
    writable_file("--out", out)
    if out.exists() and not overwrite:
        raise Refused(f"--out {out}: is there already. Choose another name, or add --overwrite.")
