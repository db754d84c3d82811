"""A batch in the forms that training loops use, as the arguments of a model and a target."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader, Dataset

from unitcircle._array import to_numpy
from unitcircle.dynamics._refused_batch import misfit, own_code, place
from unitcircle.errors import ArgumentError, DtypeError, NotFiniteError, ShapeError, UnitcircleError
from unitcircle.torch import dense

TARGETS = frozenset({"y", "target", "targets", "label", "labels"})
"""Keys of a dictionary that hold the target where the model itself does not take it."""
_PRECISION = ("dtype", "scalar type", "same type", "Double", "double")


@dataclass(frozen=True, eq=False)
class Batch:
    """The arguments with which a model is called, and the target of its loss, or None."""

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    target: Any = None
    names: tuple[str, ...] = ()  # Of the arguments that are passed by position

    def by_name(self) -> dict[str, Any]:
        """Return name → argument, and what is in an argument that is a dictionary."""
        named = dict(zip(self.names, self.args, strict=False)) | {**self.kwargs}
        inside = [cast("Mapping[Any, Any]", value) for value in named.values() if isinstance(value, Mapping)]
        return {str(key): value for part in inside for key, value in part.items()} | named

    def named(self) -> dict[str, Any]:
        """Return a name in messages → every part."""
        one = "the input" if len(self.args) == 1 else ""
        named = {one or f"input {k + 1}": value for k, value in enumerate(self.args)}
        return named | {repr(key): value for key, value in self.kwargs.items()} | {"the target": self.target}


@dataclass(frozen=True)
class _Parameters:
    """What the forward function of a model takes: its names, and how many of them by position."""

    names: tuple[str, ...]
    fewest: int
    most: float
    any_key: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> _Parameters:
        try:
            parameters = inspect.signature(function).parameters.values()
        except (TypeError, ValueError):
            return cls((), 1, float("inf"), any_key=True)
        positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
        return cls(
            tuple(p.name for p in parameters if p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}),
            sum(p.default is p.empty for p in positional),
            float("inf") if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional),
            any_key=any(p.kind is p.VAR_KEYWORD for p in parameters),
        )


def arity(function: Callable[..., Any], /) -> tuple[int, float]:
    """Return how many arguments a function needs at least, and takes at most, by position."""
    parameters = _Parameters.of(function.forward if isinstance(function, nn.Module) else function)
    return parameters.fewest, parameters.most


def batch_of(batch: Any, model: nn.Module, loss: Callable[..., Any] | None, /) -> Batch:
    """Return a batch of any accepted form as tensors on the device of the model; of a DataLoader the first batch."""
    if isinstance(batch, Batch):
        return batch
    if isinstance(batch, DataLoader):
        batch = _first(cast("DataLoader[Any]", batch))
    own = own_precision(model)
    parameters = _Parameters.of(model.forward)
    if isinstance(batch, Mapping):
        found = _of_mapping({**cast("Mapping[str, Any]", batch)}, model, parameters)
    elif isinstance(batch, tuple | list) and not isinstance(batch, PackedSequence):
        found = _of_items(cast("Sequence[Any]", batch), model, parameters, loss)
    else:
        found = Batch((batch,), {})

    def take(value: Any) -> Any:
        return value if isinstance(value, PackedSequence) else pytree.tree_map(lambda leaf: _tensor(leaf, own), value)

    args = tuple(map(take, found.args))
    kwargs = {name: take(value) for name, value in found.kwargs.items()}
    for leaf in pytree.tree_leaves((args, kwargs)):
        if isinstance(leaf, Tensor) and leaf.numel() == 0:
            raise ShapeError(
                "batch", "must hold at least one sequence of at least one step", f"shape {tuple(leaf.shape)}"
            )
    return _placed(Batch(args, kwargs, take(found.target), parameters.names[: len(args)]), model)


def _first(loader: DataLoader[Any]) -> Any:
    with torch.random.fork_rng(devices=[]):  # a sampler draws from the global generator
        batch = next(iter(loader), None)
    if batch is None:
        raise ArgumentError("batch", "must hold at least one batch", "an empty DataLoader")
    return batch


def _of_mapping(batch: dict[str, Any], model: nn.Module, parameters: _Parameters) -> Batch:
    batch = {key: _numbers(value) for key, value in batch.items()}
    unknown = [] if parameters.any_key else [key for key in batch if key not in parameters.names]
    if len(unknown) == len(batch) > 0 and parameters.fewest == 1:
        return Batch((batch,), {})  # forward(self, batch), which looks the keys up itself
    target = None
    if len(targets := [key for key in unknown if key in TARGETS]) == 1:
        target = batch.pop(targets[0])
        unknown.remove(targets[0])
    if unknown:
        rule = f"must hold arguments of {type(model).__name__}: {', '.join(parameters.names)}"
        raise ArgumentError("batch", rule, ", ".join(map(repr, unknown)), "Leave these out, or pass (inputs, target).")
    return Batch((), batch, target)


def _of_items(
    items: Sequence[Any], model: nn.Module, parameters: _Parameters, loss: Callable[..., Any] | None
) -> Batch:
    """Take the last item for the target, unless the model needs all of them."""
    fewest, most, count = parameters.fewest, parameters.most, len(items)
    if count == 2 and isinstance(items[0], Mapping):
        inputs = _of_mapping({**cast("Mapping[str, Any]", items[0])}, model, parameters)
        return Batch(inputs.args, inputs.kwargs, items[1])
    if count == 2 and isinstance(items[0], tuple | list) and fewest > 1:
        return Batch(tuple(cast("Sequence[Any]", items[0])), {}, items[1])  # ((x, lengths), y)
    if count > 1 and fewest <= count - 1 <= most:
        return Batch(tuple(items[:-1]), {}, items[-1])
    if fewest <= count <= most:
        # A decoder is called with the target that its loss is computed from.
        again = loss is not None and count > 1 and arity(loss)[0] == 2
        return Batch(tuple(items), {}, items[-1] if again else None)
    takes = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    rule = f"must be inputs, or (*inputs, target), for a model that takes {takes} by position"
    remedy = "Pass a dictionary of the model's arguments; (dictionary, target) has a target too."
    raise ArgumentError("batch", rule, f"{count} items", remedy)


def _numbers(value: Any) -> Any:
    """Return lists of numbers, as a tokenizer returns them, as an array."""
    if not isinstance(value, list):
        return value
    leaves = pytree.tree_leaves(value)
    if not leaves or not all(isinstance(leaf, int | float) for leaf in leaves):
        return cast("list[Any]", value)
    try:
        return np.array(value)
    except ValueError as error:  # of unequal lengths
        raise ArgumentError("batch", "must hold sequences padded to one length", str(error)) from error


def _tensor(leaf: Any, own: torch.dtype) -> Any:
    """Return an array of any library as a tensor, floating-point ones in the precision of the model."""
    if isinstance(leaf, PackedSequence):
        return leaf
    if isinstance(leaf, Tensor) or not (hasattr(leaf, "__array__") and hasattr(leaf, "shape")):
        return leaf
    tensor = dense(to_numpy(leaf, argument="batch"), argument="batch")
    return tensor.to(own) if tensor.is_floating_point() else tensor


def _placed(batch: Batch, model: nn.Module) -> Batch:
    """Move a batch to the one device of a model; lengths stay, which torch packs by on the CPU."""
    devices = {tensor.device for tensor in (*model.parameters(), *model.buffers())}
    if len(devices) != 1:
        return batch
    (device,) = devices

    def moved(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        if leaf.is_meta and device.type != "meta":
            raise DtypeError("batch", "must have values", "a tensor on the meta device")
        return leaf.to(device)

    def to_device(value: Any) -> Any:
        if isinstance(value, PackedSequence):
            return cast("Any", value).to(device)
        return pytree.tree_map(moved, value)

    lengths = {name for name in (*batch.names, *batch.kwargs) if "len" in name}
    args = tuple(value if name in lengths else to_device(value) for name, value in zip_longest(batch.names, batch.args))
    kwargs = {name: value if name in lengths else to_device(value) for name, value in batch.kwargs.items()}
    return Batch(args, kwargs, to_device(batch.target), batch.names)


def own_precision(model: nn.Module, /) -> torch.dtype:
    """Return the precision of the model: that of its first floating-point parameter or buffer."""
    tensors = (*model.parameters(), *model.buffers())
    return next((tensor.dtype for tensor in tensors if tensor.is_floating_point()), torch.get_default_dtype())


def call(model: Callable[..., Any], batch: Batch, dtype: torch.dtype | None, /) -> tuple[Any, Any]:
    """Run a model on a batch in a precision, None for that of the batch; return its output and the target."""

    def take(leaf: Any) -> Any:
        if isinstance(leaf, PackedSequence):
            return leaf._replace(data=take(leaf.data))
        if not isinstance(leaf, Tensor):
            return leaf
        return leaf.detach().to(dtype) if dtype is not None and leaf.is_floating_point() else leaf.detach()

    args, kwargs, target = pytree.tree_map(take, (batch.args, dict(batch.kwargs), batch.target))
    try:
        output = model(*args, **kwargs)
    except Exception as error:
        parts = ", ".join(f"{name}{_shape_of(part)}" for name, part in batch.named().items() if part is not None)
        run_on = f"It is run on {parts}." if parts else ""
        if not isinstance(error, UnitcircleError) and (odd := _odd(batch)) is not None:
            name, value = odd
            rule = "must be tensors or arrays, or what the model makes them of"
            raise ArgumentError("batch", rule, f"{type(value).__name__} for {name}", _instead_of(value)) from error
        if not isinstance(error, UnitcircleError) and (wrong := misfit(error)) is not None:
            raise ShapeError("batch", wrong.rule, wrong.arrived, f"{run_on} {wrong.remedy}") from error
        if not isinstance(error, UnitcircleError) and not of_precision(error) and (wrong := own_code(error)):
            raise ArgumentError("batch", wrong.rule, wrong.arrived, f"{run_on} {wrong.remedy}") from error
        raise refusal(error, "batch", "must be what the model takes", run_on, place(error)) from error
    if not all(map(_is_finite, _parts(output))):
        require_finite(batch)
    return output, target


def _odd(batch: Batch) -> tuple[str, Any] | None:
    """Return the first part of a batch that holds no numbers, and its name."""
    for name, part in batch.named().items():
        if name == "the target" or isinstance(part, PackedSequence):
            continue
        leaves = pytree.tree_leaves(part)
        inside = [x for leaf in leaves if hasattr(leaf, "__dict__") for x in vars(leaf).values()]
        if not any(isinstance(leaf, Tensor | PackedSequence | int | float) for leaf in (*leaves, *inside)):
            return name, part
    return None


def _instead_of(value: Any) -> str:
    """Return what to pass for an object that holds no numbers."""
    if isinstance(value, Dataset):
        return "Pass a DataLoader of it, or a batch."
    if isinstance(value, Iterator):
        return "Pass a batch: next(batches)."
    return "Pass its tokens, as integers." if isinstance(value, str) else ""


def _shape_of(part: Any) -> str:
    return f" of shape {tuple(part.shape)}" if isinstance(part, Tensor) else ""


LONGEST = 400
"""Characters of a message of another library that are passed on."""


def refusal(error: Exception, argument: str, rule: str, /, remedy: str = "", where: str = "") -> UnitcircleError:
    """Return the error of the house for one that the code of a person, or a library in it, has raised."""
    if isinstance(error, UnitcircleError):
        return error
    cause = textwrap.shorten(f"{type(error).__name__}{where}: {error}".removesuffix("."), LONGEST)
    if of_precision(error):
        remedy = "It creates tensors in another precision: pass dtype=None to measure it in its own precision."
        return DtypeError("model", "must compute in the precision of its input", cause, remedy)
    return ArgumentError(argument, rule, cause, remedy)


def of_precision(error: Exception, /) -> bool:
    """Return whether an error of torch is one of element types."""
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _PRECISION)


@contextmanager
def refusing(argument: str, rule: str, /) -> Generator[None]:
    """Raise the error of the house where torch raises one."""
    try:
        yield
    except RuntimeError as error:
        raise refusal(error, argument, rule) from error


def require_finite(batch: Batch, /) -> None:
    """Raise the error that names NaN and infinities of a batch; an additive mask of −inf is none."""
    for name, part in batch.named().items():
        for leaf in pytree.tree_leaves(part):
            values = leaf.data if isinstance(leaf, PackedSequence) else leaf
            if not isinstance(values, Tensor) or _is_finite(values):
                continue
            if bool(((values == 0) | (values == -torch.inf)).all()):
                continue
            count = int((~values.isfinite()).sum())
            kind = "NaN" if bool(values.isnan().any()) else "infinity"
            arrived = f"{kind} in {name} ({count} of {values.numel()} entries)"
            remedy = "Clean the data: the output of the model is not finite because of them."
            raise NotFiniteError("batch", "must be finite", arrived, remedy)


def _parts(output: Any) -> Iterator[Any]:
    """Yield what an output holds, the attributes or values of an output of a class of its own too."""
    for leaf in pytree.tree_leaves(output):
        if isinstance(leaf, Mapping):
            yield from cast("Mapping[Any, Any]", leaf).values()
        elif isinstance(leaf, Tensor | PackedSequence) or not hasattr(leaf, "__dict__"):
            yield leaf
        else:
            yield from vars(leaf).values()


def _is_finite(leaf: Any) -> bool:
    values = leaf.data if isinstance(leaf, PackedSequence) else leaf
    if not isinstance(values, Tensor) or not (values.is_floating_point() or values.is_complex()):
        return True
    # A sum is finite only where all values are, and takes a tenth of the time.
    return bool(values.sum().isfinite()) or bool(values.isfinite().all())
