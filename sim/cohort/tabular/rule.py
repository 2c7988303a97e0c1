"""A rule that maps text cells to true or false: `> 0`, `== yes`, `in [2, 3]`. Parsed, never evaluated as code.

The caller refuses cells that a rule cannot judge: reading a misspelt word as false would lose an event.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sim.checks import Refused
from sim.lazy import pd

Comparison = Callable[[NDArray[np.float64], float], NDArray[np.bool_]]

COMPARISONS: dict[str, Comparison] = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
GRAMMAR = '"== value", "!= value", "> number", ">= number", "< number", "<= number", "in [value, value]", '
GRAMMAR += 'of words with those of the other answer: "== dead else [alive, lost]"'
WORDS = {"1": True, "true": True, "0": False, "false": False, "1.0": True, "0.0": False}


@dataclass(frozen=True)
class Rule:
    """A comparison and its values; numbers are compared as numbers, so that 1 equals 1.0."""

    sign: str  # one of GRAMMAR, or "" for cells that are 0/1 or true/false
    values: tuple[str, ...]
    text: str = ""  # as the user wrote it
    others: tuple[str, ...] = ()  # values that mean false; empty = at most one further word, whatever it is

    def readable(self, text: pd.Series) -> NDArray[np.bool_]:
        """Whether the rule can judge each cell, bool [R].

        An inequality, or values that are numbers, take numbers; the empty rule takes 0/1 or true/false. Of the words
        that a rule does not name one is allowed, the most frequent: any other could be a misspelling.
        """
        if not self.sign:
            return text.str.lower().isin(WORDS).to_numpy()
        number = pd.to_numeric(text, errors="coerce").notna().to_numpy()
        if self.sign in COMPARISONS:
            return number
        named = self.same(text, (*self.values, *self.others))
        if self.others:
            return named
        if all(map(is_number, self.values)):
            return number
        unnamed = text[~named].value_counts()
        return named | text.isin(unnamed.index[:1]).to_numpy()

    def with_all_words(self, text: pd.Series) -> str:
        """This rule with all words of a column named, as a user would write it; an inequality is unchanged."""
        if self.sign in COMPARISONS:
            return self.text
        rest = text[~self.same(text, self.values)].unique()
        return f"{self.text.partition(' else ')[0]} else [{', '.join(map(str, rest[:6]))}]"

    def same(self, text: pd.Series, values: tuple[str, ...]) -> NDArray[np.bool_]:
        """Whether each cell equals one of the values, bool [R]."""
        number = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
        return text.isin(values).to_numpy() | np.isin(number, [float(v) for v in values if is_number(v)])

    def holds(self, text: pd.Series) -> NDArray[np.bool_]:
        """Whether the rule holds, bool [R]; False for a cell that is not `readable`."""
        if not self.sign:
            return text.str.lower().map(WORDS).eq(True).to_numpy(dtype=bool)
        if self.sign in COMPARISONS:
            number = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
            return COMPARISONS[self.sign](number, float(self.values[0]))
        same = self.same(text, self.values)
        return ~same if self.sign == "!=" else same


def is_number(text: str) -> bool:
    """Whether a text is a finite decimal number."""
    return re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text) is not None


def parse(setting: str, text: str) -> Rule:
    """The rule that a setting's text states; raises Refused with the grammar."""
    text = text.strip()
    if not text:
        return Rule("", ())
    found = re.fullmatch(r"(==|!=|>=|<=|>|<|in)\s*(\S.*)", text)
    if found:
        sign, rest = found[1], found[2].strip()
        rest, has_else, others = rest.partition(" else ") if sign not in COMPARISONS else (rest, "", "")
        values = bracketed(rest) if sign == "in" else (unquoted(rest),)
        both = (*values, *bracketed(others)) if has_else else values
        whole = bool(values) and all(both) and (not has_else or len(both) > len(values))
        if whole and (sign not in COMPARISONS or is_number(values[0])):
            return Rule(sign, values, text, both[len(values) :])
    raise Refused(
        f"{setting}={text!r}: not a rule; allowed {GRAMMAR}, or nothing if the column holds 0/1 or true/false."
    )


def bracketed(text: str) -> tuple[str, ...]:
    """Values between brackets; empty if there are no brackets."""
    inner = re.fullmatch(r"\[(.*)\]", text.strip())
    return tuple(unquoted(part) for part in inner[1].split(",")) if inner else ()


def unquoted(value: str) -> str:
    """A value without surrounding white space and quotes."""
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
