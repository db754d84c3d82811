"""The recurrent layers of a whole model, each with the inputs that it receives in a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from unitcircle.dynamics._as_recurrence import as_recurrence
from unitcircle.dynamics._batch import call
from unitcircle.dynamics._layers import FUSED, STEPWISE
from unitcircle.dynamics._recurrence import Recurrence
from unitcircle.dynamics._restoration import evaluation_mode
from unitcircle.dynamics._unrolling import unrolled
from unitcircle.torch import RecurrentTensors


@dataclass(frozen=True, eq=False)
class DrivenLayer:
    """One recurrent layer and direction of a model, with its inputs.

    Attributes
    ----------
    name
        Its name in :func:`gradient_flow`: ``"rnn.l0"``, ``"rnn.l0_reverse"``.
    path
        Qualified name of its module.
    layer
        Its index in a stack.
    direction
        ``"forward"`` or ``"reverse"``.
    recurrence
        The layer as a step over its full state.
    inputs
        Inputs of its module in the module's own layout, which the functions of this package take.
    initial
        Initial state passed to its module, or None for zero.
    calls
        How often the model called the module; inputs and initial state are those of the first call.
    """

    name: str
    path: str
    layer: int
    direction: Literal["forward", "reverse"]
    recurrence: Recurrence
    inputs: Tensor
    initial: Any
    calls: int
    _batch_axis: int

    def first(self, count: int, /) -> tuple[Tensor, Any]:
        """Return inputs and initial state of the first sequences of the batch."""
        if self.inputs.ndim < 3:
            return self.inputs, self.initial
        initial = self.initial
        if isinstance(initial, Tensor):
            initial = initial[..., :count, :]
        elif initial is not None:
            initial = tuple(part[..., :count, :] for part in initial)
        return self.inputs.narrow(self._batch_axis, 0, min(count, self.inputs.shape[self._batch_axis])), initial


def driven_layers(
    model: nn.Module, batch: Any, /, *, dtype: torch.dtype | None = torch.float64
) -> tuple[DrivenLayer, ...]:
    """Run a model once and return every recurrent layer that it calls, with the inputs of that layer.

    Parameters
    ----------
    model
        Any module with nn.RNN, nn.GRU, nn.LSTM or their Cells inside. It is not changed; dropout is off.
    batch
        Inputs in the model's own layout, ``(inputs, target)``, or a dictionary of the model's arguments.
    dtype
        Precision; None for the model's own.

    Returns
    -------
    tuple of DrivenLayer
        In the order of ``named_modules``; layer by layer, forward before reverse.

    Examples
    --------
    >>> lstm = nn.LSTM(3, 8, num_layers=2)
    >>> [layer.name for layer in driven_layers(lstm, torch.randn(20, 4, 3))]
    ['l0', 'l1']
    """
    calls: dict[str, list[tuple[Tensor, Any]]] = {}

    def take(tensor: Tensor) -> Tensor:
        return tensor.detach().to(dtype) if dtype is not None and tensor.is_floating_point() else tensor.detach()

    handles: list[Any] = []
    for path, module in model.named_modules():
        if isinstance(module, FUSED + STEPWISE):

            def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], path: str = path) -> None:
                arguments = dict(zip(("input", "hx"), args, strict=False)) | kwargs
                calls.setdefault(path, []).append((arguments["input"].detach(), arguments.get("hx")))

            handles.append(module.register_forward_pre_hook(hook, with_kwargs=True))
    tensors = {name: take(t) for name, t in (*model.named_parameters(), *model.named_buffers())}
    try:
        with evaluation_mode(model), torch.no_grad(), unrolled(model):
            call(lambda *a, **k: functional_call(model, tensors, a, k), batch, dtype)
    finally:
        for handle in handles:
            handle.remove()
    modules = dict(model.named_modules())
    return tuple(layer for path in calls for layer in _layers(path, modules[path], calls[path], dtype))


def _layers(
    path: str, module: nn.Module, calls: list[tuple[Tensor, Any]], dtype: torch.dtype | None
) -> list[DrivenLayer]:
    inputs, initial = calls[0]
    if isinstance(module, STEPWISE):
        (tensors,) = RecurrentTensors.of(module, path)
        recurrence = as_recurrence(module, dtype=dtype)
        steps = torch.stack([x for x, _ in calls])
        return [DrivenLayer(tensors.key, path, 0, "forward", recurrence, steps, initial, 1, 1)]
    batch_axis = 0 if cast("nn.RNNBase", module).batch_first else 1
    layers: list[DrivenLayer] = []
    for row, tensors in enumerate(RecurrentTensors.of(module, path)):
        k, direction = tensors.layer, tensors.direction
        recurrence = as_recurrence(module, layer=k, direction=direction, dtype=dtype)
        start = _row(initial, row)
        layers.append(DrivenLayer(tensors.key, path, k, direction, recurrence, inputs, start, len(calls), batch_axis))
    return layers


def _row(initial: Any, row: int) -> Any:
    if initial is None:
        return None
    if isinstance(initial, Tensor):
        return initial[row : row + 1].detach()
    return tuple(part[row : row + 1].detach() for part in initial)
