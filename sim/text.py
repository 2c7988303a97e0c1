"""Numbers and lists as text: one way of writing each, for tables, figures, pages and the terminal.

An unknown number (NaN) is a dash, a minus is the sign U+2212, and a number that rounds to zero has no sign.
"""

import math
import re
from collections.abc import Sequence

NOT_KNOWN = "–"
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # all but line feed and tab
MINUS = "\N{MINUS SIGN}"
MOST_NAMES = 10  # that a sentence lists


def number(value: float, decimals: int = 3) -> str:
    """A number with so many decimals, thousands set off by commas: `0.713`, `1,204.5`."""
    return NOT_KNOWN if math.isnan(value) else fixed(value, decimals, ",")


def signed(value: float, decimals: int = 3) -> str:
    """A difference, with its sign: `+0.021`, `0.000`, `−0.013`."""
    return NOT_KNOWN if math.isnan(value) else fixed(value, decimals, "+,")


def fixed(value: float, decimals: int, style: str) -> str:
    """A number in fixed-point notation; `style` = sign and separator of Python's format."""
    rounded = round(float(value), decimals)
    return f"{rounded if rounded else 0.0:{style if rounded else ''}.{decimals}f}".replace("-", MINUS)


def percent(share: float, decimals: int = 1) -> str:
    """A share in percent: 0.273 is `27.3 %`."""
    return NOT_KNOWN if math.isnan(share) else f"{number(100 * share, decimals)} %"


def count(value: float) -> str:
    """A count, or a mean of counts with one decimal: `1,204`, `36.5`."""
    return number(value, 0 if float(value).is_integer() else 1)


def setting_value(value: float | str) -> str:
    """The value of a setting as in an override on the command line: `0.3`, `1`, `breast`."""
    return value if isinstance(value, str) else f"{value:g}"


def visible(text: str) -> str:
    """Text as a terminal may have it: a control character, which could act on the terminal, as `\\x1b`."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: `A`, `A and B`, `A, B and C`; `names` is not empty."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def first_few(names: Sequence[str]) -> str:
    """`listed`; of many names, the first ones and the number of the others."""
    if len(names) <= MOST_NAMES:
        return listed(names)
    return listed([*names[: MOST_NAMES // 2], f"{len(names) - MOST_NAMES // 2} more"])
