"""A guess at how a table is to be read: which column is the site, the outcome, an id, a code, a day."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from sim.checks import Refused
from sim.cohort.new_rows import MARKS
from sim.cohort.tabular.advice import Reading, reading
from sim.cohort.tabular.columns import read_numbers, unread
from sim.cohort.tabular.form import ROW_NAMES, Form, head, other_separator
from sim.cohort.tabular.giveaway import NAMED_ID
from sim.cohort.tabular.read import PARQUET, read
from sim.cohort.tabular.rule import WORDS
from sim.cohort.tabular.sheet import Sheet, concatenate, without_marks

PLACES = "site|hospital|cent(er|re)|clinic|institution|inst|facility|cohort"
SITE = re.compile(rf"(.*[_ .-])?({PLACES})(_?(id|name|code))?", re.I)
TIME = re.compile(r"(.*[_ .-])?(time|days|weeks|months|years|os|dtime|survival|follow_?up|fu)([_ .-].*)?", re.I)
EVENT = re.compile(r"(.*[_ .-])?(event|status|dead|death|died|deceased|censor(ed)?|vital_status)([_ .-].*)?", re.I)
LABEL = re.compile(r"(.*[_ .-])?(label|response|responded|outcome|target|class|y|diagnosis|relapse|recurrence)", re.I)
DIED = re.compile(r".*(dead|deceased|died|death|yes|true|event).*|1(:.*)?", re.I)
UNITS = {"day": "days", "week": "weeks", "month": "months", "year": "years"}
MOST_SITES, TITLES = 500, 5


@dataclass(frozen=True)
class Sketch:
    """Settings of `cohort=tabular` as guessed, and what the guess rests on.

    settings  name -> value, as a preset writes them
    columns   name of every column -> what it was taken for
    """

    settings: dict[str, object]
    columns: dict[str, str]


def sketch(path: Path) -> Sketch:
    """Settings with which a file can be tried; raises Refused if it cannot be read at all."""
    form = Form() if path.suffix in PARQUET else guess_form(path)
    sheet = concatenate({"all": without_marks(read(path, form), MARKS)})
    settings: dict[str, object] = {"path": str(path.resolve())}
    written = {"separator": form.separator, "comment": form.comment, "skip": form.skip}
    settings |= {name: value for name, value in written.items() if value not in (",", "", 0)}
    numeric = [name for name in sheet.cells.columns if unread(sheet, name).any()]
    if form.separator != "," and any(reading(sheet, name) is Reading.comma for name in numeric):
        settings["decimal"], sheet = ",", replace(sheet, decimal=",")
    roles = guess_roles(sheet)
    settings |= guess_outcome(sheet, roles)
    taken = {column: f"cohort.{role}" for role, column in roles.items()}
    taken |= {name: guess_use(sheet, name) for name in sheet.cells.columns if name not in taken}
    for use in ("categorical", "dates", "drop"):
        named = [name for name, one in taken.items() if one == f"cohort.{use}"]
        settings |= {use: named} if named else {}
    return Sketch(settings, taken)


def guess_form(path: Path) -> Form:
    """How a CSV is written, from its first lines."""
    form = Form()
    first = head(path, form).first
    if first and first[0].startswith("#"):
        form = replace(form, comment="#")
    for skip in range(TITLES):
        tried = replace(form, skip=skip)
        top = head(path, tried)
        if top.first and (len(top.first) == 1 and other_separator(top.first, tried)):
            tried = replace(tried, separator=other_separator(top.first, tried))
            top = head(path, tried)
        if len(top.first) > 1 and sum(map(bool, top.first)) > 1:
            return tried
    raise Refused(f"{path}: no header with several column names among the first {TITLES}. Write one above the rows.")


def guess_roles(sheet: Sheet) -> dict[str, str]:
    """Role -> column: site, patient, and time with event or a label, as far as names and values agree."""
    cells = sheet.cells
    roles: dict[str, str] = {}
    for name in map(str, cells.columns):
        words = cells[name][cells[name] != ""]
        few = words.nunique()
        if "site" not in roles and SITE.fullmatch(name) and 1 < few <= min(MOST_SITES, len(words) // 2):
            roles["site"] = name
        elif "patient" not in roles and NAMED_ID.fullmatch(name) and name != ROW_NAMES and "patient" in name.lower():
            roles["patient"] = name
        elif "time" not in roles and TIME.fullmatch(name) and few > 2 and are_times(sheet, name):
            roles["time"] = name
        elif "event" not in roles and EVENT.fullmatch(name) and few == 2:
            roles["event"] = name
        elif "label" not in roles and LABEL.fullmatch(name) and few == 2:
            roles["label"] = name
    if not {"time", "event"} <= set(roles):
        roles = {role: column for role, column in roles.items() if role not in ("time", "event")}
    return roles


def are_times(sheet: Sheet, name: str) -> bool:
    """Whether all recorded cells of a column are numbers from 0 on."""
    return not unread(sheet, name).any() and bool(np.nanmin(read_numbers(sheet, name)) >= 0)


def guess_outcome(sheet: Sheet, roles: dict[str, str]) -> dict[str, object]:
    """Settings of the roles, with unit, rules, and what becomes of times of 0 and of rows without an outcome."""
    settings: dict[str, object] = dict(roles)
    for role, rule in (("label", "positive"), ("event", "happened")):
        if role in roles:
            words = sorted(word for word in sheet.cells[roles[role]].unique() if word)
            true = [word for word in words if DIED.fullmatch(word)] or words[-1:]
            if not {word.lower() for word in words} <= set(WORDS):
                settings[rule] = f"== {true[0]}"
    if "time" in roles:
        units = [unit for word, unit in UNITS.items() if word in roles["time"].lower()]
        settings["unit"] = units[0] if units else "days"
        if (read_numbers(sheet, roles["time"]) == 0).any():
            settings["zero_time"] = "half_day"
    outcomes = [roles[role] for role in ("label", "time", "event") if role in roles]
    if outcomes and sheet.missing(outcomes).any():
        settings["unlabelled"] = "drop"
    return settings


def guess_use(sheet: Sheet, name: str) -> str:
    """What a column that has no role is taken for: a number, or the setting that lists it."""
    words = sheet.cells[name][sheet.cells[name] != ""]
    different = words.nunique()
    if name == ROW_NAMES or different < 2:
        return "cohort.drop"
    numbered = bool((pd.to_numeric(words, errors="coerce").diff().iloc[1:] == 1).all())
    if different == len(words) and (NAMED_ID.fullmatch(name) or numbered):
        return "cohort.drop"
    if not unread(sheet, name).any():
        return "number"
    kinds = {Reading.days: "cohort.dates", Reading.codes: "cohort.categorical", Reading.numbers: "number"}
    return kinds.get(reading(sheet, name), "cohort.drop")
