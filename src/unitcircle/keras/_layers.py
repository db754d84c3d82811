"""The recurrent layers of a Keras model."""

from __future__ import annotations

from typing import Any

import keras

from unitcircle._array import to_numpy
from unitcircle.keras._cells import RecurrentCell, recurrent_cells
from unitcircle.recurrence import RecurrentLayer, Source, activation_like, from_keras, is_known_activation


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
    """Return our name of a function by its values: its names mean other functions, its layers have constants."""
    if isinstance(function, str):
        return function
    plain = function.call if isinstance(function, keras.Layer) else function
    known = activation_like(lambda x: to_numpy(plain(keras.ops.convert_to_tensor(x))))
    name = str(getattr(function, "__name__", type(function).__name__)).lower()
    return known or (f"{name}(?)" if is_known_activation(name) else name)
