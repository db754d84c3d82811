"""The recurrent cells of a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from unitcircle.errors import ArgumentError
from unitcircle.recurrence import Cell

_CELLS = {
    keras.layers.LSTMCell: Cell.LSTM,
    keras.layers.GRUCell: Cell.GRU,
    keras.layers.SimpleRNNCell: Cell.RNN,
}
_LAYERS = (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)


@dataclass(frozen=True)
class RecurrentCell:
    """A built cell and its place in the model."""

    name: str  # Names of the wrappers and the layer, joined by slashes, as :func:`unitcircle.read` gives them
    kind: Cell  # LSTM, GRU or RNN, whose activation the layer knows
    cell: Any  # The cell, which owns recurrent_kernel, kernel and bias
    reverse: bool  # Whether it runs backwards in time

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates in the order of the stack."""
        return self.kind.stack("keras")

    @property
    def keeping(self) -> str:
        """The gate that keeps the state."""
        return self.kind.keeping

    @property
    def units(self) -> int:
        """Number of units n."""
        return self.cell.units

    @property
    def has_bias(self) -> bool:
        """Whether it has a bias."""
        return self.cell.bias is not None

    def share(self, gate: str, /) -> slice:
        """Return the columns of a gate in a stack."""
        place = self.gates.index(gate)
        return slice(place * self.units, (place + 1) * self.units)


def recurrent_cells(model: keras.Layer, /) -> list[RecurrentCell]:
    """Return every recurrent cell of a model; a shared cell comes once."""
    if not isinstance(model, keras.Layer):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ArgumentError("model", "must be a Keras model or layer", type(model).__name__)
    cells_by_id: dict[int, RecurrentCell] = {}
    for cell in _visit(model, "", reverse=False, outermost=True):
        cells_by_id.setdefault(id(cell.cell), cell)
    cells = list(cells_by_id.values())
    if not cells:
        raise ArgumentError("model", "must hold a recurrent layer", type(model).__name__)
    for cell in cells:
        if getattr(cell.cell, "recurrent_kernel", None) is None:
            remedy = "Call the model on a batch, or model.build(input_shape)."
            raise ArgumentError("model", "must be built", f"{cell.name}, which has no weights yet", remedy)
    return cells


def _visit(layer: Any, path: str, *, reverse: bool, outermost: bool = False) -> Iterator[RecurrentCell]:
    # The name of the outermost model is left out; that of a lone layer is its only name.
    name = "" if outermost and isinstance(layer, keras.Model) else "/".join(filter(None, (path, layer.name)))
    reverse ^= bool(getattr(layer, "go_backwards", False))
    cell = layer.cell if isinstance(layer, _LAYERS) else layer
    kind = next((kind for cls, kind in _CELLS.items() if isinstance(cell, cls)), None)
    if kind is not None:
        yield RecurrentCell(name, kind, cell, reverse)
        return
    # Keras has no public way to list the layers inside a layer that is not a model.
    for child in layer._flatten_layers(include_self=False, recursive=False):  # pyright: ignore[reportPrivateUsage]
        yield from _visit(child, name, reverse=reverse)
