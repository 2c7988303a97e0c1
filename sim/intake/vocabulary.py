"""Vocabulary of sex, race and ethnicity: the words of exports of different years -> those of the schema."""

from collections import Counter

from sim.checks import Refused
from sim.cohort.clinical.schema import columns
from sim.intake.lines import Place

SEX = {"f": "female", "m": "male", "female": "female", "male": "male", "other": "other", "unknown": "unknown"}
RACE = {  # words of Synthea and texts of the US Core race extension
    "hispanic": "unknown",  # exports until 2018 give it as a race; see `ethnicity`
    "black or african american": "black",
    "american indian or alaska native": "native",
    "native hawaiian or other pacific islander": "hawaiian",
    "other race": "other",
    "unk": "unknown",
    "asked but no answer": "unknown",
    "asked but unknown": "unknown",
}
ETHNICITY = {
    "hispanic or latino": "hispanic",
    "not hispanic or latino": "nonhispanic",
    "non-hispanic": "nonhispanic",
    "unk": "unknown",
    "asked but no answer": "unknown",
    "asked but unknown": "unknown",
}
# Exports of 2017 give an ancestry as ethnicity; Hispanic ancestries come with the race "hispanic".
ANCESTRIES = {
    "irish",
    "italian",
    "english",
    "french",
    "german",
    "polish",
    "portuguese",
    "american",
    "scottish",
    "russian",
}
ANCESTRIES |= {"swedish", "greek", "african", "west_indian", "chinese", "asian_indian", "arab"}
ANCESTRIES |= {"american_indian", "french_canadian"}
HISPANIC_ANCESTRIES = {"puerto_rican", "dominican", "mexican", "central_american", "south_american"}


def sex(text: str, place: str | Place, not_understood: Counter[str] | None) -> str:
    """Sex in the words of the schema: female, male, other or unknown."""
    return schema_word("sex", SEX, text, place, not_understood)


def race(text: str, place: str | Place, not_understood: Counter[str] | None) -> str:
    """Race in the words of the schema."""
    return schema_word("race", RACE, text, place, not_understood)


def ethnicity(text: str, race_text: str, place: str | Place, not_understood: Counter[str] | None) -> str:
    """Ethnicity in the words of the schema; the race "hispanic" of old exports decides."""
    word = text.strip().lower()
    if race_text.strip().lower() == "hispanic" or word in HISPANIC_ANCESTRIES:
        return "hispanic"
    return "nonhispanic" if word in ANCESTRIES else schema_word("ethnicity", ETHNICITY, text, place, not_understood)


def schema_word(
    column: str, words: dict[str, str], text: str, place: str | Place, not_understood: Counter[str] | None
) -> str:
    """The schema's word for `text`; empty text is "unknown".

    Text that is no known word is refused with its place or, if `not_understood` is given, counted there as "unknown".
    """
    word = text.strip().lower()
    allowed = columns()[column].allowed
    if not word or word in allowed:
        return word or "unknown"
    if word in words:
        return words[word]
    if not_understood is None:
        raise Refused(
            f"{place}: {text!r} is no {column}; allowed {', '.join(sorted({*allowed, *words}))}. "
            "Correct it, or count it as unknown with --unknown skip."
        )
    not_understood[f"{column}: {text}"] += 1
    return "unknown"
