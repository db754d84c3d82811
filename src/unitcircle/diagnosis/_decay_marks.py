"""Marks in the values of a parameter of a decay that no draw from the law of its authors has, trained or not."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache, lru_cache

import numpy as np

from unitcircle.initializers import DecayCurve, DecayLaw, HeadCurve, ZigzagCurve, decay_law

Mark = tuple[str, str]
"""A symptom and what shows it, without the name of the parameter."""

OUT_OF_REACH = 30.0
"""Beyond ± this no exponential, softplus or sigmoid passes a gradient: e^-30 is 1e-13."""
NARROW, NARROW_OF_FEW, MANY = 0.25, 0.12, 16
"""Share of the standard deviation of its law below which a parameter of so many entries, or of fewer, is not spread."""
EXACT = 1e-3
"""Share of the height of a curve within which entries lie that were not trained."""
APART = 50
"""By how many times that share lost entries leave the curve at least; training moves entries by all amounts."""
OTHER_ENDS = 2.1
"""By how much (nats) the ends of curves differ that authors of one family draw."""
ORDERED = 0.3
"""Rank correlation with its law below which a curve has no order: training from it leaves 0.8 and more."""
KOLMOGOROV = 1.95
"""√n times the largest distance from a distribution that one in a thousand samples has."""
FEW = 4
"""Fewer rows at their start may lie there by chance."""
SMALLEST, LARGEST = 1e-4, 0.1
"""The smallest and the largest step Δ at rest that authors draw by any of their settings."""
NEAR = 1.1
"""By how many times a step may leave them by storage in half precision."""
MOST_ROWS = 256
"""Of more channels, the first ones show whether modes are in order."""
LAWFUL = {
    "dt_bias": (lambda x: np.logaddexp(x, 0.0), SMALLEST / NEAR, LARGEST * NEAR, "the step"),
    "log_dt": (np.exp, SMALLEST / 2, LARGEST * NEAR, "the step"),
    "log_step": (np.exp, SMALLEST / 2, LARGEST * NEAR, "the step"),
    "recurrent_param": (lambda x: np.exp(-np.logaddexp(x, 0.0)), 0.89, 0.9995, "the modulus"),
}  # fmt: skip
"""Parameter → what it stores, and the smallest and largest that authors draw."""


_SAME = ("", "")


@cache
def law(text: str, /) -> DecayLaw:
    """Return the law of a family by its text."""
    return decay_law(text)


@cache
def _sample(text: str) -> np.ndarray:
    return law(text).sample(256, rng=0)


def is_started(name: str, value: np.ndarray, /) -> np.ndarray:
    """Return where a parameter is exactly at the one value that its authors start from, row by row; else all False."""
    real = np.real(value).astype(float)
    start: float | np.ndarray
    if name == "A_log" and real.ndim > 1 and real.shape[-1] > 1:
        rows = real.reshape(-1, real.shape[-1])
        return np.all(_near(rows, np.log(np.arange(1, rows.shape[-1] + 1)), 2.0**-8), axis=1)
    if name == "A_log" and real.ndim == 1:
        start = _even_rates(real) if real.any() else 0.0
    elif name == "A_imag" and real.ndim == 2:
        return np.all(_near(real, np.pi * np.arange(real.shape[-1]), 2.0**-8), axis=1)
    elif name == "log_A_real":
        start = np.log(0.5)
    elif name == "Lambda":
        start = -0.5
    elif name == "gate_bias":
        start = real.flat[0]
    else:
        return np.zeros(real.size, bool)
    return _near(real.ravel(), start, 2.0**-8)


def _even_rates(value: np.ndarray) -> np.ndarray:
    """Return the logarithms of 1, ..., heads or of linspace(1, last), whichever a parameter is nearest to."""
    place = np.arange(value.size)
    with np.errstate(over="ignore"):
        own = np.median(np.expm1(value[1:]) / place[1:]) if value.size > 1 else 1.0
    starts = [np.log1p(step * place) for step in (1.0, own) if 0 < step < np.inf]
    return max(starts, key=lambda start: _near(value, start, 2.0**-8).sum())


def is_rounded(value: np.ndarray, /) -> bool:
    """Return whether all entries are numbers of bfloat16 or float16, in whatever precision they are stored."""
    with np.errstate(over="ignore"):
        if (value == value.astype(np.float16)).all():
            return True
    return not (value.astype(np.float32).view(np.uint32) & 0xFFFF).any()


def _rounding(value: np.ndarray) -> np.ndarray:
    """Return by how much half precision may have moved entries, where they have been rounded to it."""
    return 2.0**-8 * np.abs(value) * is_rounded(value)


def _rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's rank correlation."""
    first, second = (np.argsort(np.argsort(values)) for values in (one, other))
    return float(np.corrcoef(first, second)[0, 1])


def _near(values: np.ndarray, start: float | np.ndarray, eps: float) -> np.ndarray:
    return np.abs(values - start) <= eps * np.maximum(np.abs(start), 1e-6)


def started_in_part(name: str, value: np.ndarray, /) -> Mark | None:
    """Return the mark of a parameter that is where its authors start it in most rows, and far from there in others."""
    started = is_started(name, value)
    if name == "gate_bias" or started.sum() < FEW or not 0.5 <= started.mean() < 1:
        return None
    rows = value.reshape(len(started), -1)
    start = rows[started.argmax()] if rows.shape[1] > 1 or name == "log_A_real" else _even_rates(rows[:, 0])
    away = np.abs(rows - (start if rows.shape[1] > 1 else np.broadcast_to(start, len(rows))[:, None])).max(1)
    if (away[~started] > APART * EXACT).all():
        return "lost in part", f"is where its authors start it in all but {(~started).sum()} of {started.size} rows"
    return None


def unordered_modes(value: np.ndarray, /) -> Mark | None:
    """Return the mark of modes whose rates do not rise in each channel, as they do from log(1, ..., N)."""
    rows = value.reshape(-1, value.shape[-1])
    if rows.shape[1] < 8 or len(rows) < 4:
        return None
    law_of_all = np.repeat(np.log(np.arange(1, rows.shape[1] + 1)), len(rows))
    if _near(np.sort(rows, axis=None), law_of_all, 2.0**-8).all():
        return "order", "holds the rates of its authors with its entries in another order"
    mean = float(np.mean([_rank_correlation(row, np.arange(len(row))) for row in rows[:MOST_ROWS]]))
    what = f"has no order over the modes (rank correlation {mean:.2g}), where its authors let it rise"
    return ("order", what) if mean < ORDERED else None


def out_of_reach(value: np.ndarray, /) -> Mark | None:
    """Return the mark of entries where the decay has no gradient."""
    where = np.abs(value) > OUT_OF_REACH
    if not where.any():
        return None
    worst = float(value[where].flat[0])
    return "out of reach", f"is {worst:.3g} in {_of(where)}, where its decay has no gradient"


def overwritten(value: np.ndarray, /) -> Mark | None:
    """Return the mark of entries that are exactly 1, or 0, as no number that was drawn or trained is in float32."""
    for level in (1.0, 0.0):
        where = value == level
        # Half precision has few numbers near 1, and as many near 0 as float32.
        if where.any() and not (level and is_rounded(value)):
            return "overwritten" if level else "constant in part", f"is exactly {level:g} in {_of(where)}"
    return None


def is_in_order(value: np.ndarray, /) -> bool:
    """Return whether entries rise with their place, as training leaves a curve."""
    return _rank_correlation(value.ravel(), np.arange(value.size)) > 0.5


def is_a_block(value: np.ndarray, where: np.ndarray, /) -> bool:
    """Return whether entries lie side by side, as those of a shard, and not because pruning took the smallest."""
    places = np.flatnonzero(where)
    if len(places) < 2 or np.ptp(places) >= len(places):
        return False
    rest = value[~where.reshape(value.shape)]
    sorted_ = len(rest) > 2 and max(_rank_correlation(rest, np.arange(len(rest))) * sign for sign in (1, -1)) > 0.7
    return not sorted_ and where.size - len(places) + 1 < math.comb(where.size, len(places)) / 1000


def _of(where: np.ndarray) -> str:
    return f"{where.sum()} of {where.size} entries (from {int(where.ravel().argmax())})"


def narrow(text: str, value: np.ndarray, /) -> Mark | None:
    """Return the mark of entries that differ by much less than their law lets them."""
    share = NARROW if value.size >= MANY else NARROW_OF_FEW
    levels = np.unique(value, return_counts=True)[1]
    if value.std() >= share * _sample(text).std() or levels.max() >= max(2, value.size / 4):  # clamped, or lost in part
        return None
    return "not spread", f"is {value.mean():.3g} ± {value.std():.2g} over all entries, which its authors spread"


def standard_normal(text: str, value: np.ndarray, /) -> Mark | None:
    """Return the mark of what fits N(0, 1), and no draw of a law, walked by 1 or decayed to a half, has its mean."""
    drawn, size = _sample(text), value.size
    root, mean, deviation = math.sqrt(size), float(value.mean()), float(value.std())
    towards = np.sign(drawn.mean())
    near = towards * (drawn.mean() / 2 - mean) * root < 4 * math.hypot(1, drawn.std() / 2)
    if near or max(abs(mean) * root, abs(deviation - 1) * root * math.sqrt(2)) > 3:
        return None
    below = size / 2 * (1 + np.array([math.erf(x / math.sqrt(2)) for x in np.sort(value, axis=None)]))
    place = np.arange(size)
    if max(np.abs(below - place).max(), np.abs(below - place - 1).max()) / root > KOLMOGOROV:
        return None
    what = f"is {mean:.2g} ± {deviation:.2g}, as {size} draws from N(0, 1), which no law of its authors gives"
    return "standard normal", what


def repeated(text: str, value: np.ndarray, /) -> Mark | None:
    """Return the mark of values that repeat, as where one shard was loaded for each."""
    if isinstance(law(text), HeadCurve):
        return None  # its heads are equal
    for shards in (2, 4, 8):
        if value.size % shards == 0 and value.size // shards >= shards:
            rows = value.reshape(shards, -1)
            if (rows == rows[0]).all() and np.ptp(rows[0]) > 0:
                return "repeated", f"holds the same {rows.shape[1]} numbers {shards} times, as of one shard"
    return None


def whole_numbers(value: np.ndarray, /) -> Mark | None:
    """Return the mark of values that were cut to integers."""
    if (value == np.rint(value)).all() and np.ptp(value) > 0:
        return "truncated", f"holds whole numbers only, from {value.min():g} to {value.max():g}"
    return None


def unlawful(name: str, value: np.ndarray, /) -> Mark | None:
    """Return the mark of values out of the range of their law, for a layer that was not trained."""
    if name not in LAWFUL:
        return None
    inverse, low, high, what = LAWFUL[name]
    with np.errstate(over="ignore"):
        stored = inverse(value)
    outside = (stored < low) | (stored > high)
    far = what == "the step" and (stored.min() < SMALLEST / 2 or stored.max() > 2 * LARGEST)
    if outside.mean() < 0.25 and not far:
        return None
    given = f"gives {what} from {stored.min():.3g} to {stored.max():.3g}"
    return "off its law", f"{given}, where authors draw from {low:.2g} to {high:.2g}"


def curve(text: str, value: np.ndarray, /) -> Mark | None:
    """Return the mark of a curve that is lost in part, is another one, or has no order."""
    drawn = law(text)
    if not isinstance(drawn, DecayCurve):
        return None
    heads = isinstance(drawn, HeadCurve) and value.ndim > 1
    rows = value.reshape(-1, value.shape[-1]) if heads else value.reshape(1, -1)
    if rows.shape[1] < 8:
        return None
    if drawn.start > 0 and not heads and (np.abs(np.exp(rows) - _fitted(drawn, np.exp(rows[0]))) <= EXACT).all():
        return "logarithm taken twice", f"is the logarithm of the curve of its authors, from {rows[0, 0]:.3g}"
    for shape in _shapes(drawn):
        if found := _in_part(shape, rows):
            return found
    found = [_another(drawn, shape, rows) for shape in {drawn, *_shapes(drawn), ZigzagCurve()}]
    if any(found) and not any(mark == _SAME for mark in found):
        return next(mark for mark in found if mark)
    return _order(drawn, rows)


def _shapes(drawn: DecayCurve) -> list[DecayCurve]:
    """Return the curves that authors of one family draw: RWKV-7 had no rise in each head at first."""
    return [drawn, DecayCurve(-6.5, 5.0)] if isinstance(drawn, ZigzagCurve) else [drawn]


def _in_part(drawn: DecayCurve, rows: np.ndarray) -> Mark | None:
    """Return the mark of entries that left a curve on which most others are."""
    allowed = 1 + _rounding(rows) / (EXACT * abs(drawn.rise))
    for row in {row.tobytes(): row for row in rows[:: max(1, len(rows) // 8)]}.values():
        away = np.abs(rows - _fitted(drawn, row)) / (EXACT * abs(drawn.rise))
        far, kept = away > APART, away <= allowed
        if far.any() and (far | kept).mean() >= 0.95 and kept.mean() >= 0.5:
            return "lost in part", f"is on the curve of its authors but in {_of(far)}"
    return None


def _another(drawn: DecayCurve, shape: DecayCurve, rows: np.ndarray) -> Mark | None:
    """Return the mark of an exact curve of one shape that authors do not draw; ``_SAME`` where they do."""
    own = [one for one in _shapes(drawn) if isinstance(one, ZigzagCurve) == isinstance(shape, ZigzagCurve)]
    for row in rows:
        ripple = _ripple(shape, len(row))
        start, end = float(row[0] - ripple[0]), float(row[-1] - ripple[-1])
        if end == start:
            return None
        same = replace(shape, start=start, rise=end - start)
        if (np.abs(row - _fitted(same, row)) > EXACT * abs(end - start) + _rounding(row)).any():
            return None
        if any(max(abs(start - one.start), abs(end - one.start - one.rise)) <= OTHER_ENDS for one in own):
            return _SAME
    row = rows[0]
    what = f"is a curve from {row[0]:.3g} to {row[-1]:.3g}, and its authors' goes from "
    return "another curve", what + f"{drawn.start:g} to {drawn.start + drawn.rise:g}"


def _order(drawn: DecayCurve, rows: np.ndarray) -> Mark | None:
    """Return the mark of entries that are not in the order of their curve."""
    expected = drawn.start + drawn.rise * np.linspace(0, 1, rows.shape[1]) + _ripple(drawn, rows.shape[1])
    ranks = float(np.mean([_rank_correlation(row, expected) for row in rows]))
    if rows.size >= MANY and ranks < ORDERED:
        return "order", f"has no order over the channels (rank correlation {ranks:.2g}), which its authors give it"
    if _is_permuted(drawn, rows):
        return "order", "holds the curve of its authors with its entries in another order"
    return None


def _is_permuted(drawn: DecayCurve, rows: np.ndarray) -> bool:
    """Return whether entries are those of the curve with some power, and not in its order."""
    values, size = np.sort(rows.ravel()), rows.shape[1]
    powers = np.arange(0.3, 2.01, 0.01)
    curves = drawn.start + drawn.rise * np.linspace(0, 1, size) ** powers[:, None] + _ripple(drawn, size)
    entries = np.sort(np.repeat(curves, len(rows), axis=1), axis=1)
    best = int(np.abs(entries - values).max(1).argmin())
    near = 10 * EXACT * abs(drawn.rise)
    return bool(np.abs(entries[best] - values).max() < near and np.abs(curves[best] - rows).max() > APART / 10 * near)


def _ripple(drawn: DecayCurve, size: int) -> np.ndarray:
    return _zigzag(drawn.ripple, drawn.head, size) if isinstance(drawn, ZigzagCurve) else np.zeros(size)


@lru_cache(maxsize=16)
def _zigzag(ripple: float, head: int, size: int) -> np.ndarray:
    both = (ZigzagCurve(ripple=one, head=head).sample(size, rng=0) for one in (ripple, 0.0))
    return next(both) - next(both)


def _fitted(drawn: DecayCurve, row: np.ndarray) -> np.ndarray:
    """Return the curve between the ends of a law, of the power that most entries have."""
    place, ripple = np.linspace(0, 1, len(row)), _ripple(drawn, len(row))
    height = (row - ripple - drawn.start) / drawn.rise
    inside = (place > 0.05) & (place < 1) & (height > 0) & (height < 1)
    if not inside.any():
        return np.full(len(row), np.inf)
    power = float(np.median(np.log(height[inside]) / np.log(place[inside])))
    return drawn.start + drawn.rise * place**power + ripple if power > 0 else np.full(len(row), np.inf)
