"""The kinds of recurrent cell, their equations and their gates."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from unitcircle.errors import UnknownNameError


class Cell(StrEnum):
    """The kind of a recurrent cell: which equation takes ``h_{t-1}`` to ``h_t``.

    With gate blocks ``W``, input blocks ``U``, biases ``b``, inputs ``x`` and the elementwise product ``⊙``::

        rnn, rnn_tanh, rnn_relu, linear    h' = φ(W h + U x + b)
        leaky_rnn                          h' = (1 − α) h + α φ(W h + U x + b)
        low_rank_rnn                       h' = (1 − α) h + α (W φ(h) + U x + b),   W = m nᵀ / N
        gru                                h' = (1 − z) ⊙ n + z ⊙ h
        lstm                               c' = f ⊙ c + i ⊙ g,   h' = W_hr (o ⊙ φ(c'))
        diagonal                           h' = λ ⊙ h + U x   (LRU, S4D, S5, Mamba at its resting step size)
        hand-written                       a loop in a live model, whose equation is the program

    ``rnn`` is a plain cell with an activation other than tanh, ReLU or the identity.
    """

    RNN = "rnn"
    RNN_TANH = "rnn_tanh"
    RNN_RELU = "rnn_relu"
    LINEAR = "linear"
    LEAKY_RNN = "leaky_rnn"
    LOW_RANK_RNN = "low_rank_rnn"
    GRU = "gru"
    LSTM = "lstm"
    DIAGONAL = "diagonal"
    HAND_WRITTEN = "hand-written"

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the cell's gates in our (torch's) order; none for a diagonal or a hand-written recurrence."""
        return GATES[self]

    @property
    def keeping(self) -> str:
        """The gate that keeps the state: f of an LSTM, z of a GRU; otherwise the only one, empty if there is none."""
        return {Cell.LSTM: "f", Cell.GRU: "z"}.get(self, "".join(self.gates))

    @property
    def gated(self) -> bool:
        """Whether the cell is a GRU or an LSTM."""
        return self in {Cell.GRU, Cell.LSTM}

    def stack(self, layout: str, /) -> tuple[str, ...]:
        """Return the gates in the order in which a layout stacks them.

        Parameters
        ----------
        layout
            ``"torch"`` or ``"flax"`` (i f g o; r z n), ``"keras"`` (i f g o; z r n), ``"onnx"`` (i o f g; z r n).

        Returns
        -------
        tuple of str
            The names of the gates.

        Raises
        ------
        UnknownNameError
            Unknown layout.
        """
        if layout not in _STACKS:
            raise UnknownNameError("layout", layout, _STACKS)
        return _STACKS[layout].get(self, self.gates)

    @classmethod
    def plain(cls, activation: str) -> Cell:
        """Return the plain cell that has an activation."""
        names = {"tanh": cls.RNN_TANH, "relu": cls.RNN_RELU, "linear": cls.LINEAR}
        return names.get(activation, cls.RNN)


GATES: Mapping[Cell, tuple[str, ...]] = {
    **dict.fromkeys(Cell, ("h",)),
    Cell.LSTM: ("i", "f", "g", "o"),
    Cell.GRU: ("r", "z", "n"),
    Cell.DIAGONAL: (),
    Cell.HAND_WRITTEN: (),
}
"""The gates of every cell, in torch's order."""

_STACKS: Mapping[str, Mapping[Cell, tuple[str, ...]]] = {
    "torch": {},
    "flax": {},
    "keras": {Cell.GRU: ("z", "r", "n")},
    "onnx": {Cell.LSTM: ("i", "o", "f", "g"), Cell.GRU: ("z", "r", "n")},
}
