"""The layout that a person names: on which side the state stands, which gates are stacked, in which order."""

from __future__ import annotations

from dataclasses import dataclass

from unitcircle.errors import ArgumentError
from unitcircle.recurrence import Cell

FRAMEWORKS = ("torch", "keras", "onnx", "flax")
"""The layouts with a name."""
ACTIVATIONS = {Cell.RNN_TANH: "tanh", Cell.RNN_RELU: "relu", Cell.LINEAR: "linear"}
"""The plain cells whose name says their activation."""

_CELLS = (*ACTIVATIONS, Cell.RNN, Cell.LEAKY_RNN, Cell.GRU, Cell.LSTM)
_LETTERS = {
    Cell.LSTM: {"i": "i", "f": "f", "g": "g", "c": "g", "j": "g", "o": "o"},
    Cell.GRU: {"r": "r", "z": "z", "u": "z", "n": "n", "h": "n", "c": "n", "g": "n"},
}


@dataclass(frozen=True)
class Layout:
    """A convention: on which side the state stands, which gates are stacked, in which order."""

    framework: str  # Empty: as the shapes say
    cell: Cell | None
    order: tuple[str, ...]

    @classmethod
    def parsed(cls, text: str | None) -> Layout:
        """Read ``"torch"``, ``"torch:lstm"``, ``"keras:ifco"``, ``"zrn"``."""
        framework, colon, detail = (text or "").lower().partition(":")
        if not colon and framework not in FRAMEWORKS:
            framework, detail = "", framework
        # The name of a cell goes first: "gru" could be an order of gates too.
        cell, order = (Cell(detail), ()) if detail in _CELLS else _gates_of(detail)
        unknown_framework = framework and framework not in FRAMEWORKS
        if unknown_framework or (cell is None and (detail or colon)) or text == "":
            rule = f"must be {', '.join(FRAMEWORKS)}, each optionally with a cell or the order of its gates"
            choices = f"Cells: {', '.join(_CELLS)}. Examples: torch:lstm, keras:ifco; or an order alone: ifgo, zrn."
            raise ArgumentError("layout", rule, repr(text), choices)
        return cls(framework, cell, order)


def _gates_of(text: str) -> tuple[Cell | None, tuple[str, ...]]:
    """Return the cell that has the gates of some letters, and its gates in their order."""
    for cell, letters in _LETTERS.items():
        gates = tuple(letters.get(letter, letter) for letter in text)
        if sorted(gates) == sorted(cell.gates):
            return cell, gates
    return None, ()
