"""Output files, refused before any work if they cannot be written and flushed to disk; contents as fingerprints."""

import hashlib
import json
import mmap
import os
import tempfile
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused

LONGEST_NAME = 200  # bytes of a file name; file systems take 255, and drafts add a prefix and a suffix


def expanded(path: str | Path) -> Path:
    """A path as a user gave it, with `~` and `~name` as home folders; a shell leaves them in `--out=~/x`."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise Refused(f"{path}: no such user, or the user has no home folder. Write the full path.") from None


def mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[np.floating]) -> NDArray[np.floating]:
    """Array on a memory-mapped file that every process of this machine may share; zeros where nothing was written."""
    size = int(np.prod(shape)) * dtype.itemsize
    if not size:
        return np.zeros(shape, dtype)
    with path.open("a+b") as file:
        file.truncate(size)
        return np.frombuffer(mmap.mmap(file.fileno(), size), dtype).reshape(shape)


def writable(folder: Path) -> Path:
    """`folder`, not created yet; refuses one that could not be written to later."""
    try:
        str(folder).encode()
    except UnicodeEncodeError:  # of bytes that the locale does not know
        raise Refused(
            f"{str(folder)!a}: the name has letters that are unknown in this terminal's character set. Set "
            "PYTHONUTF8=1, or choose a folder whose name is ASCII."
        ) from None
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        tempfile.TemporaryFile(dir=nearest).close()
    except OSError as error:
        raise Refused(f"{folder}: cannot be written to ({error.strerror}). Choose another folder.") from None
    return folder


def writable_file(option: str, path: Path) -> None:
    """Refuse a file that could not be written once everything is computed; `option` names it in the message."""
    if len(os.fsencode(path.name)) > LONGEST_NAME:
        raise Refused(f"{option}: a name of {len(path.name)} characters; allowed {LONGEST_NAME}. Choose another.")
    if path.is_dir():
        raise Refused(f"{option} {path}: this is a folder. Name a file.")
    writable(path.parent)


def make_folder(folder: Path) -> Path:
    """`folder`, made if it does not exist; refuses one that cannot be written to."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refused(f"{folder}: cannot be written to ({error.strerror}). Choose another folder.") from None
    return writable(folder)


def replace_whole(path: Path, content: str | bytes) -> None:
    """Write a file completely or not at all, text in UTF-8: if the new one cannot be written, the old one is kept."""
    draft = make_folder(path.parent) / f".{path.name}.{os.getpid()}.draft"  # another process may write the same
    try:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
        sync(draft)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise Refused(f"{path}: cannot be written ({error.strerror}). Free space, or choose another folder.") from None


def allowed(mode: int) -> int:
    """A file mode with the user's umask applied, as for new files and folders."""
    umask = os.umask(0o077)  # there is no way to read it but to set it
    os.umask(umask)
    return mode & ~umask


def sync(path: Path) -> None:
    """Flush a file to disk (fsync), so that it survives a crash of the machine."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def writable_out(out: Path, overwrite: bool, suffixes: tuple[str, ...] = (".parquet",)) -> None:
    """Refuse an --out that is not a writable file with one of the suffixes, or that exists unless `overwrite`."""
    if out.suffix not in suffixes:
        raise Refused(f"--out {out}: allowed a name that ends in {' or '.join(suffixes)}.")
    writable_file("--out", out)
    if out.exists() and not overwrite:
        raise Refused(f"--out {out}: exists already. Choose another name, or add --overwrite.")


def digest(path: Path) -> str:
    """BLAKE2 of the bytes of a file, which is read in chunks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.blake2b, digest_size=16)).hexdigest()


@lru_cache(maxsize=4096)
def remembered(path: Path, size: int, modified_ns: int) -> str:
    """`digest`, computed once per process as long as the file's size and modification time do not change."""
    return digest(path)


def fingerprint(files: Mapping[str, Path]) -> str:
    """BLAKE2 of the contents of files and of their keys, in order, without the paths and names of the files."""
    contents = []
    for key, path in files.items():
        try:
            state = path.stat()
            contents.append((key, remembered(path, state.st_size, state.st_mtime_ns)))
        except OSError as error:
            raise Refused(
                f"{path}: cannot be read ({error.strerror}). Check that it exists and that you may read it."
            ) from None
    return hashlib.blake2b(json.dumps(contents).encode(), digest_size=16).hexdigest()
