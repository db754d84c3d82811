"""Curves of the parameters of a decay, of which nothing is drawn: S4D, HiPPO, RWKV, mLSTM."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, pi
from typing import Any

import numpy as np

from unitcircle._arguments import whole_number
from unitcircle._array import Weight, device, namespace
from unitcircle.initializers._certificate import Certificate
from unitcircle.initializers._decay_law import DecayLaw
from unitcircle.initializers._parameters import number


@dataclass(frozen=True)
class LogModes(DecayLaw):
    """log 1, ..., log N along the last axis: ``A_log`` of Mamba (S4D-Real).

    References
    ----------
    A. Gu et al., "On the parameterization and initialization of diagonal state space models", NeurIPS 2022, arXiv
    2206.11893: S4D-Real.

    Examples
    --------
    >>> LogModes().sample(3).round(4)
    array([0.    , 0.6931, 1.0986])
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

    Examples
    --------
    >>> Frequencies().sample(3).round(4)
    array([0.    , 3.1416, 6.2832])
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

    Examples
    --------
    >>> LegS().sample(3).round(4)
    array([ 0.4715,  2.4682, 10.9515])
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
    r"""A curve over all channels: ``time_decay`` of RWKV 4 to 6, the forget bias of mLSTM.

    .. math:: w_c = start + rise \left(\frac{c}{C - 1}\right)^{power}, \qquad c = 0, …, C - 1

    Parameters
    ----------
    start, rise
        The first value, and by how much it rises; RWKV-4 −5 and 8, RWKV-5 and 6 −6 and 5, mLSTM 3 and 3.
    power
        Positive: .7 + 1.3 l/(L − 1) in layer l of L of RWKV 4 to 6, 1 in mLSTM.

    References
    ----------
    B. Peng et al., "RWKV: reinventing RNNs for the transformer era", EMNLP 2023, arXiv 2305.13048, appendix on
    initialization; BlinkDL/RWKV-LM RWKV-v5/src/model.py.

    Examples
    --------
    >>> DecayCurve().sample(4).round(2)
    array([-6.  , -4.33, -2.67, -1.  ])
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
class HeadCurve(DecayCurve):
    r"""The curve of :class:`DecayCurve` over the channels of each head, along the last axis: the forget bias of sLSTM.

    References
    ----------
    NX-AI/xlstm xlstm/blocks/slstm/cell.py: bias_init "powerlaw_blockdependent", start 5, rise −12, power
    .3 + 1.3 l/(L − 1).

    Examples
    --------
    >>> HeadCurve().sample(4).round(2)
    array([-6.  , -4.33, -2.67, -1.  ])
    """

    name = "head_curve"
    whole = False


@dataclass(frozen=True)
class ZigzagCurve(DecayCurve):
    r"""The curve of :class:`DecayCurve`, and in each head a rise of twice the ripple: ``w0`` of RWKV-7.

    .. math:: w_c = start + rise \left(\frac{c}{C - 1}\right)^{power} + ripple\, z_c |z_c|, \qquad
        z_c = \frac{2 (c \bmod N)}{N - 1} - 1

    Parameters
    ----------
    start, rise
        Of the curve; RWKV-7 −5.5 and 6.
    power
        Positive: 1 + (l/(L − 1))^.3 in layer l of L of RWKV-7.
    ripple
        How far the first and last channel of a head lie from the curve; RWKV-7 2.5.
    head
        N, the channels of a head, at least 2; no more than all channels. RWKV-7 has 64.

    References
    ----------
    BlinkDL/RWKV-LM RWKV-v7/train_temp/src/model.py; fla-org/flash-linear-attention fla/layers/rwkv7.py.

    Examples
    --------
    >>> ZigzagCurve(head=2).sample(4).round(2).tolist()
    [-8.0, -1.0, -4.0, 3.0]
    """

    name = "zigzag_curve"

    start: float = -5.5
    rise: float = 6.0
    ripple: float = 2.5
    head: int = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        number(self, "ripple", "must be a number", lambda _: True)
        object.__setattr__(self, "head", whole_number("head", self.head, least=2))

    def _curve(self, channels: int) -> np.ndarray:
        size = min(self.head, channels)
        z = 2 * (np.arange(channels) % size) / max(size - 1, 1) - 1
        return super()._curve(channels) + self.ripple * z * np.abs(z)


@dataclass(frozen=True)
class Level(DecayLaw):
    """One value everywhere, where authors start from one: ``log_A_real`` of S4D-Lin, log ½.

    Parameters
    ----------
    value
        The value.

    Examples
    --------
    >>> Level().sample(2).round(4)
    array([-0.6931, -0.6931])
    """

    name = "level"

    value: float = log(0.5)

    def __post_init__(self) -> None:
        number(self, "value", "must be a number", lambda _: True)

    def _weight(self, z: Any) -> Any:
        return namespace(z).full_like(z, self.value)

    def _measure(self, W: Weight) -> Certificate:
        return _exact(f"all are {self.value:g}", W, np.array(self.value))


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


def _constant(z: Any, values: np.ndarray) -> Any:
    """Return one row of values in the shape, library and element type of z."""
    xp = namespace(z)
    return xp.asarray(values, dtype=z.dtype, device=device(z)) + xp.zeros_like(z)


def _exact(promise: str, W: Weight, row: np.ndarray) -> Certificate:
    size = float(np.abs(row).max()) or 1.0
    return Certificate(promise, float(np.abs(W.value - row).max()) / size, W.eps)
