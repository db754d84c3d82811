"""The loss of a model: the one given, the one that its output carries, or the usual one of its target."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from unitcircle.dynamics._batch import arity, of_precision, refusal
from unitcircle.dynamics._refused_batch import in_loss
from unitcircle.errors import ArgumentError, DtypeError, NotFiniteError, ShapeError, UnitcircleError

_OF_CLASSES = (nn.CrossEntropyLoss, nn.NLLLoss, functional.cross_entropy, functional.nll_loss)
_OF_VALUES = (
    *(nn.MSELoss, nn.L1Loss, nn.HuberLoss, nn.SmoothL1Loss, nn.BCELoss, nn.BCEWithLogitsLoss),
    *(functional.mse_loss, functional.l1_loss, functional.huber_loss, functional.smooth_l1_loss),
    *(functional.binary_cross_entropy, functional.binary_cross_entropy_with_logits),
)
_PREDICTIONS = ("logits", "prediction_logits", "predictions", "prediction", "output", "last_hidden_state")

_FUNCTION = "must be a function of output and target"


class Objective:
    """The scalar of which the gradient is measured, as a function of output and target.

    Attributes
    ----------
    used
        What it was at the last call: ``"cross entropy"``; empty where there is none and a cotangent is drawn.
    """

    def __init__(self, loss: Callable[..., Any] | None, /) -> None:
        if loss is not None and not callable(loss):
            remedy = "Pass a function loss(output, target)."
            raise ArgumentError("loss", _FUNCTION, type(loss).__name__, remedy)
        self._loss = loss
        self.used = ""

    def __call__(self, output: Any, target: Any, *, optional: bool = False) -> Tensor | None:
        """Return the scalar, or None where there is neither a loss nor a target; or, if optional, one that fits."""
        try:
            value, used = self._value(output, target)
        except ArgumentError:
            if not optional or self._loss is not None:
                raise
            return None
        self.used = used
        if value is None:
            return None
        if not isinstance(value, Tensor) or value.numel() != 1:
            arrived = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ArgumentError("loss", "must return a scalar tensor", arrived, "Take its mean.")
        if torch.is_grad_enabled() and not value.requires_grad:
            rule = "must be computed from the output in differentiable operations"
            raise ArgumentError("loss", rule, "a value without a gradient", "Do not detach it, or run it in no_grad.")
        if isinstance(target, Tensor) and bool(target.isnan().any()) and not bool(value.isfinite()):
            raise NotFiniteError(
                "batch", "must be finite", "NaN in the target", "Clean the data, or mask them in loss=."
            )
        return value

    def errors(self, output: Any, target: Any, count: int) -> Tensor | None:
        """Return the gradient ``(B, k)`` by the output where all B sequences get their mean one; None where unknown."""
        if target is None:
            return None
        try:
            prediction = _prediction(output)
            if prediction.ndim == 0 or len(prediction) != count or not prediction.is_floating_point():
                return None
            same = prediction.detach().mean(0, keepdim=True).expand_as(prediction).clone().requires_grad_()
            value, _ = self._value(same, target)
            (gradient,) = torch.autograd.grad(value, same)
        except Exception:  # a loss of something else than this tensor
            return None
        return gradient.reshape(count, -1)

    def _value(self, output: Any, target: Any) -> tuple[Any, str]:
        try:
            if self._loss is not None:
                return _given(self._loss, output, target), "the loss that was given"
            if target is None:
                value = _carried(output)
                return value, "" if value is None else "the loss that the model returns"
            return _usual(_prediction(output), target)
        except UnitcircleError:
            raise
        except Exception as error:
            called = "It is called as loss(output, target) where the batch has a target, else as loss(output)."
            given = f"an output{_shape(output)} and a target{_shape(target)}"
            if (wrong := in_loss(error)) is not None and not of_precision(error):
                remedy = f"It is run on {given}. {wrong.remedy}".strip()
                raise ArgumentError("loss", wrong.rule, wrong.arrived, remedy) from error
            rule = f"must be computable from {given}"
            raise refusal(error, "loss", rule, called) from error


def _given(loss: Callable[..., Any], output: Any, target: Any) -> Any:
    kind: Any = loss.func if isinstance(loss, functools.partial) else loss
    fewest, most = arity(loss)
    if isinstance(loss, type) and issubclass(loss, nn.Module):
        raise ArgumentError("loss", _FUNCTION, f"the class {loss.__name__}", f"Pass an instance, {loss.__name__}().")
    if fewest > 2 or most < 1:
        takes = f"one that takes {fewest if fewest > 2 else int(most)} arguments"
        raise ArgumentError("loss", _FUNCTION, takes, "Pass lambda output, target: ..., which calls it.")
    if target is None or most == 1:
        return loss(output)
    if _is_one_of(kind, _OF_CLASSES + _OF_VALUES):
        output = _prediction(output)
        arranged = _is_one_of(kind, _OF_CLASSES)
        output, target = _arranged(output, target) if arranged else (output, _like(target, output))
        if arranged:
            _require_classes(loss, output, target)
    dtype = output.dtype if isinstance(output, Tensor) else None
    if isinstance(loss, nn.Module):
        tensors = {name: _cast(t, dtype) for name, t in (*loss.named_parameters(), *loss.named_buffers())}
        return functional_call(loss, tensors, (output, target)) if tensors else loss(output, target)
    if isinstance(loss, functools.partial):
        # The class weights of partial(cross_entropy, weight=...)
        args = [_cast(value, dtype) for value in loss.args]
        return kind(*args, output, target, **{name: _cast(value, dtype) for name, value in loss.keywords.items()})
    return loss(output, target)


def _require_classes(loss: Any, output: Tensor, target: Any) -> None:
    """Refuse classes that the output does not have, and class weights of another number."""
    options: Any = loss.keywords if isinstance(loss, functools.partial) else getattr(loss, "__dict__", {})
    buffers: Any = getattr(loss, "_buffers", {})
    count = output.shape[1] if output.ndim > 1 else len(output)
    weight = buffers.get("weight", options.get("weight"))
    if isinstance(weight, Tensor) and weight.numel() != count:
        rule = f"must have a weight for each of the {count} outputs of the model"
        raise ArgumentError("loss", rule, f"{weight.numel()} weights")
    if not isinstance(target, Tensor) or target.is_floating_point():
        return
    counted = target[target != options.get("ignore_index", -100)]
    low, high = (int(counted.min()), int(counted.max())) if counted.numel() else (0, 0)
    if low < 0:
        raise ArgumentError("batch", "must hold classes from 0 on", f"class {low}")
    if high >= count:
        raise ArgumentError("batch", f"must hold classes below the {count} outputs", f"class {high}")


def _is_one_of(loss: Any, known: tuple[Any, ...]) -> bool:
    return loss in known or isinstance(loss, tuple(one for one in known if isinstance(one, type)))


def _cast(value: Any, dtype: torch.dtype | None) -> Any:
    floats = isinstance(value, Tensor) and value.is_floating_point()
    return value.to(dtype) if floats and dtype is not None and dtype.is_floating_point else value


def _carried(output: Any) -> Tensor | None:
    """Return the loss that a model has computed: an attribute or key, the first of a tuple, or all that it returns."""
    loss: Any = output
    if isinstance(output, Mapping):
        loss = cast("Mapping[str, Any]", output).get("loss")
    elif isinstance(output, tuple):
        loss = cast("tuple[Any, ...]", output)[0] if output else None
    elif not isinstance(output, Tensor):
        loss = getattr(output, "loss", None)
    return loss if isinstance(loss, Tensor) and loss.ndim == 0 and loss.requires_grad else None


def _prediction(output: Any) -> Tensor:
    """Return the tensor of an output that a target is compared with."""
    if isinstance(output, tuple | list) and output:
        output = cast("tuple[Any, ...]", output)[0]
    if not isinstance(output, Tensor):
        by_key = (
            cast("Mapping[str, Any]", output)
            if isinstance(output, Mapping)
            else vars(output)
            if hasattr(output, "__dict__")
            else {}
        )
        output = next((by_key[key] for key in _PREDICTIONS if isinstance(by_key.get(key), Tensor)), output)
    if not isinstance(output, Tensor):
        remedy = "Pass loss=, a function of output and target."
        raise ArgumentError("model", "must return a tensor for the default loss", type(output).__name__, remedy)
    return output


def _usual(output: Tensor, target: Any) -> tuple[Tensor, str]:
    """Return the cross entropy with integers, and the squared error of other targets."""
    target = _numbers(target, output)
    if target.is_floating_point() or target.is_complex():
        return functional.mse_loss(output, _like(target, output)), "squared error"
    if target.numel() == output.numel() and output.shape[: target.ndim] == target.shape:
        if bool(((target == 0) | (target == 1)).all()):
            # One output for two classes, or one for each of several labels
            value = functional.binary_cross_entropy_with_logits(output, _like(target, output))
            return value, "binary cross entropy"
        raise _misfit(output, target)
    logits, classes = _arranged(output, target)
    _require_classes(None, logits, classes)
    return functional.cross_entropy(logits, classes), "cross entropy"


def _numbers(target: Any, output: Tensor) -> Tensor:
    """Return a target as a tensor."""
    if isinstance(target, Tensor):
        return target
    try:
        return torch.as_tensor(target, device=output.device)
    except (ValueError, TypeError, RuntimeError) as error:
        raise ArgumentError("batch", "must hold a target of numbers", f"a {type(target).__name__}") from error


def _like(target: Any, output: Tensor) -> Any:
    """Return a target of values in the shape and precision of the output."""
    if not isinstance(target, Tensor):
        return target
    if target.shape != output.shape:
        if target.numel() != output.numel():
            raise _misfit(output, target)
        target = target.reshape(output.shape)
    return target.to(output.dtype)


def _arranged(output: Tensor, target: Any) -> tuple[Tensor, Tensor]:
    """Return logits and classes as cross_entropy takes them, from logits whose last axis is the classes."""
    target = _numbers(target, output)
    if target.is_floating_point():  # probabilities of the classes
        if target.shape != output.shape:
            rule = "must hold classes as integers, or a probability for each output"
            raise DtypeError("batch", rule, f"numbers of shape {tuple(target.shape)}", "Pass target.long().")
        return output, target.to(output.dtype)
    target = target.long()
    if output.shape[:-1] == target.shape or (
        output.ndim > 2 and target.ndim == 1 and output[..., 0].numel() == len(target)
    ):
        return output.reshape(-1, output.shape[-1]), target.reshape(-1)
    if output.ndim > 1 and output.shape[:1] + output.shape[2:] == target.shape:
        return output, target
    raise _misfit(output, target)


def _shape(value: Any) -> str:
    if isinstance(value, Tensor):
        return f" of shape {tuple(value.shape)}"
    return f" that is a {type(value).__name__}" if value is not None else " that is None"


def _misfit(output: Tensor, target: Tensor) -> ShapeError:
    arrived = f"a target of shape {tuple(target.shape)} for an output of shape {tuple(output.shape)}"
    return ShapeError("batch", "must hold a target that fits the output", arrived, "Pass loss=, a function of both.")
