"""What a hook may answer: names, shapes and precision as declared, inputs as they were."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

T = TypeVar("T")
Lengths = Mapping[str, tuple[int, ...]]  # letter of a shape -> the shape


class Broken(ValueError):
    """An entry does not keep the contract."""


def asked(hook: str, call: Callable[..., T], *given: object) -> T:
    """What a hook answers; Broken if it raises, or changes what it was given."""
    before = [np.array(part) for part in arrays(given)]
    try:
        answer = call(*given)
    except Exception as error:
        raise Broken(f"{hook} fails: {type(error).__name__}: {error}") from error
    if not all(np.array_equal(one, part) for one, part in zip(before, arrays(given), strict=True)):
        raise Broken(f"{hook} changes its inputs; return new tensors.")
    return answer


def arrays(value: object) -> Iterator[NDArray[np.generic]]:
    """Every tensor and array inside dictionaries, lists and dataclasses."""
    if isinstance(value, Tensor):
        yield value.numpy()
    elif isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from arrays(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from arrays(part)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield from arrays(getattr(value, field.name))


def shaped(what: str, part: object, shape: tuple[int, ...], dtype: torch.dtype, finite: bool = True) -> None:
    """A tensor of this shape and precision."""
    if not isinstance(part, Tensor):
        raise Broken(f"{what} must be a tensor, not {type(part).__name__}.")
    if tuple(part.shape) != shape:
        raise Broken(f"{what} has shape {list(part.shape)} for {list(shape)}.")
    if part.dtype != dtype:
        raise Broken(f"{what} is {part.dtype} for {dtype}.")
    if finite and part.is_floating_point() and not bool(torch.isfinite(part).all()):
        raise Broken(f"{what} is not finite.")


def named(what: str, given: object, declared: Mapping[str, str], lengths: Lengths, dtype: torch.dtype) -> None:
    """Exactly the declared parts, each in its shape."""
    if not isinstance(given, Mapping):
        raise Broken(f"{what} must be a dictionary, not {type(given).__name__}.")
    if set(given) != set(declared):
        raise Broken(f"{what} holds {sorted(given)}; declared are {sorted(declared)}.")
    for name, part in given.items():
        shaped(f"{what}[{name!r}]", part, lengths[declared[name]], dtype)


def declares(entry: type, role: Mapping[str, Mapping[str, str]], broadcast: tuple[str, ...]) -> None:
    """Shapes are known letters, and nothing is broadcast that the server does not keep."""
    letters = {"server_state": {"P", "S", ""}}
    for where, parts in role.items():
        if not isinstance(parts, Mapping):
            raise Broken(f'{entry.__name__}.{where} must say a shape for every name, such as {{"control": "P"}}.')
        for name, shape in parts.items():
            if shape not in letters.get(where, {"P", ""}):
                raise Broken(f"{entry.__name__}.{where}[{name!r}] has the unknown shape {shape!r}.")
    lost = sorted(set(broadcast) - set(role["server_state"]))
    if lost:
        raise Broken(f"{entry.__name__}.broadcast names {', '.join(lost)}, which server_state lacks.")


def near(what: str, one: object, other: object, dtype: torch.dtype) -> None:
    """Equal to rounding; both hold tensors in the same places."""
    loose = 1e-4 if dtype == torch.float32 else 1e-9
    for a, b in zip(arrays(one), arrays(other), strict=True):
        if a.shape != b.shape or not np.allclose(a, b, rtol=loose, atol=loose):
            raise Broken(what)
