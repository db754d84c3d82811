"""The recurrent layers of a module."""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from unitcircle.errors import ArgumentError
from unitcircle.recurrence import RecurrentLayer
from unitcircle.torch._modules import recurrent_tensors, suspects


def to_layers(model: nn.Module, /, *, linear: Collection[str] = ()) -> list[RecurrentLayer]:
    """Return the recurrent layers of a module, for :func:`unitcircle.diagnose`.

    The same layers that :func:`unitcircle.read` finds in a file of the model's state dict, with their current weights;
    a parametrized weight is the computed one.

    Parameters
    ----------
    model
        A module; nn.RNN, nn.GRU, nn.LSTM and their cells are found at any depth.
    linear
        Names of square Linear modules in your own code that are recurrent: ``["h2h"]``. They are taken as plain tanh
        layers without input weights, because a Linear module does not determine its activation or inputs.

    Returns
    -------
    list of RecurrentLayer
        One per layer and direction, in the order of ``named_modules``. A weight that several modules share is one
        layer. Blocks are views of the module's weights on the CPU.

    Raises
    ------
    ArgumentError
        No recurrent layer, a Linear module that is not square, or weights on the meta device.
    UnknownNameError
        A name in ``linear`` that no Linear module has.

    Examples
    --------
    >>> lstm = nn.LSTM(3, 5, num_layers=2)
    >>> [(layer.label, list(layer.gates), layer.gates["f"].shape) for layer in to_layers(lstm)]
    [('lstm', ['i', 'f', 'g', 'o'], (5, 5)), ('lstm l1', ['i', 'f', 'g', 'o'], (5, 5))]
    """
    if not isinstance(model, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ArgumentError("model", "must be a torch.nn.Module", type(model).__qualname__)
    layers = [tensors.as_layer() for tensors in recurrent_tensors(model, linear)]
    if not layers:
        names = suspects(model, linear)
        remedy = f"Name recurrent Linear modules: linear={names}." if names else ""
        raise ArgumentError("model", "must hold a recurrent layer", type(model).__name__, remedy)
    return layers
