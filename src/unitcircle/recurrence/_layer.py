"""One recurrent layer in one convention, whatever framework and file it came from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from unitcircle._printable import printable
from unitcircle.errors import ArgumentError, ShapeError, UnknownNameError
from unitcircle.recurrence._cell import Cell
from unitcircle.recurrence._copies import remade
from unitcircle.recurrence._linear_recurrence import LinearRecurrence
from unitcircle.recurrence._source import Source

Direction = Literal["forward", "reverse"]
Blocks = Mapping[str, np.ndarray]
PARTS = ("activation", "bias", "gating", "input", "leak", "step")
"""The parts of a layer that a source may leave unknown."""


def _no_blocks() -> Blocks:
    return MappingProxyType({})


@dataclass(frozen=True, eq=False, kw_only=True)
class RecurrentLayer:
    """A recurrent layer: its cell, and its weights as named blocks that act on columns.

    The pre-activation of gate ``k`` is ``W_k h + U_k x + b_k``. Blocks are views of the stored arrays, in the
    stored precision, and must not be written to.

    Attributes
    ----------
    name
        The layer's name in its model, with escapes in place of characters that cannot be printed.
    cell
        The equation; see :class:`Cell`.
    gates
        Gate → ``(n, n)`` recurrent weight, in the order of ``cell.gates``. With a projection it is the effective
        recurrence ``W_hh W_hr``. Empty for a diagonal recurrence.
    inputs
        Gate → ``(n, m)`` input weight; empty where the source has none.
    biases
        Gate → ``(n,)``, the sum of all the biases the framework adds to the pre-activation; empty without biases.
    recurrent_biases
        Gate → ``(n,)``, only where the bias cannot be summed: for a GRU with ``reset_after`` that of gate ``n``,
        which is inside the reset product, ``n = φ(U x + b + r ⊙ (W h + b_rec))``.
    bias_parts
        The biases as they were stored, before they were summed: ``"input"`` and ``"recurrent"`` → gate → ``(n,)``.
        torch stores both, so that a forget bias of 1 set on each counts 2.
    diagonal
        λ ``(n,)``, real or complex, of a diagonal recurrence; else None.
    reset_after
        GRU: whether the reset gate multiplies ``W h`` (torch, cuDNN, Keras 2 and 3) or ``h`` (Cho 2014, Keras 1).
    peepholes
        LSTM: gate (i, f, o) → ``(n,)`` weight from the cell state; empty without peepholes.
    projection
        LSTM: ``W_hr`` ``(p, n)``, so that the state fed back has p entries; else None.
    projected_gates
        With a projection, gate → ``(n, p)`` as stored; else empty.
    factors
        Low-rank RNN: ``(m, n)``, each ``(N, rank)``, with ``W = m nᵀ / N``; else None.
    units
        Hand-written recurrence: number of entries of its state; else None.
    leak
        Leaky and low-rank RNN: α = Δt/τ, a number or one per unit.
    activations
        Gate → activation name; for an LSTM also ``"c"``, the function of the cell state in the output.
    direction
        ``"forward"`` or ``"reverse"`` in time.
    layer
        Its place in a stack, from 0.
    source
        File, tensors, layout, element type.
    unknown
        Parts that the cell may have and the source does not hold, so that what stands here is an assumption:
        ``"bias"`` (taken as zero), ``"input"``, ``"leak"`` (taken as 1), ``"activation"``, ``"gating"`` (of a GRU:
        whether z keeps the state or replaces it, and where the reset acts), ``"step"`` (a subclass that computes
        another step than its cell). Empty where a missing part is missing by design, as with ``bias=False``.
    linear
        Of a linear recurrence of a known family: the family, the parameters of its decay as they are stored, and λ in
        the shape of heads and channels; else None.

    Examples
    --------
    >>> from unitcircle.recurrence import from_torch
    >>> layer = from_torch(0.5 * np.eye(3), cell="rnn_tanh")
    >>> layer.label, list(layer.gates)
    ('', ['h'])
    """

    name: str
    cell: Cell
    gates: Blocks = field(default_factory=_no_blocks, repr=False)
    inputs: Blocks = field(default_factory=_no_blocks, repr=False)
    biases: Blocks = field(default_factory=_no_blocks, repr=False)
    recurrent_biases: Blocks = field(default_factory=_no_blocks, repr=False)
    bias_parts: Mapping[str, Blocks] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    diagonal: np.ndarray | None = field(default=None, repr=False)
    reset_after: bool = False
    peepholes: Blocks = field(default_factory=_no_blocks, repr=False)
    projection: np.ndarray | None = field(default=None, repr=False)
    projected_gates: Blocks = field(default_factory=_no_blocks, repr=False)
    factors: tuple[np.ndarray, np.ndarray] | None = field(default=None, repr=False)
    units: int | None = None
    leak: float | np.ndarray = field(default=1.0, repr=False)
    activations: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    direction: Direction = "forward"
    layer: int = 0
    source: Source = field(default_factory=Source)
    unknown: frozenset[str] = frozenset()
    linear: LinearRecurrence | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        default = {gate: _DEFAULT_ACTIVATION.get(gate, "tanh") for gate in self.cell.gates}
        if self.cell is Cell.LSTM:
            default["c"] = "tanh"
        elif self.cell in _PLAIN_ACTIVATION:
            default["h"] = _PLAIN_ACTIVATION[self.cell]
        object.__setattr__(self, "activations", MappingProxyType(default | dict(self.activations)))
        object.__setattr__(self, "name", printable(self.name))
        object.__setattr__(self, "unknown", frozenset(self.unknown))
        if strangers := sorted(self.unknown.difference(PARTS)):
            raise UnknownNameError("unknown", strangers[0], PARTS)
        for blocks in ("gates", "inputs", "biases", "recurrent_biases", "bias_parts", "peepholes", "projected_gates"):
            object.__setattr__(self, blocks, MappingProxyType(dict(getattr(self, blocks))))
        if np.any(np.asarray(self.leak) != 1):
            self._take_leak()
        if (self.cell is Cell.HAND_WRITTEN) != (self.units is not None):
            raise ArgumentError("units", "must be given for a hand-written cell, and for no other", f"{self.units}")
        self._check()

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return remade(self)

    def _take_leak(self) -> None:
        """Make a plain cell with a leak the leaky cell of its activation; refuse a leak of others."""
        if self.cell in {Cell.RNN, Cell.RNN_TANH, Cell.RNN_RELU, Cell.LINEAR}:
            object.__setattr__(self, "cell", Cell.LEAKY_RNN)
        if self.cell not in {Cell.LEAKY_RNN, Cell.LOW_RANK_RNN}:
            raise ArgumentError("leak", f"must be 1 for a cell {self.cell}, which has none", f"{self.leak}")
        leak = np.asarray(self.leak, dtype=np.float64)
        if leak.shape not in {(), (self.hidden_size,)}:
            raise ShapeError("leak", f"must be one number, or {self.hidden_size}, one for each unit", f"{leak.shape}")
        if not ((leak > 0) & (leak <= 1)).all():
            raise ArgumentError("leak", "must be above 0 and at most 1", f"{self.leak}")

    def _check(self) -> None:
        if self.direction not in {"forward", "reverse"}:
            raise UnknownNameError("direction", self.direction, ("forward", "reverse"))
        if self.cell is Cell.DIAGONAL:
            if self.diagonal is None or self.diagonal.ndim != 1 or not self.diagonal.size:
                arrived = "None" if self.diagonal is None else f"shape {self.diagonal.shape}"
                raise ShapeError("diagonal", "must be one eigenvalue per unit, shape (n,)", arrived)
        elif tuple(self.gates) != self.cell.gates:
            rule = f"must be {', '.join(self.cell.gates)}, in this order, for a cell {self.cell}"
            raise ArgumentError("gates", rule, ", ".join(self.gates) or "none")
        n = self.hidden_size
        if n == 0:
            raise ShapeError("gates", "must have at least one unit", "shape (0, 0)")
        for gate, block in self.gates.items():
            if block.shape != (n, n):
                raise ShapeError(f"gate {gate}", f"must have shape {(n, n)}", f"shape {block.shape}")
        m = next(iter(self.inputs.values())).shape[-1:] if self.inputs else ()
        for gate, block in self.inputs.items():
            if block.shape != (n, *m):
                raise ShapeError(f"input block {gate}", f"must have shape {(n, *m)}", f"shape {block.shape}")
        for kind in ("biases", "recurrent_biases", "peepholes"):
            for gate, block in getattr(self, kind).items():
                if block.shape != (n,):
                    raise ShapeError(f"{kind} {gate}", f"must have shape {(n,)}", f"shape {block.shape}")

    @property
    def label(self) -> str:
        """The name, with the place in a stack and the direction where they are not the first: ``"rnn l1 reverse"``."""
        return layer_label(self.name, self.layer, self.direction)

    @property
    def hidden_size(self) -> int:
        """Number of units n: the rows of every gate block; of a hand-written recurrence the entries of its state."""
        if self.units is not None:
            return self.units
        return len(self.diagonal) if self.diagonal is not None else len(next(iter(self.gates.values())))

    @property
    def input_size(self) -> int | None:
        """Number of inputs m, or None where the source holds no input weight."""
        return next(iter(self.inputs.values())).shape[-1] if self.inputs else None

    @property
    def output_size(self) -> int:
        """Entries of the state that is fed back and put out: n, or p with a projection."""
        return self.hidden_size if self.projection is None else len(self.projection)

    @property
    def state_size(self) -> int:
        """Entries of the full state: h, and for an LSTM h then c."""
        return self.output_size + (self.hidden_size if self.cell is Cell.LSTM else 0)


def layer_label(name: str, layer: int, direction: Direction, /) -> str:
    """Return the name of a layer for people: :attr:`RecurrentLayer.label`.

    Returns
    -------
    str
        The name.

    Examples
    --------
    >>> layer_label("encoder", 1, "reverse")
    'encoder l1 reverse'
    """
    place = f" l{layer}" if layer or direction == "reverse" else ""
    return f"{name}{place}{' reverse' * (direction == 'reverse')}"


_DEFAULT_ACTIVATION: dict[str, str] = dict.fromkeys(("i", "f", "o", "r", "z"), "sigmoid")
_PLAIN_ACTIVATION = {Cell.RNN_RELU: "relu", Cell.LINEAR: "linear"}
