"""The settings of an entry: documented, with defaults, through a config file and back, and with ranges."""

import math
from dataclasses import MISSING, fields, is_dataclass

from omegaconf import OmegaConf

from sim.checks import Refused
from sim.verify.conformance.answers import Broken, asked

HUGE = 10**12  # beyond every range, one way or the other


def settings(entry: type) -> None:
    """A documented dataclass whose settings all have defaults, pass through a config unchanged, and have a range."""
    name = entry.__name__
    if not is_dataclass(entry) or "__dataclass_fields__" not in vars(entry):
        raise Broken(f"{name} must be a @dataclass itself: its settings are fields.")
    if not entry.__doc__ or entry.__doc__.startswith(f"{name}("):
        raise Broken(f"{name} has no docstring: say what it is, its source and its year.")
    bare = [part.name for part in fields(entry) if part.default is MISSING and part.default_factory is MISSING]
    if bare:
        raise Broken(f"{name}: {', '.join(bare)} must have a default.")
    made: object = asked(name, entry)
    try:
        written = OmegaConf.to_yaml(OmegaConf.structured(entry))
        back = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(entry), OmegaConf.create(written)))
    except Exception as error:
        raise Broken(f"{name}: its settings do not pass through a config file: {error}") from error
    if back != made:
        raise Broken(f"{name}: a config file changes its settings: {made} becomes {back}.")
    for part in fields(entry):
        if type(part.default) in (int, float):
            ranged(entry, part.name, type(part.default))


def ranged(entry: type, setting: str, kind: type) -> None:
    """No setting takes every number: one side has an end, and NaN and infinity are nobody's."""
    wrong = [-HUGE, HUGE] if kind is int else [-float(HUGE), float(HUGE)]
    if all(accepts(entry, setting, value) for value in wrong):
        raise Broken(f"{entry.__name__}.{setting} takes any number: check its range with `sim.checks.within`.")
    for value in (math.nan, math.inf, -math.inf) if kind is float else ():
        if accepts(entry, setting, value):
            raise Broken(f"{entry.__name__}.{setting} takes {value}: check its range with `sim.checks.within`.")


def accepts(entry: type, setting: str, value: float) -> bool:
    """Whether a value is taken; a refusal must name the setting."""
    try:
        entry(**{setting: value})
    except Refused as refusal:
        if setting not in str(refusal):
            raise Broken(f"{entry.__name__}.{setting}={value} is refused without its name: {refusal}") from None
        return False
    except Exception as error:
        raise Broken(f"{entry.__name__}.{setting}={value} must be a `Refused`, not {error!r}") from error
    return True
