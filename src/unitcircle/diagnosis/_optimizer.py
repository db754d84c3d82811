"""What an optimizer of torch does to the parameters of a module besides following the gradient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from unitcircle.errors import ArgumentError

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Regularization:
    """What an optimizer does to one parameter.

    Attributes
    ----------
    held
        Whether the parameter is in a group of the optimizer.
    trainable
        Whether it takes gradients.
    weight_decay, rate
        Those of its group.
    marked
        Whether its author marked it with ``_no_weight_decay``.
    """

    held: bool
    trainable: bool
    weight_decay: float = 0.0
    rate: float = 0.0
    marked: bool = False


def regularization_of(optimizer: Any, model: nn.Module, /) -> dict[str, Regularization]:
    """Return name of a parameter → what an optimizer does to it."""
    groups = getattr(optimizer, "param_groups", None)
    if not isinstance(groups, list) or not all(isinstance(group, Mapping) and "params" in group for group in groups):
        rule = "must be an optimizer of torch, with param_groups"
        raise ArgumentError("optimizer", rule, type(optimizer).__name__, "Pass the one that trains the module.")
    by_identity: dict[int, Mapping[str, Any]] = {}
    for group in cast("list[Mapping[str, Any]]", groups):
        by_identity |= dict.fromkeys(map(id, group["params"]), group)
    named = dict(model.named_parameters(remove_duplicate=False))
    if named and not any(id(value) in by_identity for value in named.values()):
        rule = "must hold parameters of the module"
        raise ArgumentError("optimizer", rule, f"{type(optimizer).__name__} of other parameters")
    found: dict[str, Regularization] = {}
    for name, value in named.items():
        group = by_identity.get(id(value))
        marked = bool(getattr(value, "_no_weight_decay", False))
        if group is None:
            found[name] = Regularization(held=False, trainable=value.requires_grad, marked=marked)
            continue
        decay, rate = (float(group.get(key) or 0.0) for key in ("weight_decay", "lr"))
        found[name] = Regularization(True, value.requires_grad, decay, rate, marked)
    return found
