"""A rule that turns a text cell into true or false: `> 0`, `== yes`, `in [2, 3]`. Parsed by hand, never evaluated."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import Refused

Order = Callable[[NDArray[np.float64], float], NDArray[np.bool_]]

ORDERS: dict[str, Order] = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
GRAMMAR = '"== value", "!= value", "> number", ">= number", "< number", "<= number", "in [value, value]"'
WORDS = {"1": True, "true": True, "0": False, "false": False, "1.0": True, "0.0": False}


@dataclass(frozen=True)
class Rule:
    """Sign and values; two values that are both numbers are compared as numbers, so that 1 equals 1.0."""

    sign: str  # one of GRAMMAR, or "" for cells that are 0/1 or true/false
    values: tuple[str, ...]
    text: str = ""  # as the user wrote it

    def readable(self, text: pd.Series) -> NDArray[np.bool_]:
        """Whether the rule can judge a cell, bool [R]: an order needs numbers, no rule needs 0/1 or true/false."""
        if self.sign in ORDERS:
            return pd.to_numeric(text, errors="coerce").notna().to_numpy()
        return text.str.lower().isin(WORDS).to_numpy() if not self.sign else np.ones(len(text), dtype=bool)

    def holds(self, text: pd.Series) -> NDArray[np.bool_]:
        """Whether the rule holds, bool [R]; False where the cell is not readable."""
        if not self.sign:
            return text.str.lower().map(WORDS).eq(True).to_numpy(dtype=bool)
        number = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
        if self.sign in ORDERS:
            return ORDERS[self.sign](number, float(self.values[0]))
        same = text.isin(self.values).to_numpy() | np.isin(number, [float(v) for v in self.values if is_number(v)])
        return ~same if self.sign == "!=" else same


def is_number(text: str) -> bool:
    """Whether a value is a finite number."""
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text) is not None


def parse(setting: str, text: str) -> Rule:
    """Rule of a setting's text; raises Refused with the grammar."""
    text = text.strip()
    if not text:
        return Rule("", ())
    found = re.fullmatch(r"(==|!=|>=|<=|>|<|in)\s*(\S.*)", text)
    if found:
        sign, rest = found[1], found[2].strip()
        if sign == "in":
            inner = re.fullmatch(r"\[(.*)\]", rest)
            values = tuple(bare(part) for part in inner[1].split(",")) if inner else ()
        else:
            values = (bare(rest),)
        if values and all(values) and (sign not in ORDERS or is_number(values[0])):
            return Rule(sign, values, text)
    raise Refused(
        f"{setting}={text!r}: not a rule; allowed {GRAMMAR}, or nothing if the column holds 0/1 or true/false."
    )


def bare(value: str) -> str:
    """A value without surrounding blanks and quotes."""
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
