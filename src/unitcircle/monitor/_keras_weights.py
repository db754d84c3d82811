"""The watched weights of a Keras model, on any backend."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from unitcircle.diagnosis import Place
from unitcircle.errors import ArgumentError
from unitcircle.keras import to_layers  # its own error says what to do where Keras or a backend is missing
from unitcircle.monitor._weights import WeightBlock, WeightRole, Weights, spread
from unitcircle.recurrence import RecurrentLayer

import keras  # isort: skip


class KerasWeights(Weights):
    """Every gate block of a model's recurrent layers, and some of its other square weights."""

    def __init__(self, read: Callable[[], keras.Model], limit: int) -> None:
        self._read, self._limit = read, limit

    def blocks(self) -> dict[str, WeightBlock]:
        """Return name → block."""
        model = self._read()
        layers = _recurrent(model)
        blocks: dict[str, WeightBlock] = {}
        for layer in layers:
            tensor = layer.source.tensors[0]
            for gate, value in layer.gates.items():
                matrix = np.asarray(value)
                if layer.cell.gated:
                    blocks[f"{layer.label}.{gate}"] = WeightBlock(
                        Place(layer.label, gate, tensor), matrix, WeightRole.GATE
                    )
                else:
                    blocks[layer.label] = WeightBlock(Place(layer.label, tensor=tensor), matrix)
        owned = {name for layer in layers for name in layer.source.tensors}
        squares = [variable for variable in model.trainable_variables if _is_square(variable, owned)]
        for k in spread([int(np.prod(variable.shape)) for variable in squares], self._limit):
            path = squares[k].path
            # Keras multiplies from the right.
            value = np.asarray(keras.ops.convert_to_numpy(squares[k]), np.float32).T
            name = path.removeprefix(f"{model.name}/")
            blocks[name] = WeightBlock(Place(name, tensor=path), value, WeightRole.SQUARE)
        if not blocks:
            raise ArgumentError("model", "must hold a recurrent layer, or a square weight that trains", model.name)
        return blocks

    def settle(self) -> None:
        """Wait for JAX, which may still be computing the step; on torch the first copy waits."""
        if keras.backend.backend() == "jax":
            sys.modules["jax"].block_until_ready([variable.value for variable in self._read().trainable_variables])


def _recurrent(model: keras.Model) -> list[RecurrentLayer]:
    try:
        return to_layers(model)
    except ArgumentError:  # it holds none
        return []


def _is_square(variable: Any, owned: set[str]) -> bool:
    shape = tuple(variable.shape)
    square = len(shape) == 2 and shape[0] == shape[1] > 1
    return square and variable.path not in owned and variable.name != "embeddings"
