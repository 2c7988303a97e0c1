"""What every importer gives: charts, and what was read on the way."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sim.checks import Refused
from sim.intake.charts import Charts


@dataclass
class Reading:
    """Charts of the patients with a cancer, and the rest of the story for the card."""

    source: str  # of the schema
    charts: Charts
    patients: int  # with or without a cancer
    rows: dict[str, int]  # table -> rows read; one that is not there is not named
    tables: dict[str, str]  # table -> what the user knows it as
    absent: dict[str, str] = field(default_factory=dict)  # column of the schema -> why no row can have it
    unlisted: Counter[str] = field(default_factory=Counter)  # conditions that sound like a cancer without a known code
    licence: str = ""

    def __post_init__(self) -> None:
        if not self.charts.cases:
            raise Refused(no_cancer(self.patients, self.unlisted))


def no_cancer(patients: int, unlisted: Counter[str]) -> str:
    """Refusal of data without a cancer that we know."""
    others = ", ".join(f"{text} ({count})" for text, count in unlisted.most_common(3))
    return (
        f"{patients} patients read, none with a cancer of datasets/clinical/codes.yaml. "
        + (f"Conditions that sound like one: {others}. " if others else "")
        + "Synthea gives about one adult in ten a cancer: export more people, and older ones (-a 40-90)."
    )


def licence(folder: Path) -> str:
    """Name and first words of a licence file in a folder, or that none is there."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stem.upper() in ("LICENSE", "LICENCE", "COPYING"):
            lines = [line.strip(" #*=-\t") for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
            return f"{path.name} beside the data begins: {', '.join([line for line in lines if line][:2])}"
    return "not stated: no licence file lies beside the data"
