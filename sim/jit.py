"""Compiled loops: decorators that give all of them the same flags, a cache on disk and a notice.

Numba is loaded and compiles a function when it is first called, and keeps the machine code, so that every later process
loads it in milliseconds. The cache is keyed by the sources of all compiled loops together, because numba itself would
not notice that a function called by a cached one has changed.
"""

import functools
import hashlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

from sim.checks import Refused
from sim.lazy import numba
from sim.scratch import private

F = TypeVar("F", bound=Callable[..., Any])
# Sums may be regrouped and multiply-adds fused, but NaN and infinity keep their meaning: they tell of divergence.
FAST = {"reassoc", "contract", "arcp", "nsz"}
ROOM = 2**24  # bytes free below which a place for machine code is passed over; all loops take about 12 MB
LOCK = threading.RLock()  # threads may be the first to call a loop


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
    """Folder for the machine code of these sources, accessible to this user only; empty if no folder is writable.

    It is searched in NUMBA_CACHE_DIR, the user's cache folder, and the folder of temporary files.
    """
    places = [numba.config.CACHE_DIR, os.environ.get("XDG_CACHE_HOME") or "~/.cache", tempfile.gettempdir()]
    for place in filter(None, places):
        folder = private(Path(os.path.expanduser(place)).absolute(), ROOM)
        if folder:
            return str(folder / key())
    return ""


def kept() -> bool:
    """Whether machine code is kept after this process. Configures numba's cache; refuses a disabled numba."""
    with LOCK:
        return bool(_folder())


@functools.cache
def _folder() -> str:
    if numba.config.DISABLE_JIT:
        raise Refused(
            "NUMBA_DISABLE_JIT is set: fedtrial trains in compiled loops. Unset it (unset NUMBA_DISABLE_JIT)."
        )
    numba.config.CACHE_DIR = cache()
    return str(numba.config.CACHE_DIR)


class Loop:
    """A function that is handed to numba when it is first called, from Python or from another compiled function."""

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        functools.update_wrapper(self, function)
        self.function, self.options = function, options
        self.dispatcher: Any = None

    def __call__(self, *values: Any) -> Any:
        """Run it, compiled."""
        return (self.dispatcher or self.handed_over())(*values)

    def handed_over(self) -> Any:
        """Numba's own object for the function."""
        with LOCK:
            if self.dispatcher is None:
                self.dispatcher = numba.njit(cache=kept(), nogil=True, error_model="numpy", **self.options)(
                    self.function
                )
            return self.dispatcher

    @property
    def _numba_type_(self) -> Any:
        """What numba takes the object for where a compiled function names it."""
        return numba.typeof(self.handed_over())

    def __reduce__(self) -> str:
        return self.function.__qualname__


def exact(function: F) -> F:
    """Compiled as written, without the global interpreter lock."""
    return cast(F, Loop(function))


def fast(function: F) -> F:
    """Compiled with sums regrouped for vector units, without the global interpreter lock."""
    return cast(F, Loop(function, fastmath=FAST))


def lean(function: F) -> F:
    """As `fast`, for loops that create no arrays: references to arrays are not counted, which costs more than a row."""
    return cast(F, Loop(function, fastmath=FAST, _nrt=False))


def instruction(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that emits its own instructions inside compiled ones."""
    return cast(Callable[..., Any], numba.extending.intrinsic(function))


@contextmanager
def noticed(say: Callable[[], None]) -> Iterator[None]:
    """Context in which `say` is called once if something must be compiled, which takes some seconds."""
    calls = iter([say])

    class Notice(numba.core.event.Listener):  # type: ignore[misc]
        """Hears when numba compiles."""

        def on_start(self, event: Any) -> None:
            next(calls, lambda: None)()

        def on_end(self, event: Any) -> None:
            """It is over."""

    with numba.core.event.install_listener("numba:compile", Notice()):
        yield
