"""Patients of a sheet: the name of every row's, and how many rows of how many were kept."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from sim.cohort.tabular.sheet import Sheet

NAMELESS = "Fill it in or drop the row; a word of cohort.missing_marks, such as NA, is no name."
ROUNDED = r"[-+]?(\d+\.?\d*[eE]\+?\d+|\d{16,}\.0*)"  # a number of 16 digits or more that passed through float
BY_PLACE = (
    "each row is one, known by its place in the file: in another order of rows other patients are tested "
    "(cohort.patient names them)"
)


def name_patients(sheet: Sheet, column: str, local: bool) -> NDArray[np.str_]:
    """Name of every row's patient, str [R], from `column`, or each row one where that is "".

    The site is part of it where hospitals number their own (`local`). Refuses a gap and a rounded number.
    """
    if not column:
        return joined(sheet.site, sheet.row.astype(str))
    sheet.refuse_first(column, sheet.missing([column]), "names no patient", NAMELESS)
    rounded = sheet.cells[column].str.fullmatch(ROUNDED).to_numpy(dtype=bool)
    why = "is a rounded number, which stands for many patients"
    sheet.refuse_first(column, rounded, why, "Export the column as text or as whole numbers.")
    own = sheet.cells[column].to_numpy(dtype=str)
    return joined(sheet.site, own) if local else own


def joined(site: NDArray[np.str_], own: NDArray[np.str_]) -> NDArray[np.str_]:
    """`site/own` of every row, str [R]."""
    return np.strings.add(np.strings.add(site, "/"), own)


def counts(whole: Sheet, kept: Sheet, patients: NDArray[np.str_], named: bool) -> dict[str, str]:
    """Notes on rows kept and left out per site, and on the patients [R] of the kept rows, if a column names them."""
    before, after = Counter(whole.site.tolist()), Counter(kept.site.tolist())
    lost = {site: count - after[site] for site, count in before.items() if count > after[site]}
    rows = np.unique(patients, return_counts=True)[1]
    several = f"{len(rows)}, of whom {int((rows > 1).sum())} have several rows"
    return {
        "rows": ", ".join(f"{site} {after[site]}" for site in before if site),
        "patients": several if named else f"{len(rows)}; {BY_PLACE}",
        "left out": ", ".join(f"{site or 'no site'} {count}" for site, count in lost.items()) or "none",
    }
