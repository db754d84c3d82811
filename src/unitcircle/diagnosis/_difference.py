"""What changed between two files of one model: trained further, cast, quantized, converted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle._json import to_json
from unitcircle.diagnosis._conversion import conversion_errors
from unitcircle.diagnosis._decay_conversion import lost_memory, relative_distance
from unitcircle.diagnosis._head_difference import HeadDifference, head_differences
from unitcircle.diagnosis._head_memory import HeadMemory, head_memory, tokens
from unitcircle.diagnosis._unit_order import orders_of_units
from unitcircle.errors import ArgumentError
from unitcircle.recurrence import RecurrentLayer

LEVELS = 256
"""Weights that are multiples of one step, none of more than so many, are quantized."""
NEAR = 0.05
"""A multiple of a step may be off by this share of it: scales are stored in half precision."""
NEARLY = 0.5
"""Layers of different names whose recurrent weights are closer than this are one layer."""
SHOWN = 8
"""Heads of a layer that the text lists."""
SCHEMA = 1


@dataclass(frozen=True)
class BlockDifference:
    """One block of a layer in both files.

    Attributes
    ----------
    part
        The block: ``"recurrent f"``, ``"input z"``, ``"bias"``, ``"A_log"``.
    distance
        ‖B − A‖ / ‖A‖ in the Frobenius norm; inf where A is zero and B is not.
    storage
        The largest distance that storing the weights in the coarser of both element types explains.
    radius
        Spectral radius in A and in B of a recurrent block; None of others.
    radius_storage
        The change of the radius that storing explains, to first order in the coarser of both element types; None of
        others.
    """

    part: str
    distance: float
    storage: float
    radius: tuple[float, float] | None = None
    radius_storage: float | None = None

    @property
    def changed(self) -> bool:
        """Whether the block changed by more than its storage explains."""
        return not self.distance <= self.storage


@dataclass(frozen=True)
class LayerDifference:
    """One layer in both files.

    Attributes
    ----------
    layer, other
        Its name in A and in B.
    blocks
        Every block that both have.
    errors
        Conversion errors that explain what changed: "gates i and f are swapped in the recurrent weights".
    memory
        Of a linear recurrence, the memory of its heads in A and in B.
    heads
        Of a linear recurrence, λ and the memory of each head in A and in B, with what storage explains.
    """

    layer: str
    other: str
    blocks: tuple[BlockDifference, ...]
    errors: tuple[str, ...] = ()
    memory: tuple[HeadMemory, HeadMemory] | None = None
    heads: tuple[HeadDifference, ...] = ()

    @property
    def changed(self) -> tuple[BlockDifference, ...]:
        """The blocks that changed by more than their storage explains."""
        return tuple(block for block in self.blocks if block.changed)

    @property
    def verdict(self) -> str:
        """``"conversion error"``, ``"changed"``, ``"within storage"`` or ``"the same"``."""
        if self.errors:
            return "conversion error"
        if self.changed or any(head.changed for head in self.heads):
            return "changed"
        return "within storage" if any(block.distance for block in self.blocks) else "the same"


@dataclass(frozen=True)
class Difference:
    """What changed between two files.

    Attributes
    ----------
    a, b
        The files.
    layers
        The layers that both have.
    only_a, only_b
        The layers that only one of them has.
    """

    a: str
    b: str
    layers: tuple[LayerDifference, ...]
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[str, ...]:
        """Every conversion error, with its layer."""
        return tuple(f"{layer.layer}: {error}" for layer in self.layers for error in layer.errors)

    @property
    def summary(self) -> str:
        """One line: how many layers are the same, changed, wrongly converted, or without a counterpart."""
        if not self.layers:
            return "no layer of one file is in the other"
        verdicts = [layer.verdict for layer in self.layers]
        parts = [f"{verdicts.count(verdict)} {verdict}" for verdict in dict.fromkeys(verdicts)]
        lonely = len(self.only_a) + len(self.only_b)
        return f"{len(verdicts)} layers: {', '.join(parts)}" + (f"; {lonely} without a counterpart" if lonely else "")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        layers = [
            {
                "layer": layer.layer,
                "other": layer.other,
                "verdict": layer.verdict,
                "errors": list(layer.errors),
                "blocks": [vars(block) | {"changed": block.changed} for block in layer.blocks],
                "memory": None if layer.memory is None else [memory.to_dict() for memory in layer.memory],
                "heads": [head.to_dict() for head in layer.heads],
            }
            for layer in self.layers
        ]
        ends = {"only_a": list(self.only_a), "only_b": list(self.only_b)}
        return {"schema": SCHEMA, "a": self.a, "b": self.b, "summary": self.summary, "layers": layers} | ends

    def to_json(self) -> str:
        """Return strict JSON; infinities and NaN are texts."""
        return to_json(self.to_dict())

    def __str__(self) -> str:
        return "\n".join([self.summary, *self._lines()])

    def _lines(self) -> Iterator[str]:
        for layer in self.layers:
            name = layer.layer if layer.layer == layer.other else f"{layer.layer} -> {layer.other}"
            yield f"{name}: {layer.verdict}"
            yield from (f"  {error}" for error in layer.errors)
            for block in layer.changed:
                text = f"  {block.part}: changed by {block.distance:.2%} (storage explains {block.storage:.1e})"
                if block.radius is not None:
                    text += f", ρ {block.radius[0]:.3f} -> {block.radius[1]:.3f} (storage explains "
                    text += f"{block.radius_storage:.1e})"
                yield text
            if layer.memory is not None and layer.verdict != "the same":
                before, after = layer.memory
                yield f"  memory: median {tokens(before.median)} -> {tokens(after.median)} tokens"
                moved = [head for head in layer.heads if head.changed]
                yield from (f"  {before.unit} {head}" for head in moved[:SHOWN])
                if len(moved) > SHOWN:
                    yield f"  {len(moved) - SHOWN} more {before.unit}s changed"
        for names, file in ((self.only_a, self.a), (self.only_b, self.b)):
            yield from (f"{name}: only in {file}" for name in names)


def difference(
    a: Sequence[RecurrentLayer], b: Sequence[RecurrentLayer], /, *, names: tuple[str, str] = ("A", "B")
) -> Difference:
    """Compare the layers of two files of one model.

    Layers are matched by name where names, cells and sizes agree, else by their weights, and else by order. Each block
    is compared with the error that storage explains; what is beyond it is compared with the common errors of
    conversion, and named where one of them explains it: gates swapped or in another order, a changed sign, a
    transposition, a missing, doubled or stale bias, the weights of another layer, a decay on another scale or with its
    heads in another order.

    Parameters
    ----------
    a, b
        The layers before and after; :func:`unitcircle.read` gives them.
    names
        What to call the two in the report.

    Returns
    -------
    Difference
        Every layer, block by block, with what explains the change.

    Raises
    ------
    ArgumentError
        Something else than a sequence of layers.

    Examples
    --------
    >>> import numpy as np
    >>> from unitcircle.recurrence import from_torch
    >>> W = np.random.default_rng(0).standard_normal((16, 4))
    >>> swapped = W.reshape(4, 4, 4)[[1, 0, 2, 3]].reshape(16, 4)
    >>> before, after = ([from_torch(x, cell="lstm", name="lstm")] for x in (W, swapped))
    >>> difference(before, after).errors
    ('lstm: the recurrent weights of gates i and f are swapped',)
    """
    _require_layers("a", a)
    _require_layers("b", b)
    pairs = _pairs(a, b)
    taken_a, taken_b = {id(one) for one, _ in pairs}, {id(two) for _, two in pairs}
    moved = orders_of_units(pairs)
    layers = tuple(_layer_difference(one, two, a, exact=id(one) in moved) for one, two in pairs)
    only_a = tuple(layer.label for layer in a if id(layer) not in taken_a)
    only_b = tuple(layer.label for layer in b if id(layer) not in taken_b)
    return Difference(*names, layers, only_a, only_b)


def _require_layers(argument: str, layers: Any) -> None:
    if isinstance(layers, Sequence) and all(isinstance(layer, RecurrentLayer) for layer in layers):
        return
    rule = "must be a sequence of recurrent layers, as read() returns it"
    raise ArgumentError(argument, rule, type(layers).__qualname__)


def _pairs(a: Sequence[RecurrentLayer], b: Sequence[RecurrentLayer]) -> list[tuple[RecurrentLayer, RecurrentLayer]]:
    """Return the layers that belong together: those of one name, then those of nearly equal weights, then in order."""
    # Formats name layers in their own way and in their own order; but two files of one format that hold a layer under
    # one name mean that layer, whatever its weights are.
    free_a, free_b = list(a), list(b)
    pairs: list[tuple[RecurrentLayer, RecurrentLayer]] = []

    def match(candidates: Iterable[tuple[RecurrentLayer, RecurrentLayer]]) -> None:
        for one, two in candidates:
            if any(one is free for free in free_a) and any(two is free for free in free_b):
                pairs.append((one, two))
                free_a[:] = [free for free in free_a if free is not one]
                free_b[:] = [free for free in free_b if free is not two]

    fits = [(one, two) for one in a for two in b if _fit(one, two)]
    match(pair for pair in fits if pair[0].label == pair[1].label)
    near = [(_nearness(one, two), one, two) for one, two in fits if one.label != two.label]
    match((one, two) for gap, one, two in sorted(near, key=lambda item: item[0]) if gap < NEARLY)
    match(fits)
    order = {id(layer): place for place, layer in enumerate(a)}
    return sorted(pairs, key=lambda pair: order[id(pair[0])])


def _nearness(one: RecurrentLayer, two: RecurrentLayer) -> float:
    """Return the distance of the recurrent weights, relative to those of the first; inf where there are none."""
    if not one.gates or one.gates.keys() != two.gates.keys():
        return np.inf
    x, y = (np.concatenate([np.asarray(block, dtype=float) for block in layer.gates.values()]) for layer in (one, two))
    return relative_distance(x, y)


def _fit(one: RecurrentLayer, two: RecurrentLayer) -> bool:
    same = (one.cell, one.hidden_size, one.direction) == (two.cell, two.hidden_size, two.direction)
    return same and (None in {one.input_size, two.input_size} or one.input_size == two.input_size)


def _layer_difference(
    one: RecurrentLayer, two: RecurrentLayer, others: Sequence[RecurrentLayer], *, exact: bool
) -> LayerDifference:
    bar = max(one.source.eps, two.source.eps)
    blocks = [_block(part, x, y, bar) for part, x, y in _common_blocks(one, two)]
    changed = [block for block in blocks if block.changed]
    # Layers that were matched by their weights are no places in which a layer can be wrong.
    rivals = others if one.label == two.label else ()
    errors = conversion_errors(one, two, rivals, [block.part for block in changed]) if changed and not exact else []
    if not changed and _is_rounded(one, two) and (cast := lost_memory(one, two)):
        errors.append(cast)
    memories = head_memory(one), head_memory(two)
    memory = None if memories[0] is None or memories[1] is None else (memories[0], memories[1])
    return LayerDifference(one.label, two.label, tuple(blocks), tuple(errors), memory, head_differences(one, two))


def _is_rounded(one: RecurrentLayer, two: RecurrentLayer) -> bool:
    """Return whether the second decay is that of the first in half precision, or quantized."""
    if two.linear is None:
        return False
    grids = (
        _grid(y.astype(float))
        for _, x, y in _common_blocks(one, two)
        if not (np.iscomplexobj(y) or np.array_equal(x, y))
    )
    return bool(two.linear.in_half_precision) or any(grids)


def _common_blocks(one: RecurrentLayer, two: RecurrentLayer) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the blocks of both layers, biases summed: formats store them apart or together."""
    for kind, x, y in (("recurrent", one.gates, two.gates), ("input", one.inputs, two.inputs)):
        yield from ((f"{kind} {gate}", np.asarray(x[gate]), np.asarray(y[gate])) for gate in x if gate in y)
    if one.biases or two.biases:
        zero = np.zeros(one.hidden_size)
        for gate in one.cell.gates:
            yield f"bias {gate}", np.asarray(one.biases.get(gate, zero)), np.asarray(two.biases.get(gate, zero))
        inside = {**dict.fromkeys(one.recurrent_biases), **dict.fromkeys(two.recurrent_biases)}
        for gate in inside:
            x, y = (np.asarray(layer.recurrent_biases.get(gate, zero)) for layer in (one, two))
            yield f"bias {gate} in the reset product", x, y
    if one.diagonal is not None and two.diagonal is not None and one.linear is None:
        yield "λ", one.diagonal, two.diagonal
    if one.linear is not None and two.linear is not None:
        p, q = one.linear.parameters, two.linear.parameters
        yield from ((name, np.asarray(p[name]), np.asarray(q[name])) for name in p if name in q)


def _block(part: str, x: np.ndarray, y: np.ndarray, eps: float) -> BlockDifference:
    if x.shape != y.shape:
        return BlockDifference(part, np.inf, 0.0)
    kind = np.complex128 if np.iscomplexobj(x) or np.iscomplexobj(y) else np.float64
    x, y = x.astype(kind), y.astype(kind)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return BlockDifference(part, 0.0 if np.array_equal(x, y, equal_nan=True) else np.inf, 0.0)
    size, moved = float(np.linalg.norm(x)), float(np.linalg.norm(y - x))
    distance = 0.0 if moved == 0 else moved / size if size else np.inf
    # Half of the eps in each entry, and the sums of biases and subnormal numbers of float16 beside it.
    storage = eps + max(_grid(x), _grid(y)) + (2.0**-24 * np.sqrt(x.size) / size if eps > 2.0**-20 and size else 0.0)
    if not (part.startswith("recurrent ") and moved):
        return BlockDifference(part, distance, float(storage))
    before, sensitivity = _conditioned_radius(x)
    after = float(np.abs(np.linalg.eigvals(y)).max())  # whose eigenvectors nobody asks for
    return BlockDifference(part, distance, float(storage), (before, after), sensitivity * float(storage) * size)


def _conditioned_radius(x: np.ndarray) -> tuple[float, float]:
    """Return the spectral radius of a matrix, and the condition of its eigenvalue: its change per norm of a change."""
    values, right = np.linalg.eig(x)
    first = int(np.abs(values).argmax())
    try:
        left = np.linalg.inv(right)[first]  # left vectors whose products with the right ones are 1
    except np.linalg.LinAlgError:
        return float(np.abs(values[first])), np.inf
    return float(np.abs(values[first])), float(np.linalg.norm(left) * np.linalg.norm(right[:, first]))


def _grid(x: np.ndarray) -> float:
    """Return the relative error of quantization, where all entries are multiples of one step; else 0."""
    values = np.unique(np.real(x))
    if values.size < 3 or not (size := float(np.linalg.norm(x))):
        return 0.0
    step = float(np.diff(values).min())
    if np.abs(values).max() > LEVELS * step:
        return 0.0
    places = values / step
    on_grid = np.allclose(places, np.rint(places), rtol=0, atol=NEAR)
    # An entry is off by at most half a step.
    return step / 2 * float(np.sqrt(x.size)) / size if on_grid else 0.0
