"""docs/methods: one page for each entry, and the table of all; made from the code alone."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from sim.catalogue.costs import costs, forbids, messages, needs, tier
from sim.catalogue.entry import Entry, entries
from sim.catalogue.figure import draw
from sim.catalogue.table import table
from sim.files import make_folder
from sim.report.style import save_figure
from sim.verify.certificates import CHECKS, Checks, properties

MADE = "<!-- Made by `fedtrial methods --markdown docs/methods`; change the class, not the page. -->\n"


def write_pages(folder: Path) -> int:
    """Write the table, every page and every figure; returns how many pages."""
    make_folder(folder)
    (folder / "README.md").write_text(index())
    done = 0
    for entry in entries():
        make_folder(folder / entry.axis)
        figure = draw(entry)
        if figure is not None:
            save_figure(figure, folder / entry.axis / f"{entry.name}.svg")
        (folder / entry.axis / f"{entry.name}.md").write_text(page(entry, figure is not None))
        done += 1
    return done


def page(entry: Entry, drawn: bool, proofs: Mapping[str, Checks] = CHECKS) -> str:
    """What a user reads of one entry."""
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
        yield f"{parts['Values']}\n"
    yield f"## Cost and company\n{company(entry)}\n"
    if "Pitfalls" in parts:
        yield f"## Pitfalls\n{parts['Pitfalls']}\n"
    proved = list(properties(entry.axis, entry.name, proofs))
    if proved:
        yield f"## Proof\n`fedtrial verify --only {entry.name}` holds the engine against:\n"
        yield "\n".join(f"- {words}" for words in proved) + "\n"
    if drawn:
        yield f"## On a problem whose answer is known\n![{entry.name} beside FedAvg]({entry.name}.svg)\n"
    yield f"## Try it\n```sh\nfedtrial run {shlex.join(entry.example)}\n```"


def company(entry: Entry) -> str:
    """Messages, state, tier, and what is refused beside it."""
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
        lines.append(f"Needs company: {needs(entry)}")
    refused = forbids(entry)
    if refused:
        lines.append(f"Refused beside it: {', '.join(f'`{one}`' for one in refused)}.")
    return "\n".join(f"- {line}" for line in lines) or "- Exchanges no messages."


def models(units: float | str) -> str:
    """A size in models: `1 model`, `0.132 models`."""
    shown = units if isinstance(units, str) else f"{units:.3g}"
    return f"{shown} model" if shown == "1" else f"{shown} models"


def listed(names: tuple[str, ...]) -> str:
    """Names in a row, or nothing."""
    return ", ".join(f"`{name}`" for name in names) or "nothing"


def cell(text: str) -> str:
    """Text of a table's cell."""
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


INTRODUCTION = """Every entry of every axis; a method is one entry of each. `down` and `up` are sizes of messages per
site and round in models, or in words where these are none, `tier` is how local steps of logistic regression are
computed, `certificates` counts what `fedtrial verify` proves.
"""
