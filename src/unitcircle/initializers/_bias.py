"""Biases of gated cells: how long a gate remembers before anything is learned."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from unitcircle._array import Weight, namespace, ndtr
from unitcircle.errors import UnknownNameError
from unitcircle.initializers._certificate import Certificate, random_law
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import number
from unitcircle.recurrence import Cell


@dataclass(frozen=True)
class _GateBias(Initializer):
    """The bias of the gate that keeps the state; ``gates`` adds that of its companion."""

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
class Chrono(_GateBias):
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
class ForgetBias(_GateBias):
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
