"""The kinds of recurrent cell, their equations and their gates."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Cell(StrEnum):
    """The kind of a recurrent cell: which equation takes ``h_{t-1}`` to ``h_t``.

    With gate blocks ``W``, input blocks ``U``, biases ``b``, inputs ``x`` and the elementwise product ``⊙``::

        rnn, rnn_tanh, rnn_relu, linear    h' = φ(W h + U x + b)
        leaky_rnn                          h' = (1 − α) h + α φ(W h + U x + b)
        low_rank_rnn                       h' = (1 − α) h + α (W φ(h) + U x + b),   W = m nᵀ / N
        gru                                h' = (1 − z) ⊙ n + z ⊙ h
        lstm                               c' = f ⊙ c + i ⊙ g,   h' = W_hr (o ⊙ φ(c'))
        diagonal                           h' = λ ⊙ h + U x   (LRU, S4D, S5, Mamba at its resting step size)

    ``rnn`` is a plain cell with another activation than tanh, relu or none.
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

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of the cell's gates in our (torch's) order; none for a diagonal recurrence."""
        return GATES[self]

    @property
    def gated(self) -> bool:
        """Whether the cell is a GRU or an LSTM."""
        return self in {Cell.GRU, Cell.LSTM}

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
}
"""The gates of every cell, in torch's order."""
