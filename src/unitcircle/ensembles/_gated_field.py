"""The mean field of a GRU and an LSTM: one unit, driven by Gaussian processes that have the covariance of the units.

For n → ∞ the recurrent terms ``W_k h`` of the gates k are independent Gaussian processes over time, of covariance
``g² E h_t h_s``; a unit that they drive must return E h_t h_s. A difference of two states that grows like r^t drives
the unit through the slopes of its gates by processes of covariance ``g² ψ(t − s)``, and must return ψ: then λ = log r.

A gate multiplies a state that has seen the same process before, which is no integral over a few normal variables.
So the processes are drawn: that is the only approximation. They are periodic, hence stationary and given by a spectrum;
every sweep draws them anew, and the spectra are means over the sweeps. Populations are solved one by one, and differ by
the error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit

from unitcircle.ensembles._gaussian_mean import normal_mean
from unitcircle.errors import ArgumentError

GATED = ("gru", "lstm")
POPULATIONS, PATHS, STEPS = 8, 16, 512
"""Populations that are solved one by one; units of each; steps of a period."""
SWEEPS, SETTLING = 60, 20
STRIDE = 0.1
"""Largest change of λ in a sweep."""
START = 1e-2
LEAST_GAIN, MOST_GAIN = 1e-3, 100.0
"""Beyond these no drawn unit carries a difference."""
WALK = 0.25
"""Change of log g between the gains that are tried first."""
SEED = 0
RESOLVED = 0.005
"""Nats per step: several errors of λ."""


@dataclass(frozen=True)
class GatedField:
    """Variance of h over units and steps, leading exponent, and the standard error of each over populations."""

    variance: float
    variance_error: float
    exponent: float
    error: float


@dataclass(frozen=True)
class _Unit:
    """States of a unit over one period, and what a difference of two states does there.

    A difference v of what the cell keeps obeys ``v' = (keep v + Σ_k slope_k η_k)/r``; of h it is
    ``read v' + open η_last / r``.
    """

    h: np.ndarray
    keep: np.ndarray
    slopes: tuple[np.ndarray, ...]
    read: np.ndarray | float = 1.0
    open: np.ndarray | float = 0.0

    def difference(self, eta: np.ndarray, r: np.ndarray, /) -> np.ndarray:
        """Return the difference of h under the fields of a difference."""
        driven = sum(slope * field for slope, field in zip(self.slopes, eta, strict=False))
        return self.read * _periodic(self.keep / r, driven / r) + self.open * eta[-1] / r


def _gru(gates: np.ndarray, inner: np.ndarray, noise: np.ndarray, bias: float, /) -> _Unit:
    """``h' = z h + (1 − z) n``, ``n = tanh(x + r u)``."""
    r, z = expit(gates[0]), expit(gates[1] + bias)
    n = np.tanh(noise + r * inner)
    h = _periodic(z, (1 - z) * n)
    bent = (1 - z) * (1 - n * n) * r
    return _Unit(h, z, (bent * inner * (1 - r), (_before(h) - n) * z * (1 - z), bent))


def _lstm(gates: np.ndarray, bias: float, /) -> _Unit:
    """``c' = f c + i g``, ``h = o tanh c``."""
    i, f, g, o = expit(gates[0]), expit(gates[1] + bias), np.tanh(gates[2]), expit(gates[3])
    c = _periodic(f, i * g)
    t = np.tanh(c)
    slopes = (i * (1 - i) * g, f * (1 - f) * _before(c), i * (1 - g * g))
    return _Unit(o * t, f, slopes, o * (1 - t * t), o * (1 - o) * t)


def resting_exponent(cell: str, gain: float, bias: float, /) -> float:
    """Return λ of the state 0 without inputs: the Jacobian is one matrix there."""
    keep = float(expit(bias))
    # GRU: z + (1 − z) r W with r = 1/2; LSTM: f + i o W with i = o = 1/2.
    return math.log(keep + (1 - keep) * gain / 2 if cell == "gru" else keep + gain / 4)


def critical_gated_gain(cell: str, input_std: float, bias: float, /) -> float:
    """Return the smallest gain at which λ = 0, to a percent; in closed form where there is no input."""
    keep = float(expit(bias))
    resting = 2.0 if cell == "gru" else 4 * (1 - keep)
    if input_std == 0:
        return resting

    def exponent(log_gain: float) -> float:
        return gated_field(cell, math.exp(log_gain), input_std, bias).exponent

    # What the gate keeps by itself; if that hardly decays, λ is 0 within its error at every small gain.
    if 0.5 * math.log(normal_mean(lambda a: expit(a + bias) ** 2, input_std)) > -RESOLVED:
        raise ArgumentError("keep_bias", f"must let the state decay by more than {RESOLVED} a step", f"{bias!r}")
    low = high = math.log(min(max(resting, LEAST_GAIN), MOST_GAIN))
    while exponent(low) > 0:
        high, low = low, low - WALK
    while low == high or exponent(high) < 0:
        low, high = high, high + WALK
        if high > math.log(MOST_GAIN):
            raise ArgumentError("input_std", "must allow a critical gain below 100", f"{input_std!r}")
    root: Any = brentq(exponent, low, high, xtol=2e-3)
    return math.exp(float(root))


def gated_field(cell: str, gain: float, input_std: float, bias: float, /) -> GatedField:
    """Solve for the spectra of h and of a difference, and for λ, in one sequence of sweeps."""
    if input_std == 0 and (rest := resting_exponent(cell, gain, bias)) <= 0:
        return GatedField(0.0, 0.0, rest, 0.0)
    rng = np.random.default_rng(SEED)
    shape = (STEPS // 2 + 1, POPULATIONS)
    states, differences = np.full(shape, START), np.ones(shape)
    exponent = half_way = floor = np.zeros(POPULATIONS)
    for sweep in range(SWEEPS):
        recurrent = gain**2 * states
        gates = _draw(rng, 4, recurrent + input_std**2)
        if cell == "gru":
            noise = input_std * rng.standard_normal(gates.shape[1:])
            unit = _gru(gates[:2], _draw(rng, 1, recurrent)[0], noise, bias)
        else:
            unit = _lstm(gates, bias)
        r = np.exp(exponent)[:, None]
        returned = _spectrum(unit.difference(_draw(rng, 4, gain**2 * differences), r))
        growth = 0.5 * np.log(_total(returned) / _total(differences))
        # Newton's step where gates are independent from step to step; means over the sweeps after the first ones.
        floor = 0.5 * np.log(np.mean(unit.keep**2, (0, 2)))
        kept = np.exp(2 * (floor - exponent))
        weight = 2 / max(2, sweep - SETTLING)
        exponent = exponent + np.clip(weight * growth * np.maximum(1 - kept, STRIDE), -STRIDE, STRIDE)
        states = states + weight * (_spectrum(unit.h) - states)
        differences = differences + weight * (returned / _total(returned) - differences)
        if sweep == (SETTLING + SWEEPS) // 2:
            half_way = exponent
    variance = _total(states)
    scatter = [float(values.std(ddof=1)) / math.sqrt(POPULATIONS) for values in (variance, exponent)]
    moved = abs(float((exponent - half_way).mean()))
    # What is kept alone grows by that much; below it, rare units that keep everything were not among those drawn.
    missed = float((floor - exponent).mean())
    return GatedField(float(variance.mean()), scatter[0], float(exponent.mean()), max(scatter[1], moved, missed))


def _draw(rng: np.random.Generator, count: int, spectrum: np.ndarray, /) -> np.ndarray:
    """Draw periodic processes ``(count, steps, populations, paths)`` of a spectrum ``(frequencies, populations)``."""
    white = np.fft.rfft(rng.standard_normal((count, STEPS, POPULATIONS, PATHS)), axis=1)
    return np.fft.irfft(white * np.sqrt(spectrum)[..., None], STEPS, axis=1)


def _spectrum(paths: np.ndarray, /) -> np.ndarray:
    return np.mean(np.abs(np.fft.rfft(paths, axis=0)) ** 2, -1) / STEPS


def _total(spectrum: np.ndarray, /) -> np.ndarray:
    """Return the variance of a spectrum."""
    return (spectrum[0] + 2 * spectrum[1:-1].sum(0) + spectrum[-1]) / STEPS


def _before(paths: np.ndarray, /) -> np.ndarray:
    return np.roll(paths, 1, axis=0)


def _periodic(keep: np.ndarray, added: np.ndarray, /) -> np.ndarray:
    """Return the periodic solution of ``y' = keep y + added``: what two periods from 0 lead to."""
    out = np.empty_like(added)
    y = np.zeros_like(added[0])
    for _ in range(2):
        for step in range(STEPS):
            y = keep[step] * y + added[step]
            out[step] = y
    return out
