"""No practical difference: two one-sided tests within a margin declared beforehand, and how many pairs would tell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

POWER = 0.8
"""Probability with which the number of pairs that would be enough finds what there is."""
MOST = 100_000
"""Pairs beyond which a number is no plan."""


def difference_p(differences: Sequence[float], /) -> float:
    """Return the p-value of the paired t-test: few pairs cannot pass a permutation test among a dozen comparisons."""
    sample = np.asarray(differences, dtype=float)
    if sample.size < 2 or not np.isfinite(sample).all():
        return 1.0
    if np.ptp(sample) == 0:
        return 0.0 if sample[0] else 1.0
    return float(2 * stats.t.sf(abs(float(sample.mean())) / float(stats.sem(sample)), sample.size - 1))


def equivalence_p(differences: Sequence[float], margin: float, /) -> float:
    """Return the p-value of the hypothesis that the mean difference is at least ``margin`` away from 0."""
    # The larger of two one-sided t-tests, p = max P(T > t₋), P(T < t₊) with t∓ = (d̄ ± δ)/(s/√n). A censored or unknown
    # difference shows nothing.
    #
    # D. J. Schuirmann, "A comparison of the two one-sided tests procedure and the power approach", J. Pharmacokin.
    # Biopharm. 15 (1987).
    sample = np.asarray(differences, dtype=float)
    if sample.size < 2 or not np.isfinite(sample).all():
        return 1.0
    error = float(stats.sem(sample))
    if error == 0:
        return 0.0 if abs(sample[0]) < margin else 1.0
    return float(stats.t.sf((margin - abs(float(sample.mean()))) / error, sample.size - 1))


def difference_power(pairs: int, difference: float, deviation: float, level: float, /) -> float:
    """Return the power of the two-sided paired t-test: of noncentral t, with δ√n/σ."""
    if pairs < 2:
        return 0.0
    beyond = float(stats.t.isf(level / 2, pairs - 1))
    law = stats.nct(pairs - 1, math.sqrt(pairs) * abs(difference) / deviation)
    return float(law.sf(beyond) + law.cdf(-beyond))


def equivalence_power(
    pairs: int, margin: float, deviation: float, level: float, /, *, difference: float = 0.0
) -> float:
    """Return the probability that two one-sided tests show equivalence."""
    # Given s, |d̄| < δ − t s/√n has a normal probability; s²(n−1)/σ² is χ². The integral over s is Owen's Q.
    #
    # D. B. Owen, "A special case of a bivariate non-central t-distribution", Biometrika 52 (1965).
    if pairs < 2:
        return 0.0
    freedom, error = pairs - 1, deviation / math.sqrt(pairs)
    beyond = float(stats.t.isf(level, freedom))
    # Above s/σ = δ/(t·error) no mean is close enough; the density of s/σ lies within a few standard deviations of 1.
    reach = 8 / math.sqrt(2 * freedom)
    low, high = max(0.0, 1 - reach), min(margin / (error * beyond), 1 + reach)
    if low >= high:
        return 0.0
    ratio = low + (high - low) * (_NODES + 1) / 2
    half, at = margin / error - beyond * ratio, difference / error
    density = 2 * freedom * ratio * stats.chi2.pdf(freedom * ratio**2, freedom)
    inside = (stats.norm.cdf(half - at) - stats.norm.cdf(-half - at)) * density
    return float((high - low) / 2 * (_WEIGHTS @ inside))


_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(200)


def pairs_needed(deviation: float, margin: float, level: float, /, *, power: float = POWER) -> float:
    """Return the fewest pairs that tell a difference of the margin and none apart; inf beyond 100,000."""
    # Both must have the power: to find a difference as large as the margin, and to show equivalence where there is
    # none. Both grow with the number of pairs.
    if not math.isfinite(deviation):
        return math.inf
    if deviation == 0:
        return 2.0
    enough: list[Callable[[int], float]] = [
        lambda n: difference_power(n, margin, deviation, level),
        lambda n: equivalence_power(n, margin, deviation, level),
    ]
    return max(_first(2, lambda n, of=of: of(n) >= power) for of in enough)


def _first(start: int, is_enough: Callable[[int], bool]) -> float:
    """Return the smallest number for which a monotone condition holds, by doubling and halving."""
    low, high = start - 1, start
    while not is_enough(high):
        low, high = high, 2 * high
        if low > MOST:
            return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return float(high)


@dataclass(frozen=True)
class Plan:
    """When a comparison may be looked at, and what then ends it: fixed before its first run.

    Every look spends an equal part of the level, level/looks, for the difference and for the equivalence alike, so that
    over all looks together neither is declared wrongly with more than the level (Bonferroni), whatever the looks share.

    Attributes
    ----------
    looks
        Numbers of pairs at which it is looked at, ascending; there is no run after the last.
    margin
        Half-width of the interval of differences that make no practical difference, in the unit of the differences.
    level
        Of all looks together.
    """

    looks: tuple[int, ...]
    margin: float
    level: float = 0.05

    def __post_init__(self) -> None:
        assert self.looks == tuple(sorted(set(self.looks))), "looks ascend"
        assert self.margin > 0, "a margin of 0 can never be shown"

    @property
    def at_a_look(self) -> float:
        """The level of one look."""
        return self.level / len(self.looks)

    def decide(self, differences: Sequence[float], test: Callable[[Sequence[float]], float], /) -> Decision:
        """Return what follows from the pairs so far, looked at where the plan says and nowhere else."""
        # test: the two-sided p-value of no difference. A difference is looked for first: one that is real and smaller
        # than the margin is told as what it is by its sign, and not as nothing.
        for look in (n for n in self.looks if n <= len(differences)):
            sample = differences[:look]
            if test(sample) <= self.at_a_look:
                return Decision(int(np.sign(_middle(sample))), False, look)
            if equivalence_p(sample, self.margin) <= self.at_a_look:
                return Decision(0, True, look)
        return Decision(0, False, len(differences))

    def needed(self, differences: Sequence[float], /) -> float:
        """Return the number of pairs that would decide, from the deviation of those that are there."""
        known = np.asarray(differences, dtype=float)
        known = known[np.isfinite(known)]
        deviation = float(known.std(ddof=1)) if len(known) > 1 else math.nan
        return pairs_needed(deviation, self.margin, self.at_a_look)


@dataclass(frozen=True)
class Decision:
    """What a plan made of a comparison.

    Attributes
    ----------
    sign
        Of the difference; 0 if none was found.
    equivalent
        Whether there is no practical difference.
    pairs
        Pairs that it was decided on, or all that there are.
    """

    sign: int
    equivalent: bool
    pairs: int

    @property
    def open(self) -> bool:
        """Whether more pairs are asked for."""
        return not (self.sign or self.equivalent)


def _middle(values: Sequence[float]) -> float:
    """Return the mean, of censored values the sign of their majority."""
    sample = np.asarray(values, dtype=float)
    return float(sample.mean()) if np.isfinite(sample).all() else float(np.sign(sample).mean())
