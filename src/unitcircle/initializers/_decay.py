"""Laws of the parameters of a decay: what the authors of linear recurrences and state spaces draw."""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf, log, pi
from typing import Any, ClassVar

import numpy as np

from unitcircle._arguments import whole_number
from unitcircle._array import Weight, device, namespace, ndtr
from unitcircle._specification import Specification
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.initializers._certificate import Certificate, random_law
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import number

REGISTRY: dict[str, type[Specification]] = {}
SCALES = ("log", "softplus")
"""How a positive number is stored: as its logarithm, or as its inverse softplus."""
ROUNDED = 16.0
"""By how many eps of storage a share of a range moves at most: the logarithms here are below 10."""


def _ordered(owner: Any, low: str, high: str) -> None:
    first, second = getattr(owner, low), getattr(owner, high)
    if first >= second:
        raise ArgumentError(low, f"must be below {high}", f"{low}={first:g}, {high}={second:g}")


def _scale(stored: Any) -> None:
    if stored not in SCALES:
        raise UnknownNameError("stored", str(stored), SCALES)


@dataclass(frozen=True)
class DecayLaw(Initializer, ABC):
    """The law of a parameter of a decay, such as ``dt_bias`` or ``A_log``; as an initializer, but of any shape.

    Examples
    --------
    >>> law = DecayLaw.parse("step(low=0.001, high=0.1)")
    >>> step = np.logaddexp(law.sample(1000, rng=0), 0)
    >>> bool(0.001 <= step.min() < step.max() <= 0.1), law.certificate(law.sample(1000, rng=0)).holds
    (True, True)
    """

    kind = "law of a decay"
    registry = REGISTRY
    example = "step(low=0.001, high=0.1)"
    axes = 1
    square = False
    elementwise = True

    whole: ClassVar[bool] = False
    """Whether it is a curve over all entries of the parameter, in row-major order, and not a law of each."""

    def shaped(self, z: Any, /) -> Any:
        """Return a parameter of the shape of standard-normal numbers of any shape, a single number included."""
        xp = namespace(z)
        shape = tuple(z.shape)
        return xp.reshape(self(xp.reshape(z, (-1,)) if self.whole or not shape else z), shape)

    def certificate_of(self, values: Any, /) -> Certificate:
        """Return the certificate of a parameter of any shape."""
        xp = namespace(values)
        return self.certificate(xp.reshape(values, (-1,)) if self.whole or self.elementwise else values)


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
class LogModes(DecayLaw):
    """log 1, ..., log N along the last axis: ``A_log`` of Mamba (S4D-Real).

    References
    ----------
    A. Gu et al., "On the parameterization and initialization of diagonal state space models", NeurIPS 2022, arXiv
    2206.11893: S4D-Real.
    """

    name = "log_modes"
    elementwise = False

    def _weight(self, z: Any) -> Any:
        return _constant(z, np.log(np.arange(1.0, z.shape[-1] + 1)))

    def _measure(self, W: Weight) -> Certificate:
        return _exact("A_log = log(1, ..., N)", W, np.log(np.arange(1.0, W.value.shape[-1] + 1)))


@dataclass(frozen=True)
class Frequencies(DecayLaw):
    """π n, n = 0, ..., N − 1, along the last axis: ``A_imag`` of S4D-Lin, whose real part is −1/2.

    References
    ----------
    A. Gu et al., "On the parameterization and initialization of diagonal state space models", NeurIPS 2022, arXiv
    2206.11893: S4D-Lin.
    """

    name = "s4d_lin"
    elementwise = False

    def _weight(self, z: Any) -> Any:
        return _constant(z, pi * np.arange(z.shape[-1]))

    def _measure(self, W: Weight) -> Certificate:
        return _exact("A_imag = π (0, ..., N − 1)", W, pi * np.arange(W.value.shape[-1]))


@dataclass(frozen=True)
class LegS(DecayLaw):
    r"""Frequencies of HiPPO-LegS along the last axis: ``A_imag`` of S4D-LegS.

    .. math:: A_{nk} = -\sqrt{(n + ½)(k + ½)}\,\mathrm{sign}(n - k) - ½ δ_{nk}

    is the normal part of the HiPPO-LegS matrix of size 2N; its eigenvalues are −½ ± i ω, and the N positive ω are kept,
    in ascending order.

    References
    ----------
    A. Gu, K. Goel, C. Ré, "Efficiently modeling long sequences with structured state spaces", ICLR 2022, arXiv
    2111.00396, theorem 1; A. Gu et al., arXiv 2206.11893: S4D-LegS.
    """

    name = "legs"
    elementwise = False

    def _weight(self, z: Any) -> Any:
        return _constant(z, legs_frequencies(z.shape[-1]))

    def _measure(self, W: Weight) -> Certificate:
        # The characteristic matrix is singular at i ω: measured without the eigenvalues that the weight was made from.
        values = np.unique(W.value.reshape(-1, W.value.shape[-1]), axis=0)
        matrix = 1j * _legs_skew(2 * values.shape[-1])
        distance = inf
        if np.isfinite(values).all():
            sizes = np.linalg.eigvalsh(matrix)[-values.shape[-1] :]
            distance = float(np.abs(values - sizes).max() / sizes.max())
        return Certificate("A_imag = the frequencies of HiPPO-LegS", distance, 4 * W.eps)


@dataclass(frozen=True)
class DecayCurve(DecayLaw):
    r"""A curve over all channels: ``time_decay`` of RWKV 4 to 6, ``w0`` of RWKV-7, the forget bias of mLSTM.

    .. math:: w_c = start + rise \left(\frac{c}{C - 1}\right)^{power}, \qquad c = 0, …, C - 1

    Parameters
    ----------
    start, rise
        The first value, and by how much it rises; RWKV-4 −5 and 8, RWKV-5 and 6 −6 and 5, mLSTM 3 and 3.
    power
        Positive: .7 + 1.3 l/(L − 1) in layer l of L of RWKV 4 to 6, .85 + √(l/L) in RWKV-7, 1 in mLSTM.

    References
    ----------
    B. Peng et al., "RWKV: reinventing RNNs for the transformer era", EMNLP 2023, arXiv 2305.13048, appendix on
    initialization; BlinkDL/RWKV-LM RWKV-v5/src/model.py.
    """

    name = "decay_curve"
    elementwise = False
    whole = True

    start: float = -6.0
    rise: float = 5.0
    power: float = 1.0

    def __post_init__(self) -> None:
        number(self, "start", "must be a number", lambda _: True)
        number(self, "rise", "must not be 0", lambda rise: rise != 0)
        number(self, "power", "must be positive", lambda power: power > 0)

    def _curve(self, channels: int) -> np.ndarray:
        return self.start + self.rise * np.linspace(0, 1, channels) ** self.power

    def _weight(self, z: Any) -> Any:
        return _constant(z, self._curve(z.shape[-1]))

    def _measure(self, W: Weight) -> Certificate:
        promise = f"w = {self.start:g} + {self.rise:g} (c / (C − 1))^{self.power:g}"
        return _exact(promise, W, self._curve(W.value.shape[-1]))


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
    """

    name = "log_phase"

    max_phase: float = 2 * pi

    def __post_init__(self) -> None:
        number(self, "max_phase", "must be positive", lambda phase: phase > 0)

    def _weight(self, z: Any) -> Any:
        return namespace(z).log(self.max_phase * ndtr(z))

    def _measure(self, W: Weight) -> Certificate:
        return _uniform(f"exp θ ~ U(0, {self.max_phase:.4g})", np.exp(W.value) / self.max_phase, W)


@dataclass(frozen=True)
class Level(DecayLaw):
    """One value everywhere, where authors start from one: ``log_A_real`` of S4D-Lin, log ½.

    Parameters
    ----------
    value
        The value.
    """

    name = "level"

    value: float = log(0.5)

    def __post_init__(self) -> None:
        number(self, "value", "must be a number", lambda _: True)

    def _weight(self, z: Any) -> Any:
        return namespace(z).full_like(z, self.value)

    def _measure(self, W: Weight) -> Certificate:
        return _exact(f"all are {self.value:g}", W, np.array(self.value))


LAWS: Mapping[str, DecayLaw] = {
    "inverse softplus of log-uniform(.001, .1)": Step(),
    "log-uniform(.001, .1), as its logarithm": Step(stored="log"),
    "log U(1, 16) in float32": LogRate(),
    "log(1, ..., N) in each channel": LogModes(),
    "-5 + 8 (c / (C − 1))^(.7 + 1.3 l / (L − 1))": DecayCurve(-5, 8),
    "-6 + 5 (c / (C − 1))^(.7 + 1.3 l / (L − 1))": DecayCurve(-6, 5),
    "-5.5 + 5 (c / (C − 1))^(.85 + l^.5 / L)": DecayCurve(-5.5, 5),
    "inverse softplus of −(log u) / 2, u ~ U(.9², .999²)": Moduli(stored="softplus"),
    "linspace(3, 6, heads)": DecayCurve(3, 3),
    "ring(r_min=0.9, r_max=0.999)": Moduli(),
    "log U(0, 2π)": LogPhase(),
    "log 1/2": Level(),
    "π (0, ..., N − 1)": Frequencies(),
}
"""Text of a law, an entry of :attr:`unitcircle.recurrence.LinearFamily.laws`, → the law of a first layer."""


def decay_law(text: str, /, *, layer: int = 0, layers: int = 1) -> DecayLaw:
    """Return the law that the authors of a family state for a parameter of its decay.

    Parameters
    ----------
    text
        An entry of :attr:`unitcircle.recurrence.LinearFamily.laws`.
    layer, layers
        The place of the layer in its model, from 0, and the number of layers, on which the curves of RWKV depend.

    Returns
    -------
    DecayLaw
        The law.

    Raises
    ------
    UnknownNameError
        The law is none of the known ones.

    Examples
    --------
    >>> print(decay_law("-6 + 5 (c / (C − 1))^(.7 + 1.3 l / (L − 1))", layer=1, layers=2))
    decay_curve(start=-6.0, rise=5.0, power=2.0)
    """
    if text not in LAWS:
        raise UnknownNameError("law", text, LAWS)
    law = LAWS[text]
    if isinstance(law, DecayCurve) and "l / (L" in text:
        return replace(law, power=0.7 + 1.3 * layer / max(layers - 1, 1))
    if isinstance(law, DecayCurve) and "l^.5" in text:
        return replace(law, power=0.85 + (layer / layers) ** 0.5)
    return law


def legs_frequencies(modes: int, /) -> np.ndarray:
    """Return the positive frequencies of HiPPO-LegS of size 2N, ascending.

    Parameters
    ----------
    modes
        N.

    Returns
    -------
    numpy.ndarray
        ω ``(N,)``.

    Raises
    ------
    ArgumentError
        Not a positive whole number.

    Examples
    --------
    >>> legs_frequencies(1).round(4)
    array([0.866])
    """
    count = whole_number("modes", modes, least=1)
    return np.linalg.eigvalsh(1j * _legs_skew(2 * count))[count:]


def _legs_skew(size: int) -> np.ndarray:
    """Return the skew part of the normal part of HiPPO-LegS."""
    root = np.sqrt(np.arange(size) + 0.5)
    lower = np.tril(np.outer(root, root), -1)
    return lower.T - lower


def _inverse_softplus(xp: Any, x: Any) -> Any:
    return x + xp.log(-xp.expm1(-x))


def _constant(z: Any, values: np.ndarray) -> Any:
    """Return one row of values in the shape, library and element type of z."""
    xp = namespace(z)
    return xp.asarray(values, dtype=z.dtype, device=device(z)) + xp.zeros_like(z)


def _uniform(promise: str, share: np.ndarray, W: Weight) -> Certificate:
    """Certify that shares of a range are uniform on (0, 1)."""
    return random_law(promise, share, lambda x: np.clip(x, 0, 1), ROUNDED * W.eps)


def _exact(promise: str, W: Weight, row: np.ndarray) -> Certificate:
    size = float(np.abs(row).max()) or 1.0
    return Certificate(promise, float(np.abs(W.value - row).max()) / size, W.eps)
