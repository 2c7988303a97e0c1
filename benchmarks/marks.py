"""What a measured process tells whoever watches it: the end of every round. Standard library only."""

import os
import time
from pathlib import Path

VARIABLE = "BENCHMARK_MARKS"  # names the file of marks; "" or unset = nobody watches


class Marks:
    """One line a round, its end on the system's monotonic clock and a score, in the file that the watcher named."""

    def __init__(self) -> None:
        self.path = os.environ.get(VARIABLE, "")

    def round(self, score: float) -> None:
        """A round has ended."""
        if self.path:
            with open(self.path, "a") as file:
                file.write(f"{time.monotonic():.6f} {score:.6f}\n")

    def stay(self, seconds: float = 10.0) -> None:
        """Wait, with everything still in memory, until the watcher has read how much that is."""
        until = time.monotonic() + seconds
        while self.path and not Path(self.path + ".seen").exists() and time.monotonic() < until:
            time.sleep(0.05)
