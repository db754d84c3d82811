"""Layers from named tensors: which belong together, in which layout, and which only look recurrent."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unitcircle.checkpoints._choice import cell_of_stack
from unitcircle.checkpoints._coverage import Coverage, Entry
from unitcircle.checkpoints._families import Match, gated_families, keras_family, plain_families
from unitcircle.checkpoints._impostors import is_of_optimizer, suspicion
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import ArgumentError
from unitcircle.recurrence import (
    Cell,
    RecurrentLayer,
    Source,
    from_flax,
    from_keras,
    from_low_rank,
    from_lru,
    from_mamba,
    from_s4d,
    from_torch,
)

_ASSUMED_COLUMNS = "hand-written plain cells are taken to act on columns; their spectra are the same either way"
_ASSUMED_TANH = "plain cells whose file does not name the activation are taken as tanh"


def assemble(
    tensors: Mapping[str, StoredTensor],
    /,
    *,
    file: str,
    texts: Mapping[str, str] | None = None,
    chosen: Sequence[RecurrentLayer] = (),
) -> tuple[list[RecurrentLayer], Coverage]:
    """Return the chosen layers and the recurrent layers among the other tensors, and what became of every tensor."""
    work = _Assembly(tensors, file, texts or {})
    for layer in chosen:
        work.keep(layer)
    work.set_aside()
    for name in list(work.free):
        if name in work.free:
            work.find(name)
    return work.layers_in_order(), work.coverage()


@dataclass
class _Assembly:
    tensors: Mapping[str, StoredTensor]
    file: str
    texts: Mapping[str, str]
    free: dict[str, StoredTensor] = field(init=False)
    layers: list[RecurrentLayer] = field(default_factory=list[RecurrentLayer])
    taken: dict[str, str] = field(default_factory=dict[str, str])
    skipped: dict[str, tuple[str, bool]] = field(default_factory=dict[str, tuple[str, bool]])
    notes: dict[str, None] = field(default_factory=dict[str, None])

    def __post_init__(self) -> None:
        self.free = dict(self.tensors)

    def set_aside(self) -> None:
        """Take out what cannot be a weight of its own: the state of optimizers, and second names of one memory."""
        first: dict[object, str] = {self.tensors[name].identity: name for name in self.taken}
        for name, tensor in list(self.free.items()):
            if is_of_optimizer(name):
                del self.free[name]
                if suspicion("hh", tensor):
                    self.skipped[name] = "state of an optimizer, by its name", False
            elif tensor.identity is not None and first.setdefault(tensor.identity, name) != name:
                del self.free[name]
                if suspicion("hh", tensor):
                    self.skipped[name] = f"the same memory as {first[tensor.identity]}", False

    def find(self, name: str) -> None:
        """Make the layer whose recurrent weight a tensor is, if its name says that it is one."""
        for recognise in (
            self._gated_layer,
            self._keras_layer,
            self._flax_layer,
            self._structured_layer,
            self._plain_layer,
        ):
            try:
                layer = recognise(name)
            except ArgumentError as error:
                self.skipped[name] = f"named as a recurrent weight, but: {error}", True
                self.free.pop(name, None)
                return
            if layer is not None:
                self.keep(layer)
                return

    def keep(self, layer: RecurrentLayer) -> None:
        """Record a layer, and that its tensors are no longer free."""
        self.layers.append(layer)
        for name in layer.source.tensors:
            self.taken[name] = layer.name
            self.free.pop(name, None)

    def layers_in_order(self) -> list[RecurrentLayer]:
        """Return the layers by the place of their recurrent weight in the file, reverse after forward."""
        place = {name: index for index, name in enumerate(self.tensors)}
        return sorted(self.layers, key=lambda layer: place[layer.source.tensors[0]])

    def coverage(self) -> Coverage:
        """Return what became of every tensor."""
        shape = {name: tensor.shape for name, tensor in self.tensors.items()}
        for name, tensor in self.free.items():
            verdict = suspicion(name, tensor)
            if verdict and name not in self.skipped:
                self.skipped[name] = verdict
        return Coverage(
            analysed=tuple(Entry(name, shape[name], layer) for name, layer in self.taken.items()),
            skipped=tuple(Entry(name, shape[name], *self.skipped[name]) for name in shape if name in self.skipped),
            notes=tuple(self.notes),
            other=len(self.tensors) - len(self.taken) - len(self.skipped),
        )

    def source(self, names: Sequence[str], layout: str = "") -> Source:
        """Return the source of a layer whose recurrent weight is the first of some tensors."""
        return Source(self.file, tuple(names), layout, self.tensors[names[0]].dtype)

    def load(self, name: str | None) -> Any:
        """Return the values of a tensor that is there."""
        return None if name is None else self.tensors[name].load()

    def _plain_cell(self, prefix: str) -> Cell:
        for switch in ("mode", "nonlinearity"):
            text = self.texts.get(prefix + switch, "").lower().removeprefix("rnn_")
            if text in {"tanh", "relu"}:
                return Cell.plain(text)
        self.notes[_ASSUMED_TANH] = None
        return Cell.RNN_TANH

    def _match(self, families: Sequence[Any], name: str) -> Match | None:
        if not self.tensors[name].is_matrix:
            return None
        matches = (family.match(name, self.free) for family in families)
        return next((match for match in matches if match is not None), None)

    def _gated_layer(self, name: str) -> RecurrentLayer | None:
        match = self._match(gated_families, name)
        if match is None:
            return None
        rows, columns = self.tensors[name].shape
        cell = cell_of_stack(rows, columns if match.projection is None else self.tensors[match.projection].shape[-1])
        if cell is None:
            raise ArgumentError(name, "must stack 1, 3 or 4 square blocks", f"shape {(rows, columns)}")
        if cell is Cell.RNN_TANH:
            cell = self._plain_cell(match.prefix)
        return from_torch(
            self.load(name),
            cell=cell,
            weight_ih=self.load(match.inputs),
            bias_ih=self.load(match.bias),
            bias_hh=self.load(match.recurrent_bias),
            weight_hr=self.load(match.projection),
            name=_layer_name(match.prefix, name),
            layer=match.layer,
            direction="reverse" if match.reverse else "forward",
            source=self.source(match.tensors),
        )

    def _keras_layer(self, name: str) -> RecurrentLayer | None:
        match = self._match([keras_family], name)
        if match is None:
            return None
        units, columns = self.tensors[name].shape
        cell = cell_of_stack(columns, units)
        if cell is None:
            raise ArgumentError(name, "must stack 1, 3 or 4 square blocks", f"shape {(units, columns)}")
        if cell is Cell.RNN_TANH:
            self.notes[_ASSUMED_TANH] = None
        return from_keras(
            self.load(name),
            cell=cell,
            kernel=self.load(match.inputs),
            bias=self.load(match.bias),
            name=_layer_name(match.prefix, name),
            source=self.source(match.tensors),
        )

    def _flax_layer(self, name: str) -> RecurrentLayer | None:
        match = re.fullmatch(r"(?P<prefix>(?:.*[./])?)(?:hi|hr|h|dense_h)(?P<dot>[./])kernel", name, re.DOTALL)
        if match is None:
            return None
        prefix, dot = match["prefix"], match["dot"]
        parts = ("dense_h", "dense_i", "h", "i", "if_", *(f"{side}{gate}" for side in "hi" for gate in "ifgorzn"))
        names = {
            (part, leaf): f"{prefix}{part}{dot}{leaf}"
            for part in parts
            for leaf in ("kernel", "bias")
            if f"{prefix}{part}{dot}{leaf}" in self.free
        }
        parameters: dict[str, dict[str, Any]] = {}
        for (part, leaf), full in names.items():
            parameters.setdefault(part, {})[leaf] = self.load(full)
        if parameters.keys() == {"hi", "ii"}:  # a cell of one gate, named as those of several
            parameters = {"h": parameters["hi"], "i": parameters["ii"]}
        used = [name, *(full for full in names.values() if full != name)]
        return from_flax(parameters, name=_layer_name(prefix, name), source=self.source(used))

    def _structured_layer(self, name: str) -> RecurrentLayer | None:
        for key, others, make in _STRUCTURED:
            if name != key and not name.endswith((f".{key}", f"/{key}", f"_{key}")):
                continue
            prefix = name.removesuffix(key)
            names = [name, *(prefix + other for other in others)]
            if all(full in self.free for full in names):
                arrays = [self.load(full) for full in names]
                return make(*arrays, name=_layer_name(prefix, name), source=self.source(names))
        return None

    def _plain_layer(self, name: str) -> RecurrentLayer | None:
        match = self._match(plain_families, name)
        if match is None or len(set(self.tensors[name].shape)) != 1 or self.tensors[name].shape[0] < 2:
            return None
        units = self.tensors[name].shape[0]
        # Names like "bias" are so common that only the shape shows whether they belong here.
        biases = [full if full and self.tensors[full].shape == (units,) else None for full in match.biases]
        inputs = match.inputs if match.inputs and units in self.tensors[match.inputs].shape else None
        recurrent, input_weight, layout = self.load(name), self.load(inputs), "columns?"
        if input_weight is not None and input_weight.shape != (units, units):
            # The input weight tells on which side the author writes the state.
            layout = "columns" if len(input_weight) == units else "rows"
            if layout == "rows":
                recurrent, input_weight = recurrent.T, input_weight.T
        if layout == "columns?":
            self.notes[_ASSUMED_COLUMNS] = None
        return from_torch(
            recurrent,
            cell=self._plain_cell(match.prefix),
            weight_ih=input_weight,
            bias_ih=self.load(biases[0]),
            bias_hh=self.load(biases[1]),
            name=_layer_name(match.prefix, name),
            source=self.source([full for full in (name, inputs, *biases) if full], layout),
        )


def _low_rank(m: Any, n: Any, **options: Any) -> RecurrentLayer | None:
    if m.ndim != 2 or m.shape != n.shape or 2 * m.shape[1] > m.shape[0] or m.dtype.kind != "f":
        return None
    return from_low_rank(m, n, **options)


def _s4d(log_A_real: Any, A_imag: Any, log_dt: Any, **options: Any) -> RecurrentLayer:
    return from_s4d(-np.exp(log_A_real.astype(np.float64)) + 1j * A_imag, log_dt, **options)


def _s5(real: Any, imaginary: Any, log_step: Any, **options: Any) -> RecurrentLayer:
    return from_s4d(real + 1j * imaginary, log_step.ravel(), **options)


_STRUCTURED: tuple[tuple[str, tuple[str, ...], Callable[..., RecurrentLayer | None]], ...] = (
    ("nu_log", ("theta_log",), from_lru),
    ("A_log", ("dt_proj.bias",), from_mamba),
    ("A_log", ("dt_bias",), from_mamba),
    ("log_A_real", ("A_imag", "log_dt"), _s4d),
    ("Lambda_re", ("Lambda_im", "log_step"), _s5),
    ("m", ("n",), _low_rank),
)
"""A name that starts a structured recurrence, the names of its other parts, and what makes the layer."""


def _layer_name(prefix: str, name: str) -> str:
    return prefix.rstrip("./_") or name
