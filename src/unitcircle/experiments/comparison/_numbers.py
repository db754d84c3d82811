"""The numbers of a comparison as text."""

from __future__ import annotations

import math
from collections.abc import Callable

from unitcircle.experiments.comparison._result import Group, Interval, Row, Standing

DECIMALS = 5


class Numbers:
    """The numbers of one group as text, with as many decimals as its smallest mean needs."""

    def __init__(self, group: Group, /) -> None:
        sizes = [abs(row.mean) for row in group.rows if row.mean and math.isfinite(row.mean)]
        least, largest = min(sizes, default=1.0), max(sizes, default=1.0)
        decimals = max(2 - math.floor(math.log10(largest)), 1 - math.floor(math.log10(least)))
        self._decimals = min(max(decimals, 0), DECIMALS)
        self._plain = 1e-4 < largest < 1e6
        self._group = group

    def score(self, value: float, /, *, signed: bool = False) -> str:
        """Return a score, or the difference of two."""
        if math.isnan(value):
            return "–"
        sign = "+" if signed else ""
        text = f"{value:{sign}.{self._decimals}f}" if self._plain else f"{value:{sign}.3g}"
        return text.replace("-", "−")

    def steps(self, value: float, /) -> str:
        """Return a number of steps."""
        return "–" if math.isnan(value) else "never" if math.isinf(value) else f"{value:,.10g}"

    def ratio(self, value: float, /) -> str:
        """Return a ratio of steps."""
        return "–" if math.isnan(value) else "×∞" if math.isinf(value) else f"×{value:.3g}"

    def interval(self, interval: Interval, write: Callable[[float], str], /) -> str:
        """Return an interval whose ends are written by a function; an empty text if it is unknown."""
        return f"[{write(interval.low)}, {write(interval.high)}]" if interval.known else ""

    def difference(self, row: Row, /) -> str:
        """Return the difference of a row to the reference: of scores, or the ratio of steps."""
        if row.verdict is Standing.REFERENCE:
            return ""
        return self.ratio(row.difference) if self._group.rank_by == "steps" else self.score(row.difference, signed=True)

    def difference_interval(self, row: Row, /) -> str:
        """Return the interval of :meth:`difference`."""
        by_steps = self._group.rank_by == "steps"
        return self.interval(
            row.difference_interval, self.ratio if by_steps else lambda value: self.score(value, signed=True)
        )

    def p(self, value: float, /) -> str:
        """Return a p-value."""
        return "" if math.isnan(value) else "<0.001" if value < 0.001 else f"{value:.3f}"
