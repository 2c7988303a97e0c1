"""Figures do not depend on the machine: backend, matplotlibrc and fonts are ours; letters that no font has are told."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, findfont, fontManager

from sim.report import style
from sim.report.style import BUNDLED, RC, families, save_figure, svg, tell_unreadable

DRAW = """
from matplotlib.figure import Figure
from sim.report.style import RC, svg
import matplotlib as mpl
with mpl.rc_context(RC):
    figure = Figure((2, 1))
    figure.subplots().plot([1, 2, 1], label="a name")
    figure.legend()
print(svg(figure))
"""


def test_a_matplotlibrc_changes_nothing(tmp_path: Path) -> None:
    drawn = []
    for text in ("", "lines.linewidth: 9\nfont.size: 30\naxes.facecolor: red\nlegend.fontsize: 3\n"):
        (tmp_path / "matplotlibrc").write_text(text)
        command = [sys.executable, "-P", "-c", DRAW]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr
        drawn.append(done.stdout)
    assert drawn[0] == drawn[1]


def test_the_font_is_the_file_that_ships_whatever_copy_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = FontEntry(
        fname="/usr/share/fonts/other/DejaVuSans.ttf", name="DejaVu Sans", weight=400, stretch="normal"
    )
    monkeypatch.setattr(fontManager, "ttflist", [installed, *fontManager.ttflist])
    families()
    with mpl.rc_context(RC):
        assert Path(findfont("DejaVu Sans")) == BUNDLED / "DejaVuSans.ttf"


def test_letters_that_no_font_has_are_told_once(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(RC, "font.family", ["DejaVu Sans"])
    tell_unreadable.cache_clear()
    figure = Figure((2, 1))
    figure.text(0.5, 0.5, "東京病院")
    svg(figure)
    save_figure(figure, tmp_path / "x.png")
    told = capsys.readouterr().err
    assert told.count("no installed font has some characters") == 1
    assert "Warning" not in told


def test_a_font_with_more_letters_comes_after_ours() -> None:
    assert families()[0] == "DejaVu Sans"
    assert set(families()[1:]) <= set(style.WIDER)


def test_a_notebooks_backend_is_no_matter_of_the_command_line(tmp_path: Path) -> None:
    """`!fedtrial partition` in a notebook inherits its backend, which need not be installed where fedtrial is."""
    command = [sys.executable, "-m", "sim", "partition", "cohort.patients=600", f"--figure={tmp_path}/x.svg"]
    environment = os.environ | {"MPLBACKEND": "nowhere"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.svg").exists()
