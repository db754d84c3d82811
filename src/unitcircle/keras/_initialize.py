"""Initialization of a built model, gate block by gate block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from unitcircle._array import to_numpy
from unitcircle._filling import Filling, PerGate, Spec
from unitcircle._keywords import right_keywords
from unitcircle._renamed import renamed_arguments
from unitcircle.initializers import Certificate, Filled, Initialization, Initializer, require
from unitcircle.keras._blocks import bias_of, draw
from unitcircle.keras._cells import RecurrentCell, recurrent_cells


@renamed_arguments(seed="rng")
@right_keywords
def initialize_(
    model: keras.Layer,
    /,
    *,
    recurrent: PerGate = None,
    input: PerGate = None,  # noqa: A002  (the name of the weight)
    bias: Spec | None = None,
    rng: np.random.Generator | int | None = None,
) -> Initialization:
    """Initialize every recurrent layer of a built model, gate block by gate block, in place.

    SimpleRNN, GRU, LSTM and their cells, inside RNN, StackedRNNCells, Bidirectional and any other layer that
    holds layers; a shared layer is filled once. Keras stores a kernel ``(in, k·out)``; each of its k blocks gets its
    own draw, computed in float64 and cast last.

    Parameters
    ----------
    model
        A built model, layer or cell.
    recurrent, input
        Specification of the recurrent and the input weights: one for all gates, or a mapping from gates (``"*"`` for
        the others); None and gates not named are left as they are. Gates have our names: i f g o (Keras: i f c o),
        z r n (Keras: z r h), and h for a SimpleRNN.
    bias
        ``chrono``, ``uniform_gate``, ``forget_bias``, ``zeros`` or ``constant``. Every gate is overwritten, with
        zeros where the initializer sets nothing; of the two bias vectors of a GRU with ``reset_after`` the recurrent
        one gets zeros.
    rng
        Seed or ``numpy.random.Generator``; a seed gives the same weights on every backend. A fresh one by default. No
        global random state is touched.

    Returns
    -------
    Initialization
        Every filled block with its initializer and certificate.

    Raises
    ------
    CertificateError
        A block does not have the property its initializer promises.
    ArgumentError
        No initializer, or no recurrent layer; a model that is not built; a complex initializer.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((None, 8)), keras.layers.LSTM(16, name="lstm")])
    >>> result = initialize_(model, recurrent="orthogonal", bias="forget_bias", rng=0)
    >>> print(result.filled[1])
    lstm/recurrent_kernel[f] = orthogonal(gain=1.0): every singular value is 1: holds (residual ..., tolerance ...)
    """
    filling = Filling.parse(recurrent, input, bias)
    cells = recurrent_cells(model)
    filling.check(cells)
    generator = np.random.default_rng(rng)
    filled: list[Filled] = []
    for cell in cells:
        filled += _fill_kernel(cell, "recurrent_kernel", filling.recurrent, generator)
        filled += _fill_kernel(cell, "kernel", filling.input, generator)
        if filling.bias is not None and filling.fills_bias(cell):
            filled.append(_fill_bias(cell, filling.bias, generator))
    return Initialization(require(filled))


def _fill_kernel(
    cell: RecurrentCell, leaf: str, specs: Mapping[str, Initializer], rng: np.random.Generator
) -> Iterator[Filled]:
    inits = Filling.by_gate(specs, cell.gates)
    variable = getattr(cell.cell, leaf)
    kernel = to_numpy(variable.value).copy()
    for gate, init in inits.items():
        kernel[:, cell.share(gate)] = draw(init, (len(kernel), cell.units), rng)
    stored = _assign(variable, kernel)
    for gate, init in inits.items():
        yield Filled(f"{cell.name}/{leaf}", gate, init, _certificate(init, stored[:, cell.share(gate)].T, variable))


def _fill_bias(cell: RecurrentCell, init: Initializer, rng: np.random.Generator) -> Filled:
    variable = cell.cell.bias
    stored = _assign(variable, bias_of(init, cell.kind, tuple(variable.shape), rng))
    block = (stored[0] if stored.ndim == 2 else stored)[cell.share(cell.keeping)]
    return Filled(f"{cell.name}/bias", cell.keeping, init, _certificate(init, block, variable))


def _assign(variable: Any, array: np.ndarray) -> np.ndarray:
    variable.assign(array)
    return to_numpy(variable.value)


def _certificate(init: Initializer, block: np.ndarray, variable: Any) -> Certificate:
    # As a tensor: NumPy has no bfloat16, whose eps the tolerance needs.
    return init.certificate(keras.ops.convert_to_tensor(block, dtype=variable.dtype))
