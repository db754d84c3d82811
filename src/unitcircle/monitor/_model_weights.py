"""Which reader of weights a model needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from unitcircle.diagnosis import is_live
from unitcircle.errors import ArgumentError
from unitcircle.monitor._options import CheckedOptions
from unitcircle.monitor._weights import NamedWeights, Weights

_DOORS = {
    "keras": "Pass model.fit(..., callbacks=[unitcircle.monitor.KerasCallback()]).",
    "flax": "Pass a function without arguments that returns name -> (n, n) array.",
    "equinox": "Pass a function without arguments that returns name -> (n, n) array.",
}
"""Package of a model of another framework -> how it is watched."""


def weights_of(model: Any, options: CheckedOptions, /) -> Weights:
    """Return the watched weights of a torch module, of a function that returns weights, or of an adapter's reader."""
    if is_live(model):
        # It needs torch, which is imported already since the model exists.
        from unitcircle.monitor._torch_weights import TorchWeights  # noqa: PLC0415

        return TorchWeights(model, options.names, options.square_limit)
    if options.names or options.batch is not None:
        raise ArgumentError("model", "must be a torch.nn.Module for names and batch", type(model).__name__)
    if isinstance(model, Weights):
        return model
    # Modules of other frameworks are callable, and are no functions without arguments.
    packages = {kind.__module__.split(".")[0] for kind in type(model).__mro__}
    remedy = next((text for package, text in _DOORS.items() if package in packages), "")
    if callable(model) and not remedy:
        return NamedWeights(cast("Callable[[], Mapping[str, Any]]", model))
    if isinstance(model, Mapping):
        remedy = "Pass a function without arguments that returns them as they are then."
    rule = "must be a torch.nn.Module or a function that returns weights"
    raise ArgumentError("model", rule, type(model).__name__, remedy)
