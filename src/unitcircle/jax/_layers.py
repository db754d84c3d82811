"""The recurrent layers of flax and equinox parameters and modules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from unitcircle._array import dtype_name, to_numpy
from unitcircle.errors import ArgumentError
from unitcircle.jax._cells import MGU, CellParameters, cells_of, flatten
from unitcircle.jax._nnx import is_module, parameters_of, submodule
from unitcircle.recurrence import (
    Cell,
    RecurrentLayer,
    Source,
    activation_like,
    from_flax,
    from_torch,
    is_known_activation,
)


def to_layers(model: Any, /) -> list[RecurrentLayer]:
    """Return every recurrent cell of flax or equinox parameters, or of a module, as a layer in our convention.

    Parameters
    ----------
    model
        Parameters or variables of linen modules, or a state of nnx: any tree of arrays with SimpleCell, LSTMCell,
        OptimizedLSTMCell or GRUCell inside, at any depth. Or a ``flax.nnx.Module`` with those cells, or an equinox
        module with its GRUCell or LSTMCell. Kernels with leading axes (stacked by ``nn.scan`` or ``vmap``) give one
        layer per index.

    Returns
    -------
    list of RecurrentLayer
        In the order of the tree, with the activations, the ``residual`` and the direction of an nnx module. Bare
        parameters do not hold these: tanh, sigmoid, no residual, and forward unless the path has ``backward_rnn``.

    Raises
    ------
    ArgumentError
        No recurrent cell, or an MGUCell, which a RecurrentLayer cannot describe.

    Examples
    --------
    >>> from flax import nnx
    >>> [layer] = to_layers(nnx.GRUCell(2, 5, rngs=nnx.Rngs(0)))
    >>> layer.name, list(layer.gates), layer.gates["z"].shape
    ('cell', ['r', 'z', 'n'], (5, 5))
    """
    module = model if is_module(model) else None
    leaves, _ = flatten(model if module is None else parameters_of(module))
    cells = list(cells_of(leaves))
    if not cells:
        rule = "must hold a flax SimpleCell, LSTMCell, OptimizedLSTMCell or GRUCell, or one of equinox"
        raise ArgumentError("model", rule, type(model).__name__)
    layers: list[RecurrentLayer] = []
    for cell in cells:
        if cell.kind == MGU:
            rule = "must hold cells that a RecurrentLayer can describe"
            raise ArgumentError("model", rule, f"an MGUCell at {cell.name}", "Pass the other cells alone.")
        layers += _layers_of(cell, leaves, module)
    return layers


def _layers_of(cell: CellParameters, leaves: Mapping[Any, Any], module: Any) -> Iterator[RecurrentLayer]:
    if cell.layout == "equinox":
        yield from _of_equinox(cell, {name: leaves[path] for name, path in cell.modules[""].items()})
        return
    arrays = {
        name: {leaf: leaves[path] for leaf, path in parts.items() if leaf in {"kernel", "bias"}}
        for name, parts in cell.modules.items()
    }
    first = next(iter(cell.recurrent.values()))
    kernels = dict.fromkeys(block.name for kind in (cell.recurrent, cell.input) for block in kind.values())
    # Only an nnx module is initialized in place.
    layout = "flax-tree" if module is None else "flax"
    source = Source(tensors=tuple(kernels), layout=layout, dtype=dtype_name(leaves[first.path]))
    batch = np.shape(leaves[first.path])[:-2]
    for index in np.ndindex(*batch):
        name = f"{cell.name}[{', '.join(map(str, index))}]" if batch else cell.name
        at = {part: {leaf: array[index] for leaf, array in parts.items()} for part, parts in arrays.items()}
        layer = from_flax(at, name=name, source=source, direction=_direction(cell, module))
        yield layer if module is None else _with_activations(layer, submodule(module, cell.path))


def _of_equinox(cell: CellParameters, arrays: Mapping[str, Any]) -> Iterator[RecurrentLayer]:
    stack = arrays["weight_hh"]
    names = tuple(".".join((*cell.path, name)) for name in arrays)
    source = Source(tensors=names, layout="equinox", dtype=dtype_name(stack))
    batch = np.shape(stack)[:-2]
    for index in np.ndindex(*batch):
        at = {name: to_numpy(array[index], argument=name) for name, array in arrays.items()}
        inner = at.get("bias_n")  # Inside the reset product of a GRU
        yield from_torch(
            at["weight_hh"],
            cell=cell.kind,
            weight_ih=at["weight_ih"],
            bias_ih=at.get("bias"),
            bias_hh=None if inner is None else np.concatenate([np.zeros(2 * len(inner), inner.dtype), inner]),
            name=f"{cell.name}[{', '.join(map(str, index))}]" if batch else cell.name,
            source=source,
        )


def _direction(cell: CellParameters, module: Any) -> str:
    reverse = "backward_rnn" in cell.path
    if module is not None and cell.path:
        reverse |= getattr(submodule(module, cell.path[:-1]), "reverse", False)
    return "reverse" if reverse else "forward"


def _with_activations(layer: RecurrentLayer, cell: Any) -> RecurrentLayer:
    """Return the layer with the activations and the residual connection of its nnx cell."""
    candidate = _activation(cell.activation_fn)
    if not layer.cell.gated:
        kind = Cell.plain(candidate)
        gates = layer.gates
        if cell.residual:  # φ(W h + h + …) is the recurrence of W + I
            gates = {"h": gates["h"] + np.eye(layer.hidden_size, dtype=gates["h"].dtype)}
        return replace(layer, cell=kind, gates=gates, activations={"h": candidate})
    names = dict.fromkeys(layer.cell.gates, _activation(cell.gate_fn))
    candidates = ("g", "c") if layer.cell is Cell.LSTM else ("n",)
    return replace(layer, activations=names | dict.fromkeys(candidates, candidate))


def _activation(function: Any) -> str:
    """Return our name of a function by its values: names of JAX mean other functions, and partial has none."""
    if (known := activation_like(function)) is not None:
        return known
    inner = getattr(function, "func", function)
    name = str(getattr(inner, "__name__", type(inner).__name__))
    return f"{name}(?)" if is_known_activation(name) else name
