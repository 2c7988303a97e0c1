"""Certificates of all analyses by sums."""

from collections.abc import Callable

from sim.verify import exact, exact_lasso, exact_one_shot, exact_treatment

CHECKS: dict[str, Callable[[], exact.Checks]] = {
    **exact.CHECKS,
    **exact_one_shot.CHECKS,
    **exact_treatment.CHECKS,
    **exact_lasso.CHECKS,
}
