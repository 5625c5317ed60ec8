"""Where a series of scores changes its level: exact segmentation by PELT."""

import numpy as np

from aecodec.errors import UsageError


def changepoints(scores: np.ndarray, penalty: float = 10.0, least: int = 2, logarithm: bool = True, window: int = 1) -> list[int]:
    """The steps at which new levels begin, rising; [] if there is one level.

    Minimises the squared deviations from segments' means plus, for each changepoint, `penalty` * variance of the noise *
    log(count), by PELT (Killick, Fearnhead and Eckley 2012), which is exact. The noise is estimated from the differences of
    neighbours (median absolute deviation), so that changes of level do not count as noise. Of scores smoothed over `window` steps,
    neighbours are so many steps apart, and the penalty is as many times larger: they deviate together.

    Args:
        scores: (steps,), finite.
        penalty: more gives fewer changepoints; independent noise needs 2 to 3, scores that hang together more.
        least: steps of a segment, at least.
        logarithm: segment the logarithm of scores, of which a change by a factor is the same everywhere.
        window: steps over which scores were smoothed.
    """
    x = np.asarray(scores, np.float64).reshape(-1)
    if not np.isfinite(x).all() or (logarithm and x.size and x.min() < 0):
        raise UsageError("changepoints need finite scores" + (", none negative (or logarithm=False)" if logarithm else ""))
    if penalty <= 0 or least < 1 or window < 1:
        raise UsageError(f"penalty={penalty} must be more than 0, least={least} and window={window} 1 or more")
    if logarithm and x.size:
        x = np.log(x + 1e-6 * max(float(np.median(x)), 1e-300))
    if x.size < 2 * least or x.size <= window:
        return []
    noise = float(np.median(np.abs(x[window:] - x[:-window]))) / (0.6745 * np.sqrt(2.0))
    return _pelt(x, penalty * window * max(noise, 1e-9 * float(np.ptp(x)), 1e-300) ** 2 * np.log(x.size), least)


def _pelt(x: np.ndarray, penalty: float, least: int) -> list[int]:
    count = x.size
    x = x - x.mean()
    sums, squares = (np.concatenate([[0.0], np.cumsum(v)]) for v in (x, x * x))
    best = np.full(count + 1, np.inf)
    best[0] = -penalty
    before = np.zeros(count + 1, np.int64)
    starts = np.zeros(1, np.int64)
    until = np.full(1, count + 1)  # the last stop at which a start is still tried
    for stop in range(least, count + 1):
        length = stop - starts
        total = sums[stop] - sums[starts]
        cost = best[starts] + squares[stop] - squares[starts] - total * total / length + penalty
        chosen = int(np.argmin(cost))
        best[stop], before[stop] = cost[chosen], starts[chosen]
        # A start that is worse than ending here is beaten by a segment from here, once that may be long enough.
        until = np.where(cost - penalty > best[stop], np.minimum(until, stop + least - 1), until)
        starts, until = starts[until > stop], until[until > stop]
        new = stop - least + 1
        if new >= least:
            starts, until = np.append(starts, new), np.append(until, count + 1)
    found, at = [], count
    while at > 0:
        at = int(before[at])
        if at:
            found.append(at)
    return found[::-1]
