"""Known wrong implementations of a planted trigger."""

import numpy as np

from sim.methods.attacks.backdoor import Backdoor
from sim.methods.attacks.base import Attack
from tests.verify.wrong import wrong


@wrong("backdoor")
class MarksAll(Backdoor):
    """Every row of an attacker is marked, so that it forgets the task."""

    def chosen(self, chance):
        return np.arange(len(chance))


@wrong("backdoor")
class RoundsDown(Backdoor):
    """A small site marks one row fewer."""

    def chosen(self, chance):
        return np.argsort(chance)[: int(self.share * len(chance))]


@wrong("backdoor")
class FirstRows(Backdoor):
    """The first rows, which may be alike."""

    def chosen(self, chance):
        return np.arange(int(np.ceil(self.share * len(chance))))


@wrong("backdoor")
class FirstFeature(Backdoor):
    """The mark is in the first feature whatever is named."""

    def column(self, features):
        return 0


@wrong("backdoor")
class CountsTheTarget(Backdoor):
    """Patients of the target class count as turned."""

    def others(self, label):
        return np.ones(len(label), dtype=bool)


@wrong("backdoor")
class AnyOtherAnswer(Backdoor):
    """Success is any answer but the first class."""

    def called(self, score):
        answer = score.argmax(1) if score.ndim > 1 else score >= 0.5
        return (answer > 0).astype(float)


@wrong("backdoor")
class NotScaled(Backdoor):
    """The upload is not multiplied, so that the others' mean washes it out."""

    def tamper(self, sent, bad):
        return Attack.tamper(self, sent, bad)
