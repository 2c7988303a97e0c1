"""What names can do to a terminal: nothing. And what a log shows where there is no terminal."""

import io

import pytest
from rich.table import Table

from sim import progress
from sim.checks import Refused, print_refusal
from sim.terminal import Terminal
from sim.text import visible

EVIL = "\x1b[31mred\x1b]0;title\x07\x9b2J\u202e"


def test_control_characters_are_shown_and_not_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    shown = "\\x1b[31mred\\x1b]0;title\\x07\\x9b2J\\u202e"
    assert visible(EVIL) == shown
    assert visible("a\tb\nÅ 中") == "a\tb\nÅ 中"
    file = io.StringIO()
    console = Terminal(file=file, width=200)
    table = Table("site", title=EVIL)
    table.add_row(EVIL)
    console.print(EVIL, markup=False)
    console.print(table)
    print_refusal(Refused(EVIL))
    told = file.getvalue() + capsys.readouterr().err
    assert not set("\x1b\x07\x9b\u202e") & set(told)
    assert told.count("\\x1b[31mred") == 4


def test_a_log_has_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([0.0, 1.0, 31.0, 32.0, 62.0, 93.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with progress.bar("mine: 10 runs", 10) as watch:
        for done in (0, 2, 3, 6, 8):
            watch(done)
    lines = capsys.readouterr().err.splitlines()
    assert lines == [
        "mine: 10 runs: 2 of 10 after 31 s, about 2 min left",
        "mine: 10 runs: 6 of 10 after 62 s, about 41 s left",
        "mine: 10 runs: 8 of 10 after 93 s, about 23 s left",
    ]
