"""Schema of the clinical table, shared by all clinical sources: `datasets/clinical/schema.yaml`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from sim import assets

KEY = ("patient_id", "cancer_type")
TREATMENTS = ("surgery", "chemo", "radiation", "hormone", "targeted")  # columns tx_NAME and tx_NAME_days
LIFETIMES = (1850, 2150)  # years, inclusive, that a date may lie in
SAME_DAY = 0.5  # days of follow-up of a death or last contact on the day of diagnosis


@dataclass(frozen=True)
class Column:
    """One column of the table."""

    name: str
    kind: str  # text | choice | number | whole | flag | date
    role: str  # key | place | baseline | treatment | outcome
    meaning: str
    required: bool = False
    unit: str = ""
    range: tuple[float, float] | None = None
    above: bool = False  # the lower bound itself is excluded
    allowed: tuple[str, ...] = ()
    reveals: str = ""  # column that this one reveals

    @property
    def bounds(self) -> str:
        """Allowed values, for a refusal."""
        if self.allowed:
            return f"allowed {', '.join(self.allowed)}"
        if self.range is None:
            return {
                "flag": "allowed true or false",
                "date": f"allowed a day from {LIFETIMES[0]} to {LIFETIMES[1]}",
            }.get(self.kind, "allowed any text without a byte 0")
        low, high = self.range
        words = f"above {low:g} up to {high:.12g}" if self.above else f"{low:g} to {high:.12g}"
        return f"allowed {'whole ' if self.kind == 'whole' else ''}numbers {words} {self.unit}".rstrip()


def path() -> Path:
    """Path of the description of the columns."""
    return assets.root() / "datasets" / "clinical" / "schema.yaml"


@cache
def columns() -> Mapping[str, Column]:
    """Columns by name, in the order of the table."""
    made = {}
    for name, entry in yaml.safe_load(path().read_text(encoding="utf-8")).items():
        lists = {field: tuple(value) for field, value in entry.items() if isinstance(value, list)}
        made[name] = Column(name, **(entry | lists))
    return made


def upper_bound(name: str) -> float:
    """Upper bound of a column's range; infinity if it has none."""
    _, high = columns()[name].range or (-math.inf, math.inf)
    return high


def columns_with_role(role: str) -> tuple[str, ...]:
    """Names of the columns of a role, in the order of the table."""
    return tuple(name for name, column in columns().items() if column.role == role)
