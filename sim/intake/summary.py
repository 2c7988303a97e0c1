"""Summary of an import: lines and a table for the terminal, and the card beside the file."""

from collections import Counter
from datetime import UTC, date, datetime
from importlib import metadata

import pandas as pd
from rich.table import Table

from sim.cohort.clinical.schema import columns
from sim.intake.assemble import Assembled
from sim.intake.options import FollowUp
from sim.intake.reading import Reading, most_common

MAX_SITES = 20  # sites listed in a card
MOST = 5  # kinds listed of those left out

SYNTHEA = """\
Everything here is simulated by Synthea: no row is a person. Incidence, stages, treatment and death follow its modules.
Death is drawn from the stage alone (breast, colorectal) or from nothing (lung, prostate). Receptors, race, income,
comorbidity and treatment do not enter it, and facilities differ by nothing but who lives near them."""
BUNDLES = """\
What is simulated depends on who wrote the bundles; they do not say so. Bundles of Synthea are simulated throughout, and
what its cards say holds here. Bundles of a hospital are patients: this file has their dates, numbers and places
unchanged, so it is as confidential as its source."""
CAUTION = """\
- Nothing about real patients, treatments or groups, if the source is Synthea; it shows how methods behave.
- Nothing about the effect of a treatment: the table says who got one, not why.
- Nothing from `mortality_5y` about those diagnosed in the last 5 years: they are not in it, dead or alive.
- Nothing from a gap: an empty cell is what the export left out, for the reasons above, not a finding."""


def summary_lines(reading: Reading, made: Assembled, follow_up: FollowUp) -> list[str]:
    """Sentences on who was read, follow-up, and what was left out."""
    table, charts = made.table, reading.charts
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(Counter(table["cancer_type"].astype(str)).items()))
    until = f"to {date.fromordinal(charts.end)}" if follow_up is FollowUp.export else "to their own last encounter"
    sentences = [
        f"{reading.patients} patients read, {table['patient_id'].nunique()} with cancer: {kinds}.",
        f"{int(table['event'].sum())} of {len(table)} died; the living are followed {until}, "
        f"{table['time_years'].median():.1f} years from diagnosis in the median.",
    ]
    if made.truncated:
        selection = (
            "Synthea exports such patients only if the condition still lasts, so they are a selection: "
            "export with exporter.years_of_history = 0."
        )
        synthea = reading.source == "java_csv" or charts.simulated
        rest = selection if synthea else "Their work-up and first treatments may be recorded elsewhere."
        sentences.append(f"{made.truncated} of {len(table)} were diagnosed before their records begin. {rest}")
    if reading.partial:
        sentences.append(f"Diagnoses with only a year or a month, of which the middle is used: {reading.partial}.")
    if charts.rules.not_understood:
        sentences.append(f"Left out because not understood: {most_common(charts.rules.not_understood, MOST)}.")
    if reading.uncertain:
        sentences.append(f"Not imported, because not confirmed: {most_common(reading.uncertain, MOST)}.")
    if reading.unlisted:
        sentences.append(f"Not imported, though they sound like a cancer: {most_common(reading.unlisted, MOST)}.")
    return sentences


def gaps(made: Assembled) -> list[tuple[str, str, str]]:
    """Columns with the same gaps, how many rows are filled, and the reasons for the gaps."""
    groups: dict[tuple[int, str], list[str]] = {}
    for name in columns():
        if not name.endswith("_days"):
            reasons = made.gaps.get(name, Counter()).most_common()
            why = "; ".join(f"{reason} ({count})" for reason, count in reasons)
            groups.setdefault((int(made.table[name].notna().sum()), why), []).append(name)
    return [(", ".join(names), f"{filled} of {len(made.table)}", why) for (filled, why), names in groups.items()]


def gaps_table(made: Assembled) -> Table:
    """`gaps` as a table for the terminal."""
    table = Table("columns", "filled", "not filled, and why")
    for names, filled, why in gaps(made):
        table.add_row(names, filled, why)
    return table


def card(reading: Reading, made: Assembled, follow_up: FollowUp, name: str, folder: str, command: str) -> str:
    """The card in Markdown: provenance, licence, columns, sites, and limits of interpretation."""
    sentences = summary_lines(reading, made, follow_up)
    read = ", ".join(f"{reading.tables[table]} {count}" for table, count in reading.rows.items())
    parts = [
        f"# {name}",
        "| | |\n|--|--|",
        f"| What | {sentences[0]} {sentences[1]} |",
        f"| From | `{folder}`, {'Synthea CSV' if reading.source == 'java_csv' else 'FHIR R4 bundles'} |",
        f"| Read | {read} rows |",
        f"| By | fedtrial {metadata.version('fedtrial')}, {datetime.now(UTC).date()}: `{command}` |",
        *([f"| Codes | datasets/clinical/codes.yaml and {own} |"] if (own := reading.charts.rules.codes.own) else []),
        f"| Licence | {reading.licence} |",
        f"| Use | `cohort=clinical cohort.file={name}` |",
        *(f"| | {line} |" for line in sentences[2:]),
        "\n## Columns",
        "Meaning and units are in fedtrial's datasets/clinical/schema.yaml.\n",
        "| columns | filled | not filled, and why |\n|--|--|--|",
        *(
            f"| {', '.join(f'`{one}`' for one in names.split(', '))} | {filled} | {why} |"
            for names, filled, why in gaps(made)
        ),
        "\n## Sites",
        *(line for column in ("facility_id", "county", "city", "state") for line in site_counts(made.table, column)),
        "\n## What is simulated",
        SYNTHEA if reading.source == "java_csv" else BUNDLES,
        "\n## What must not be concluded",
        CAUTION,
    ]
    return "\n".join(parts) + "\n"


def site_counts(table: pd.DataFrame, column: str) -> list[str]:
    """Line of the card: rows per site if `column` defined the sites; the largest MAX_SITES."""
    count = table[column].value_counts()
    named = ", ".join(f"{site} {rows}" for site, rows in count.head(MAX_SITES).items())
    rest = (
        f" and {len(count) - MAX_SITES} more with {int(count.iloc[MAX_SITES:].sum())} rows"
        if len(count) > MAX_SITES
        else ""
    )
    none = int(table[column].isna().sum())
    return [f"- `{column}`, {len(count)}: {named or 'none'}{rest}" + (f"; not recorded {none}" if none else "")]
