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
    uncertain: Counter[str] = field(default_factory=Counter)  # verificationStatus -> cancers that may be none
    partial: int = 0  # diagnoses with a year or a month alone
    licence: str = ""

    def __post_init__(self) -> None:
        if not self.charts.cases:
            raise Refused(no_cancer(self))


def no_cancer(reading: Reading) -> str:
    """Text of the refusal of data without a known cancer."""
    sounding, left_out = reading.unlisted, reading.charts.rules.not_understood or Counter()
    return (
        f"{reading.patients} patients read, none with a cancer of datasets/clinical/codes.yaml. "
        + (f"Conditions that sound like one: {most_common(sounding, 3)}. " if sounding else "")
        + (f"Not confirmed: {most_common(reading.uncertain, 3)}. " if reading.uncertain else "")
        + (f"Left out: {most_common(left_out, 3)}. " if left_out else "")
        + "In Synthea about one adult in ten has a cancer: export more people, and older ones (-a 40-90). A hospital's "
        "own codes, such as ICD-10, need a map: --codes FILE (docs/cohorts.md)."
    )


def most_common(counts: Counter[str], most: int) -> str:
    """The most common words with their counts."""
    return ", ".join(f"{text} ({count})" for text, count in counts.most_common(most))


def licence(folder: Path) -> str:
    """Name and first words of the licence file in a folder, or that there is none."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stem.upper() in ("LICENSE", "LICENCE", "COPYING"):
            lines = [line.strip(" #*=-\t") for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
            return f"{path.name} beside the data begins: {', '.join([line for line in lines if line][:2])}"
    return "not stated: there is no licence file beside the data"
