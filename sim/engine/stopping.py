"""Early stopping: training ends when the validation loss has not improved for so many scorings."""

from collections.abc import Iterator
from dataclasses import dataclass

from sim.engine.simulation import Round


@dataclass(frozen=True)
class Patience:
    """How the validation loss went so far."""

    limit: int  # scorings without a new lowest loss after which training ends; 0 = it never does
    lowest: float = float("inf")
    stale: int = 0  # scorings since the lowest

    def after(self, here: Round) -> "Patience":
        """The same once another round is over; one that was not scored changes nothing."""
        if not here.metrics:
            return self
        if here.loss < self.lowest:
            return Patience(self.limit, here.loss)
        return Patience(self.limit, self.lowest, self.stale + 1)

    @property
    def over(self) -> bool:
        """Whether training ends here."""
        return 0 < self.limit <= self.stale


def until_stale(going: Iterator[Round], limit: int) -> Iterator[Round]:
    """Rounds of a loop of its own, up to the one in which patience is over."""
    patience = Patience(limit)
    for here in going:
        yield here
        patience = patience.after(here)
        if patience.over:
            return
