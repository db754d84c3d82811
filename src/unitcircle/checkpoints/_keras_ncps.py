"""Cells of ncps (CfC, LTC) in files of Keras whose configuration says their equation."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from unitcircle.checkpoints._counted_layer import source_of
from unitcircle.checkpoints._hdf5 import Hdf5File
from unitcircle.checkpoints._keras_config import NcpsCell
from unitcircle.checkpoints._layer_names import natural_order
from unitcircle.checkpoints._room import take
from unitcircle.errors import ArgumentError
from unitcircle.recurrence import RecurrentLayer, from_linear, is_known_activation

MAX_UNFOLDS = 100
_CFC = {"ff1_weight": "ff1.weight", "ff1_bias": "ff1.bias", "ff2_weight": "ff2.weight", "ff2_bias": "ff2.bias"}
_PURE = {"ff1_weight": "ff1.weight", "ff1_bias": "ff1.bias", "w_tau": "w_tau", "A": "A"}
_LTC = (
    "gleak", "vleak", "cm", "sigma", "mu", "w", "erev", "sensory_sigma", "sensory_mu", "sensory_w", "sensory_erev",
)  # fmt: skip
"""Variables of the cells in the order in which they make them, which is that of their numbers; and our names."""
_DENSE = re.compile(r"(?P<layer>(?:.*/)?(?P<kind>time_[ab]|dense(?:_\d+)?|backbone\d+))/(?P<leaf>[01]|kernel|bias)")
_ACTIVATIONS = {"lecun_tanh": "scaled_tanh(1.7159, 0.666)"}
_UNREAD = {
    "MixedMemoryRNN": "the memory in front of it (mixed_memory) is a second state",
    "WiredCfCCell": "the mask of its wiring is drawn by its program, and the file holds its seed alone",
}


@dataclass(frozen=True)
class _Arrays:
    """The arrays of a cell: leaf below it -> its name in the file."""

    file: Hdf5File
    leaves: Mapping[str, str]

    def numbered(self, names: tuple[str, ...]) -> dict[str, str]:
        """Return name -> leaf of the cell's own variables, whichever way the file names them."""
        places = {str(place): name for place, name in enumerate(names)}
        return {places.get(leaf, leaf): leaf for leaf in self.leaves if places.get(leaf, leaf) in names}

    def load(self, leaf: str) -> np.ndarray:
        return np.asarray(self.file[self.leaves[leaf]], dtype=float)


def ncps_layer(file: Hdf5File, leaves: Mapping[str, str], cell: NcpsCell, name: str, path: str) -> RecurrentLayer | str:
    """Return a CfC or an LTC at rest, or why it is not read."""
    if cell.kind in _UNREAD:
        return _UNREAD[cell.kind]
    if any(array not in file for array in leaves.values()):
        return "it holds arrays of no floating type"
    take(8 * sum(int(np.prod(file.shapes[array] or (), dtype=object)) for array in leaves.values()), "its arrays")
    arrays = _Arrays(file, leaves)
    found = {"CfCCell": _cfc, "LTCCell": _ltc}.get(cell.kind, lambda *_: "its class is not known")(arrays, cell.config)
    if isinstance(found, str):
        return found
    family, values, names = found
    stored = {part: leaves[leaf] for part, leaf in names.items()}
    tensors = tuple(stored.values())
    try:
        return from_linear(
            family,
            values,
            names=stored,
            dtypes={part: file.dtype(array) for part, array in stored.items()},
            name=name,
            direction="reverse" if cell.reverse else "forward",
            source=source_of(path, tensors, dtype=file.dtype(tensors[0])),
        )
    except ArgumentError as error:
        return f"its arrays do not fit together: {error}"


_Found = tuple[str, dict[str, np.ndarray], dict[str, str]]
"""A family, the values of its parameters, and the leaves that they come from."""


def _cfc(arrays: _Arrays, config: Mapping[str, object]) -> _Found | str:
    mode = config.get("mode")
    order = {"pure": _PURE, "default": _CFC, "no_gate": _CFC}.get(mode if isinstance(mode, str) else "")
    if order is None:
        return f"its mode is {str(mode)[:40]!r}"
    if config.get("sparsity_mask") is not None:
        return "its sparsity mask is an argument, which is not read"
    names = {order[name]: leaf for name, leaf in arrays.numbered(tuple(order)).items()}
    found = [match for leaf in sorted(arrays.leaves, key=natural_order) if (match := _DENSE.fullmatch(leaf))]
    layers = list(dict.fromkeys(match["layer"] for match in found if not match["kind"].startswith("time_")))
    layers.sort(key=natural_order)
    for match in found:
        kind = match["kind"] if match["kind"].startswith("time_") else f"backbone.{layers.index(match['layer'])}"
        names[f"{kind}.{'weight' if match['leaf'] in {'0', 'kernel'} else 'bias'}"] = match[0]
    depth = config.get("backbone_layers")
    heads = () if mode == "pure" else ("time_a", "time_b")
    expected = {f"{one}.{part}" for one in (*heads, *(f"backbone.{k}" for k in range(len(layers))))
                for part in ("weight", "bias")} | set(order.values())  # fmt: skip
    if depth != len(layers) or names.keys() != expected:
        return f"its arrays are not those of a CfC with {str(depth)[:20]} layers in its backbone"
    function = str(config.get("activation"))
    function = _ACTIVATIONS.get(function, function)
    if layers and not is_known_activation(function):
        return f"the activation of its backbone is {function[:40]}"
    values = {part: arrays.load(leaf) for part, leaf in names.items()}
    values = {part: value.T if part.endswith("weight") else value for part, value in values.items()}
    values[f"activation {function}"] = np.ones(1)
    if mode == "no_gate":
        values["no_gate"] = np.ones(1)
    return ("CfC, pure" if mode == "pure" else "CfC of Keras"), values, names


def _ltc(arrays: _Arrays, config: Mapping[str, object]) -> _Found | str:
    unfolds, epsilon = config.get("ode_unfolds"), config.get("epsilon")
    if type(unfolds) is not int or not 1 <= unfolds <= MAX_UNFOLDS:
        return f"its solver makes {str(unfolds)[:20]} steps a token"
    if not isinstance(epsilon, float | int) or not 0 <= epsilon < 1:
        return f"the epsilon of its solver is {str(epsilon)[:20]}"
    mapped = [end for side in ("input", "output") for end in _mapping(side, config.get(f"{side}_mapping"))]
    names = arrays.numbered((*_LTC, *mapped))
    if missing := [name for name in (*_LTC, *mapped) if name not in names]:
        return f"it has no {missing[0]}"
    values = {part: arrays.load(names[part]) for part in (*_LTC, *(["input_b"] if "input_b" in mapped else []))}
    units = values["gleak"].size
    take(64 * units**2, "the Jacobian of its cell")
    # The wiring starts erev at ±1 where it has a synapse and at 0 elsewhere, where no gradient ever comes.
    values["sparsity_mask"] = (values["erev"] != 0).astype(float)
    values["sensory_sparsity_mask"] = (values["sensory_erev"] != 0).astype(float)
    values |= {"unfolds": np.array(unfolds), "epsilon": np.array(float(epsilon))}
    return "LTC", values, {part: names[part] for part in values if part in names}


def _mapping(side: str, kind: object) -> tuple[str, ...]:
    """Return the variables of an affine map at one side of an LTC."""
    return tuple(f"{side}_{one}" for one, kinds in (("w", ("affine", "linear")), ("b", ("affine",))) if kind in kinds)
