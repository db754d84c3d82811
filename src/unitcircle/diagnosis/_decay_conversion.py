"""The common errors in the conversion of the parameters of a decay, and which of them explains a change."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

import numpy as np

from unitcircle.recurrence import LinearRecurrence, RecurrentLayer

Operation = Callable[[np.ndarray], np.ndarray]
EXPLAINED = 0.5
"""An error explains a change where it leaves less than half of the distance, and less than half of the weight."""
ROUNDED_MEMORY = 0.1
"""A cast that moves a memory by more than this share is an error."""
LARGEST_ORDER = 512
"""Of more entries the orders that have a name are not tried."""


def relative_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return ‖y − x‖ / ‖x‖."""
    if x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return np.inf
    size = float(np.linalg.norm(x))
    return float(np.linalg.norm(y - x)) / size if size else np.inf


def explains(candidate: np.ndarray, x: np.ndarray, y: np.ndarray) -> bool:
    """Return whether a candidate for y explains most of the change from x."""
    return relative_distance(candidate, y) < EXPLAINED * min(1.0, relative_distance(x, y))


def in_double(x: Any, /) -> np.ndarray:
    """Return real or complex values in double precision."""
    return np.asarray(x, dtype=np.complex128 if np.iscomplexobj(x) else np.float64)


_SCALES: dict[str, Operation] = {
    "has changed sign": lambda x: -x,
    "is exponentiated": np.exp,
    "is exponentiated, with its sign changed": lambda x: -np.exp(x),
    "is exponentiated twice, the decay itself": lambda x: np.exp(-np.exp(x)),
    "is its logarithm": np.log,
    "is the logarithm of its size": lambda x: np.log(np.abs(x)),
    "went through softplus": lambda x: np.logaddexp(x, 0.0),
    "went through softplus and a logarithm": lambda x: np.log(np.logaddexp(x, 0.0)),
    "went through the inverse of softplus": lambda x: x + np.log(-np.expm1(-x)),
    "went through the sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "is squared": np.square,
    "is inverted, 1/x": lambda x: 1 / x,
    "is divided by log 2, as a logarithm to base 2": lambda x: x / np.log(2),
    "is multiplied by log 2": lambda x: x * np.log(2),
    "is doubled": lambda x: 2 * x,
    "is halved": lambda x: x / 2,
    "is multiplied by 10": lambda x: 10 * x,
    "is divided by 10": lambda x: x / 10,
    "is divided by log 10, as a logarithm to base 10": lambda x: x / np.log(10),
    "is 2 to its power": np.exp2,
    "is its absolute value": np.abs,
    "is its hyperbolic tangent": np.tanh,
    "is rounded to whole numbers": np.rint,
    "has its heads in reverse order": lambda x: x[::-1],
    "is transposed": lambda x: x.T,
}
FEWEST = 8
"""Of fewer entries a fit shows nothing."""
SHIFT = 0.4
"""Training moves the entries of a decay by less than this, and not all alike."""
SHRUNK, GROWN = 0.4, 1.8
"""A decay of weights takes entries to half of themselves, and not below this share; nor do they grow so evenly."""
SAME_ORDER = 0.98
TINY = 1e-6
"""Rounding of single precision, within which two explanations are alike."""
NEAR_SCALE = 0.1
"""How far a decay on another scale may be from it: what further training moves."""


def decay_errors(
    before: LinearRecurrence, after: LinearRecurrence, changed: Collection[str], others: Sequence[RecurrentLayer]
) -> Iterator[str]:
    """Yield what explains a change of the parameters of a decay."""
    x = {name: in_double(value) for name, value in before.parameters.items()}
    y = {name: in_double(after.parameters[name]) for name in x if name in after.parameters}
    left = [name for name in y if name in changed]
    for one in left:
        for two in left[left.index(one) + 1 :]:
            if _near(x[one], y[two]) and _near(x[two], y[one]):
                yield f"{before.names[one]} and {before.names[two]} are swapped"
                return
    for name in left:
        stored = before.names.get(name, name)
        own = relative_distance(x[name], y[name])
        rival = next(
            (
                other.label
                for other in others
                if other.linear is not None
                and other.linear is not before
                and name in other.linear.parameters
                and not _near(in_double(other.linear.parameters[name]), x[name])
                and relative_distance(in_double(other.linear.parameters[name]), y[name]) < min(NEAR_SCALE, own / 4)
            ),
            "",
        )
        yield from [f"{stored} is that of {rival}"] if rival else _of_decay(stored, x[name], y[name])


def _near(x: np.ndarray, y: np.ndarray) -> bool:
    return relative_distance(x.ravel(), y.ravel()) < NEAR_SCALE


def _of_decay(name: str, x: np.ndarray, y: np.ndarray) -> Iterator[str]:
    """Yield what explains a change of a parameter of the decay: a scale, a value, or an order of heads."""
    with np.errstate(all="ignore"):
        candidates = {text: op(x) for text, op in _SCALES.items()}
        same = [text for text, one in candidates.items() if one.shape == y.shape]
        distances = {text: _distance_of_finite(candidates[text], y) for text in same}
    own = _distance_of_finite(x, y)
    best = min(distances, key=distances.__getitem__, default="")
    fit, left = _fitted(x, y) if x.shape == y.shape else ("", np.inf)
    if y.size > 1 and (y == y.flat[0]).all() and np.ptp(np.abs(x)) > 0:
        yield f"{name} is all {_value(y.flat[0])}"
    elif best and distances[best] < min(NEAR_SCALE, EXPLAINED * own, 4 * left + TINY):
        yield f"{name} {best}"
    elif x.shape != y.shape:
        yield f"{name} has another shape"
    elif not np.isfinite(y).all() and np.isfinite(x).all():
        yield f"{name} holds entries that are NaN or infinite"
    elif text := _clamped(x, y) or _zero_part(x, y):
        yield f"{name} {text}"
    elif found := list(_of_order(name, x.ravel(), y.ravel())):
        yield from found
    elif fit:
        yield f"{name} {fit}"


def _zero_part(x: np.ndarray, y: np.ndarray) -> str:
    """Return how many entries are 0 where the others are what they were."""
    zero = (y == 0) & (x != 0)
    found = zero.any() and not zero.all() and relative_distance(np.where(zero, 0, x), y) < NEAR_SCALE
    return f"is 0 in {zero.sum()} of {zero.size} entries (from {int(zero.ravel().argmax())})" if found else ""


def _fitted(x: np.ndarray, y: np.ndarray) -> tuple[str, float]:
    """Return the simplest map that takes all entries to their new values, and what it leaves; "" and inf for none."""
    if np.iscomplexobj(x) or np.iscomplexobj(y) or x.size < FEWEST or not np.isfinite(y).all() or np.ptp(x) == 0:
        return "", np.inf
    shift, factor, (slope, offset) = (y - x).mean(), (x * y).sum() / (x * x).sum(), np.polyfit(x.ravel(), y.ravel(), 1)
    step = np.logaddexp(x, 0.0)
    with np.errstate(all="ignore"):
        share = np.exp(np.log(np.logaddexp(y, 0.0) / step).mean())
        steps = share * step + np.log(-np.expm1(-share * step))
    maps = {
        f"is shifted by {shift:.3g} in all entries": (x + shift, abs(shift) > SHIFT),
        f"is multiplied by {factor:.3g}": (factor * x, not SHRUNK < factor < GROWN),
        f"has its steps multiplied by {share:.3g}": (steps, not SHRUNK < share < GROWN),
        f"is {slope:.3g} times what it was, plus {offset:.3g}": (slope * x + offset, not SHRUNK < slope < GROWN),
    }
    left = {text: relative_distance(one - x.mean(), y - x.mean()) for text, (one, far) in maps.items() if far}
    best = min(left.values(), default=np.inf)
    if best < NEAR_SCALE:
        text = next(text for text, rest in left.items() if rest <= 4 * best + TINY)
        return text, relative_distance(maps[text][0], y)
    ranks = [np.argsort(np.argsort(values.ravel())) for values in (x, y)]
    if relative_distance(x, y) > 1 and np.corrcoef(ranks[0], ranks[1])[0, 1] > SAME_ORDER:
        span = f"from {y.min():.3g} to {y.max():.3g}"
        return f"is on another scale, {span}, with its entries in the order that they had", NEAR_SCALE
    return "", np.inf


def _clamped(x: np.ndarray, y: np.ndarray) -> str:
    """Return between which bounds entries were clamped, where several lie exactly on one and the others stayed."""
    low, high = y.min(), y.max()
    below, above = (y == low) & (x < low), (y == high) & (x > high)
    sides = (("below", low, below), ("above", high, above))
    bounds = [f"{side} {level:.4g}" for side, level, where in sides if where.sum() > 1]
    own = relative_distance(x, y)
    if not bounds or relative_distance(np.clip(x, low, high), y) >= min(NEAR_SCALE, EXPLAINED * own):
        return ""
    return f"has entries that were clamped {' and '.join(bounds)}"


def _value(value: Any) -> str:
    return {0.0: "zeros", 1.0: "ones"}.get(value, f"{value:.4g}")


def _of_order(name: str, x: np.ndarray, y: np.ndarray) -> Iterator[str]:
    """Yield which order of heads explains a change, or that some are there twice."""
    own = relative_distance(x, y)
    size = len(x)
    if size > LARGEST_ORDER:
        size = 1
    orders = {f"has its heads moved on by {shift}": np.roll(x, shift) for shift in range(1, size)}
    for groups in range(2, size // 2 + 1):
        if size % groups == 0:
            orders[
                f"has its heads interleaved, {groups} groups of {size // groups} as {size // groups} of {groups}"
            ] = x.reshape(groups, -1).T.ravel()
            first = x[: size // groups]
            orders[f"holds its first {len(first)} heads {groups} times"] = np.tile(first, groups)
            orders[f"holds each of its first {len(first)} heads {groups} times"] = np.repeat(first, groups)
    distances = {text: relative_distance(order, y) for text, order in orders.items()}
    best = min(distances, key=distances.__getitem__, default="")
    if best and distances[best] < min(NEAR_SCALE, EXPLAINED * own):
        yield f"{name} {best}"
    elif relative_distance(np.sort(x), np.sort(y)) < 0.2 * own:
        yield f"{name} holds its entries in another order"


def _distance_of_finite(x: np.ndarray, y: np.ndarray) -> float:
    """Return the relative distance where both are finite; inf where they are not finite at other places."""
    finite = np.isfinite(x)
    if x.shape != y.shape or not finite.any() or (finite != np.isfinite(y)).any():
        return np.inf
    return relative_distance(x[finite], y[finite])


def lost_memory(before: RecurrentLayer, after: RecurrentLayer) -> str:
    """Return what a cast or a rounding of a decay did to the memory of a head, where it is more than a tenth."""
    one, two = before.linear, after.linear
    if one is None or two is None or one.memory.shape != two.memory.shape:
        return ""
    with np.errstate(all="ignore"):
        moved = np.nan_to_num(np.abs(np.log(two.memory / one.memory)), nan=0.0).ravel()
    worst = int(moved.argmax())
    if moved[worst] <= ROUNDED_MEMORY:
        return ""
    head, types = worst * one.units // moved.size, ", ".join(sorted(set(two.in_half_precision.values())))
    share = np.expm1(moved[worst])
    what = f"the cast to {types}" if types else "the quantization"
    return f"{what} moves the memory of {one.family.unit} {head} by {share:.0%}"
