"""The recurrent layers of a Keras model."""

from __future__ import annotations

from typing import Any

import keras

from unitcircle.keras._cells import RecurrentCell, recurrent_cells
from unitcircle.recurrence import RecurrentLayer, Source, from_keras


def to_layers(model: keras.Layer, /) -> list[RecurrentLayer]:
    """Return the recurrent layers of a built model, for :func:`unitcircle.diagnose`.

    The same layers that :func:`unitcircle.read` finds in the model's ``.keras`` file, with their current weights.

    Parameters
    ----------
    model
        A model, layer or cell; SimpleRNN, GRU, LSTM and their cells are found at any depth.

    Returns
    -------
    list of RecurrentLayer
        One per cell and direction.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.GRU(4, name="gru")])
    >>> to_layers(model)
    [RecurrentLayer(name='gru', cell=<Cell.GRU: 'gru'>, reset_after=True, ...)]
    """
    return [_layer(cell) for cell in recurrent_cells(model)]


def _layer(recurrent: RecurrentCell) -> RecurrentLayer:
    cell = recurrent.cell
    variables = [cell.recurrent_kernel, cell.kernel, *([] if cell.bias is None else [cell.bias])]
    return from_keras(
        cell.recurrent_kernel.value,
        cell=recurrent.kind,
        kernel=cell.kernel.value,
        bias=None if cell.bias is None else cell.bias.value,
        reset_after=getattr(cell, "reset_after", None),
        activation=_activation(cell.activation),
        recurrent_activation=_activation(getattr(cell, "recurrent_activation", "sigmoid")),
        cudnn=False,
        name=recurrent.name,
        direction="reverse" if recurrent.reverse else "forward",
        source=Source(tensors=tuple(variable.path for variable in variables), dtype=cell.recurrent_kernel.dtype),
    )


def _activation(function: Any) -> str:
    name = function if isinstance(function, str) else getattr(function, "__name__", type(function).__name__).lower()
    # Keras 3 divides by 6 where Keras 1 and 2 divided by 5; its leaky ReLU has another slope than torch's.
    slope = 0.2 if name == "leaky_relu" else getattr(function, "negative_slope", None) if name == "leakyrelu" else None
    name = name if slope is None else f"leaky_relu({float(slope):.6g})"
    return "hard_sigmoid6" if name == "hard_sigmoid" else name
