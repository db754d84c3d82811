"""The orthogonal weight at the edge of chaos of the inputs that drive it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np

from unitcircle._array import Weight, namespace, to_numpy
from unitcircle.errors import ShapeError
from unitcircle.initializers._certificate import Certificate, isometry
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import number
from unitcircle.initializers._reflectors import haar


@dataclass(frozen=True)
class Critical(Initializer):
    r"""A Haar orthogonal weight whose gain is critical: neither small differences of the state nor gradients grow.

    .. math:: W = g_c Q, \qquad Q^T Q = I, \qquad \lambda(g_c) = 0

    λ is the leading Lyapunov exponent of a wide network ``h' = φ(W h + U x + b)`` whose term U x has the standard
    deviation s: :class:`unitcircle.ensembles.MeanField`. For tanh g_c = 1.00, 1.19, 1.40, 1.86, 2.33 at s = 0, .1, .3,
    1, 2; for ReLU it is √2 at every s, where the state grows like the square root of the steps. For plain cells.

    Parameters
    ----------
    input_std
        s: standard deviation of U x over steps and sequences, of a unit.
    activation
        ``"tanh"``, ``"relu"``, ``"leaky_relu"``, ``"sigmoid"``, ``"gelu"`` or ``"linear"``.
    bias_std
        Root mean square over units of what is constant: the bias, and the mean of U x.
    leak
        α of a leaky cell, in (0, 1].

    Raises
    ------
    UnknownNameError
        There is no such activation.
    ArgumentError
        A number out of its range, or, when called, no gain below 1000 is critical.

    References
    ----------
    See :class:`unitcircle.ensembles.MeanField`.

    Examples
    --------
    >>> W = Critical(input_std=1.0).sample(64, rng=0)
    >>> bool(np.allclose(np.abs(np.linalg.eigvals(W)), 1.8555891011))
    True
    """

    name = "critical"
    square = False

    input_std: float = 0.0
    activation: str = "tanh"
    bias_std: float = 0.0
    leak: float = 1.0

    def __post_init__(self) -> None:
        number(self, "input_std", "must not be negative", lambda std: std >= 0)
        number(self, "bias_std", "must not be negative", lambda std: std >= 0)
        number(self, "leak", "must be above 0 and at most 1", lambda leak: 0 < leak <= 1)
        from unitcircle.ensembles import MeanField  # noqa: PLC0415  (start-up time is for those who ask for its gain)

        MeanField(activation=self.activation)

    @classmethod
    def of_drive(cls, drive: Any, /, *, activation: str = "tanh", leak: float = 1.0) -> Self:
        """Return the initializer for a batch of drives: the terms U x + b that reach the units.

        Parameters
        ----------
        drive
            ``(..., n)``: any steps and sequences by n units, of any array library. What varies is input, what is
            constant for a unit is bias.
        activation, leak
            Of the cell.

        Returns
        -------
        Critical
            With the measured ``input_std`` and ``bias_std``.

        Raises
        ------
        ShapeError
            Fewer than two axes.

        Examples
        --------
        >>> Critical.of_drive(np.array([[0.5, -0.5], [0.1, -0.1]]))
        Critical(input_std=0.2, activation='tanh', bias_std=0.3, leak=1.0)
        """
        values = to_numpy(drive)
        if values.ndim < 2 or not values.size:
            raise ShapeError("drive", "must be (..., steps, units)", f"shape {values.shape}")
        values = values.reshape(-1, values.shape[-1]).astype(float)
        with np.errstate(over="ignore", invalid="ignore"):  # a drive that is not finite has no critical gain
            spread, constant = values.std(0), values.mean(0)
        return cls(_root_mean_square(spread), activation, _root_mean_square(constant), leak)

    @property
    def gain(self) -> float:
        """g_c: the modulus of every eigenvalue, and every singular value."""
        return _gain(self)

    def _weight(self, z: Any) -> Any:
        if z.shape[-2] >= z.shape[-1]:
            return haar(z, gain=self.gain)
        return namespace(z).matrix_transpose(haar(namespace(z).matrix_transpose(z), gain=self.gain))

    def _measure(self, W: Weight) -> Certificate:
        return isometry(f"every singular value is critical, {self.gain:.6g}", W, self.gain)


def _root_mean_square(values: np.ndarray) -> float:
    return float(f"{np.sqrt(np.mean(values**2)):.12g}")


@lru_cache(maxsize=256)
def _gain(init: Critical) -> float:
    from unitcircle.ensembles import critical_gain  # noqa: PLC0415

    cell = "rnn" if init.leak == 1 else "leaky_rnn"
    return critical_gain(
        cell, activation=init.activation, input_std=init.input_std, bias_std=init.bias_std, leak=init.leak
    )
