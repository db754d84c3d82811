"""From a module or a function to a recurrence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import nn

from unitcircle._keywords import right_keywords
from unitcircle.dynamics._function import FunctionRecurrence, ModuleRecurrence
from unitcircle.dynamics._layers import is_fused, is_stepwise
from unitcircle.dynamics._recurrence import Recurrence
from unitcircle.dynamics._stack import StackRecurrence
from unitcircle.errors import ArgumentError, UnknownNameError


@right_keywords
def as_recurrence(
    module: nn.Module | Callable[[Any, Any], Any] | Recurrence,
    /,
    *,
    state: Any = None,
    layer: int | None = None,
    direction: Literal["forward", "reverse"] | None = None,
    batched: bool | None = None,
    dtype: torch.dtype | None = torch.float64,
) -> Recurrence:
    """Turn a module or a function into a step over its full state: ``s_{t+1} = F(x_t, s_t)``.

    nn.RNN, nn.GRU, nn.LSTM and their Cells are re-expressed in plain operations, with Jacobians in closed form;
    anything else, such as a subclass of them with its own ``forward``, is differentiated by ``torch.func``. The module
    is not changed: weights are copied, and dropout is off while it is measured.

    Parameters
    ----------
    module
        nn.RNN, nn.GRU, nn.LSTM (stacked, bidirectional, projected), nn.RNNCell, nn.GRUCell, nn.LSTMCell, any module
        with ``forward(x, state)``, or any function ``step(x, state)``; both may return ``state`` or
        ``(output, state)``. A :class:`Recurrence` is returned as it is.
    state
        An example, and the default initial state, of any other module or function: a pytree of tensors.
    layer
        One layer of a stack, driven by the layers below it; None for the whole stack as one recurrence.
    direction
        Which of the two recurrences of a bidirectional layer.
    batched
        Whether the leading axis of every tensor of ``state`` is the batch. None: it is if all have at least two axes.
    dtype
        Precision of the copy that is measured; None for the module's own. A bare function computes in the precision
        of ``state``.

    Returns
    -------
    Recurrence
        The step, with its state as one vector.

    Raises
    ------
    ArgumentError
        A bidirectional layer without a direction, or another module without an example of its state.
    UnknownNameError
        A layer or direction the module does not have.

    Examples
    --------
    >>> recurrence = as_recurrence(nn.LSTM(3, 5))
    >>> recurrence.state_size, recurrence.parts
    (10, {'h': slice(0, 5, None), 'c': slice(5, 10, None)})
    """
    if isinstance(module, Recurrence):
        return module
    if is_fused(module):
        directions = ("forward", "reverse") if module.bidirectional else ("forward",)
        if direction not in {None, *directions}:
            raise UnknownNameError("direction", str(direction), directions)
        if module.bidirectional and direction is None:
            remedy = 'Pass direction="forward" and direction="reverse".'
            rule = "must be given for a bidirectional layer, which is two recurrences"
            raise ArgumentError("direction", rule, "None", remedy)
        if module.bidirectional and module.num_layers > 1 and layer is None:
            rule = "must be given for a bidirectional stack, which is not a single recurrence"
            raise ArgumentError("layer", rule, "None", "Each layer reads both directions of the one below it.")
        if layer is not None and layer not in range(module.num_layers):
            raise UnknownNameError("layer", str(layer), map(str, range(module.num_layers)))
        return StackRecurrence(module, layer=layer, direction=direction or "forward", dtype=dtype)
    if is_stepwise(module):
        return StackRecurrence(module, layer=None, direction="forward", dtype=dtype)
    if state is None:
        remedy = "Pass state=, a tensor or a tuple or dictionary of tensors."
        raise ArgumentError("state", f"must be an example of the state of {_name(module)}", "None", remedy)
    if isinstance(module, nn.Module):
        return ModuleRecurrence(module, state, batched=batched, dtype=dtype)
    return FunctionRecurrence(module, state, batched=batched)


def _name(module: Any) -> str:
    return getattr(module, "__name__", type(module).__name__)
