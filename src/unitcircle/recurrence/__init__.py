"""Recurrent layers in one convention: cell kind, named gate blocks, a reference step and its Jacobian, in NumPy.

Examples
--------
>>> import numpy as np
>>> from unitcircle.recurrence import from_torch
>>> layer = from_torch(np.zeros((12, 3)), cell="lstm", weight_ih=np.zeros((12, 2)), name="lstm")
>>> layer
RecurrentLayer(name='lstm', cell=<Cell.LSTM: 'lstm'>, ...)
>>> list(layer.gates), layer.gates["f"].shape, layer.state_size
(['i', 'f', 'g', 'o'], (3, 3), 6)
"""

from unitcircle.recurrence._activations import ACTIVATIONS, Activation, activation, activation_like, is_known_activation
from unitcircle.recurrence._cell import GATES, Cell
from unitcircle.recurrence._equal_layers import EqualLayers, kind_of
from unitcircle.recurrence._flax_layout import from_flax
from unitcircle.recurrence._jacobian import jacobian, jvp
from unitcircle.recurrence._keras_layout import from_keras
from unitcircle.recurrence._layer import Direction, RecurrentLayer, layer_label
from unitcircle.recurrence._linear import from_linear
from unitcircle.recurrence._linear_families import LINEAR_FAMILIES, LinearFamily
from unitcircle.recurrence._linear_recurrence import LinearRecurrence
from unitcircle.recurrence._lru import lru_gamma_log
from unitcircle.recurrence._onnx_layout import from_onnx
from unitcircle.recurrence._source import Source
from unitcircle.recurrence._step import step
from unitcircle.recurrence._structured import from_diagonal, from_low_rank, from_lru, from_mamba, from_s4d
from unitcircle.recurrence._torch_layout import from_torch

__all__ = [
    "ACTIVATIONS",
    "GATES",
    "LINEAR_FAMILIES",
    "Activation",
    "Cell",
    "Direction",
    "EqualLayers",
    "LinearFamily",
    "LinearRecurrence",
    "RecurrentLayer",
    "Source",
    "activation",
    "activation_like",
    "from_diagonal",
    "from_flax",
    "from_keras",
    "from_linear",
    "from_low_rank",
    "from_lru",
    "from_mamba",
    "from_onnx",
    "from_s4d",
    "from_torch",
    "is_known_activation",
    "jacobian",
    "jvp",
    "kind_of",
    "layer_label",
    "lru_gamma_log",
    "step",
]
