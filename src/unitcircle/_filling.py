"""Initializers by gate: what the ``initialize_`` functions of all frameworks share.

torch, flax and Keras store gates in different layouts, which their adapters know.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from unitcircle import checkpoints
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.initializers import Constant, DecayLaw, GateBias, Initializer, Zeros, decay_law, parse
from unitcircle.recurrence import Cell, RecurrentLayer

Spec = Initializer | str
PerGate = Spec | Mapping[str, Spec] | None
Decay = str | Mapping[str, DecayLaw | str]
AUTHORS = "authors"
"""The laws that the authors of each family state for the parameters of its decay."""


class Fillable(Protocol):
    """A recurrent cell of any framework."""

    @property
    def gates(self) -> tuple[str, ...]:
        """The names of its gates."""
        ...

    @property
    def keeping(self) -> str:
        """The gate that keeps the state; the only one of a plain cell."""
        ...

    @property
    def has_bias(self) -> bool:
        """Whether it has a bias to fill."""
        ...


@dataclass(frozen=True)
class Filling:
    """The initializers of recurrent weights, input weights and biases."""

    # Gate, or "*" for all others → initializer; gates without one are not changed.
    recurrent: Mapping[str, Initializer]
    input: Mapping[str, Initializer]
    bias: Initializer | None  # Initializer of the biases, or None to leave them

    @classmethod
    def parse(cls, recurrent: PerGate, into: PerGate, bias: Spec | None, /) -> Self:
        """Read the arguments of an ``initialize_``."""
        if recurrent is None and into is None and bias is None:
            raise ArgumentError("initialization", "must be told what to fill", "no recurrent, input or bias")
        vector = None if bias is None else parse(bias)
        if not isinstance(vector, GateBias | Zeros | Constant | None):
            raise ArgumentError("bias", "must be forget_bias, chrono, uniform_gate, zeros or constant", str(vector))
        return cls(_by_gate(recurrent), _by_gate(into), vector)

    def check(self, cells: Collection[Fillable], /) -> None:
        """Check that the model has the gates and biases to fill."""
        known = {gate for cell in cells for gate in cell.gates} | {"*"}
        for gate in (*self.recurrent, *self.input):
            if gate not in known:
                raise UnknownNameError("gate", gate, known)
        if self.bias is not None and not any(map(self.fills_bias, cells)):
            gated = any(len(cell.gates) > 1 for cell in cells)
            arrived = "layers without biases" if gated else "plain layers without gates"
            raise ArgumentError("bias", f"must be one that the layers have: {self.bias.name}", arrived)

    def fills_bias(self, cell: Fillable, /) -> bool:
        """Return whether the bias of this cell is filled; a gate bias does not apply to plain cells."""
        if self.bias is None or not cell.has_bias:
            return False
        return len(cell.gates) > 1 or not isinstance(self.bias, GateBias)

    @staticmethod
    def by_gate(specs: Mapping[str, Initializer], gates: Iterable[str], /) -> dict[str, Initializer]:
        """Return gate → initializer, in the order of the gates, without those that have none."""
        inits = {gate: specs.get(gate, specs.get("*")) for gate in gates}
        return {gate: init for gate, init in inits.items() if init is not None}


def _by_gate(spec: PerGate) -> dict[str, Initializer]:
    if spec is None:
        return {}
    specs = spec if isinstance(spec, Mapping) else {"*": spec}
    return {gate: parse(init) for gate, init in specs.items()}


def biases_of(init: Initializer, z: Any, gates: Collection[str], /, *, keeping: str) -> dict[str, Any]:
    """Return gate → bias ``(..., n)``, from normal numbers z ``(..., n)``, for every gate that an initializer sets."""
    if isinstance(init, GateBias):
        return init.by_gate(z, gates, keeping=keeping)
    return dict.fromkeys(gates, init(z))


def gated_cell(init: Initializer, gates: int | None, /) -> Cell:
    """Return the gated cell that has this number of gates, for a bias that depends on the cell."""
    cells = {len(cell.gates): cell for cell in Cell if cell.gated}
    if gates not in cells:
        raise ArgumentError("gates", f"must be 4 (LSTM) or 3 (GRU) for {init}", str(gates))
    return cells[gates]


@dataclass(frozen=True)
class DecayFill:
    """A parameter of the decay of a linear recurrence, and what fills it."""

    tensor: str
    law: DecayLaw
    gamma: str = ""  # Of ν of an LRU: the name of the logarithm of its input normalization
    places: np.ndarray | None = None  # Of a part of a tensor: the flat place of each entry, in its shape


def decay_fills(tensors: Mapping[str, Any], decay: Decay, config: Mapping[str, Any]) -> list[DecayFill]:
    """Return what fills the parameters of decays among named arrays: the laws of their authors, or those given."""
    given: dict[str, DecayLaw] = {}
    if isinstance(decay, Mapping):
        given = {name: DecayLaw.parse(law) for name, law in decay.items()}
    elif decay != AUTHORS:
        raise ArgumentError("decay", f"must be {AUTHORS!r}, or map parameters to laws", reprlib.repr(decay))
    layers = [layer for layer in checkpoints.read(dict(tensors), config=config) if layer.linear is not None]
    fills: list[DecayFill] = []
    for place, layer in enumerate(layers):
        linear = layer.linear
        assert linear is not None
        for parameter, stored in linear.names.items():
            known = layer.source.tensors
            name = next((one for one in known if one == stored or one.endswith((f".{stored}", f"/{stored}"))), "")
            text = linear.family.laws.get(parameter, "")
            law = given.get(parameter) or given.get(stored)
            if law is None and not given and text:
                law = decay_law(text, layer=place, layers=len(layers))
            if law is None or name not in tensors:
                continue
            whole = math.prod(tensors[name].shape) == np.size(linear.parameters[parameter])
            places = None if whole else places_in(tensors, layer, name, parameter)
            if whole or places is not None:
                gamma = name.removesuffix(stored) + "gamma_log"
                fits = parameter == "nu_log" and gamma in tensors and tensors[gamma].shape == tensors[name].shape
                fills.append(DecayFill(name, law, gamma if fits else "", places))
    found = {name for layer in layers if layer.linear for pair in layer.linear.names.items() for name in pair}
    if unknown := sorted(given.keys() - found):
        raise UnknownNameError("decay", unknown[0], found)
    if not fills:
        rule = "must hold a linear recurrence whose authors state a law of its decay"
        families = ", ".join(dict.fromkeys(layer.linear.family.name for layer in layers if layer.linear)) or "none"
        raise ArgumentError("module", rule, families, "Pass decay={parameter: law} for another law.")
    return fills


def places_in(tensors: Mapping[str, Any], layer: RecurrentLayer, name: str, parameter: str, /) -> np.ndarray | None:
    """Return the flat places in a tensor of the entries of a decay that is a part of it; None if untold."""
    # The layer is read again with the tensor's entries numbered: what its reader calls the parameter are the places.
    shape = tuple(tensors[name].shape)
    size, unit = math.prod(shape), 2.0**-24  # as small numbers, which no exponential takes out of range
    numbered = {one: tensors[one] for one in layer.source.tensors if one in tensors}
    numbered[name] = (unit * np.arange(size)).reshape(shape)
    read = [one.linear for one in checkpoints.read(numbered) if one.linear is not None]
    if len(read) != 1 or parameter not in read[0].parameters:
        return None
    places = np.asarray(read[0].parameters[parameter]) / unit
    whole = (places == np.rint(places)).all() and np.unique(places).size == places.size
    return places.astype(int) if whole and places.min() >= 0 and places.max() < size else None
