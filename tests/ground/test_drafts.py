"""What is written under a hidden name is there whole or not at all, and goes with whoever wrote it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sim import drafts
from sim.drafts import draft, sweep_drafts

OPEN_AND_WAIT = """
import sys, time
from pathlib import Path
from sim.drafts import draft
with draft(Path(sys.argv[1]), sys.argv[2]) as made:
    (made / "half").write_text("half")
    print(made, flush=True)
    time.sleep(100)
"""


def aged(folder: Path, seconds: float) -> None:
    """Make a folder look as old as that."""
    then = time.time() - seconds
    os.utime(folder, (then, then))


@pytest.mark.parametrize("name", ["report", "0123456789ab"])
def test_the_draft_of_a_killed_writer_is_swept_and_that_of_a_living_one_is_not(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN_AND_WAIT, str(tmp_path), name]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        dead, alive = (Path(child.stdout.readline().strip()) for child in children if child.stdout)
        children[0].send_signal(signal.SIGKILL)
        children[0].wait()
        aged(dead, 1.5 * drafts.NEW)
        aged(alive, 10 * drafts.OLD)
        sweep_drafts(tmp_path)
        assert list(tmp_path.iterdir()) == [alive]
    finally:
        for child in children:
            child.kill()
            child.wait()


def test_a_draft_of_another_machine_is_left_for_an_hour_and_other_folders_for_good(tmp_path: Path) -> None:
    made = [tmp_path / name for name in (".report-ffffff-abcdefgh", ".report-abcdefgh", ".mine-abcdefgh", "report")]
    for folder in made:
        folder.mkdir()
        aged(folder, drafts.OLD / 2)
    sweep_drafts(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(made)
    for folder in made:
        aged(folder, 2 * drafts.OLD)
    sweep_drafts(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(made[2:])


def test_a_draft_that_is_renamed_stays_and_any_other_goes(tmp_path: Path) -> None:
    with draft(tmp_path, "report") as made:
        made.rename(tmp_path / "done")
    with pytest.raises(KeyboardInterrupt), draft(tmp_path, "report"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == [tmp_path / "done"]
