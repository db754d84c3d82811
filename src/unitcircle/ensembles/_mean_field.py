"""Mean-field theory of random networks with inputs: variance, leading exponent, correlation, critical gain."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from scipy.optimize import brentq

from unitcircle._arguments import one_of, positive, real_number
from unitcircle.ensembles._activation import Activation, activation_of
from unitcircle.ensembles._gated_field import (
    GATED,
    LEAST_GAIN,
    MOST_GAIN,
    GatedField,
    critical_gated_gain,
    gated_field,
)
from unitcircle.ensembles._gaussian_mean import NODES, normal_mean
from unitcircle.ensembles._leaky_field import LeakyField, leaky_field
from unitcircle.ensembles._products import Products
from unitcircle.errors import ArgumentError

FieldCell = Literal["rnn", "leaky_rnn", "feedforward", "gru", "lstm"]
CELLS: tuple[FieldCell, ...] = ("rnn", "leaky_rnn", "feedforward", "gru", "lstm")
LARGE = 1e12
"""A variance at which every activation has its limit."""
SMALL = 1e-14
GAINS = (1e-3, 1e3)
MOST_BIAS = 20.0
"""Of gated cells: beyond it a gate is 0 or 1."""


@dataclass(frozen=True)
class MeanField:
    r"""A wide random network, driven by inputs, in the limit n → ∞.

    .. math::
        q = g^2\,E\,\varphi(\sqrt q z)^2 + s^2 + \sigma_b^2, \qquad
        \lambda = \tfrac12 \log\big(g^2\,E\,\varphi'(\sqrt q z)^2\big), \qquad z \sim N(0, 1)

    for ``h' = φ(W h + u + b)``. W is g times a Haar orthogonal matrix, or Gaussian with entries N(0, g²/n); both have
    the same limit. A weight whose eigenvectors are localised (rotations by uniform angles side by side) does not.

    Parameters
    ----------
    cell
        ``"rnn"``; ``"leaky_rnn"``, ``h' = (1 − α) h + α φ(W h + u + b)``, whose equations are those of a process with
        memory (``docs/theory/criticality.md``); ``"feedforward"``, a stack of layers with independent weights; or
        ``"gru"`` and ``"lstm"`` with their usual activations, whose fields are drawn (below).
    activation
        ``"tanh"``, ``"relu"``, ``"leaky_relu"``, ``"sigmoid"``, ``"gelu"`` or ``"linear"``.
    gain
        g: the modulus of the eigenvalues of a Haar weight, √n times the standard deviation of a Gaussian entry; of
        every gate.
    input_std
        s: standard deviation of the term U x of a unit (of every gate), independent from step to step. 0 for a stack,
        whose input enters once.
    bias_std
        Standard deviation of the biases over units. 0 for gated cells: among infinitely many units some gate would
        never let go, and nothing would decay.
    leak
        α in (0, 1], of ``"leaky_rnn"`` alone.
    keep_bias
        Bias of the gate that keeps the state: the forget gate of an LSTM, the update gate z of a GRU
        ``h' = z h + (1 − z) n``.

    Notes
    -----
    Of a GRU and an LSTM with the same weights at every step, λ is exact for n → ∞ but for the drawing of their Gaussian
    fields, whose standard error is :attr:`error` (about .001); a value takes seconds. Weights that are new at every
    step, as in the papers below, have closed equations and another exponent: at g = s = 1 a GRU has −.505, with
    the same weights −.408.

    Raises
    ------
    UnknownNameError
        No such cell or activation.
    ArgumentError
        A number out of its range, or that the cell does not have.

    References
    ----------
    L. Molgedey, J. Schuchhardt, H. Schuster, Suppressing chaos in neural networks by noise, Phys. Rev. Lett. 69 (1992);
    S. Schoenholz, J. Gilmer, S. Ganguli, J. Sohl-Dickstein, Deep information propagation, ICLR (2017), section 3;
    M. Chen, J. Pennington, S. Schoenholz, Dynamical isometry and a mean field theory of RNNs, ICML (2018);
    D. Gilboa et al., Dynamical isometry and a mean field theory of LSTMs and GRUs, arXiv 1901.08987 (2019);
    T. Can, K. Krishnamurthy, D. Schwab, Gating creates slow modes and controls phase-space complexity in GRUs and
    LSTMs, MSML (2020).

    Examples
    --------
    >>> field = MeanField(gain=1.1, input_std=0.3)
    >>> round(field.variance, 4), round(field.exponent, 4)
    (0.3595, -0.1175)
    >>> abs(MeanField(activation="relu", gain=2**0.5).exponent) < 1e-12
    True
    """

    cell: FieldCell = "rnn"
    activation: str = "tanh"
    gain: float = 1.0
    input_std: float = 0.0
    bias_std: float = 0.0
    leak: float = 1.0
    keep_bias: float = 0.0

    def __post_init__(self) -> None:
        one_of("cell", self.cell, CELLS)
        activation_of(self.activation)
        positive("gain", self.gain)
        for name in ("input_std", "bias_std"):
            rule = "must not be negative, and its square finite"
            real_number(name, getattr(self, name), rule, lambda std: std >= 0 and std * std < math.inf)
        if self.cell == "feedforward" and self.input_std:
            rule = "must be 0 for a stack: its input enters once and leaves no trace in the fixed point"
            raise ArgumentError("input_std", rule, f"{self.input_std!r}")
        leaky, rule = self.cell == "leaky_rnn", "must be in (0, 1], and 1 unless cell='leaky_rnn'"
        real_number("leak", self.leak, rule, lambda leak: 0 < leak <= 1 and (leaky or leak == 1))
        gated, rule = self.cell in GATED, "must be between -20 and 20, and 0 unless cell='gru' or 'lstm'"
        real_number("keep_bias", self.keep_bias, rule, lambda bias: abs(bias) <= MOST_BIAS if gated else bias == 0)
        if gated:
            rule = "must be between 0.001 and 100 for gated cells, whose fields are drawn"
            real_number("gain", self.gain, rule, lambda gain: LEAST_GAIN <= gain <= MOST_GAIN)
            rule = "must be at most 100 for gated cells, whose fields are drawn"
            real_number("input_std", self.input_std, rule, lambda std: std <= MOST_GAIN)
        if gated and self.activation != "tanh":
            raise ArgumentError("activation", f"must be 'tanh' for cell={self.cell!r}", f"{self.activation!r}")
        if gated and self.bias_std:
            rule = "must be 0 for gated cells: the exponent of a wide one is that of its most closed gate, 0"
            raise ArgumentError("bias_std", rule, f"{self.bias_std!r}")

    @cached_property
    def _gated(self) -> GatedField | None:
        if self.cell in GATED:
            return gated_field(self.cell, self.gain, self.input_std, self.keep_bias)
        return None

    @cached_property
    def _phi(self) -> Activation:
        return activation_of(self.activation)

    @cached_property
    def _leaky(self) -> LeakyField | None:
        # At rest, and where it grows without bound, the state keeps its direction: one Jacobian, in closed form.
        if self.leak == 1 or not 0 < self._still < math.inf:
            return None
        return leaky_field(self._phi, self.gain, self.input_std, self.bias_std, self.leak)

    @cached_property
    def variance(self) -> float:
        """The variance q of the pre-activation of a unit or gate, over units and steps, reached from the zero state.

        Infinite where the state grows without bound. Without inputs and biases it is the variance of the stable state:
        0 up to the critical gain where φ(0) = 0.
        """
        if self._gated:
            return self.gain**2 * self._gated.variance + self.input_std**2
        return self._leaky.variance if self._leaky else self._still

    @cached_property
    def _still(self) -> float:
        """The variance without leak."""
        noise = self.input_std**2 + self.bias_std**2
        phi, g2 = self._phi, self.gain**2
        if phi.homogeneous:
            share = g2 * phi.limit
            return noise / (1 - share) if share < 1 else (math.inf if noise or share > 1 else 0.0)

        def excess(log_q: float) -> float:
            q = math.exp(log_q)
            return g2 * normal_mean(lambda a: phi.function(a) ** 2, math.sqrt(q)) / q + noise / q - 1

        start = g2 * float(phi.function(np.zeros(1))[0]) ** 2 + noise
        if start == 0 and g2 * float(phi.derivative(np.zeros(1))[0]) ** 2 <= 1:
            return 0.0
        low = math.log(max(start, SMALL))
        while excess(low) > 0:
            low, before = low + 0.5, low
            if low > math.log(LARGE):
                return math.inf
            if excess(low) <= 0:
                root: Any = brentq(excess, before, low, xtol=1e-14)
                return math.exp(float(root))
        return math.exp(low)

    @cached_property
    def slope(self) -> float:
        """The root mean square of φ' over units and steps; of cells without gates."""
        self._only_without_gates()
        return math.sqrt(self._mean_square_slope(NODES))

    def _mean_square_slope(self, nodes: int) -> float:
        if self._phi.homogeneous:
            return self._phi.limit
        std = math.sqrt(min(self.variance, LARGE))
        return normal_mean(lambda a: self._phi.derivative(a) ** 2, std, nodes=nodes)

    @cached_property
    def exponent(self) -> float:
        """The leading Lyapunov exponent λ (nats per step, or per layer); above 0 differences of the state grow.

        A gradient grows at the same rate on its way back.
        """
        if self._gated:
            return self._gated.exponent
        if self._leaky:
            return self._leaky.exponent
        still = math.log(self.gain * self.slope)
        return still if self.leak == 1 else math.log(1 - self.leak + self.leak * math.exp(still))

    @property
    def error(self) -> float:
        """The error of λ: the difference of two orders of the quadrature; of a leaky cell, that due to the lags.

        Of gated cells it is the standard error, or what λ still moved in the second half of the sweeps, or by what it
        lies below the growth of what is kept (at small gains, where few units carry it).
        """
        if self._gated:
            return self._gated.error
        if self._leaky:
            return self._leaky.error
        return abs(0.5 * math.log(self._mean_square_slope(NODES) / self._mean_square_slope(NODES * 3 // 2)))

    @cached_property
    def correlation(self) -> float:
        """The correlation that two states driven by the same inputs reach: 1 where λ ≤ 0, below 1 in chaos."""
        if self.exponent > 0:
            self._only_without_gates()
        if self.leak != 1:
            raise ArgumentError("leak", "must be 1: of a leaky cell only the exponent is computed", f"{self.leak!r}")
        if self.exponent <= 0 or not 0 < self.variance < math.inf:
            return 1.0
        # The map leaves 1 with a slope above 1, and is convex: one fixed point below.
        root: Any = brentq(lambda c: self._map(c)[0] - c, 0.0, 1 - 1e-12) if self._map(0.0)[0] > 0 else 0.0
        return float(root)

    def _only_without_gates(self) -> None:
        if self._gated:
            raise ArgumentError("cell", "must be one without gates: of gated cells q and λ are known", f"{self.cell!r}")

    @cached_property
    def _products(self) -> tuple[Products, Products]:
        std = math.sqrt(self.variance)
        return Products(self._phi.function, std), Products(self._phi.derivative, std)

    def _map(self, c: float) -> tuple[float, float]:
        """Return the correlation of two states one step later, and the slope of that map."""
        function, derivative = (self.gain**2 * float(products(np.array(c))) for products in self._products)
        return (function + self.input_std**2 + self.bias_std**2) / self.variance, derivative

    @cached_property
    def correlation_length(self) -> float:
        """Steps (layers) over which the correlation of two states approaches its limit by a factor e.

        ``−1/(2λ)`` where λ < 0; ``−1/log χ`` in chaos, χ the slope of the correlation's map at its fixed point.
        """
        if self.exponent <= 0:
            return -0.5 / self.exponent if self.exponent else math.inf
        if not 0 < self.variance < math.inf:
            return math.inf
        return -1 / math.log(self._map(self.correlation)[1])

    @property
    def depth_scale(self) -> float:
        """The same as :attr:`correlation_length`, under its name for deep stacks."""
        return self.correlation_length

    def horizon(self, factor: float = 1e-3) -> float:
        """Return the lag at which a gradient has changed by a factor: it shrinks where λ < 0 and grows where λ > 0.

        Parameters
        ----------
        factor
            Between 0 and 1; the reciprocal is used where λ > 0.

        Returns
        -------
        float
            Steps; infinite at the critical gain.

        Raises
        ------
        ArgumentError
            ``factor`` is not between 0 and 1.
        """
        if not 0 < factor < 1:
            raise ArgumentError("factor", "must be between 0 and 1", f"{factor!r}")
        return math.log(1 / factor) / abs(self.exponent) if self.exponent else math.inf


def critical_gain(
    cell: FieldCell = "rnn",
    /,
    *,
    activation: str = "tanh",
    input_std: float = 0.0,
    bias_std: float = 0.0,
    leak: float = 1.0,
    keep_bias: float = 0.0,
) -> float:
    """Return the smallest gain at which the leading exponent is 0: the edge of chaos.

    Parameters
    ----------
    cell, activation, input_std, bias_std, leak, keep_bias
        As for :class:`MeanField`.

    Returns
    -------
    float
        g: the modulus of the eigenvalues of a Haar weight, or √n times the std of a Gaussian entry; to 1e-10 (leaky
        cells: 1e-6; GRU and LSTM with inputs: a percent, in about half a minute).

    Raises
    ------
    UnknownNameError
        No such cell or activation.
    ArgumentError
        As for :class:`MeanField`; or no gain up to 1000 is critical.

    Examples
    --------
    >>> [round(critical_gain(input_std=s), 2) for s in (0, 0.1, 0.3, 1, 2)]
    [1.0, 1.19, 1.4, 1.86, 2.33]
    >>> round(critical_gain(activation="relu", input_std=0.3), 6), critical_gain("gru")
    (1.414214, 2.0)
    """
    field = MeanField(cell, activation, 1.0, input_std, bias_std, leak, keep_bias)
    if cell in GATED:
        return critical_gated_gain(cell, input_std, keep_bias)
    phi = activation_of(activation)
    if phi.homogeneous:
        return phi.limit**-0.5

    def exponent(log_gain: float) -> float:
        return replace(field, gain=math.exp(log_gain)).exponent

    # No slope exceeds its maximum: below this gain nothing grows.
    steepest = float(phi.derivative(np.linspace(-5, 5, 2001)).max())
    low, step = -math.log(steepest), 0.05
    if exponent(low) >= 0:
        return math.exp(low)
    while low < math.log(GAINS[1]):
        if exponent(low + step) >= 0:
            root: Any = brentq(exponent, low, low + step, xtol=1e-11 if leak == 1 else 1e-7)
            return math.exp(float(root))
        low += step
    raise ArgumentError("input_std", "must allow a critical gain below 1000", f"{input_std!r}")
