"""Refusals: every value from a user is checked where it enters, and the message says what, allowed and what to do."""

import difflib
import math
import sys
from collections.abc import Iterable

MAX_LETTERS, MAX_WORDS = 100, 60  # letters of a value and words of a list that a refusal shows


class Refused(ValueError):
    """A setting, a table or a request that fedtrial will not act on; the text is meant for the user."""


def print_refusal(refusal: Refused) -> None:
    """Print a refusal the way every command does."""
    print(f"Refused: {refusal}", file=sys.stderr)


def within(
    name: str, value: float, low: float, high: float = math.inf, *, open_low: bool = False, open_high: bool = False
) -> None:
    """Refuse a number outside its range; `open_low`/`open_high` exclude the bound itself."""
    above = value > low if open_low else value >= low
    below = value < high if open_high else value <= high
    if above and below and math.isfinite(value):
        return
    if math.isinf(high):
        allowed = f"{'>' if open_low else '>='} {low:g}"
    else:
        allowed = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
    raise Refused(f"{name}={value}: allowed {allowed}.")


def one_of(name: str, value: str, allowed: Iterable[str], remedy: str = "") -> None:
    """Refuse a word that is not in the allowed set, with the nearest ones."""
    words = sorted(allowed)
    if value in words:
        return
    guess = did_you_mean(value, words)
    rest = f" and {len(words) - MAX_WORDS} more" if len(words) > MAX_WORDS else ""
    listed = f"{', '.join(words[:MAX_WORDS])}{rest}"
    raise Refused(f"{name}={brief(value)}: allowed {listed}.{guess}{' ' + remedy if remedy else ''}")


def brief(value: object) -> str:
    """A value as it would be written in code, cut where it is long."""
    written = repr(value)
    return written if len(written) <= MAX_LETTERS else f"{written[:MAX_LETTERS]}... ({len(written)} letters)"


def did_you_mean(word: str, words: Iterable[str], shown: str = "{!r}") -> str:
    """` Did you mean 'x'?` with the nearest of the words, written as `shown` says; empty if none is near."""
    near = difflib.get_close_matches(word, list(words), n=1)
    return f" Did you mean {shown.format(near[0])}?" if near else ""
