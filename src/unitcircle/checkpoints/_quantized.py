"""Quantized PyTorch: the packed parameters of its layers, dequantized, under the names of the ordinary layers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from unitcircle.checkpoints._pickle import Global, Inert
from unitcircle.checkpoints._tensor import StoredTensor


def dequantized(integers: StoredTensor, quantizer: Any, /) -> StoredTensor | None:
    """Return the float32 tensor ``scale * (integer - zero_point)``, or None where the scheme is another."""
    if integers.dtype not in {"int8", "uint8", "int32"}:
        return None
    match quantizer:
        case (Global(name="torch.per_tensor_affine"), int() | float() as scale, int() as zero):
            axis, parts = None, (scale, zero)
        case (Global(name="torch.per_channel_affine"), StoredTensor() as scales, StoredTensor() as zeros, int(axis)):
            if not 0 <= axis < len(integers.shape) or not scales.shape == zeros.shape == (integers.shape[axis],):
                return None
            parts = scales, zeros
        case _:
            return None

    def load() -> np.ndarray:
        scale, zero = (part.load() if isinstance(part, StoredTensor) else np.float64(part) for part in parts)
        if axis is not None:
            sides = [1] * len(integers.shape)
            sides[axis] = -1
            scale, zero = scale.reshape(sides), zero.reshape(sides)
        # In float32, as torch does it.
        values = integers.load().astype(np.float32)
        values -= zero.astype(np.float32)
        values *= scale.astype(np.float32)
        return values

    return StoredTensor(integers.shape, "float32", load, ("dequantized", integers.identity))


def packed_parameters(record: Inert, /) -> Inert | None:
    """Return the named tensors that a packed layer holds, or None if a record is no packed layer."""
    name, state = record.name, record.state
    if name == "torch.ScriptObject":
        match state:
            case (state, str(name)):
                pass
            case _:
                return None
    match name.removeprefix("__torch__.torch.classes."), state:
        case "quantized.LinearPackedParamsBase", (StoredTensor() as weight, bias):
            return _named(weight=weight, bias=bias)
        case "rnn.CellParamsBase", ("quantized_dynamic" | "quantized_fp16", _, _, _, [Inert() as ih, Inert() as hh]):
            sides = {"ih": packed_parameters(ih), "hh": packed_parameters(hh)}
            return _named(
                **{f"{key}_{side}": value for side, part in sides.items() if part for key, value in part.entries}
            )
        case _:
            return None


def _named(**tensors: Any) -> Inert:
    named = Inert("")
    named.entries = [(key, tensor) for key, tensor in tensors.items() if isinstance(tensor, StoredTensor)]
    return named


_LAYER = re.compile(r"((?:.*\.)?)_all_weight_values\.(\d{1,6})\.param\.((?:weight|bias)_(?:ih|hh))", re.DOTALL)
_CELL = re.compile(r"((?:.*\.)?)_packed_weight_(ih|hh)\.(weight|bias)", re.DOTALL)
_LINEAR = re.compile(r"(|.*?\.)(?:_packed_params\.){1,2}(weight|bias|[01])", re.DOTALL)


def with_usual_names(
    tensors: Mapping[str, StoredTensor], texts: Mapping[str, str], /
) -> tuple[dict[str, StoredTensor], list[str]]:
    """Return tensors in which those of packed layers have the names of a state dict, and remarks about the layers."""
    if not any("_packed_" in name or "_all_weight_values" in name for name in tensors):
        return dict(tensors), []
    inputs: dict[str, dict[int, tuple[int, ...]]] = {}
    for name, tensor in tensors.items():
        if (match := _LAYER.fullmatch(name)) and match[3] == "weight_ih" and len(tensor.shape) == 2:
            inputs.setdefault(match[1], {})[int(match[2])] = tensor.shape
    directions = {prefix: _directions(shapes, texts.get(f"{prefix}bidirectional")) for prefix, shapes in inputs.items()}
    notes = [
        f"{prefix.rstrip('.') or 'the layer'}: two layers or two directions, the file does not say; taken as two layers"
        for prefix, count in directions.items()
        if count == 0
    ]
    usual = {name: _usual_name(name, directions) for name in tensors}
    packed = {other for name, other in usual.items() if other != name}
    named: dict[str, StoredTensor] = {}
    for name, tensor in tensors.items():
        if name in packed:
            continue  # torch keeps a bias of the same name, and computes with the packed one
        named[name if usual[name] in named else usual[name]] = tensor
    return named, notes


def _usual_name(name: str, directions: Mapping[str, int]) -> str:
    """Return the name that a packed tensor would have in an ordinary layer."""
    if match := _LAYER.fullmatch(name):
        layer, reverse = divmod(int(match[2]), directions.get(match[1], 1) or 1)
        return f"{match[1]}{match[3]}_l{layer}{'_reverse' if reverse else ''}"
    if match := _CELL.fullmatch(name):
        return f"{match[1]}{match[3]}_{match[2]}"
    if match := _LINEAR.fullmatch(name):
        return match[1] + {"0": "weight", "1": "bias"}.get(match[2], match[2])
    return name


def _directions(shapes: Mapping[int, tuple[int, ...]], said: str | None) -> int:
    """Return how many directions each layer has; 0 if the file does not tell."""
    # The second set of weights reads the input too, if it is the other direction of the first layer, or else the
    # state of the first layer.
    if said is not None:
        return 2 if said == "True" else 1
    if len(shapes) < 2 or 0 not in shapes or 1 not in shapes or len(shapes) % 2:
        return 1
    if shapes[0] != shapes[1]:
        return 1
    if 2 in shapes:
        return 1 if shapes[2] == shapes[1] else 2
    return 0 if shapes[0][0] in {3 * shapes[0][1], 4 * shapes[0][1]} else 2
