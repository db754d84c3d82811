"""Biases of gated cells: how long a gate remembers before anything is learned."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from math import inf
from typing import Any, ClassVar

import numpy as np
import scipy

from unitcircle._array import Weight, namespace, ndtr
from unitcircle.errors import ShapeError, UnknownNameError
from unitcircle.initializers._certificate import Certificate, random_law
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import number
from unitcircle.recurrence import Cell


@dataclass(frozen=True)
class GateBias(Initializer):
    """The bias of the gate that keeps the state, of a cell with gates: the base of every such initializer.

    ``init(z)`` is the bias of that gate; :meth:`gates` adds that of its companion.

    Examples
    --------
    >>> import numpy as np
    >>> from unitcircle.initializers import parse
    >>> bias = parse("chrono(max_steps=100)")
    >>> isinstance(bias, GateBias)
    True
    >>> {gate: values.shape for gate, values in bias.gates(np.zeros(4), cell="lstm").items()}
    {'f': (4,), 'i': (4,)}
    """

    axes = 1
    square = False
    companion: ClassVar[str] = ""

    def gates(self, z: Any, /, *, cell: str) -> dict[str, Any]:
        """Return the bias of every gate that this initializer sets.

        A framework with two bias vectors (torch: input and recurrent) adds them: put these values into one and zeros
        into the other.

        Parameters
        ----------
        z
            Standard-normal array ``(..., n)``.
        cell
            ``"lstm"`` or ``"gru"``.

        Returns
        -------
        dict
            Gate → bias ``(..., n)``.

        Raises
        ------
        UnknownNameError
            Not a gated cell.
        """
        gated = [kind for kind in Cell if kind.gated]
        if cell not in gated:
            raise UnknownNameError("cell", cell, gated)
        return self.by_gate(z, Cell(cell).gates, keeping=Cell(cell).keeping)

    def by_gate(self, z: Any, gates: Collection[str], /, *, keeping: str) -> dict[str, Any]:
        """Return gate → bias ``(..., n)`` for the gates it sets, of a cell whose gate ``keeping`` keeps the state."""
        bias = self(z)
        return {keeping: bias} | ({self.companion: -bias} if self.companion in gates else {})


@dataclass(frozen=True)
class Chrono(GateBias):
    r"""Forget-gate biases whose time constants are uniform up to the longest dependency.

    .. math:: b_f = \log u, \quad u \sim U(1, T - 1), \qquad b_i = -b_f

    A gate with bias b forgets with the time constant 1 + eᵇ steps, here between 2 and T. ``init(z)`` is b_f, and
    :meth:`gates` adds b_i. In a GRU b_f is the bias of the update gate z, which does both.

    Parameters
    ----------
    max_steps
        T, the longest dependency in time steps, above 2.

    References
    ----------
    C. Tallec, Y. Ollivier, "Can recurrent neural networks warp time?", ICLR 2018, arXiv 1804.11188.

    Examples
    --------
    >>> Chrono(max_steps=100)(np.zeros(2)).round(3)
    array([3.912, 3.912])
    >>> sorted(Chrono(max_steps=100).gates(np.zeros(2), cell="lstm"))
    ['f', 'i']
    """

    name = "chrono"
    companion = "i"

    max_steps: float = 784.0

    def __post_init__(self) -> None:
        number(self, "max_steps", "must be more than 2 steps", lambda steps: steps > 2)

    def _weight(self, z: Any) -> Any:
        return namespace(z).log(1 + (self.max_steps - 2) * ndtr(z))

    def _measure(self, W: Weight) -> Certificate:
        promise = f"1 + exp(b) ~ U(2, {self.max_steps:g})"
        # Rounding b by eps moves exp(b) by b·eps of itself.
        eps = W.eps * np.log(self.max_steps)
        return random_law(promise, W.value, lambda b: np.clip(np.expm1(b) / (self.max_steps - 2), 0, 1), float(eps))


@dataclass(frozen=True)
class UniformGate(GateBias):
    r"""Forget-gate biases whose gates are uniform: time constants of every scale, most of them short (UGI).

    .. math:: b_f = -\log(1/u - 1), \quad u \sim U(1/n, 1 - 1/n), \qquad b_i = -b_f

    At zero input the forget gate is u itself, so that 1/(1 − u) is the time constant: the number of units that remember
    longer than t steps falls as n/t. Nothing has to be known of the task. ``init(z)`` is b_f, and :meth:`gates` adds
    b_i. In a GRU b_f is the bias of the update gate z.

    Raises
    ------
    ShapeError
        When called: a single unit, for which the interval is empty.

    References
    ----------
    A. Gu, C. Gulcehre, T. Paine, M. Hoffman, R. Pascanu, "Improving the gating mechanism of recurrent neural
    networks", ICML 2020, arXiv 1910.09890: uniform gate initialization.

    Examples
    --------
    >>> UniformGate()(np.array([-0.5, 0.0, 0.5, 9.0])).round(3)
    array([-0.388,  0.   ,  0.388,  1.099])
    """

    name = "uniform_gate"
    aliases = ("ugi",)
    companion = "i"

    def _weight(self, z: Any) -> Any:
        xp = namespace(z)
        low, width = _uniform_gate("z", z.shape[-1])
        # Each tail from its own side: u and 1 − u are both exact to rounding.
        return xp.log(low + width * ndtr(z)) - xp.log(low + width * ndtr(-z))

    def _measure(self, W: Weight) -> Certificate:
        n = W.value.shape[-1]
        low, width = _uniform_gate("W", n)
        promise = f"sigmoid(b) ~ U(1/{n}, 1 - 1/{n})"
        if n == 2:
            return Certificate("every entry is 0: sigmoid(b) = 1/2", float(np.abs(W.value).max()), W.eps)
        # Rounding b by eps moves sigmoid(b) by at most b·eps/4, and its place in the interval by that over the width.
        eps = W.eps * np.log(n) / width
        law = random_law(promise, W.value, lambda b: np.clip((scipy.special.expit(b) - low) / width, 0, 1), float(eps))
        # No gate is outside of the interval, whatever chance says: |b| ≤ log(n − 1).
        outside = np.abs(W.value).max() > np.log(n - 1) * (1 + 8 * W.eps)
        return replace(law, residual=inf) if outside else law


def _uniform_gate(argument: str, units: int) -> tuple[float, float]:
    """Return where the interval of the gates of n units begins, and its width."""
    if units < 2:
        rule = "must have at least two units for uniform_gate, U(1/n, 1 - 1/n)"
        raise ShapeError(argument, rule, f"n = {units}")
    return 1 / units, 1 - 2 / units


@dataclass(frozen=True)
class ForgetBias(GateBias):
    """One value for every unit of the forget gate.

    .. math:: b_f = v

    At v = 1 the gate starts at 0.73, at v = 0 it halves the state at every step.

    Parameters
    ----------
    value
        v.

    References
    ----------
    F. A. Gers, J. Schmidhuber, F. Cummins, "Learning to forget", Neural Computation 12 (2000);
    R. Jozefowicz, W. Zaremba, I. Sutskever, "An empirical exploration of recurrent network architectures",
    ICML 2015.

    Examples
    --------
    >>> ForgetBias(2).gates(np.zeros(3), cell="gru")
    {'z': array([2., 2., 2.])}
    """

    name = "forget_bias"

    value: float = 1.0

    def __post_init__(self) -> None:
        number(self, "value", "must be a finite number", lambda _: True)

    def _weight(self, z: Any) -> Any:
        return namespace(z).zeros_like(z) + self.value

    def _measure(self, W: Weight) -> Certificate:
        residual = np.abs(W.value - self.value).max() / (abs(self.value) or 1.0)
        return Certificate(f"every entry is {self.value:g}", float(residual), W.eps)
