"""What a run records during training: its rounds, the metrics of its models, and the models that are saved."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from sim.config.experiment import Json
from sim.engine.evaluation import Metrics
from sim.engine.scoring import mean_loss, of_valid
from sim.engine.simulation import Diverged, Round
from sim.federation.federation import Federation
from sim.run.model import Kept, bare

FAR = 1000  # a validation loss so many times that of round 0 (or 1 nat, if that is more) is a model that diverged


@dataclass
class Ledger:
    """The records of a run up to some round."""

    rounds: list[Round] = field(default_factory=list)  # bare; none where no message is exchanged
    judged: list[tuple[int, str, Metrics]] = field(default_factory=list)  # round, kind of model, its metrics
    losses: list[tuple[int, float]] = field(default_factory=list)  # of every round, NaN where no model was scored
    kept: Kept = field(default_factory=Kept)
    estimates: Json | None = None

    def add(self, here: Round, federation: Federation, exchanges: bool) -> None:
        """Record another round."""
        self.judged += [(here.number, model, metrics) for model, metrics in here.metrics.items()]
        self.losses.append((here.number, validation_loss(here, federation)))
        self.kept = self.kept.after(here)
        if exchanges:
            self.rounds.append(bare(here))


def validation_loss(here: Round, federation: Federation) -> float:
    """Mean over validation rows; NaN for a round that was not evaluated, and for the oracle, which has no loss."""
    last = list(here.metrics.values())[-1:]
    if not math.isnan(here.loss) or not last or "loss" not in last[0]:
        return here.loss
    return mean_loss(of_valid(last[0]["loss"]), federation.rows_of("valid"))


def refuse_far(losses: Mapping[int, float]) -> None:
    """Raise Diverged if the last validation loss is far above the first; round -> loss.

    Predicting at random costs about one nat in every task (log 2 for two classes), and random weights may be worse.
    """
    number, last = max(losses.items(), default=(0, math.nan))
    first = losses.get(0, math.nan)
    if last > FAR * max(1.0, 0.0 if math.isnan(first) else first):
        start = "" if math.isnan(first) else f" after a start of {first:.3g}"
        raise Diverged(number, f"the validation loss ends at {last:.3g}{start}; lower local.lr or server.lr")
