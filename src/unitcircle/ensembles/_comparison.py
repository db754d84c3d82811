"""Whether a weight still looks random, and which of its eigenvalues or singular values do not."""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle._arguments import generator, real_number, whole_number
from unitcircle._keywords import right_keywords
from unitcircle.ensembles._weight_law import WeightLaw
from unitcircle.errors import ArgumentError

BLOCK = 8

Tail = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Outlier:
    """A value that does not belong to the law.

    Attributes
    ----------
    value
        The eigenvalue, squared singular value, ...
    pvalue
        The probability that the most extreme value of a random weight lies at least as far out.

    Examples
    --------
    >>> from unitcircle.ensembles import Circular
    >>> law = Circular(100, std=0.1)
    >>> (outlier,) = compare(law.draw_weight(0) + 0.1, law).outliers  # a mean of 0.1 makes an eigenvalue near 0.1 n
    >>> round(abs(outlier.value)), outlier.pvalue < 1e-6
    (10, True)
    """

    value: complex | float
    pvalue: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """A weight compared with the law of a random one.

    Attributes
    ----------
    law
        The law.
    values
        The values of this weight that the law describes, such as its eigenvalues.
    distance
        ``sup |F_n - F|`` between the weight's distribution function and the law's.
    pvalue
        The fraction of random weights of the same size that are as far from the law, this one counted: a Monte Carlo
        test, exact at any size.
    outliers
        Values too far out for the law, the most extreme first.
    level
        Probability of declaring a random weight not random, for the distance and for outliers each.
    """

    law: WeightLaw
    values: np.ndarray
    distance: float
    pvalue: float
    outliers: tuple[Outlier, ...]
    level: float

    @property
    def looks_random(self) -> bool:
        """Whether neither the bulk nor a single value contradicts the law."""
        return self.pvalue > self.level and not self.outliers

    def __str__(self) -> str:
        verdict = "looks random" if self.looks_random else "does not look random"
        lines = [
            f"{verdict}: {self.law.quantity} against {self.law}",
            f"  distance {self.distance:.4f}, p = {self.pvalue:.3g}; {len(self.outliers)} outlier(s)",
        ]
        lines += [f"  {outlier.value:.6g} (p = {outlier.pvalue:.1e})" for outlier in self.outliers]
        return "\n".join(lines)


@right_keywords
def compare(
    W: Any, law: WeightLaw, /, *, level: float = 0.01, draws: int = 199, rng: np.random.Generator | int = 0
) -> Comparison:
    """Compare the spectrum of a weight with the law it would follow if it were random.

    Eigenvalues repel each other, so that tables for independent observations do not apply: the distance is compared
    with that of ``draws`` random weights. Outliers are judged by the law of the most extreme value.

    Parameters
    ----------
    W
        One weight.
    law
        ``Circular.fitted(W)``, ``QuarterCircle.fitted(W)``, ``TruncatedHaar(n, 4 * n)``, ...
    level
        Significance of each of the two tests.
    draws
        Random weights drawn; p-values below ``1/(draws + 1)`` are not resolved. Each weight costs as much as W.
    rng
        Generator or seed of the random weights.

    Returns
    -------
    Comparison
        Distance, p-value, outliers.

    Raises
    ------
    ArgumentError
        ``level`` is not a probability, or too small for so few draws.

    Examples
    --------
    >>> from unitcircle.ensembles import Circular
    >>> W = np.random.default_rng(1).standard_normal((40, 40)) / np.sqrt(40)
    >>> compare(W, Circular.fitted(W)).looks_random
    True
    >>> compare(W + 0.1, Circular.fitted(W)).outliers[0].value.real > 3
    True
    """
    draws = whole_number("draws", draws)
    rule = f"must be a probability of at least 1/(draws + 1), for {draws} draws"
    level = real_number("level", level, rule, lambda level: 1 / (draws + 1) <= level < 1)
    draw_weight, tail = _operations(law)
    source = generator(rng)
    values = law.values(W)
    distance = _distance(values, law)
    null = np.array([_distance(law.values(draw_weight(source)), law) for _ in range(draws)])
    pvalue = (1 + int((null >= distance).sum())) / (draws + 1)
    outliers = tuple(_outliers(values, law.coordinate(values), tail, level))
    return Comparison(law, values, distance, pvalue, outliers, level)


def _operations(law: Any) -> tuple[Callable[[np.random.Generator], np.ndarray], Tail]:
    """Return how a law draws a weight, and its probability of any value beyond a coordinate."""
    if isinstance(law, WeightLaw):
        return law.draw_weight, law.largest.sf
    if not hasattr(law, "sample"):
        raise ArgumentError("law", "must be the law of a weight, such as Circular.fitted(W)", reprlib.repr(law))
    warnings.warn("a law to compare with now derives from WeightLaw", DeprecationWarning, stacklevel=3)
    return law.sample, law.beyond


def _outliers(values: np.ndarray, x: np.ndarray, tail: Tail, level: float) -> Iterator[Outlier]:
    """Yield the values whose coordinate x is too far out, the most extreme first."""
    order = np.argsort(-x)
    # In blocks, for an extreme-value law may be costly, and the first value that belongs ends the list.
    for block in np.array_split(order, range(BLOCK, order.size, BLOCK)):
        for i, pvalue in zip(block, tail(x[block]), strict=True):
            if pvalue >= level:
                return
            yield Outlier(values[i].item(), float(pvalue))


def _distance(values: np.ndarray, law: WeightLaw) -> float:
    expected = law.cdf(np.sort(law.coordinate(values)))
    steps = np.arange(expected.size + 1) / expected.size
    return float(max((steps[1:] - expected).max(), (expected - steps[:-1]).max()))
