"""Convolutional LSTMs of Keras: their forget gates at rest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unitcircle.checkpoints._counted_layer import source_of
from unitcircle.checkpoints._hdf5 import Hdf5File
from unitcircle.checkpoints._keras_config import KerasLayer
from unitcircle.checkpoints._unknown import marked
from unitcircle.recurrence import RecurrentLayer, from_linear

_SLOPES = {"sigmoid": None, "hard_sigmoid": 1 / 5, "hard_sigmoid6": 1 / 6}
"""Recurrent activation -> the slope at 0 of one that is cut at 0 and 1."""


def conv_lstm(file: Hdf5File, leaves: Mapping[str, str], keras_layer: KerasLayer, path: str) -> RecurrentLayer | str:
    """Return the forget gates of a convolutional LSTM of Keras at rest, or why they are not read."""
    names = ("0", "1", "2") if "0" in leaves else ("kernel", "recurrent_kernel", "bias")
    kernel, recurrent, bias = (leaves.get(name) for name in names)
    shape = _shape(file, recurrent)
    if kernel is None or recurrent is None or any(name not in file for name in leaves.values()):
        return "its layer does not have a kernel and a recurrent kernel of floating type"
    if len(shape) not in {3, 4, 5} or shape[-1] != 4 * shape[-2] or len(_shape(file, kernel)) != len(shape):
        return "its recurrent kernel has not the four gates of its channels"
    if bias is not None and _shape(file, bias) != shape[-1:]:
        return "its bias has not the four gates of its channels"
    if keras_layer.recurrent_activation not in _SLOPES:
        return f"its recurrent activation is {keras_layer.recurrent_activation}, and no sigmoid"
    channels = shape[-2]
    values = {"forget_bias": np.zeros(channels) if bias is None else file[bias][channels : 2 * channels]}
    if (slope := _SLOPES[keras_layer.recurrent_activation]) is not None:
        values["slope"] = np.array(slope)
    tensors = tuple(name for name in (bias, kernel, recurrent) if name is not None)
    layer = from_linear(
        "ConvLSTM",
        values,
        names={"forget_bias": bias or kernel},
        dtypes={"forget_bias": file.dtype(bias or kernel)},
        name=keras_layer.name,
        direction="reverse" if keras_layer.reverse else "forward",
        source=source_of(path, tensors, dtype=file.dtype(bias or kernel)),
    )
    return marked(layer)


def _shape(file: Hdf5File, name: str | None) -> tuple[int, ...]:
    return () if name is None else file.shapes[name] or ()
