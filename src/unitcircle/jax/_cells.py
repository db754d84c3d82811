"""The recurrent cells of flax (linen and nnx) and equinox, in a tree of parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.tree_util import GetAttrKey, keystr, tree_flatten_with_path

from unitcircle.recurrence import Cell

Path = tuple[str, ...]
Leaves = dict[Path, Any]

MGU = "mgu"
"""The minimal gated unit: flax has it, and a RecurrentLayer cannot describe it. Its gate f both keeps and admits."""

_KINDS = (Cell.LSTM, Cell.GRU, MGU, Cell.RNN)
_FUSED = {len(cell.gates): cell for cell in (Cell.LSTM, Cell.GRU, Cell.RNN)}


def _gates(kind: str) -> tuple[str, ...]:
    """Return the gates of a kind of cell, in the order of nnx's fused kernels."""
    return ("f", "n") if kind == MGU else Cell(kind).stack("flax")


@dataclass(frozen=True)
class GateSlice:
    """One gate's share of a parameter: block ``position`` of ``count`` along its last axis."""

    path: Path
    position: int = 0
    count: int = 1
    columns: bool = False  # Whether the parameter acts on columns, (..., k n, m), and the block is its transpose

    @property
    def name(self) -> str:
        """The parameter's qualified name."""
        return ".".join(self.path)

    def _columns(self, leaf: jax.Array) -> tuple[Any, ...]:
        width = leaf.shape[-1] // self.count
        return (..., slice(self.position * width, (self.position + 1) * width))

    def of(self, leaves: Leaves, /) -> jax.Array:
        """Return the block."""
        leaf = self._by_rows(jnp.asarray(leaves[self.path]))
        return leaf[self._columns(leaf)]

    def put(self, leaves: Leaves, value: Any, /) -> None:
        """Replace the parameter by one with this block changed, in its own element type."""
        leaf = self._by_rows(jnp.asarray(leaves[self.path]))
        leaves[self.path] = self._by_rows(leaf.at[self._columns(leaf)].set(jnp.asarray(value).astype(leaf.dtype)))

    def _by_rows(self, leaf: jax.Array) -> jax.Array:
        return jnp.swapaxes(leaf, -1, -2) if self.columns else leaf


@dataclass(frozen=True)
class CellParameters:
    """The parameters of one cell."""

    path: Path  # Where the cell is in the tree
    kind: str  # "lstm", "gru", "mgu" or "rnn"
    # The cell's modules by the names linen gives them, if_ of nnx being if: module → leaf → path.
    modules: Mapping[str, Mapping[str, Path]]
    recurrent: Mapping[str, GateSlice]  # Gate → kernel (..., n, n)
    input: Mapping[str, GateSlice]  # Gate → kernel (..., m, n)
    # Gate → the bias vectors that the cell adds, input first: two for gate n of linen's and equinox's GRU, else at
    # most one
    biases: Mapping[str, tuple[GateSlice, ...]]
    layout: str = "flax"  # Or "equinox", whose one module "" has its parameters by their own names

    @property
    def name(self) -> str:
        """The cell's qualified name; ``"cell"`` where it is the whole tree."""
        return ".".join(self.path) or "cell"

    @property
    def gates(self) -> tuple[str, ...]:
        """Its gates."""
        return tuple(self.recurrent)

    @property
    def has_bias(self) -> bool:
        """Whether the gate that keeps the state has a bias."""
        return bool(self.biases[self.keeping])

    @property
    def keeping(self) -> str:
        """The gate that keeps the state."""
        return "f" if self.kind == MGU else Cell(self.kind).keeping


def flatten(tree: Any, /) -> tuple[Leaves, Any]:
    """Return the leaves of a tree by path, and the structure that ``structure.unflatten`` builds it from again."""
    entries, structure = tree_flatten_with_path(tree)
    return {tuple(keystr((key,), simple=True) for key in _strip_value(path)): leaf for path, leaf in entries}, structure


def _strip_value(path: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a path without the attribute in which a variable of an nnx state keeps its array."""
    wrapped = len(path) > 1 and isinstance(path[-1], GetAttrKey) and path[-1].name == "value"
    return path[:-1] if wrapped else path


def cells_of(leaves: Leaves, /) -> Iterator[CellParameters]:
    """Yield every cell of flax (SimpleCell, GRUCell, MGUCell, LSTMs) and equinox (GRUCell, LSTMCell) among leaves."""
    groups: dict[Path, dict[str, dict[str, Path]]] = {}
    for path in leaves:
        if path and path[-1] == "weight_hh" and (cell := _of_equinox(path[:-1], leaves)) is not None:
            yield cell
        if len(path) >= 2:
            groups.setdefault(path[:-2], {}).setdefault(path[-2], {})[path[-1]] = path
    for path, modules in groups.items():
        # `if` is a keyword of Python: nnx's attribute is `if_`.
        by_name = {name.removesuffix("_"): module for name, module in modules.items()}
        shapes = {name: jnp.shape(leaves[module["kernel"]]) for name, module in by_name.items() if "kernel" in module}
        kind, fused = _kind(shapes)
        if kind:
            yield _cell(path, kind, by_name, fused=fused)


def _of_equinox(path: Path, leaves: Leaves) -> CellParameters | None:
    """Return the cell of equinox at a path: stacks of gates that act on columns, in the order of torch's."""
    own = {name: (*path, name) for name in ("weight_hh", "weight_ih", "bias", "bias_n") if (*path, name) in leaves}
    shapes: dict[str, Sequence[int]] = {name: jnp.shape(leaves[place]) for name, place in own.items()}
    recurrent, inputs = shapes["weight_hh"], shapes.get("weight_ih", ())
    stacked = len(recurrent) >= 2 and recurrent[-1] and not recurrent[-2] % recurrent[-1]
    kind = _FUSED.get(recurrent[-2] // recurrent[-1]) if stacked else None
    if kind is None or not kind.gated or len(inputs) < 2 or inputs[-2] != recurrent[-2]:
        return None
    gates = kind.stack("torch")
    biases = {
        gate: ((GateSlice(own["bias"], k, len(gates)),) if "bias" in own else ())
        + ((GateSlice(own["bias_n"]),) if gate == "n" and "bias_n" in own else ())
        for k, gate in enumerate(gates)
    }

    def blocks(name: str) -> dict[str, GateSlice]:
        return {gate: GateSlice(own[name], k, len(gates), columns=True) for k, gate in enumerate(gates)}

    return CellParameters(path, kind, {"": own}, blocks("weight_hh"), blocks("weight_ih"), biases, "equinox")


def _kind(shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, bool]:
    """Return the kind of cell that kernels of these names and shapes make, or "", and whether its gates are fused."""

    def stacks(name: str) -> int:
        shape = shapes.get(name, ())
        return shape[-1] // shape[-2] if len(shape) >= 2 and shape[-2] and not shape[-1] % shape[-2] else 0

    if "dense_i" in shapes and (kind := _FUSED.get(stacks("dense_h"), "")):
        return kind, True
    for kind in _KINDS:
        gates = _gates(kind)
        bare = kind == "rnn"
        hidden = ["h" if bare else f"h{gate}" for gate in gates]
        inputs = ["i" if bare else f"i{gate}" for gate in gates]
        if all(stacks(name) == 1 for name in hidden) and all(name in shapes for name in inputs):
            return kind, False
    return "", False


def _cell(path: Path, kind: str, modules: Mapping[str, Mapping[str, Path]], *, fused: bool) -> CellParameters:
    gates = _gates(kind)

    def module_name(side: str, gate: str) -> str:
        return f"dense_{side}" if fused else side if kind == "rnn" else f"{side}{gate}"

    def blocks(side: str, leaf: str) -> dict[str, GateSlice]:
        by_gate: dict[str, GateSlice] = {}
        for position, gate in enumerate(gates):
            parts = modules[module_name(side, gate)]
            if leaf in parts:
                by_gate[gate] = GateSlice(parts[leaf], position, len(gates)) if fused else GateSlice(parts[leaf])
        return by_gate

    sides = [blocks(side, "bias") for side in ("i", "h")]
    biases = {gate: tuple(side[gate] for side in sides if gate in side) for gate in gates}
    names = (
        {f"dense_{side}" for side in "ih"} if fused else {s if kind == "rnn" else s + g for s in "ih" for g in gates}
    )
    cell_modules = {name: module for name, module in modules.items() if name in names}
    return CellParameters(path, kind, cell_modules, blocks("h", "kernel"), blocks("i", "kernel"), biases)


def named_leaves(params: Any, /) -> dict[str, Any]:
    """Return the arrays of a tree of parameters by their qualified names, as :class:`LiveScan` has them.

    Parameters
    ----------
    params
        Any tree of arrays.

    Returns
    -------
    dict
        In the order of the tree; ``"params"`` where it is a single array.

    Examples
    --------
    >>> import numpy as np
    >>> sorted(named_leaves({"cell": {"kernel": np.zeros((2, 2)), "bias": np.zeros(2)}}))
    ['cell.bias', 'cell.kernel']
    """
    return {".".join(path) or "params": leaf for path, leaf in flatten(params)[0].items()}
