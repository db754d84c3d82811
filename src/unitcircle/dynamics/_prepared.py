"""The one door to a live model: the module itself, the batch as its arguments, and the loss; or a refusal by name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from unitcircle.dynamics._batch import Batch, batch_of, own_precision
from unitcircle.dynamics._objective import Objective
from unitcircle.errors import ArgumentError, DtypeError

Result = TypeVar("Result")
_JAX = frozenset({"flax", "jax", "jaxlib", "equinox", "haiku"})
_SHARDED = frozenset({"FullyShardedDataParallel", "DeepSpeedEngine", "DTensor"})


class Prepared(NamedTuple):
    """What is run: a module without wrappers, its arguments and target, and the loss."""

    model: nn.Module
    """The module inside ``torch.compile``, DataParallel and DistributedDataParallel."""
    batch: Batch
    """Its arguments as tensors on its device, and the target."""
    loss: Objective
    """The loss as a function of output and target; it knows which one was used."""

    def in_double(self, run: Callable[[torch.dtype | None], Result], /) -> tuple[Result, torch.dtype | None]:
        """Run in double precision, or in the model's own where it does not run in double.

        Parameters
        ----------
        run
            The measurement, a function of its ``dtype``.

        Returns
        -------
        tuple
            Its result, and the precision: None for the model's own.

        Raises
        ------
        ArgumentError
            The measurement fails in both.
        """
        try:
            return run(torch.float64), torch.float64
        except ArgumentError:
            if own_precision(self.model) == torch.float64:
                raise
            return run(None), None


def prepared(model: Any, batch: Any, loss: Callable[..., Any] | None = None, /) -> Prepared:
    """Return a live model, a batch and a loss in the one form in which this package runs them.

    Parameters
    ----------
    model
        A ``torch.nn.Module``, which may be compiled or wrapped for data parallelism.
    batch
        Inputs; ``(inputs, target)``; ``(x, lengths, target)`` for a model that takes both; a dictionary of the model's
        arguments, with the target under a key the model does not take (``"labels"``, ``"target"``, ``"y"``) or as
        ``(dictionary, target)``; of tensors, or arrays of NumPy; or a ``DataLoader``, whose first batch is taken.
    loss
        ``loss(output)`` or ``loss(output, target)``, a scalar: a function, or one of torch's modules, whose weights
        follow the precision. Without it the loss that the model returns (``output.loss``); cross entropy for integer
        targets, over the last axis of the output; squared error for others.

    Returns
    -------
    Prepared
        Module, batch and loss. To prepare them again changes nothing.

    Raises
    ------
    ArgumentError
        A model that cannot be differentiated (scripted, quantized, sharded, on the meta device, of another framework),
        or a batch that does not fit it.

    Examples
    --------
    >>> import torch
    >>> ready = prepared(torch.nn.DataParallel(torch.nn.RNN(2, 4)), torch.zeros(5, 3, 2))
    >>> type(ready.model).__name__
    'RNN'
    """
    module = unwrapped(model)
    _require_measurable(module)
    objective = loss if isinstance(loss, Objective) else Objective(loss)
    return Prepared(module, batch_of(batch, module, loss), objective)


def unwrapped(model: Any, /) -> nn.Module:
    """Return the module inside ``torch.compile``, DataParallel and DistributedDataParallel.

    Parameters
    ----------
    model
        A module.

    Returns
    -------
    torch.nn.Module
        The module itself where it has no such wrapper.

    Raises
    ------
    ArgumentError
        It is no module, or is one of Keras.

    Examples
    --------
    >>> model = torch.nn.Linear(2, 2)
    >>> unwrapped(torch.nn.DataParallel(model)) is model
    True
    """
    keras = sys.modules.get("keras")
    is_keras = keras is not None and isinstance(model, keras.Layer)
    if is_keras or not isinstance(model, nn.Module):
        raise ArgumentError("model", "must be a torch.nn.Module", type(model).__name__, _own_door(model))
    parallel = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while True:
        if isinstance(model, parallel):
            model = model.module
        elif isinstance(inner := getattr(model, "_orig_mod", None), nn.Module):
            model = inner
        else:
            return model


def _own_door(model: Any) -> str:
    """Return where an object that is no module of torch's own is accepted."""
    packages = {kind.__module__.split(".")[0] for kind in type(model).__mro__}
    doors = (
        ("keras" in packages, "Pass unitcircle.diagnose(model) without a batch, or unitcircle.keras.to_layers(model)."),
        (packages & _JAX, "Pass unitcircle.diagnose(model, batch), or measure its step with unitcircle.jax."),
        (isinstance(model, Mapping), "Load it into its module, or pass unitcircle.diagnose(weights) without a batch."),
        (isinstance(model, list | tuple), "Pass one module, or a module that calls all of them."),
        (
            "sklearn" in packages,
            "An estimator of scikit-learn runs no recurrence; unitcircle.spectrum measures one matrix.",
        ),
        (isinstance(model, type) and issubclass(model, nn.Module), "Pass an instance of the class."),
        (isinstance(getattr(model, "model", None), nn.Module), "Pass its model."),
        (callable(model), "Pass as_recurrence(step, state=...) for a step function."),
    )
    return next((door for fits, door in doors if fits), "")


def _require_measurable(model: nn.Module) -> None:
    for path, module in model.named_modules():
        place = f"{path} ({type(module).__name__})" if path else type(module).__name__
        if isinstance(module, torch.jit.ScriptModule):
            remedy = "Pass the Python module it was made from; without a batch its weights are judged."
            raise ArgumentError("model", "must run in Python", f"{place}, which is TorchScript", remedy)
        if ".quantized" in type(module).__module__:
            remedy = "Measure the model before it is quantized; without a batch its weights are judged."
            raise ArgumentError("model", "must be differentiable", f"{place}, which is quantized", remedy)
        if type(module).__name__ in _SHARDED:
            remedy = "Measure the module before it is wrapped, or gather its state dict into an unwrapped one."
            raise ArgumentError("model", "must hold whole weights", f"{place}, which is sharded", remedy)
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise ArgumentError("model", "must have weights", f"{name}, which is lazy", "Run the model once first.")
        if tensor.is_meta:
            remedy = "Call model.to_empty(device=...) and load or initialize its weights first."
            raise ArgumentError("model", "must have weights", f"{name} on the meta device", remedy)
        if type(tensor).__name__ in _SHARDED:
            raise ArgumentError("model", "must hold whole weights", f"{name}, which is sharded", "Gather them first.")
    for name, parameter in model.named_parameters():
        if parameter.layout != torch.strided:
            remedy = "Measure a copy whose weight is dense: nn.Parameter(weight.detach().to_dense())."
            raise DtypeError("model", "must have dense weights", f"{name}, which is {parameter.layout}", remedy)
