"""Refusals: user input is checked where it enters; a message gives the value, what is allowed, and a remedy."""

import difflib
import math
import sys
from collections.abc import Iterable

from sim.text import visible

MAX_LETTERS, MAX_WORDS = 100, 60  # characters of a value and words of a list that a refusal shows


class Refused(ValueError):
    """Raised for a setting, a table or a request that is not accepted; the text is meant for the user."""


def print_refusal(refusal: Refused) -> None:
    """Print a refusal to standard error, as every command does."""
    print(visible(f"Refused: {refusal}"), file=sys.stderr)


def within(
    name: str, value: float, low: float, high: float = math.inf, *, open_low: bool = False, open_high: bool = False
) -> None:
    """Refuse a number outside `low`..`high`, NaN, infinity and whole numbers beyond 64 bits.

    `open_low`/`open_high` exclude the bound itself.
    """
    wide = isinstance(value, int) and abs(value) >= 2**63
    if wide and math.isinf(high):
        raise Refused(f"{name}={brief(value)}: allowed whole numbers below 2^63, about 9.2e18.")
    above = value > low if open_low else value >= low
    below = value < high if open_high else value <= high
    if above and below and not wide and math.isfinite(value):
        return
    if math.isinf(high):
        allowed = f"{'>' if open_low else '>='} {low:g}"
    else:
        allowed = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
    raise Refused(f"{name}={value}: allowed {allowed}.")


def one_of(name: str, value: str, allowed: Iterable[str], remedy: str = "") -> None:
    """Refuse a word that is not in the allowed set; the message lists the set and the nearest word."""
    words = sorted(allowed)
    if value in words:
        return
    guess = did_you_mean(value, words)
    rest = f" and {len(words) - MAX_WORDS} more" if len(words) > MAX_WORDS else ""
    listed = f"{', '.join(words[:MAX_WORDS])}{rest}"
    raise Refused(f"{name}={brief(value)}: allowed {listed}.{guess}{' ' + remedy if remedy else ''}")


def brief(value: object) -> str:
    """repr of a value, cut after MAX_LETTERS characters."""
    written = repr(value)
    return written if len(written) <= MAX_LETTERS else f"{written[:MAX_LETTERS]}... ({len(written)} letters)"


def did_you_mean(word: str, words: Iterable[str], template: str = "{!r}") -> str:
    """` Did you mean 'x'?` with the nearest of the words, formatted by `template`; empty if none is near."""
    near = difflib.get_close_matches(word, list(words), n=1)
    return f" Did you mean {template.format(near[0])}?" if near else ""
