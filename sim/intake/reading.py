"""Result of an importer: charts, and what was read to fill them."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sim.checks import Refused
from sim.intake.charts import Charts


@dataclass
class Reading:
    """Charts of the patients with a cancer, and the counts that the card reports; refuses data without any."""

    source: str  # of the schema
    charts: Charts
    patients: int  # with or without a cancer
    rows: dict[str, int]  # table -> rows read, of the tables that exist
    tables: dict[str, str]  # table -> its name for the user
    absent: dict[str, str] = field(default_factory=dict)  # column of the schema -> why no row can have it
    unlisted: Counter[str] = field(default_factory=Counter)  # conditions that sound like a cancer without a known code
    licence: str = ""

    def __post_init__(self) -> None:
        if not self.charts.cases:
            raise Refused(no_cancer(self.patients, self.unlisted))


def no_cancer(patients: int, unlisted: Counter[str]) -> str:
    """Text of the refusal of data without a known cancer."""
    others = ", ".join(f"{text} ({count})" for text, count in unlisted.most_common(3))
    return (
        f"{patients} patients read, none with a cancer of datasets/clinical/codes.yaml. "
        + (f"Conditions that sound like one: {others}. " if others else "")
        + "In Synthea about one adult in ten has a cancer: export more people, and older ones (-a 40-90)."
    )


def licence(folder: Path) -> str:
    """Name and first words of the licence file in a folder, or that there is none."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stem.upper() in ("LICENSE", "LICENCE", "COPYING"):
            lines = [line.strip(" #*=-\t") for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
            return f"{path.name} beside the data begins: {', '.join([line for line in lines if line][:2])}"
    return "not stated: there is no licence file beside the data"
