"""Layers of linear attention that only their class tells: their parameters are named as in softmax attention."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

_CLASSES = {
    "BasedLinearAttention": "Based",
    "ReBasedLinearAttention": "ReBased",
    "LinearAttention": "linear attention",
    "MultiScaleRetention": "RetNet",
}
"""Class → what it is. Of one name that others use too, only the class of flash-linear-attention."""
_OF_FLA = {"LinearAttention"}
_READ = "g_norm_swish_gate.weight"
"""The parameter by which a RetNet is read."""


def told_by_class(model: nn.Module, told: Iterable[str] = (), /) -> list[str]:
    """Return a sentence for each kind of layer whose class says that it is a linear attention; ``told`` name others."""
    places: dict[str, list[str]] = {}
    told = tuple(told)
    for name, module in model.named_modules():
        kind = type(module)
        if kind.__name__ not in _CLASSES or (kind.__name__ in _OF_FLA and not kind.__module__.startswith("fla.")):
            continue
        by_name = any(sentence.partition(" look")[0].partition(" and ")[0] == name for sentence in told)
        if not by_name and all(key != _READ for key, _ in module.named_parameters()):
            places.setdefault(kind.__name__, []).append(name)
    return [
        f"{names[0] or 'the model'}{f' and {len(names) - 1} more' if len(names) > 1 else ''} "
        f"{'are' if len(names) > 1 else 'is'} {_CLASSES[kind]}, of the class {kind}: not read"
        for kind, names in places.items()
    ]
