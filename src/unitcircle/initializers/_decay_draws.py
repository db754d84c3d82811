"""Laws from which the parameters of a decay are drawn: the steps and rates of Mamba, the ring of LRU and RG-LRU."""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi
from typing import Any

import numpy as np

from unitcircle._array import Weight, namespace, ndtr
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.initializers._certificate import Certificate, random_law
from unitcircle.initializers._decay_law import DecayLaw
from unitcircle.initializers._parameters import number

SCALES = ("log", "softplus")
"""How a positive number is stored: as its logarithm, or as its inverse softplus."""
ROUNDED = 16.0
"""By how many eps of storage a share of a range moves at most: the logarithms here are below 10."""


def _ordered(owner: Any, low: str, high: str) -> None:
    first, second = getattr(owner, low), getattr(owner, high)
    if first >= second:
        raise ArgumentError(low, f"must be below {high}", f"{low}={first:g}, {high}={second:g}")


def _scale(stored: Any) -> None:
    if not isinstance(stored, str) or stored not in SCALES:
        raise UnknownNameError("stored", str(stored), SCALES)


@dataclass(frozen=True)
class Step(DecayLaw):
    r"""Steps that are log-uniform, stored as their inverse softplus (``dt_bias``) or logarithm (``log_dt``).

    .. math:: \log Δ \sim U(\log Δ_{\min}, \log Δ_{\max}), \qquad b = \log(e^Δ - 1) \text{ or } \log Δ

    Parameters
    ----------
    low, high
        Δ_min and Δ_max, 0 < low < high; the authors of Mamba and S4D take 0.001 and 0.1.
    stored
        ``"softplus"`` or ``"log"``.

    References
    ----------
    A. Gu, T. Dao, "Mamba: linear-time sequence modeling with selective state spaces", arXiv 2312.00752, section 3.6.

    Examples
    --------
    >>> import numpy as np
    >>> steps = np.log1p(np.exp(Step().sample(100, rng=0)))
    >>> bool(steps.min() >= 0.001 and steps.max() <= 0.1)
    True
    """

    name = "step"

    low: float = 0.001
    high: float = 0.1
    stored: str = "softplus"

    def __post_init__(self) -> None:
        number(self, "low", "must be positive", lambda low: low > 0)
        number(self, "high", "must be positive", lambda high: high > 0)
        _ordered(self, "low", "high")
        _scale(self.stored)

    def _weight(self, z: Any) -> Any:
        xp = namespace(z)
        log_step = log(self.low) + log(self.high / self.low) * ndtr(z)
        if self.stored == "log":
            return log_step
        return _inverse_softplus(xp, xp.exp(log_step))

    def _measure(self, W: Weight) -> Certificate:
        log_step = W.value if self.stored == "log" else np.log(np.logaddexp(W.value, 0))
        promise = f"log Δ ~ U(log {self.low:g}, log {self.high:g})"
        return _uniform(promise, (log_step - log(self.low)) / log(self.high / self.low), W)


@dataclass(frozen=True)
class LogRate(DecayLaw):
    r"""Logarithms of uniform rates, ``A_log`` of Mamba-2 and Gated DeltaNet: :math:`\log A`, A ~ U(low, high).

    Parameters
    ----------
    low, high
        0 ≤ low < high; the authors take 1 and 16.

    References
    ----------
    T. Dao, A. Gu, "Transformers are SSMs", ICML 2024, arXiv 2405.21060; mamba_ssm/modules/mamba2.py.

    Examples
    --------
    >>> import numpy as np
    >>> rates = np.exp(LogRate(low=1, high=16).sample(100, rng=0))
    >>> bool(rates.min() >= 1 and rates.max() <= 16)
    True
    """

    name = "log_rate"

    low: float = 1.0
    high: float = 16.0

    def __post_init__(self) -> None:
        number(self, "low", "must not be negative", lambda low: low >= 0)
        number(self, "high", "must be positive", lambda high: high > 0)
        _ordered(self, "low", "high")

    def _weight(self, z: Any) -> Any:
        return namespace(z).log(self.low + (self.high - self.low) * ndtr(z))

    def _measure(self, W: Weight) -> Certificate:
        share = (np.exp(W.value) - self.low) / (self.high - self.low)
        return _uniform(f"exp(A_log) ~ U({self.low:g}, {self.high:g})", share, W)


@dataclass(frozen=True)
class Moduli(DecayLaw):
    r"""Moduli uniform in area over a ring, stored as ν of an LRU or as Λ of an RG-LRU.

    .. math:: r^2 \sim U(r_{\min}^2, r_{\max}^2), \qquad ν = \log(-\log r) \text{ or } \log(e^{-\log r} - 1)

    Parameters
    ----------
    r_min, r_max
        0 ≤ r_min < r_max < 1.
    stored
        ``"log"``: ν, |λ| = exp(−exp ν); ``"softplus"``: Λ, a = exp(−softplus Λ).

    References
    ----------
    A. Orvieto et al., ICML 2023, arXiv 2303.06349, lemma 3.2; S. De et al., "Griffin", arXiv 2402.19427, section 2.4.

    Examples
    --------
    >>> import numpy as np
    >>> nu = Moduli(r_min=0.9, r_max=0.999).sample(100, rng=0)
    >>> moduli = np.exp(-np.exp(nu))
    >>> bool(moduli.min() >= 0.9 and moduli.max() <= 0.999)
    True
    """

    name = "moduli"

    r_min: float = 0.9
    r_max: float = 0.999
    stored: str = "log"

    def __post_init__(self) -> None:
        number(self, "r_min", "must not be negative", lambda r: r >= 0)
        number(self, "r_max", "must be positive and below 1", lambda r: 0 < r < 1)
        _ordered(self, "r_min", "r_max")
        _scale(self.stored)

    def _weight(self, z: Any) -> Any:
        xp = namespace(z)
        rate = -0.5 * xp.log(self.r_min**2 + (self.r_max**2 - self.r_min**2) * ndtr(z))
        return xp.log(rate) if self.stored == "log" else _inverse_softplus(xp, rate)

    def _measure(self, W: Weight) -> Certificate:
        rate = np.exp(W.value) if self.stored == "log" else np.logaddexp(W.value, 0)
        share = (np.exp(-2 * rate) - self.r_min**2) / (self.r_max**2 - self.r_min**2)
        return _uniform(f"r² ~ U({self.r_min**2:.4g}, {self.r_max**2:.4g})", share, W)


@dataclass(frozen=True)
class LogPhase(DecayLaw):
    r"""Logarithms of uniform phases, θ of an LRU: :math:`\log φ`, φ ~ U(0, φ_max).

    Parameters
    ----------
    max_phase
        φ_max (rad), positive.

    References
    ----------
    A. Orvieto et al., ICML 2023, arXiv 2303.06349, lemma 3.2.

    Examples
    --------
    >>> import numpy as np
    >>> phases = np.exp(LogPhase(max_phase=0.5).sample(100, rng=0))
    >>> bool(phases.min() > 0 and phases.max() <= 0.5)
    True
    """

    name = "log_phase"

    max_phase: float = 2 * pi

    def __post_init__(self) -> None:
        number(self, "max_phase", "must be positive", lambda phase: phase > 0)

    def _weight(self, z: Any) -> Any:
        return namespace(z).log(self.max_phase * ndtr(z))

    def _measure(self, W: Weight) -> Certificate:
        return _uniform(f"exp θ ~ U(0, {self.max_phase:.4g})", np.exp(W.value) / self.max_phase, W)


def _inverse_softplus(xp: Any, x: Any) -> Any:
    return x + xp.log(-xp.expm1(-x))


def _uniform(promise: str, share: np.ndarray, W: Weight) -> Certificate:
    """Certify that shares of a range are uniform on (0, 1)."""
    return random_law(promise, share, lambda x: np.clip(x, 0, 1), ROUNDED * W.eps)
