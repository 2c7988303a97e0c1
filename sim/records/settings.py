"""The settings of runs from run.json as flat mappings, for comparison."""

import json
from collections.abc import Mapping
from typing import Any

Flat = dict[str, str]  # "algorithm.mu" -> "0.01"


def flat(settings: Mapping[str, Any], head: str = "") -> Flat:
    """Nested settings under dotted names, without the seed; the entry `x.is` of a group becomes `x`."""
    found: Flat = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{head}{name}.")
        elif head or name != "seed":
            found[f"{head}{name}".removesuffix(".is")] = value if isinstance(value, str) else json.dumps(value)
    return found


def with_seed(settings: Mapping[str, Any]) -> Flat:
    """`flat`, and the seed."""
    return flat(settings) | ({"seed": json.dumps(settings["seed"])} if "seed" in settings else {})
