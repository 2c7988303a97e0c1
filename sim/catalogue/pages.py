"""docs/methods: one page for each entry and the table of all entries, generated from the code."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from sim.catalogue.costs import costs, forbids, messages, needs, tier
from sim.catalogue.entry import Entry, entries
from sim.catalogue.figure import draw
from sim.catalogue.table import table
from sim.files import make_folder, replace_whole
from sim.report.style import save_figure
from sim.verify.certificates import CHECKS, Checks, properties

MARKS = {  # how a statement in a docstring is known, where it was not read in the paper
    "[M]": "[M]: recalled from the literature, not checked against the paper",
    "[S]": "[S]: read in the authors' code",
    "[A]": "[A]: known from the abstract only",
}
MADE = "<!-- Made by `fedtrial methods --markdown docs/methods`; change the class, not the page. -->\n"


def write_pages(folder: Path) -> int:
    """Write the table, every page and every figure; returns how many pages."""
    make_folder(folder)
    replace_whole(folder / "README.md", index())
    done = 0
    for entry in entries():
        make_folder(folder / entry.axis)
        figure = draw(entry)
        if figure is not None:
            save_figure(figure, folder / entry.axis / f"{entry.name}.svg")
        replace_whole(folder / entry.axis / f"{entry.name}.md", page(entry, figure is not None))
        done += 1
    return done


def page(entry: Entry, drawn: bool, proofs: Mapping[str, Checks] = CHECKS) -> str:
    """The page of one entry, in Markdown."""
    return "\n".join([MADE, *body(entry, drawn, proofs)]) + "\n"


def body(entry: Entry, drawn: bool, proofs: Mapping[str, Checks]) -> Iterator[str]:
    """Paragraphs of a page."""
    parts = entry.parts
    yield f"# {entry.name}\n\n`{entry.key}` · {entry.does}\n"
    if entry.more:
        yield f"{entry.more}\n"
    if "Source" in parts:
        yield f"**Source.** {parts['Source']}\n"
    if "Rule" in parts:
        yield f"## Rule\n{parts['Rule']}\n"
    if entry.settings:
        yield "## Settings\n| key | default | meaning and range |\n|---|---|---|"
        for one in entry.settings:
            yield f"| `{entry.path}.{one.name}` | {cell(one.default)} | {cell(one.note)} |"
        yield ""
    if "Values" in parts:
        yield f"**Values.** {parts['Values']}\n"
    yield f"## Cost and requirements\n{company(entry)}\n"
    if "Pitfalls" in parts:
        yield f"## Pitfalls\n{parts['Pitfalls']}\n"
    marks = [words for mark, words in MARKS.items() if any(mark in part for part in parts.values())]
    if marks:
        yield f"{'; '.join(marks)}.\n"
    proved = list(properties(entry.axis, entry.name, proofs))
    if proved:
        yield f"## Proof\n`fedtrial verify --only {entry.name}` compares the engine with:\n"
        yield "\n".join(f"- {words}" for words in proved) + "\n"
    if drawn:
        yield f"## On a problem with a known solution\n![{entry.name} and FedAvg]({entry.name}.svg)\n"
    yield f"## Try it\n```sh\nfedtrial run {shlex.join(entry.example)}\n```"


def company(entry: Entry) -> str:
    """Messages, state, tier, and what the entry cannot be combined with."""
    lines, cost = [], costs(entry)
    if cost is not None:
        lines.append(f"Messages per site and round: {models(cost.down)} down, {models(cost.up)} up.")
        lines.append(f"Kept at each site: {listed(cost.site)}; at the server beside its model: {listed(cost.server)}.")
    elif messages(entry) != ("–", "–"):
        down, up = (models(one) if one.isdigit() else one for one in messages(entry))
        lines.append(f"Messages per site and round: {down} down, {up} up.")
    if tier(entry) != "–":
        lines.append(f"Local steps of logistic regression run in the {tier(entry)} tier.")
    if needs(entry):
        lines.append(f"Requires: {needs(entry)}")
    refused = forbids(entry)
    if refused:
        lines.append(f"Cannot be combined with: {', '.join(f'`{one}`' for one in refused)}.")
    return "\n".join(f"- {line}" for line in lines) or "- Exchanges no messages."


def models(units: float | str) -> str:
    """A size in models: `1 model`, `0.132 models`."""
    shown = units if isinstance(units, str) else f"{units:.3g}"
    return f"{shown} model" if shown == "1" else f"{shown} models"


def listed(names: tuple[str, ...]) -> str:
    """Names separated by commas, or `nothing`."""
    return ", ".join(f"`{name}`" for name in names) or "nothing"


def cell(text: str) -> str:
    """Text of a table cell."""
    return text.replace("|", "\\|")


def index() -> str:
    """The table of all entries."""
    rows = [
        f"| {row.axis} | [{row.name}]({row.axis}/{row.name}.md) | {cell(row.does)} | {cell(row.source)} | {row.down} | "
        f"{row.up} | {row.tier} | {row.proofs} |"
        for row in table()
    ]
    head = (
        "| axis | entry | what it does | source | down | up | tier | certificates |\n|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([MADE, "# Methods\n", INTRODUCTION, head, *rows]) + "\n"


INTRODUCTION = """This table lists every entry of every axis; a method is one entry of each. `down` and `up` are the
sizes of the messages per site and round, in models (or in words if a message is not a model). `tier` is the tier that
computes the local steps of logistic regression. `certificates` counts the properties that `fedtrial verify` checks.
"""
