"""Initialization of the cells of flax and equinox, gate block by gate block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from unitcircle._filling import Decay, Filling, PerGate, Spec, biases_of, decay_fills
from unitcircle._keywords import right_keywords
from unitcircle.errors import ArgumentError
from unitcircle.initializers import Filled, Initialization, Initializer, require
from unitcircle.jax._cells import CellParameters, GateSlice, Leaves, cells_of, flatten
from unitcircle.jax._initializer import draw, gaussian
from unitcircle.jax._nnx import is_module, parameters_of, update
from unitcircle.recurrence import lru_gamma_log

Tree = TypeVar("Tree")


@right_keywords
def initialize(
    params: Tree,
    /,
    *,
    key: jax.Array | int,
    recurrent: PerGate = None,
    input: PerGate = None,  # noqa: A002  (the name of the weight)
    bias: Spec | None = None,
    decay: Decay | None = None,
) -> tuple[Tree, Initialization]:
    """Return parameters with every recurrent cell of flax or equinox initialized gate by gate, and their certificates.

    SimpleCell, LSTMCell, OptimizedLSTMCell, GRUCell and MGUCell of linen and nnx, GRUCell and LSTMCell of equinox, at
    any depth. Each gate block gets its own draw, also inside fused kernels and for each index of leading axes.
    Everything else is the same object as before. The certificates need values: call it outside ``jax.jit``.

    Parameters
    ----------
    params
        A tree of arrays: parameters, or all variables, of linen modules, or a state of nnx
        (``nnx.split``, ``nnx.state``, ``nnx.to_pure_dict``); or an equinox module, which is such a tree.
    key
        JAX key, or a seed for one.
    recurrent, input
        Specification of the recurrent and the input weights: one for all gates, or a mapping from gates (``"*"`` for
        the others) such as ``{"g": "eigen", "*": "orthogonal"}``. None leaves them as they are.
    bias
        ``forget_bias``, ``chrono``, ``uniform_gate``, ``zeros`` or ``constant``. Gates that a gate bias
        does not set get zero, and so does the recurrent one of the two biases of gate n in linen's and equinox's GRU.
        None leaves the biases as they are.
    decay
        Laws of the parameters of the decay of linear recurrences, under the names of their authors: ``"authors"``, or
        a mapping of parameters to laws, ``{"dt_bias": "step(low=0.0001, high=0.01)"}``, and no others. γ of an LRU
        follows its ν. None leaves them as they are.

    Returns
    -------
    tuple
        Parameters of the same structure, and every filled block with its initializer and certificate.

    Raises
    ------
    CertificateError
        A block does not have the property its initializer promises.
    ArgumentError
        No initializer, or no recurrent cell; parameters without values (traced or abstract); a bias that no cell
        has.
    UnknownNameError
        A gate that does not exist.

    Examples
    --------
    >>> from flax import linen as nn
    >>> variables = nn.RNN(nn.LSTMCell(16)).init(jax.random.key(0), jnp.zeros((1, 5, 8)))
    >>> variables, result = initialize(variables, recurrent="orthogonal", bias="forget_bias", key=1)
    >>> print(result.filled[1])
    params.cell.hf.kernel[f] = orthogonal(gain=1.0): every singular value is 1: holds (residual ..., tolerance ...)
    """
    leaves, structure = flatten(params)
    source = _keys(jax.random.key(key) if isinstance(key, int) else key)
    filled: list[Filled] = []
    if decay is not None:
        filled += _fill_decays(leaves, decay, source)
        if recurrent is None and input is None and bias is None:
            return structure.unflatten(leaves.values()), Initialization(require(filled))
    filling = Filling.parse(recurrent, input, bias)
    cells = list(cells_of(leaves))
    if not cells:
        rule = "must hold a flax SimpleCell, LSTMCell, OptimizedLSTMCell, GRUCell or MGUCell, or a cell of equinox"
        raise ArgumentError("params", rule, type(params).__name__)
    _check_numbers(cells, leaves)
    filling.check(cells)
    for cell in cells:
        filled += _fill_kernels(cell.recurrent, filling.recurrent, leaves, source)
        filled += _fill_kernels(cell.input, filling.input, leaves, source)
        if filling.bias is not None and filling.fills_bias(cell):
            filled.append(_fill_biases(cell, filling.bias, leaves, source))
    return structure.unflatten(leaves.values()), Initialization(require(filled))


@right_keywords
def initialize_(
    module: Any,
    /,
    *,
    key: jax.Array | int,
    recurrent: PerGate = None,
    input: PerGate = None,  # noqa: A002  (the name of the weight)
    bias: Spec | None = None,
    decay: Decay | None = None,
) -> Initialization:
    """Initialize every recurrent cell of a flax nnx module, gate by gate, in place.

    nnx fuses the gates of OptimizedLSTMCell and GRUCell into one kernel ``dense_h`` ``(n, k n)`` and orthogonalises
    that *stack*: no gate of it is orthogonal, and its spectral radius is about 1/√k. Here each gate is.

    Parameters
    ----------
    module
        A ``flax.nnx.Module``.
    key
        JAX key, or a seed for one.
    recurrent, input, bias, decay
        As in :func:`initialize`.

    Returns
    -------
    Initialization
        Every filled block with its initializer and certificate.

    Raises
    ------
    ArgumentError
        Not an nnx module (for linen, :func:`initialize` takes the parameters); and as in :func:`initialize`, whose
        other errors are raised too. The module is then unchanged.

    Examples
    --------
    >>> from flax import nnx
    >>> gru = nnx.GRUCell(8, 16, rngs=nnx.Rngs(0))
    >>> [block.gate for block in initialize_(gru, recurrent="orthogonal", key=0).filled]
    ['r', 'z', 'n']
    """
    if not is_module(module):
        remedy = "For linen modules and trees of parameters: params, result = initialize(params, ...)."
        raise ArgumentError("module", "must be a flax.nnx.Module", type(module).__name__, remedy)
    filled, result = initialize(
        parameters_of(module), key=key, recurrent=recurrent, input=input, bias=bias, decay=decay
    )
    update(module, filled)
    return result


def _keys(key: jax.Array) -> Iterator[jax.Array]:
    count = 0
    while True:
        yield jax.random.fold_in(key, count)
        count += 1


def _fill_decays(leaves: Leaves, decay: Decay, source: Iterator[jax.Array]) -> Iterator[Filled]:
    paths = {".".join(path): path for path in leaves}
    for name, path in paths.items():
        if isinstance(leaves[path], Tracer):
            rule = "must hold arrays with values"
            raise ArgumentError("params", rule, f"a tracer at {name}", "Call it outside jax.jit.")
    arrays = {name: leaves[path] for name, path in paths.items() if isinstance(leaves[path], jax.Array | np.ndarray)}
    for fill in decay_fills(arrays, decay, {}):
        old = arrays[fill.tensor]
        shape = old.shape if fill.places is None else fill.places.shape
        values = jnp.asarray(fill.law.shaped(gaussian(next(source), shape, old.dtype))).astype(old.dtype)
        whole = values
        if fill.places is not None:
            whole = jnp.asarray(old).ravel().at[fill.places.ravel()].set(values.ravel()).reshape(old.shape)
        leaves[paths[fill.tensor]] = whole
        if fill.gamma:
            leaves[paths[fill.gamma]] = lru_gamma_log(values).astype(arrays[fill.gamma].dtype)
        yield Filled(fill.tensor, "", fill.law, fill.law.certificate_of(values))


def _check_numbers(cells: Sequence[CellParameters], leaves: Leaves) -> None:
    for cell in cells:
        leaf = leaves[next(iter(cell.recurrent.values())).path]
        if isinstance(leaf, Tracer) or not isinstance(leaf, jax.Array | np.ndarray):
            rule = "must hold arrays with values"
            raise ArgumentError("params", rule, f"{type(leaf).__name__} at {cell.name}", "Call it outside jax.jit.")


def _fill_kernels(
    blocks: Mapping[str, GateSlice], specs: Mapping[str, Initializer], leaves: Leaves, source: Iterator[jax.Array]
) -> Iterator[Filled]:
    for gate, init in Filling.by_gate(specs, blocks).items():
        block = blocks[gate]
        old = block.of(leaves)
        *batch, fan_in, fan_out = old.shape
        weight = draw(init, next(source), (*batch, fan_out, fan_in), old.dtype)
        block.put(leaves, jnp.swapaxes(weight, -1, -2))
        stored = jnp.swapaxes(block.of(leaves), -1, -2)
        yield Filled(block.name, gate, init, init.certificate(stored))


def _fill_biases(cell: CellParameters, init: Initializer, leaves: Leaves, source: Iterator[jax.Array]) -> Filled:
    keeping = cell.biases[cell.keeping][0]
    old = keeping.of(leaves)
    values = biases_of(init, gaussian(next(source), old.shape, old.dtype), cell.biases, keeping=cell.keeping)
    for gate, blocks in cell.biases.items():
        # The biases of a gate are added: the initializer is for their sum.
        for block, value in zip(blocks, [values.get(gate, 0.0), *[0.0] * len(blocks)], strict=False):
            block.put(leaves, value)
    return Filled(keeping.name, cell.keeping, init, init.certificate(keeping.of(leaves)))
