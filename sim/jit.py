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

from sim.checks import Refused
from sim.scratch import private

F = TypeVar("F", bound=Callable[..., Any])
# Sums may be regrouped and multiply-adds fused, but NaN and infinity keep their meaning: they tell of divergence.
FAST = {"reassoc", "contract", "arcp", "nsz"}


ROOM = 2**24  # bytes free below which a place for machine code is passed over; all loops take about 12 MB

if numba.config.DISABLE_JIT:
    raise Refused("NUMBA_DISABLE_JIT is set: fedtrial trains in compiled loops. Unset it (unset NUMBA_DISABLE_JIT).")


def key() -> str:
    """Hash of the sources of all compiled loops, and of the settings in the environment that numba compiles them by."""
    mixed = hashlib.blake2b(digest_size=8)
    for name in sorted(os.environ):
        if name.startswith("NUMBA_") and name not in ("NUMBA_CACHE_DIR", "NUMBA_NUM_THREADS"):
            mixed.update(f"{name}={os.environ[name]};".encode())
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        text = path.read_bytes()
        if b"sim.jit" in text:
            mixed.update(text)
    return mixed.hexdigest()


def cache() -> str:
    """Folder for the machine code of these sources, opened by this user alone; empty if no place can be written to.

    It is looked for in NUMBA_CACHE_DIR, the user's cache folder, and where temporary files go.
    """
    places = [numba.config.CACHE_DIR, os.environ.get("XDG_CACHE_HOME") or "~/.cache", tempfile.gettempdir()]
    for place in filter(None, places):
        folder = private(Path(os.path.expanduser(place)).absolute(), ROOM)
        if folder:
            return str(folder / key())
    return ""


numba.config.CACHE_DIR = cache()
KEPT = bool(numba.config.CACHE_DIR)


def exact(function: F) -> F:
    """Compiled as written, without the global interpreter lock."""
    return cast(F, numba.njit(cache=KEPT, nogil=True, error_model="numpy")(function))


def fast(function: F) -> F:
    """Compiled with sums regrouped for vector units, without the global interpreter lock."""
    return cast(F, numba.njit(cache=KEPT, nogil=True, error_model="numpy", fastmath=FAST)(function))


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
