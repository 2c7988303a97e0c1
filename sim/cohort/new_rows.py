"""Rows that come after an encoding was fitted: made to conform to it, or refused at the first cell that does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Floats
from sim.checks import MAX_WORDS, Refused, brief, did_you_mean
from sim.cohort.encode import HUGE, Encoder, Kind, Predictor
from sim.cohort.tabular.columns import days_of, numbers_of
from sim.cohort.tabular.sheet import with_points
from sim.lazy import pd

MARKS = (  # of a gap, as an empty cell is one: the words that pandas and R write and read as such
    *("NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None", "<NA>", "NaT", "#N/A", "#NA"),
    *("#N/A N/A", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
)
FLAGS = {"true": 1.0, "1": 1.0, "1.0": 1.0, "false": 0.0, "0": 0.0, "0.0": 0.0}


@dataclass(frozen=True)
class NewRows:
    """A table in which cells may still be text, and how to name a row of it in a refusal.

    marks    words that say that a cell is not recorded, unless they are a level of its column
    decimal  mark before the fraction of a number in text
    dates    columns whose text is a day, 2015-12-31, and whose number is that of days since 1970-01-01
    """

    table: pd.DataFrame
    place: Callable[[int], str] = field(default="row {}".format, repr=False)
    marks: Sequence[str] = MARKS
    decimal: str = "."
    dates: Sequence[str] = ()

    def conform(self, encoder: Encoder) -> pd.DataFrame:
        """The encoder's predictors alone, [N]: numbers and flags as float64, categories with the fitted levels."""
        if self.table.empty:
            raise Refused("No rows to predict; give at least one.")
        found = list(map(str, self.table.columns))
        for name in (predictor.name for predictor in encoder.predictors):
            if found.count(name) != 1:
                what = "no column" if name not in found else "more than one column"
                raise Refused(
                    f"The rows have {what} {name!r}, which the model needs once; they have "
                    f"{', '.join(found[:MAX_WORDS])}.{did_you_mean(name, found)} Add it or rename it."
                )
        return pd.DataFrame({predictor.name: self.column(predictor) for predictor in encoder.predictors})

    def column(self, predictor: Predictor) -> pd.Categorical | Floats:
        """One predictor, [N]."""
        series = self.table[predictor.name].reset_index(drop=True)
        if predictor.kind is Kind.category:
            return self.category(series, predictor)
        number = self.numbers(series, predictor)
        self.refuse_gaps(np.isnan(number), predictor)
        return number

    def numbers(self, series: pd.Series, predictor: Predictor) -> Floats:
        """Numbers, or 1 and 0 of a flag; NaN where not recorded, [N]."""
        flag, day = predictor.kind is Kind.flag, predictor.name in self.dates
        if pd.api.types.is_bool_dtype(series) and flag:
            return np.asarray(series.astype("boolean").to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
        if pd.api.types.is_numeric_dtype(series) and not pd.api.types.is_bool_dtype(series):
            number = series.to_numpy(dtype=np.float64, na_value=np.nan)
            wrong = np.zeros(len(number), dtype=bool)
        else:
            text = self.text(series)
            text = text.where(~text.isin(self.marks), "")
            if flag:
                number = text.str.lower().map(FLAGS).to_numpy(dtype=np.float64, na_value=np.nan)
            else:
                number = days_of(text) if day else numbers_of(text, self.decimal)
            wrong = np.isnan(number) & (text != "").to_numpy()
        if flag:
            wrong |= ~np.isin(number, (0.0, 1.0)) & ~np.isnan(number)
        else:
            wrong |= np.abs(number) > HUGE
        comma = "" if self.decimal == "." else f" with the decimal mark {self.decimal!r}"
        finite = "a day such as 2015-12-31" if day else f"a finite number up to {HUGE:g}{comma}"
        allowed = "true, false, 1 or 0" if flag else finite
        self.refuse_first(wrong, predictor.name, f"allowed {allowed}", remedy(predictor))
        return number

    def category(self, series: pd.Series, predictor: Predictor) -> pd.Categorical:
        """Words as the fitted levels, [N]; a number is the level that is the same number."""
        levels = predictor.levels
        text = with_points(self.text(series), self.decimal)
        other = sorted({word for word in text.unique() if word} - set(levels))
        text = text.map({level: level for level in levels} | {word: same_number(word, levels) for word in other})
        text = text.fillna("")
        unknown = ~text.isin((*levels, "", *self.marks)).to_numpy()
        more = f" and {len(levels) - MAX_WORDS} more" if len(levels) > MAX_WORDS else ""
        listed = ", ".join(map(repr, levels[:MAX_WORDS])) + more
        if unknown.any():
            guess = did_you_mean(text.iloc[int(np.argmax(unknown))], levels)
            self.refuse_first(unknown, predictor.name, f"allowed {listed}", f"{remedy(predictor)}{guess}")
        made = pd.Categorical(text.where(text.isin(levels), None), categories=list(levels))
        self.refuse_gaps(made.codes < 0, predictor)
        return made

    def text(self, series: pd.Series) -> pd.Series:
        """Cells as text without surrounding spaces, "" if empty."""
        words = series.astype(object)
        return words.where(series.notna(), "").astype(str).str.strip()

    def refuse_gaps(self, missing: NDArray[np.bool_], predictor: Predictor) -> None:
        """Refuse a gap in a column that was recorded for everyone: no model learned what it means."""
        if not predictor.gaps:
            why = "It was recorded for everyone the model learned from. Fill it in, or leave the row out."
            self.refuse_first(missing, predictor.name, "allowed no gap", why)

    def refuse_first(self, wrong: NDArray[np.bool_], column: str, allowed: str, remedy: str) -> None:
        """Refuse the first row marked `wrong` [N], naming row, column and value."""
        if not wrong.any():
            return
        row = int(np.argmax(wrong))
        value = self.table[column].iloc[row]
        told = "empty" if pd.isna(value) or value == "" else brief(value) if isinstance(value, str) else str(value)
        more = f" ({int(wrong.sum())} such rows)" if wrong.sum() > 1 else ""
        raise Refused(f"{self.place(row)}, column {column!r}: {told}{more}; {allowed}. {remedy}")


def remedy(predictor: Predictor) -> str:
    """What to do about a cell that cannot be read."""
    if predictor.gaps:
        return "Correct it; if it is not recorded, leave the cell empty or name its mark with --missing."
    return "Correct it, or leave the row out."


def same_number(word: str, levels: Sequence[str]) -> str:
    """The level that is the same number as a word, such as '1' for '1.0'; else the word."""
    number = pd.to_numeric(word, errors="coerce")
    plain = f"{number:.15g}"
    return plain if pd.notna(number) and plain in levels else word
