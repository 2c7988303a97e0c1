"""Which cell of a sweep a worker runs next: one with the data that it has prepared, and the longest first."""

from collections import Counter, defaultdict
from collections.abc import Mapping


class Schedule:
    """Cells that are not yet assigned, by footing."""

    def __init__(self, footings: Mapping[str, str], seconds: Mapping[str, float]) -> None:
        """By run id: its footing, and its estimated seconds."""
        self.seconds = seconds
        self.left = sum(seconds[run] for run in footings)
        self.cells: defaultdict[str, list[str]] = defaultdict(list)  # by footing, the longest last
        for run in sorted(footings, key=lambda run: seconds[run], reverse=True)[::-1]:
            self.cells[footings[run]].append(run)
        self.work = {footing: sum(seconds[run] for run in runs) for footing, runs in self.cells.items()}
        order = sorted(dict.fromkeys(footings.values()), key=lambda footing: self.work[footing], reverse=True)
        self.fresh = order[::-1]  # that no worker is at, the longest last; of equal ones the first is the last
        self.at: dict[int, str] = {}  # worker -> footing

    def take(self, worker: int) -> str | None:
        """The next cell for a worker; None where all are given out."""
        footing = self.at.get(worker, "")
        if not self.cells.get(footing):
            footing = self.fresh.pop() if self.fresh else self.most_left()
            if not footing:
                return None
            self.at[worker] = footing
        run = self.cells[footing].pop()
        self.work[footing] -= self.seconds[run]
        self.left -= self.seconds[run]
        return run

    def most_left(self) -> str:
        """The footing with the most remaining work per worker, which is then shared; empty if all are done."""
        crowd = Counter(self.at.values())
        open_ones = [footing for footing in crowd if self.cells[footing]]
        return max(open_ones, key=lambda footing: self.work[footing] / crowd[footing], default="")
