"""What chance gives: families of initializers that exchange their results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

SHUFFLES = 2000


def orders(groups: Sequence[Mapping[str, str]], seed: int, /, *, shuffles: int = SHUFFLES) -> list[np.ndarray]:
    """Draw which point's result each point is given, family by family, for all groups alike."""
    # The families are put into a random order, and the members of each; the results in that order are laid along
    # the points in the order of their names. Families of one size thus exchange their results whole, whatever
    # their members have in common (exact); those of different sizes nearly so. A member that a group lacks is
    # passed over.
    # Shapes: -> (shuffles, points)
    members = {name: family for group in groups for name, family in group.items()}
    families = sorted(set(members.values()))
    rng = np.random.default_rng([seed, 29])
    places = rng.permuted(np.tile(np.arange(len(families)), (shuffles, 1)), axis=1)
    within = rng.random((shuffles, len(members)))
    keys = {
        name: places[:, families.index(family)] + within[:, k]
        for k, (name, family) in enumerate(sorted(members.items()))
    }
    all_orders: list[np.ndarray] = []
    for group in groups:
        names = list(group)
        drawn = np.argsort(np.stack([keys[name] for name in names], -1), axis=-1)
        order = np.empty_like(drawn)
        order[:, sorted(range(len(names)), key=lambda i: (group[names[i]], names[i]))] = drawn
        all_orders.append(order)
    return all_orders


def chance(values: np.ndarray, shuffled: np.ndarray, /) -> np.ndarray:
    """Return how often chance alone gives a number as far from 0, corrected for how many are looked at."""
    # p = (1 + shuffles whose largest standardized number is at least as far from 0) / (1 + shuffles): the single
    # step of Westfall and Young, exact if the shuffled are what could have been instead.
    # Shapes: values (d,), shuffled (shuffles, d) -> (d,)
    #
    # P. H. Westfall, S. S. Young, "Resampling-based multiple testing", Wiley 1993, section 2.5.
    known = ~np.isnan(values)
    p = np.full(len(values), np.nan)
    if not known.any():
        return p
    draws = np.nan_to_num(shuffled[:, known])
    spread = np.sqrt((draws**2).mean(0))
    scale = np.where(spread > 0, spread, np.inf)
    largest = (np.abs(draws) / scale).max(-1)
    reached = largest[:, None] >= np.abs(values[known]) / scale - 1e-12
    p[known] = (1 + reached.sum(0)) / (1 + len(shuffled))
    return p


def above(value: float, shuffled: np.ndarray, /) -> float:
    """Return p: how often chance gives a number as large."""
    # Shapes: shuffled (shuffles,)
    if math.isnan(value):
        return math.nan
    return float((1 + np.sum(~(shuffled < value - 1e-12))) / (1 + len(shuffled)))
