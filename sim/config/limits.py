"""Limit on the length of a run."""

from sim.checks import Refused
from sim.local.settings import Training

MOST_STEPS = 10**12  # local steps of all rounds and sites; a core takes some 10^5 to 10^6 a second, so weeks


def refuse_endless(rounds: int, local: Training, each: float, where: str = "a site") -> None:
    """Refuse unrealistic numbers of local steps; `each` = steps of an epoch at all sites, at least one."""
    name, count = ("steps", local.steps) if local.steps else ("epochs", local.epochs)
    total = rounds * count * each
    if total > MOST_STEPS:
        raise Refused(
            f"rounds={rounds} x local.{name}={count} x {each:.3g} ({where}) = {total:.3g} local steps: allowed "
            f"{MOST_STEPS:.0e}. Lower one of them."
        )
