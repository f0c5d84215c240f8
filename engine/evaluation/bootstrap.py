"""The studentized bootstrap of a ratio of sums over pairs: how sure the difference between two versions is.

Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 12; the standard error of a ratio is the
linearised one of Cochran, Sampling Techniques (1977), chapter 6. The plain percentile interval is too narrow for the
few conversations that a small service holds out: of five, its 95 % bound fails in 11 cases of 100, this one in 5.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_COUNTS_AT_ONCE = 1 << 22


class PairedBootstrap:
    """Resamples whole pairs with replacement, for ``sum(differences) / sum(sizes)``.

    Attributes:
        difference: the ratio as measured; NaN where it is undefined.
        error: its standard error; NaN where it is undefined, as with fewer than two pairs.
    """

    def __init__(self, differences_C: Floats, sizes_C: Floats, resamples: int, seed: int = 0) -> None:
        count = len(differences_C)
        moments_CM = np.stack([differences_C, sizes_C, differences_C**2, differences_C * sizes_C, sizes_C**2], axis=1)
        ratio, error = _ratio_and_error(moments_CM.sum(axis=0)[None], count)
        self.difference, self.error = float(ratio[0]), float(error[0])
        self._t_R = np.empty(0)
        if self.error > 0 and math.isfinite(self.error):
            self._t_R = np.concatenate(list(self._resample(moments_CM, resamples, np.random.default_rng(seed))))

    def _resample(self, moments_CM: Floats, resamples: int, rng: np.random.Generator) -> Iterator[Floats]:
        """Studentized ratios of resamples, some at a time."""
        count = len(moments_CM)
        rows = max(1, _COUNTS_AT_ONCE // count)
        for start in range(0, resamples, rows):
            counts_RC = rng.multinomial(count, np.full(count, 1 / count), size=min(rows, resamples - start))
            ratio_R, error_R = _ratio_and_error(counts_RC @ moments_CM, count)
            t_R = np.full(len(ratio_R), math.nan)  # stays NaN where one pair was drawn again and again
            np.divide(ratio_R - self.difference, error_R, out=t_R, where=error_R > 1e-9 * self.error)
            yield t_R

    def upper(self, confidence: float) -> float:
        """What the true difference is below, with ``confidence``; infinite where the pairs are too few to say."""
        return self._bound(1 - confidence, unknown=math.inf)

    def lower(self, confidence: float) -> float:
        """What the true difference is above, with ``confidence``."""
        return self._bound(confidence, unknown=-math.inf)

    def p_value(self, margin: float) -> float:
        """How probable so low a difference is if the true one is ``margin``; 1 where that cannot be said."""
        if self.error == 0:
            return 0.0 if self.difference < margin else 1.0
        if not len(self._t_R):
            return 1.0
        return float(np.mean(~(self._t_R > (self.difference - margin) / self.error)))

    def _bound(self, quantile: float, unknown: float) -> float:
        """The quantile of t, turned around. A draw that says nothing counts towards the side of doubt."""
        if self.error == 0:
            return self.difference
        if not len(self._t_R):
            return unknown
        t_R = np.where(np.isnan(self._t_R), -unknown, self._t_R)
        return self.difference - float(np.quantile(t_R, quantile, method="lower")) * self.error


def _ratio_and_error(sums_RM: Floats, count: int) -> tuple[Floats, Floats]:
    """Ratio and linearised standard error from sums of d, s, d², ds and s² over ``count`` pairs, a row at a time."""
    d, s, dd, ds, ss = sums_RM.T
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = d / s
        residuals = dd - 2 * ratio * ds + ratio**2 * ss
        rounding = 1e-13 * (dd + ratio**2 * ss)  # what cancellation leaves where every pair has the same ratio
        residuals = np.where(residuals > rounding, residuals, np.where(np.isnan(residuals), math.nan, 0.0))
        error = np.sqrt(residuals * np.float64(count) / np.float64(count - 1)) / s
    return ratio, error
