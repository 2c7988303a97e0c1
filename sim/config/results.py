"""The `results` config group."""

import os
from dataclasses import dataclass

from sim.checks import Refused, brief, within
from sim.files import expanded

LONGEST_PART, LONGEST_PATH = 255, 3500  # bytes of a file name, and of a path to which ours are added (PATH_MAX 4096)


@dataclass
class Results:
    """Where run folders are written, and how often a run writes a checkpoint."""

    dir: str = "results/runs"
    checkpoint_rounds: int = 0  # >= 0 rounds between checkpoints; 0 = only by time
    checkpoint_seconds: float = 30.0  # >= 0 seconds between checkpoints, or more if writing takes long; 0 = never

    def __post_init__(self) -> None:
        within("results.checkpoint_rounds", self.checkpoint_rounds, 0)
        within("results.checkpoint_seconds", self.checkpoint_seconds, 0)
        if not self.dir:
            raise Refused("results.dir is empty: name a folder.")
        self.dir = str(expanded(self.dir))
        longest = max(len(os.fsencode(part)) for part in self.dir.split("/"))
        if longest > LONGEST_PART or len(os.fsencode(self.dir)) > LONGEST_PATH:
            raise Refused(
                f"results.dir={brief(self.dir)}: {len(os.fsencode(self.dir))} bytes, {longest} in one name; allowed "
                f"{LONGEST_PATH} and {LONGEST_PART}. Choose a shorter folder."
            )
