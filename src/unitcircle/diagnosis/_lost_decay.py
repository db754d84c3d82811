"""The ways in which the initialization of a decay is lost, by what it leaves behind in the parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from unitcircle.diagnosis import _decay_marks as marks
from unitcircle.recurrence import LinearRecurrence

FEW = 4
"""Fewer heads than this show no law."""
MANY = 8
LARGE_STEP = 1.1
PART = 0.25
"""A share of entries of one value that no draw of the authors has."""
NEAR_LAW = 0.02
"""How far from a law its entries may be by storage in half precision."""
TWICE = 1.21
"""log log 16 is 1.02 and log10 16 is 1.204; of rates from U(0, 16), eight in ten are above e to this."""
ABOVE = 2.9
"""A little above log 16, the largest rate of those that are drawn; rates log(1, ..., heads) are in order."""
PRUNED = "they were clamped or pruned"
SURELY_NORMAL = 1024
"""Of so many entries few layers are trained to a mean of 0 and a deviation of 1; of 64, one in a hundred may be."""
UNREACHED = 1e-5
"""1 − |λ| of the slowest channel that authors draw is 1e-4, for sequences of 16,000 steps."""
_STEPS = ("dt_bias", "log_dt", "log_step", "nu_log", "recurrent_param")
_MODULI = ("nu_log", "recurrent_param")
_LEVELS = ("log_A_real",)
"""Parameters that their authors start from one value."""
_CURVES = ("time_decay", "w0")
_ANGLES = ("theta_log", "A_imag")


@dataclass(frozen=True)
class LostParameter:
    """A parameter of a decay, and what shows that its initialization was lost."""

    parameter: str
    symptom: str
    what: str
    unless: str = ""  # What else would explain it


def law_of(linear: LinearRecurrence, parameter: str, /) -> str:
    """Return the assignment that initializes a parameter as its authors do, under its name in the file."""
    return f"{linear.names.get(parameter, parameter)} <- {linear.family.laws.get(parameter, 'as its authors do')}"


def lost_parameters(linear: LinearRecurrence, /) -> list[LostParameter]:
    """Return the parameters whose initialization was lost, each with its first symptom."""
    found: dict[str, LostParameter] = {}
    for lost in _symptoms(linear):
        found.setdefault(lost.parameter, lost)
    if found and _are_pruned([np.asarray(linear.parameters[n]) for n in linear.family.laws if n in linear.parameters]):
        return [replace(one, unless=PRUNED) if one.symptom == "constant in part" else one for one in found.values()]
    return list(found.values())


def _are_pruned(values: list[np.ndarray]) -> bool:
    """Return whether several parameters are 0 in the same heads, and in no more than half of them."""
    heads = min(len(value) for value in values)
    if len(values) == 1 or any(value.size % heads for value in values):
        return False
    zero = [(value.reshape(heads, -1) == 0).all(1) for value in values]
    return all((one == zero[0]).all() for one in zero) and 0 < zero[0].sum() <= heads / 2


def _symptoms(linear: LinearRecurrence) -> Iterator[LostParameter]:
    values = {
        name: np.real(np.asarray(linear.parameters[name])).astype(float)
        for name in linear.family.laws
        if name in linear.parameters and name not in _LEVELS
    }
    if linear.family.shut and "A_log" in linear.parameters:
        gain = np.asarray(linear.parameters["A_log"], dtype=float)
        levels = np.unique(gain)
        if gain.size >= FEW and gain.any() and len(levels) <= 2:
            stored, which = linear.names.get("A_log", "A_log"), " or ".join(f"{level:g}" for level in levels)
            yield LostParameter("A_log", "constant", f"{stored} is {which} in all {gain.size} entries, and not 0")
    for name, value in values.items():
        stored = linear.names.get(name, name)
        if _is_constant(name, value):
            what = f"{stored} is {value.flat[0]:g} in all {value.size} entries, which its authors spread"
            yield LostParameter(name, "constant", what)
        else:
            found = (_off_scale(name, value, stored), _marked(linear, name, value), _unspread(linear, name, value))
            yield from filter(None, found)
    rates, steps = values.get("A_log"), values.get("dt_bias")
    if rates is not None and steps is not None and rates.size >= FEW and np.ptp(rates) > 0:
        yield from _rates(linear.names.get("A_log", "A_log"), rates, np.logaddexp(steps, 0.0))
    for name in linear.family.laws:
        if name in _LEVELS and name in linear.parameters:
            yield from _level(linear, name, np.asarray(linear.parameters[name], dtype=float))


def _marked(linear: LinearRecurrence, name: str, value: np.ndarray) -> LostParameter | None:
    mark = next(filter(None, _marks(linear, name, value)), None)
    if mark is None:
        return None
    unless = ""
    if mark[0] == "constant in part" and _by_training(linear, name, value, 0.0):
        unless = PRUNED
    elif mark[0] == "standard normal" and value.size < SURELY_NORMAL:
        unless = "training left it there"
    return LostParameter(name, mark[0], f"{linear.names.get(name, name)} {mark[1]}", unless)


def _marks(linear: LinearRecurrence, name: str, value: np.ndarray) -> Iterator[marks.Mark | None]:
    """Yield the marks of a loss in the entries of a parameter that is not constant."""
    if name in _ANGLES:
        return
    yield marks.started_in_part(name, value)
    yield marks.out_of_reach(value)
    if value.size < FEW or marks.is_started(name, value).all():
        return
    if name == "A_log" and value.ndim > 1:
        yield marks.unordered_modes(value)
        return
    text = linear.family.laws[name]
    yield marks.curve(text, value)
    if value.size >= MANY or name == "fgate_bias":
        yield marks.narrow(text, value)
    if value.size >= MANY:
        yield marks.repeated(text, value)
        yield marks.whole_numbers(value)
    yield marks.overwritten(value)
    if _is_untrained(linear, name):
        yield marks.unlawful(name, value)
    if value.size >= MANY:
        yield marks.standard_normal(text, value)


def _is_untrained(linear: LinearRecurrence, name: str) -> bool:
    """Return whether a parameter besides one is exactly where its authors start it."""
    return any(marks.is_started(other, p).all() for other, p in linear.parameters.items() if other != name)


def _level(linear: LinearRecurrence, name: str, value: np.ndarray) -> Iterator[LostParameter]:
    """Yield what shows that a parameter that starts from one value started from others."""
    stored = linear.names.get(name, name)
    if mark := marks.started_in_part(name, value) or marks.out_of_reach(value):
        yield LostParameter(name, mark[0], f"{stored} {mark[1]}")
        return
    angles = linear.parameters.get("A_imag")
    still = np.ptp(value) == 0 or (angles is not None and marks.is_started("A_imag", angles).all())
    if value.size >= FEW and still and marks.is_started(name, value).mean() < PART:
        what = f"{stored} is {value.mean():.3g} ± {value.std():.2g}, where its authors start from {np.log(0.5):.3g}"
        yield LostParameter(name, "off its law", what)


def _is_constant(name: str, value: np.ndarray) -> bool:
    """Return whether a parameter has one value; A_log of a channel with one mode is log 1 in each."""
    modes = value.shape[-1] if value.ndim > 1 else value.size
    return value.size > 1 and np.ptp(value) == 0 and not (name in {"A_log", "A_imag"} and modes == 1)


def _unspread(linear: LinearRecurrence, name: str, value: np.ndarray) -> LostParameter | None:
    """Return what shows that entries of a parameter are not spread, or out of the order of their curve, or None."""
    stored = linear.names.get(name, name)
    if name in {"A_log", "A_imag"} and value.ndim > 1:
        same = (np.ptp(value, axis=-1) == 0).mean() if value.shape[-1] > 1 else 0.0
        what = f"{stored} has one value for all modes in {same:.0%} of the channels, which its authors spread"
        return LostParameter(name, "constant in part", what) if same >= PART else None
    if value.size >= MANY or name == "fgate_bias":
        values, counts = np.unique(value, return_counts=True)
        most = int(counts.argmax())
        few = 2 if name == "fgate_bias" and value.ndim == 1 else FEW
        if marks.is_rounded(value) and values[most] not in {0.0, 1.0}:
            few = MANY  # several entries may be one number of half precision
        if counts[most] >= max(PART * value.size, few):
            what = f"{stored} is {values[most]:g} in {counts[most]} of {value.size} entries, which its authors spread"
            trained = _by_training(linear, name, value, float(values[most]))
            return LostParameter(name, "constant in part", what, PRUNED if trained else "")
    return None


def _by_training(linear: LinearRecurrence, name: str, value: np.ndarray, level: float) -> bool:
    """Return whether entries of one level may have been clamped to it, or pruned, in trained weights."""
    other = value != level
    rest = value[other]
    if level:
        gap = max(float(rest.min()) - level, level - float(rest.max()))
        return level != 1 and 0 < gap <= float(np.ptp(rest))
    if name == "fgate_bias":
        return not _is_on_the_curve(value, other)
    # The smallest entries of a curve, which pruning takes, lie side by side.
    block = name not in _CURVES and marks.is_a_block(value, ~other.ravel())
    return not block and not _is_untrained(linear, name)


def _is_on_the_curve(value: np.ndarray, which: np.ndarray) -> bool:
    """Return whether some forget biases are exactly where their authors start them."""
    return value.ndim == 1 and bool(np.abs(value - np.linspace(3, 6, value.size))[which].max() <= NEAR_LAW)


def _off_scale(name: str, value: np.ndarray, stored: str) -> LostParameter | None:
    """Return what shows that a parameter is on another scale than its law, or None."""
    low, high = float(value.min()), float(value.max())
    if value.size < FEW:
        return None
    if name in _STEPS and low > 0 and high < 0.2:
        inverse = "its inverse softplus" if name in {"dt_bias", "recurrent_param"} else "its logarithm"
        return LostParameter(name, "not inverted", f"{stored} lies in ({low:.3g}, {high:.3g}): a step, not {inverse}")
    if name in _MODULI and (high < math.log(UNREACHED) or low > 0):
        return _moduli(name, stored, low, high)
    if name == "fgate_bias":
        return _forget_bias(stored, value)
    if name in {"dt_bias", "log_dt", "log_step"}:
        return _steps(name, stored, value)
    return _curve(name, value.ravel(), stored) if name in _CURVES and value.size >= MANY else None


def _moduli(name: str, stored: str, low: float, high: float) -> LostParameter:
    if high < 0:
        what = f"{stored} is below {high:.3g} in all channels: no memory is shorter than {math.exp(-high):.3g} tokens"
        return LostParameter(name, "scale", what)
    inverted = low > 0.5 and high <= 1
    meaning = "|λ|, not its parameter" if inverted else "no |λ| is above 1/2, as with a changed sign"
    symptom = "not inverted" if inverted else "sign"
    return LostParameter(name, symptom, f"{stored} lies in ({low:.3g}, {high:.3g}): {meaning}")


def _forget_bias(stored: str, value: np.ndarray) -> LostParameter | None:
    """Return what shows that the biases of forget gates are not those of the authors, or None."""
    low, high = float(value.min()), float(value.max())
    if low > 0 and high < 1:
        what = f"{stored} lies in ({low:.3g}, {high:.3g}): a gate, not its bias"
        return LostParameter("fgate_bias", "not inverted", what)
    if high < -1:
        return LostParameter("fgate_bias", "sign", f"{stored} is negative in all heads, as with a changed sign")
    curves = value.ndim > 1 and value.shape[-1] >= FEW  # of an sLSTM, from 5 to −7
    if curves and (np.diff(value, axis=-1) >= 0).all() and float(np.ptp(value, axis=-1).min()) > 6:
        what = f"{stored} rises over the channels of every head, where its authors let it fall"
        return LostParameter("fgate_bias", "sign", what)
    return None


def _steps(name: str, stored: str, value: np.ndarray) -> LostParameter | None:
    """Return what shows that the steps at rest are not those of the authors, or None."""
    with np.errstate(over="ignore"):
        steps = np.logaddexp(value, 0.0) if name == "dt_bias" else np.exp(value)
    # Mamba cuts its steps at the smallest; of state spaces it is an argument.
    function, smallest = ("softplus", marks.SMALLEST) if name == "dt_bias" else ("exp", marks.SMALLEST / 2)
    small = float((steps < smallest).mean())
    if small >= PART:
        what = f"{function}({stored}), the step, is below {smallest:g} in {small:.0%} of the entries, as if squared"
        return LostParameter(name, "squared", what)
    if steps.min() > LARGE_STEP:
        what = f"{function}({stored}), the step, is above {LARGE_STEP} in all entries, as with a changed sign"
        return LostParameter(name, "sign", what)
    return None


def _curve(name: str, value: np.ndarray, stored: str) -> LostParameter | None:
    """Return what shows that a curve over the channels is not the one of the authors, or None."""
    change = np.diff(value)
    if (change <= 0).all():
        return LostParameter(name, "sign", f"{stored} falls over the channels, where its authors let it rise")
    if value[0] > 0 and value.max() < 1 and (change >= 0).all():
        return LostParameter(name, "not inverted", f"{stored} lies in (0, 1): a decay or a gate, not its parameter")
    if value.min() >= 0:
        what = f"{stored} is positive in all channels, from {value.min():.2g}: exp(w), not w"
        return LostParameter(name, "not inverted", what)
    return None


def _rates(stored: str, rates: np.ndarray, steps: np.ndarray) -> Iterator[LostParameter]:
    """Yield what shows that A_log is not log A, where the steps are still as initialized."""
    if steps.min() < marks.SMALLEST / 2 or steps.max() > marks.LARGEST * marks.NEAR:
        return
    modes = np.log(np.arange(1, rates.shape[-1] + 1)) if rates.ndim > 1 else None
    if modes is not None and (np.ptp(rates.reshape(-1, rates.shape[-1]), axis=0) == 0).all():
        if np.abs(rates - modes).max() > NEAR_LAW:
            yield LostParameter("A_log", "scale", f"{stored} is one row for all channels, and not log(1, ..., N)")
        return
    largest = np.log(max(16, rates.size))
    if rates.min() > 0.99 and (rates.mean() > 3.5 or (rates == np.rint(rates)).all()):
        what = f"{stored} lies in ({rates.min():.3g}, {rates.max():.3g}): A, not its logarithm"
        yield LostParameter("A_log", "not inverted", what)
    elif (rates <= 0).mean() > (0.7 if rates.size >= MANY else 0.9) and np.median(rates) < -1:
        what = f"{stored} is negative in {(rates < 0).mean():.0%} of the heads, as with a changed sign"
        yield LostParameter("A_log", "sign", what)
    elif rates.ndim == 1 and (
        (rates.max() > largest + 1 and np.median(rates) > largest + (0.3 if rates.size >= MANY else 1))
        or (rates.size >= 2 * MANY and (rates > ABOVE).mean() >= PART and not marks.is_in_order(rates))
    ):
        what = f"{stored} reaches {rates.max():.3g}, above log {max(16, rates.size)}, where the steps are as drawn"
        yield LostParameter("A_log", "scale", what)
    elif rates.size >= MANY and (rates > TWICE).sum() <= rates.size // 16:
        what = f"{stored} is below {TWICE:g} in {(rates <= TWICE).sum()} of {rates.size} heads: log log A, or log10 A"
        yield LostParameter("A_log", "logarithm taken twice", what)
