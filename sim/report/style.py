"""The style of figures: colours, fonts, labels at the ends of lines, and SVG with reproducible bytes."""

import io
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from numpy.typing import NDArray

from sim.files import replace_whole
from sim.report.rows import MethodRow, SiteRow

# Okabe and Ito, Color Universal Design, 2008, without yellow (too pale on white) and black (kept for references).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
# Tol, Colour Schemes, SRON 2021, of those that are far from the six above: dots have no dashes to tell them apart.
MORE_COLOURS = ("#882255", "#999933", "#332288", "#805020", "#117755", "#AA4499")
# Methods of most studies have the same look in all of them; other methods get the remaining looks, by name.
KNOWN = ("FedAvg", "FedProx", "SCAFFOLD", "FedNova", "FedDyn", "FedAdam")
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1.2)))
GREY = "#555555"
FONTS = "'DejaVu Sans', Verdana, Geneva, sans-serif"  # of the same widths, where the first is not installed
WIDTH = 7.6  # inches, of every figure

BUNDLED = Path(mpl.get_data_path()) / "fonts" / "ttf"
# For letters that DejaVu Sans lacks, if installed; texts without such letters do not depend on what is installed.
WIDER = (
    *("Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Sans JP", "Noto Sans SC", "Noto Sans KR", "Source Han Sans"),
    *("WenQuanYi Zen Hei", "WenQuanYi Micro Hei", "IPAGothic", "NanumGothic", "Droid Sans Fallback", "Unifont"),
    *("Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Arial Unicode MS", "Yu Gothic", "Malgun Gothic"),
)
UNREADABLE = "Glyph .* missing from"  # how matplotlib begins to say that it draws a box


def families() -> list[str]:
    """DejaVu Sans from the files that ship with matplotlib, whatever other copy is installed; then wider fonts."""
    for path in sorted(BUNDLED.glob("DejaVuSans*.ttf")):
        fontManager.addfont(path)
        fontManager.ttflist.insert(0, fontManager.ttflist.pop())  # of equals, the first is taken
    installed = {entry.name for entry in fontManager.ttflist}
    return ["DejaVu Sans", *(name for name in WIDER if name in installed)]


def defaults() -> dict[str, Any]:
    """Settings as matplotlib ships them, whatever a matplotlibrc says; without those of windows and backends."""
    apart = ("backend", "interactive", "toolbar", "webagg", "tk.", "savefig.directory", "date.epoch")
    return {name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith(apart)}


RC = {
    **defaults(),
    **sns.axes_style("ticks"),
    "font.family": families(),
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#888888",
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "text.parse_math": False,  # a dollar sign in a name is a dollar sign
    "svg.fonttype": "none",  # text stays text: it can be searched, copied and read aloud
    "svg.hashsalt": "fedtrial",
}

Dash = str | tuple[int, tuple[float, ...]]


@dataclass(frozen=True)
class Look:
    """Colour and dash of one method's line."""

    colour: str
    dash: Dash


REFERENCE_LOOKS = {
    "local": Look("#888888", (0, (5, 2, 1, 2))),
    "pooled": Look("#000000", "-"),
    "oracle": Look("#5A4FCF", (0, (1, 1.5))),
}


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """Look of every federated method; distinct colours for up to 12 methods, and distinct looks for up to 36."""
    all_looks = [Look(colour, dash) for dash in DASHES for colour in (*COLOURS, *MORE_COLOURS)]
    names = sorted(set(methods))
    given = {name: all_looks[KNOWN.index(name)] for name in names if name in KNOWN}
    left = [look for look in all_looks if look not in given.values()]
    others = [name for name in names if name not in KNOWN]
    return given | {name: left[at % len(left)] for at, name in enumerate(others)}


def row_looks(rows: Sequence[MethodRow | SiteRow]) -> dict[str, Look]:
    """Look of every method and reference."""
    named = {row.method: REFERENCE_LOOKS[row.reference] for row in rows if row.reference}
    return looks(row.method for row in rows if not row.reference) | named


@dataclass(frozen=True)
class Key:
    """One entry of a figure's legend outside the figure, where narrow screens show it whole."""

    label: str
    colour: str
    dash: str  # stroke-dasharray of SVG


def legend(rows: Sequence[MethodRow | SiteRow]) -> list[Key]:
    """Key of every method and reference, in order of the rows."""
    given = row_looks(rows)
    looked = {row.method: given[row.method] for row in rows}
    return [
        Key(
            label,
            look.colour,
            "none" if isinstance(look.dash, str) else " ".join(f"{2 * part:g}" for part in look.dash[1]),
        )
        for label, look in looked.items()
    ]


MOST, BEST = 12, 8  # methods whose curves can be told apart by colour; and those that are, where there are more
OTHERS = Look("#C4C4C4", "-")


def labelled(rows: Sequence[MethodRow]) -> list[MethodRow]:
    """The rows whose curves are coloured and labelled: all, or the best methods, FedAvg and the references."""
    federated = [row.method for row in rows if not row.reference]
    chosen = federated if len(federated) <= MOST else [*federated[:BEST], KNOWN[0]]
    return [row for row in rows if row.reference or row.method in chosen]


def curve_legend(rows: Sequence[MethodRow]) -> list[Key]:
    """Key of the labelled curves, and one for all others."""
    named = labelled(rows)
    others = len(rows) - len(named)
    return [*legend(named), *([Key(f"{others} other methods", OTHERS.colour, "none")] if others else [])]


@dataclass(frozen=True)
class End:
    """The label of a line at its right end."""

    label: str
    y: float
    look: Look


def label_ends(figure: Figure, axes: Axes, ends: list[End]) -> None:
    """Labels beside the right edge, each with a sample of its line, pushed apart where lines end close together."""
    ends = sorted((end for end in ends if np.isfinite(end.y)), key=lambda end: end.y)
    low, high = axes.get_ylim()
    height_points = axes.get_position().height * figure.get_figheight() * 72
    true = np.clip([(end.y - low) / (high - low) for end in ends], 0, 1)
    for end, start, placed in zip(ends, true, move_apart(true, 11.5 / height_points), strict=True):
        thin, sample = ([1.005, 1.03], [start, placed]), ([1.03, 1.075], [placed, placed])
        ink, place = end.look.colour, axes.transAxes
        axes.plot(*thin, transform=place, color=ink, linewidth=0.6, clip_on=False)
        axes.plot(*sample, transform=place, color=ink, linestyle=end.look.dash, linewidth=1.6, clip_on=False)
        axes.text(1.085, placed, end.label, transform=place, color="#222222", va="center", fontsize=8.5)


def move_apart(heights: NDArray[np.float64], gap: float) -> NDArray[np.float64]:
    """Ascending heights [n] in [0, 1], moved as little as possible (least squares) to be `gap` apart.

    Isotonic regression of the heights less their rank's offset: labels that push each other share a mean.
    """
    pools: list[tuple[float, int]] = []
    for rank, height in enumerate(heights):
        mean, size = float(height) - rank * gap, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        pools.append((mean, size))
    base = np.repeat(np.array([mean for mean, _ in pools]), [size for _, size in pools])
    placed: NDArray[np.float64] = np.clip(base, 0, max(1 - gap * (len(heights) - 1), 0)) + gap * np.arange(len(heights))
    return placed


@contextmanager
def readable() -> Iterator[None]:
    """Inside, figures are drawn in our style; letters that no font has are told once, when everything is drawn."""
    with mpl.rc_context(RC), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    lacking = False
    for one in caught:
        if re.match(UNREADABLE, str(one.message)):
            lacking = True
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if lacking:
        tell_unreadable()


@lru_cache(maxsize=1)
def tell_unreadable() -> None:
    """Say, once in a process, that figures show boxes in place of letters."""
    print(
        "Figures: no installed font has some characters of the names, which are drawn as boxes; the tables show them. "
        "Install a font that has them, such as Noto Sans CJK, and draw the figures again.",
        file=sys.stderr,
    )


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure, completely or not at all; an SVG is the same bytes every time."""
    kind, memory = path.suffix[1:], io.BytesIO()
    with readable():
        figure.savefig(memory, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    replace_whole(path, memory.getvalue())


def svg(figure: Figure) -> str:
    """A figure as SVG for a page, without date, prolog, metadata and comments, so that it refers to nothing outside."""
    memory = io.StringIO()
    with readable():
        figure.savefig(memory, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = memory.getvalue().replace("'DejaVu Sans'", FONTS)
    return re.sub(r"<metadata>.*?</metadata>\s*|<!--.*?-->\s*", "", text[text.index("<svg") :], flags=re.DOTALL)


def prefixed(text: str, prefix: str) -> str:
    """The SVG with a prefix before every id: two figures of one page would otherwise share ids."""
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    return re.sub(r'(href="#|url\(#)', rf"\g<1>{prefix}-", text)
