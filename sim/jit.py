"""Compiled loops: one decorator for all of them, so that they share flags, a cache on disk and a notice.

Numba compiles a function when it is first called and keeps the machine code, so that every later process loads it in
milliseconds. The cache belongs to the sources of all compiled loops together: numba itself would not notice that a
function called by a cached one has changed.
"""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
from numba.core import event
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])
# Sums may be regrouped and multiply-adds fused, but NaN and infinity keep their meaning: they tell of divergence.
FAST = {"reassoc", "contract", "arcp", "nsz"}


def cache() -> str:
    """Folder for the machine code of these sources; the user's own choice in NUMBA_CACHE_DIR wins."""
    if numba.config.CACHE_DIR:
        return str(numba.config.CACHE_DIR)
    mixed = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        text = path.read_bytes()
        if b"sim.jit" in text:
            mixed.update(text)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for parent in (base, Path(tempfile.gettempdir())):
        folder = parent / "fedtrial" / mixed.hexdigest()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return str(folder)
    return ""


numba.config.CACHE_DIR = cache()


def exact(function: F) -> F:
    """Compiled as written, without the global interpreter lock."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def fast(function: F) -> F:
    """Compiled with sums regrouped for vector units, without the global interpreter lock."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)(function))


def instruction(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that emits its own instructions inside compiled ones."""
    return cast(Callable[..., Any], intrinsic(function))


class Notice(event.Listener):  # type: ignore[misc]
    """Calls `say` when a function is compiled and not just loaded, once."""

    def __init__(self, say: Callable[[], None]) -> None:
        self.say: Callable[[], None] | None = say

    def on_start(self, event: Any) -> None:
        """A compilation begins."""
        if self.say is not None:
            self.say()
            self.say = None

    def on_end(self, event: Any) -> None:
        """It is over."""


@contextmanager
def noticed(say: Callable[[], None]) -> Iterator[None]:
    """Inside, `say` is called once if something must be compiled, which takes some seconds."""
    with event.install_listener("numba:compile", Notice(say)):
        yield
