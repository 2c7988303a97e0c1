"""Cox's partial likelihood of every segment, from risks: the loss of a Cox model on held-out rows."""

import numpy as np
from numpy.typing import NDArray

from sim.arrays import Bools, Floats, Ints
from sim.jit import exact
from sim.metrics.order import sorted_rows
from sim.metrics.segments import contiguous, sizes


def partial_loss(
    log_risk: Floats,
    time_days: Floats,
    event: Bools,
    segment: Ints,
    segments: int,
    efron: bool,
) -> Floats:
    """Negative log partial likelihood within each segment, divided by its rows; [R] -> [G].

    0 without an event, NaN without rows. Risk sets never cross segments. Ties by Breslow, or by Efron (JASA 1977).
    """
    rows = len(segment)
    days = contiguous(time_days, np.float64, rows)
    by_time, start = sorted_rows(days, segment, segments)
    total = segment_losses(
        contiguous(log_risk, np.float64, rows), days, contiguous(event, np.bool_, rows), by_time, start, efron
    )
    count = sizes(segment, segments)
    loss: Floats = np.divide(total, count, out=np.full(segments, np.nan), where=count > 0)
    return loss


@exact
def segment_losses(
    log_risk: Floats,
    time_days: Floats,
    event: Bools,
    by_time: NDArray[np.int32],
    start: Ints,
    efron: bool,
) -> Floats:
    """Negative log partial likelihood of every segment, summed over events; four times [R], [G + 1] -> [G].

    From the last exit to the first. The sum over those at risk is kept as exp(most) times a number, so that no risk
    overflows.
    """
    segments = len(start) - 1
    total = np.zeros(segments)
    for segment in range(segments):
        low, end = start[segment], start[segment + 1]
        most, at_risk = -np.inf, 0.0
        while end > low:
            begin = end - 1
            while begin > low and time_days[by_time[begin - 1]] == time_days[by_time[end - 1]]:
                begin -= 1
            higher = most
            for row in by_time[begin:end]:
                higher = max(higher, log_risk[row])
            at_risk, most = at_risk * np.exp(most - higher) if at_risk > 0 else 0.0, higher
            dying, deaths = 0.0, 0
            for row in by_time[begin:end]:
                share = np.exp(log_risk[row] - most)
                at_risk += share
                if event[row]:
                    dying += share
                    deaths += 1
                    total[segment] -= log_risk[row]
            for death in range(deaths):
                left = at_risk - dying * death / deaths if efron else at_risk
                total[segment] += most + np.log(left)
            end = begin
    return total
