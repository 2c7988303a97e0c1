"""One answer over all scenarios of a study, and a table with a row for each."""

from collections.abc import Sequence

import pandas as pd

from sim.report.answer import some_sites
from sim.report.decision import Decision, Verdict
from sim.report.table_text import brackets
from sim.text import NOT_KNOWN, first_few, listed, number, signed

Decisions = Sequence[tuple[str, Decision | None]]

ADVICE = {
    Verdict.join: "join",
    Verdict.same: "no relevant difference",
    Verdict.alone: "do not join",
    Verdict.undecided: "not decided",
    Verdict.no_interval: "no interval",
    Verdict.not_asked: "no local models",
}


def over_all(decided: Decisions) -> str:
    """One sentence over all scenarios: where to join, the range of the gain, who loses anywhere, which methods hold."""
    known = [(name, decision) for name, decision in decided if decision is not None]
    if not known:
        return "No federated run finished in any scenario, so there is nothing to recommend."
    groups: dict[Verdict, list[str]] = {}
    for name, decision in known:
        groups.setdefault(decision.verdict, []).append(name)
    if len(groups) == 1:
        parts = [f"{ADVICE[next(iter(groups))].capitalize()} in all {len(known)} scenarios"]
    else:
        parts = [f"{ADVICE[verdict]} in {len(names)} of {len(known)} scenarios ({listed(names)})"
                 for verdict, names in groups.items()]  # fmt: skip
    said = sentence_case("; ".join(parts))
    gains = [decision.best.gain for _, decision in known if decision.verdict is not Verdict.not_asked]
    if gains:
        said += f": the mean gain over training alone ranges from {signed(min(gains))} to {signed(max(gains))}"
        lost = [name for name, decision in known if decision.losing]
        said += (
            f"; at least one site loses significantly in {listed(lost)}" if lost else "; no site loses significantly"
        )
    return f"{said}; {holding(known)}."


def sentence_case(text: str) -> str:
    """The text with a capital first letter, and the others as they were."""
    return text[:1].upper() + text[1:]


def holding(known: Sequence[tuple[str, Decision]]) -> str:
    """Which methods are the best or equally good in every scenario."""
    first = known[0][1].methods
    always = [name for name in first if all(name in decision.methods for _, decision in known)]
    if not always:
        return "no method is among the best in all of them"
    if len(always) == 1:
        return f"{always[0]} is among the best in all of them"
    return f"{first_few(always)} are among the best in all of them, and equally good"


def text(decided: Decisions) -> pd.DataFrame:
    """One row per scenario: advice, best methods, mean, gain with its interval, and sites that lose."""
    lines = []
    for name, decision in decided:
        line = {"Scenario": name} | dict.fromkeys(
            (
                "Joining",
                "Best methods",
                "Mean [95\u00a0%]",
                "Gain over local [95\u00a0%]",
                "Sites losing significantly",
            ),
            NOT_KNOWN,
        )
        if decision is not None:
            best = decision.best
            losing = f"{some_sites(decision.losing)}" if decision.losing else "none"
            line |= {
                "Joining": ADVICE[decision.verdict],
                "Best methods": first_few(decision.methods),
                "Mean [95\u00a0%]": number(best.mean) + brackets(best.low, best.high) + best.fewer,
                "Gain over local [95\u00a0%]": signed(best.gain) + brackets(best.gain_low, best.gain_high, signed),
                "Sites losing significantly": losing if decision.verdict is not Verdict.not_asked else NOT_KNOWN,
            }
        lines.append(line)
    return pd.DataFrame(lines)
