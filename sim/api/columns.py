"""What a program hands over, as columns of a table: numbers stay numbers, words are words, a masked cell is a gap."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sim.checks import Refused, brief
from sim.lazy import pd

NUMBERS = ("boolean", "decimal", "floating", "integer", "mixed-integer-float")  # as pandas calls kinds of values
WORDS = ("string", "categorical")
REMEDIES = {
    "bytes": "Decode them: .astype(str).",
    "timedelta": "Say in which unit they are meant, such as days: divide by pd.Timedelta(days=1).",
    "timedelta64": "Say in which unit they are meant, such as days: divide by pd.Timedelta(days=1).",
}


def table(X: ArrayLike | pd.DataFrame) -> pd.DataFrame:
    """A data frame as it is; of an array [R, F] of numbers the columns are called x0, x1, ..."""
    if isinstance(X, pd.DataFrame):
        return X
    array = whole("X", X)
    if array.ndim != 2:
        raise Refused(f"X has shape {array.shape}: allowed [rows, features]. For one feature take X[:, None].")
    if array.dtype.kind in "US":
        raise Refused(
            f"X: an array of words, such as {brief(array[:1].ravel()[:3].tolist())}; allowed numbers. Give a data "
            "frame, whose columns of words become categories."
        )
    return pd.DataFrame(array, columns=[f"x{number}" for number in range(array.shape[1])])


def whole(name: str, values: ArrayLike) -> NDArray[Any]:
    """An array with its mask, if it has one; refuses what numpy cannot read."""
    try:
        return values if isinstance(values, np.ma.MaskedArray) else np.asarray(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise Refused(f"{name}: cannot be read as an array ({error}).") from None


def column(name: str, values: ArrayLike, rows: int) -> pd.Series:
    """One value for every row, with an index from 0; what an array masks is a gap. [R]"""
    ours = isinstance(values, pd.Series | pd.Index | pd.api.extensions.ExtensionArray)
    if not ours and hasattr(values, "__array__"):
        values = whole(name, values)
    shape = getattr(values, "shape", None)
    if shape is None or shape == (rows,):
        try:
            made = pd.Series(values).reset_index(drop=True)
        except (TypeError, ValueError) as error:
            raise Refused(f"{name}: cannot be read as a column ({error}). Give one value for each row.") from None
        shape = made.shape
    if shape != (rows,):
        raise Refused(f"{name} has shape {shape}: allowed one value for each of the {rows} rows of X.")
    return made


def holds(name: str, values: pd.Series, allowed: tuple[str, ...] = (*NUMBERS, *WORDS)) -> str:
    """What a column holds, in pandas' words, `empty` where all are gaps; refuses what is not allowed."""
    found = str(pd.api.types.infer_dtype(values, skipna=True))
    if found in ("empty", *allowed):
        return found
    seen = values.dropna().iloc[:3].tolist()
    wanted = "numbers, true and false, or words" if set(WORDS) <= set(allowed) else "numbers"
    remedy = REMEDIES.get(found, "Turn it into what is allowed.")
    raise Refused(f"{name}: allowed {wanted}; it has {brief(seen)}. {remedy}")


def plain(name: str, values: pd.Series) -> pd.Series:
    """Words, categories and numbers as they are, but numbers that are kept as objects as numbers; refuses all else."""
    found = holds(name, values)
    exotic = found not in WORDS and values.dtype in (object, np.longdouble)
    return pd.Series(numbers(name, values)) if exotic else values


def predictor(name: str, values: pd.Series) -> pd.Series:
    """A column of X: `plain`, and words as categories."""
    return pd.Series(categories(values)) if holds(name, values) == "string" else plain(name, values)


def words(name: str, values: pd.Series) -> NDArray[np.str_]:
    """Names as text; refuses a gap, an empty name, and bytes. [R]"""
    found = [str(value) for value in values.tolist()]
    gap = values.isna().to_numpy() | np.array([not word.strip() for word in found], dtype=bool)
    if gap.any():
        raise Refused(f"{name}: row {int(gap.argmax())} has none. Name it, or leave the row out.")
    if any(isinstance(value, bytes) for value in values.tolist()):
        raise Refused(f"{name}: allowed words and numbers; it has bytes, such as {found[0]}. {REMEDIES['bytes']}")
    return np.array(found)


def categories(values: pd.Series) -> pd.Categorical:
    """Words as categories in alphabetical order; gaps stay gaps."""
    text = values.astype("str") if isinstance(values.dtype, pd.ArrowDtype) else values
    return pd.Categorical(text.where(text.isna(), text.astype(str)))


def numbers(name: str, values: pd.Series) -> NDArray[np.float64]:
    """Values as numbers, gaps as NaN; [R]."""
    holds(name, values, NUMBERS)
    return values.to_numpy(dtype=np.float64, na_value=np.nan)
