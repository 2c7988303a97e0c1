"""Folders and files that are written to."""

import os
from pathlib import Path

import pytest

from sim.checks import Refused
from sim.files import writable


def test_a_name_that_the_locale_does_not_know_is_refused(tmp_path: Path) -> None:
    """What `results.dir=é` is where the terminal's character set is ASCII."""
    with pytest.raises(Refused, match=r"udcc3.udca9.*PYTHONUTF8=1"):
        writable(Path(os.fsdecode(os.fsencode(tmp_path / "é")).encode().decode("ascii", "surrogateescape")))
    assert writable(tmp_path / "é") == tmp_path / "é"
