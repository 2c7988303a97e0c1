"""A rule that turns a text cell into true or false: `> 0`, `== yes`, `in [2, 3]`. Parsed by hand, never evaluated.

A cell that a rule cannot judge is refused by who asks: to call a misspelt word false would turn an event into none.
"""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sim.checks import Refused

Comparison = Callable[[NDArray[np.float64], float], NDArray[np.bool_]]

COMPARISONS: dict[str, Comparison] = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
GRAMMAR = '"== value", "!= value", "> number", ">= number", "< number", "<= number", "in [value, value]", '
GRAMMAR += 'of words with those of the other answer: "== dead else [alive, lost]"'
WORDS = {"1": True, "true": True, "0": False, "false": False, "1.0": True, "0.0": False}


@dataclass(frozen=True)
class Rule:
    """Sign and values; two values that are both numbers are compared as numbers, so that 1 equals 1.0."""

    sign: str  # one of GRAMMAR, or "" for cells that are 0/1 or true/false
    values: tuple[str, ...]
    text: str = ""  # as the user wrote it
    others: tuple[str, ...] = ()  # values of the other answer; none = one word, whatever it is

    def readable(self, text: pd.Series) -> NDArray[np.bool_]:
        """Whether the rule can judge a cell, bool [R].

        An order needs numbers, and so do values that are numbers; no rule needs 0/1 or true/false. Of words that the
        rule does not name there may be one, the most frequent: any further could be a misspelling.
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
        """This rule with all words of a column named, as a user would write it; an order as it is."""
        if self.sign in COMPARISONS:
            return self.text
        rest = text[~self.same(text, self.values)].unique()
        return f"{self.text.partition(' else ')[0]} else [{', '.join(map(str, rest[:6]))}]"

    def same(self, text: pd.Series, values: tuple[str, ...]) -> NDArray[np.bool_]:
        """Whether a cell is one of the values, bool [R]."""
        number = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
        return text.isin(values).to_numpy() | np.isin(number, [float(v) for v in values if is_number(v)])

    def holds(self, text: pd.Series) -> NDArray[np.bool_]:
        """Whether the rule holds, bool [R]; False where the cell is not readable."""
        if not self.sign:
            return text.str.lower().map(WORDS).eq(True).to_numpy(dtype=bool)
        if self.sign in COMPARISONS:
            number = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
            return COMPARISONS[self.sign](number, float(self.values[0]))
        same = self.same(text, self.values)
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
        rest, told, others = rest.partition(" else ") if sign not in COMPARISONS else (rest, "", "")
        values = bracketed(rest) if sign == "in" else (unquoted(rest),)
        both = (*values, *bracketed(others)) if told else values
        whole = bool(values) and all(both) and (not told or len(both) > len(values))
        if whole and (sign not in COMPARISONS or is_number(values[0])):
            return Rule(sign, values, text, both[len(values) :])
    raise Refused(
        f"{setting}={text!r}: not a rule; allowed {GRAMMAR}, or nothing if the column holds 0/1 or true/false."
    )


def bracketed(text: str) -> tuple[str, ...]:
    """Values between brackets; none if there are no brackets."""
    inner = re.fullmatch(r"\[(.*)\]", text.strip())
    return tuple(unquoted(part) for part in inner[1].split(",")) if inner else ()


def unquoted(value: str) -> str:
    """A value without surrounding blanks and quotes."""
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value
