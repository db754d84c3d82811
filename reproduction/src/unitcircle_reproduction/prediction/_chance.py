"""What chance gives: families of initializers that exchange their results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

SHUFFLES = 2000


def orders(groups: Sequence[Mapping[str, str]], seed: int, /, *, shuffles: int = SHUFFLES) -> list[np.ndarray]:
    """Draw for each group whose result each point is given ``(shuffles, points)``, families moving as a whole."""
    # The families, and the members within each, are put into a random order; the results in that order are given
    # to the points in the order of their names. Families of one size thus exchange all their results, which is an
    # exact permutation test whatever their members share; for families of different sizes it is nearly exact. All
    # groups have the same order; a member that a group lacks is skipped.
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
    """Return p-values ``(d,)`` of values ``(d,)`` against shuffles ``(shuffles, d)``, corrected for their number."""
    # p = (1 + shuffles whose largest standardized number is at least as far from 0) / (1 + shuffles): the single
    # step of Westfall and Young, exact if values and shuffles are exchangeable under the null hypothesis.
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
    """Return the one-sided p-value of a value against shuffles ``(shuffles,)``."""
    if math.isnan(value):
        return math.nan
    return float((1 + np.sum(~(shuffled < value - 1e-12))) / (1 + len(shuffled)))
