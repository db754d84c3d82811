"""A batch in the form that training loops use, and its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import PackedSequence
from torch.utils import _pytree as pytree

from unitcircle.errors import ArgumentError


def call(model: Callable[..., Any], batch: Any, dtype: torch.dtype | None, /) -> tuple[Any, Any]:
    """Run a model on a batch: ``inputs``, ``(inputs, target)`` or a dictionary of arguments."""

    def take(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        return leaf.detach().to(dtype) if dtype is not None and leaf.is_floating_point() else leaf.detach()

    target = None
    if isinstance(batch, tuple | list) and not isinstance(batch, PackedSequence):
        if len(cast("list[Any]", batch)) != 2:
            remedy = "Pass a dictionary of the model's arguments for more than one input."
            raise ArgumentError("batch", "must be inputs or (inputs, target)", f"{len(batch)} items", remedy)
        batch, target = batch
    arguments: Any = pytree.tree_map(take, batch)
    try:
        if isinstance(batch, Mapping):
            return model(**arguments), target
        return model(arguments), pytree.tree_map(take, target)
    except RuntimeError as error:
        if "dtype" not in str(error):
            raise
        remedy = "It creates tensors in another precision: pass dtype=None to measure it in its own precision."
        raise ArgumentError("model", "must compute in the precision of its input", str(error), remedy) from error


def loss_of(output: Any, target: Any, loss: Callable[..., Any] | None, /) -> Tensor | None:
    """Return the scalar loss of an output, or None where there is neither a loss nor a target."""
    if loss is None and target is None:
        return None
    if loss is not None:
        value: Any = loss(output) if target is None else loss(output, target)
    else:
        if not isinstance(output, Tensor):
            remedy = "Pass loss=, a function of output and target."
            raise ArgumentError("model", "must return one tensor for the default loss", type(output).__name__, remedy)
        integers = not target.is_floating_point()
        value = functional.cross_entropy(output, target) if integers else functional.mse_loss(output, target)
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ArgumentError("loss", "must return a scalar tensor", f"{type(value).__name__}")
    return value
