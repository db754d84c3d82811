"""The ways in which the initialization of a decay is lost, by what it leaves behind in the parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unitcircle.recurrence import LinearRecurrence

FEW = 4
"""Fewer heads than this show no law."""
MANY = 8
SMALLEST_STEP, LARGEST_STEP = 1e-4, 0.11
"""The steps Δ at rest that the authors of Mamba draw: log-uniform on (.001, .1), and at least 1e-4."""
_STEPS = ("dt_bias", "log_dt", "log_step", "nu_log", "recurrent_param")
_MODULI = ("nu_log", "recurrent_param")
_LEVELS = ("log_A_real",)
"""Parameters that their authors start from one value."""
_CURVES = ("time_decay", "w0")


@dataclass(frozen=True)
class LostParameter:
    """A parameter of a decay, and what shows that its initialization was lost."""

    parameter: str
    symptom: str
    what: str


def law_of(linear: LinearRecurrence, parameter: str, /) -> str:
    """Return the assignment that initializes a parameter as its authors do, under its name in the file."""
    return f"{linear.names.get(parameter, parameter)} <- {linear.family.laws.get(parameter, 'as its authors do')}"


def lost_parameters(linear: LinearRecurrence, /) -> list[LostParameter]:
    """Return the parameters whose initialization was lost, each with its first symptom."""
    found: dict[str, LostParameter] = {}
    for lost in _symptoms(linear):
        found.setdefault(lost.parameter, lost)
    return list(found.values())


def _symptoms(linear: LinearRecurrence) -> Iterator[LostParameter]:
    values = {
        name: np.real(np.asarray(linear.parameters[name])).astype(float)
        for name in linear.family.laws
        if name in linear.parameters and name not in _LEVELS
    }
    for name, value in values.items():
        stored = linear.names.get(name, name)
        if _is_constant(name, value):
            what = f"{stored} is {value.flat[0]:g} in all {value.size} entries, which its authors spread"
            yield LostParameter(name, "constant", what)
        elif (lost := _off_scale(name, value, stored)) is not None:
            yield lost
    rates, steps = values.get("A_log"), values.get("dt_bias")
    if rates is not None and steps is not None and rates.size >= FEW and np.ptp(rates) > 0:
        yield from _rates(linear.names.get("A_log", "A_log"), rates, np.logaddexp(steps, 0.0))


def _is_constant(name: str, value: np.ndarray) -> bool:
    """Return whether a parameter has one value; A_log of a channel with one mode is log 1 in each."""
    modes = value.shape[-1] if value.ndim > 1 else value.size
    return value.size > 1 and np.ptp(value) == 0 and not (name in {"A_log", "A_imag"} and modes == 1)


def _off_scale(name: str, value: np.ndarray, stored: str) -> LostParameter | None:
    """Return what shows that a parameter is on another scale than its law, or None."""
    low, high = float(value.min()), float(value.max())
    if value.size < FEW:
        return None
    if name in _STEPS and low > 0 and high < 0.2:
        inverse = "its inverse softplus" if name in {"dt_bias", "recurrent_param"} else "its logarithm"
        return LostParameter(name, "not inverted", f"{stored} lies in ({low:.3g}, {high:.3g}): a step, not {inverse}")
    if name in _MODULI and low > 0.5 and high <= 1:
        return LostParameter(name, "not inverted", f"{stored} lies in ({low:.3g}, {high:.3g}): |λ|, not its parameter")
    if name == "fgate_bias" and high < -1:
        return LostParameter(name, "sign", f"{stored} is negative in all heads, as with a changed sign")
    if name == "dt_bias":
        return _steps(stored, np.logaddexp(value, 0.0))
    return _curve(name, value.ravel(), stored) if name in _CURVES and value.size >= MANY else None


def _steps(stored: str, steps: np.ndarray) -> LostParameter | None:
    """Return what shows that the steps at rest are not those of the authors, or None."""
    small = float((steps < SMALLEST_STEP).mean())
    if small >= 0.25:
        what = f"softplus({stored}), the step, is below {SMALLEST_STEP:g} in {small:.0%} of the entries, as if squared"
        return LostParameter("dt_bias", "squared", what)
    if steps.min() > 1.5:
        what = f"softplus({stored}), the step, is above 1.5 in all entries, as with a changed sign"
        return LostParameter("dt_bias", "sign", what)
    return None


def _curve(name: str, value: np.ndarray, stored: str) -> LostParameter | None:
    """Return what shows that a curve over the channels is not the one of the authors, or None."""
    change = np.diff(value)
    if (change <= 0).all():
        return LostParameter(name, "sign", f"{stored} falls over the channels, where its authors let it rise")
    if name == "time_decay" and (change >= 0).all() and 0 <= value[0] < 0.05:
        return LostParameter(name, "not inverted", f"{stored} is positive and starts at {value[0]:.2g}: exp(w), not w")
    return None


def _rates(stored: str, rates: np.ndarray, steps: np.ndarray) -> Iterator[LostParameter]:
    """Yield what shows that A_log is not log A, where the steps are still as initialized."""
    if steps.min() < SMALLEST_STEP / 2 or steps.max() > LARGEST_STEP:
        return
    if rates.min() > 0.99 and rates.max() > 3.5:
        what = f"{stored} lies in ({rates.min():.3g}, {rates.max():.3g}): A, not its logarithm"
        yield LostParameter("A_log", "not inverted", what)
    elif (rates <= 0).mean() > 0.9 and np.median(rates) < -1:
        what = f"{stored} is negative in {(rates < 0).mean():.0%} of the heads, as with a changed sign"
        yield LostParameter("A_log", "sign", what)
    elif rates.size >= MANY and rates.max() < 1.03:
        yield LostParameter(
            "A_log", "logarithm taken twice", f"{stored} is below 1.03 in all heads: log log A, not log A"
        )
