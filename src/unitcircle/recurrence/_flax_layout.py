"""The weight layouts of flax: a kernel ``(n, n)`` per gate, or nnx's fused ``(n, k n)``, which act on rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from unitcircle._array import to_numpy
from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.recurrence._cell import Cell
from unitcircle.recurrence._layer import RecurrentLayer
from unitcircle.recurrence._source import Source, dtype_name
from unitcircle.recurrence._torch_layout import from_torch


def from_flax(parameters: Mapping[str, Any], /, **options: Any) -> RecurrentLayer:
    """Return the layer that the parameters of a flax SimpleCell, GRUCell or LSTMCell describe, linen or nnx.

    Parameters
    ----------
    parameters
        Module name → ``{"kernel": (in, out), "bias": (out,)}``: ``hi hf hg ho ii if ig io`` (LSTM), ``hr hz hn ir iz
        in`` (GRU), ``h i`` (plain), or the fused ``dense_h dense_i`` of nnx, whose GRU has no bias inside the reset
        product. ``if`` may be ``if_``, as nnx names it.
    **options
        ``name``, ``layer``, ``direction``, ``source``, ``activations`` of :class:`RecurrentLayer`.

    Returns
    -------
    RecurrentLayer
        The layer.

    Raises
    ------
    ArgumentError
        The parameters fit no known cell.

    Examples
    --------
    >>> layer = from_flax({"i": {"kernel": np.zeros((2, 3))}, "h": {"kernel": np.zeros((3, 3)), "bias": np.zeros(3)}})
    >>> layer.cell.name
    'RNN_TANH'
    """
    if not isinstance(parameters, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        rule = "must be a mapping of module names to mappings of arrays"
        raise ArgumentError("parameters", rule, type(parameters).__qualname__)
    # `if` is a keyword of Python: nnx's attribute is `if_`.
    parameters = {key.removesuffix("_"): leaves for key, leaves in parameters.items()}
    cells = {
        Cell.LSTM: [f"h{gate}" for gate in Cell.LSTM.gates],
        Cell.GRU: [f"h{gate}" for gate in Cell.GRU.gates],
        Cell.RNN_TANH: ["h"],
    }
    fused = "dense_h" in parameters
    candidates = [cell for cell, keys in cells.items() if all(key in parameters for key in keys)]
    if fused:
        shape = to_numpy(parameters["dense_h"]["kernel"], argument="kernel").shape
        ratio = shape[1] // max(shape[0], 1) if len(shape) == 2 else 0
        candidates = [cell for cell in cells if len(cell.gates) == ratio]
    if not candidates:
        keys = ", ".join(sorted(parameters)) or "none"
        raise ArgumentError("parameters", "must be those of a flax SimpleCell, GRUCell or LSTMCell", keys)
    cell = candidates[0]
    if strangers := [name for name, leaves in parameters.items() if not isinstance(leaves, Mapping)]:
        raise ArgumentError("parameters", "must be mappings of arrays by module", f"an array at {strangers[0]}")

    def stack(side: str, leaf: str) -> np.ndarray | None:
        plain = cell is Cell.RNN_TANH
        keys = [f"dense_{side}"] if fused else [side if plain else f"{side}{gate}" for gate in cell.gates]
        leaves = [parameters.get(key, {}).get(leaf) for key in keys]
        if all(value is None for value in leaves):
            return None
        stored = [None if value is None else to_numpy(value, argument=leaf) for value in leaves]
        if any(value is not None and not value.ndim for value in stored):
            raise ShapeError(leaf, "must have at least one axis", "shape ()")
        width = next(value.shape[-1] for value in stored if value is not None)
        # linen's GRU has a recurrent bias in gate n alone, and none is a zero.
        arrays = [np.zeros(width) if value is None else value for value in stored]
        return np.concatenate(arrays, axis=-1)

    recurrent = stack("h", "kernel")
    if recurrent is None or recurrent.ndim != 2:
        raise ArgumentError("parameters", "must hold two-dimensional recurrent kernels", "none")
    kernel = stack("i", "kernel")
    first = next(iter(parameters.values()))
    source: Source = options.pop("source", Source())
    dtype = source.dtype or dtype_name(first.get("kernel", recurrent))
    return from_torch(
        recurrent.T,
        cell=cell,
        weight_ih=None if kernel is None else kernel.T,
        bias_ih=stack("i", "bias"),
        bias_hh=stack("h", "bias"),
        source=replace(source, layout=source.layout or "flax", dtype=dtype),
        **options,
    )
