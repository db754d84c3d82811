"""A live JAX model, a batch and a loss in the form in which they are traced (imports JAX; only for such a model)."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from unitcircle.diagnosis._subject import is_flax
from unitcircle.errors import ArgumentError

TARGETS = ("labels", "label", "targets", "target", "y")
"""Keys of a dictionary that hold the target, where the model takes no such argument."""


@dataclass(frozen=True, eq=False)
class JaxModel:
    """A function of parameters, its parameters, and the object that parameters make."""

    function: Callable[..., Any]
    params: Any
    rebuilt: Callable[[Any], Any]
    name: str
    fills: str = "params, done = unitcircle.jax.initialize(params, {}, key=0)"
    notes: tuple[str, ...] = ()  # How it is run otherwise than in training

    @property
    def source(self) -> Any:
        """What holds the cells: an nnx module with these parameters, or the parameters."""
        return self.rebuilt(self.params)

    def with_params(self, params: Any, /) -> JaxModel:
        """Return the model with other parameters of the same structure."""
        return replace(self, params=params)


def jax_model(model: Any, params: Any = None, /) -> JaxModel:
    """Return a model of flax, equinox or a plain function as a function of its parameters."""
    name = getattr(model, "__name__", type(model).__name__)
    if is_flax(model, "flax.nnx"):
        if params is not None:
            raise ArgumentError("params", "must not be given for an nnx module, which holds its own", "params")
        nnx = sys.modules["flax.nnx"]
        definition, state = nnx.split(model)

        def of_state(state: Any, *args: Any, **options: Any) -> Any:
            merged = nnx.merge(definition, state)
            merged.eval()
            return merged(*args, **options)

        fills = "unitcircle.jax.initialize_(model, {}, key=0)"
        return JaxModel(of_state, state, lambda state: nnx.merge(definition, state), name, fills, _in_evaluation(model))
    if is_flax(model, "flax.linen"):
        if params is None:
            if model.scope is None:
                remedy = "Pass params=variables, or module.bind(variables)."
                raise ArgumentError(
                    "params", "must be given for a linen module, which holds no weights", "none", remedy
                )
            model, params = model.unbind()
        variables = params if isinstance(params, Mapping) and "params" in params else {"params": params}
        return JaxModel(model.apply, variables, lambda tree: tree, name)
    if params is not None:
        return JaxModel(model, params, lambda tree: tree, name)
    # A callable tree, such as a module of equinox or jax.tree_util.Partial: what is no array belongs to its structure.
    leaves, structure = jax.tree.flatten(model)
    arrays = [leaf if _is_array(leaf) else None for leaf in leaves]

    def of_arrays(tree: Any, *args: Any, **options: Any) -> Any:
        given = jax.tree.leaves(tree, is_leaf=lambda leaf: leaf is None)
        whole = [leaf if array is None else array for leaf, array in zip(leaves, given, strict=True)]
        return structure.unflatten(whole)(*args, **options)

    return JaxModel(of_arrays, structure.unflatten(arrays), lambda tree: tree, name)


def _in_evaluation(module: Any) -> tuple[str, ...]:
    """Return a note on the layers of an nnx module that ``eval()`` changes."""
    changed = {
        type(part).__name__
        for _, part in sys.modules["flax.nnx"].iter_modules(module)
        if hasattr(part, "deterministic") or hasattr(part, "use_running_average")
    }
    return (f"{', '.join(sorted(changed))} ran as in evaluation, by eval() of a copy",) if changed else ()


def _is_array(leaf: object) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)


@dataclass(frozen=True, eq=False)
class JaxBatch:
    """The arguments of a model, and the target."""

    args: tuple[Any, ...]
    options: Mapping[str, Any]
    target: Any = None


def jax_batch(batch: Any, model: Any, /, *, bound: bool) -> JaxBatch:
    """Return a batch as arguments; ``bound`` if the first parameter of the callable is that of the parameters."""
    function = model.__call__ if is_flax(model, "flax.linen") or is_flax(model, "flax.nnx") else model
    fewest, most, names = _arity(function, skip=int(bound and function is model))
    if isinstance(batch, Mapping):
        given = {str(key): value for key, value in cast("Mapping[Any, Any]", batch).items()}
        if fewest == 1 and names and not set(given) & set(names):
            return JaxBatch((_numbers(given),), {})
        keys = [key for key in given if key in TARGETS and key not in names]
        target = given.pop(keys[0]) if len(keys) == 1 else None
        return JaxBatch((), _numbers(given), _numbers(target))
    if not isinstance(batch, tuple | list) or names[:1] == ["batch"]:
        return JaxBatch((_numbers(batch),), {})
    items = tuple(cast("Sequence[Any]", _numbers(batch)))
    if len(items) > 1 and fewest <= len(items) - 1 <= most:
        return JaxBatch(items[:-1], {}, items[-1])
    if fewest <= len(items) <= most:
        return JaxBatch(items, {})
    takes = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    rule = f"must be inputs, or (*inputs, target), for a model that takes {takes} by position"
    raise ArgumentError("batch", rule, f"{len(items)} items", "Pass a dictionary of the model's arguments.")


def _arity(function: Any, skip: int) -> tuple[int, int, list[str]]:
    try:
        parameters = list(inspect.signature(function).parameters.values())[skip:]
    except (TypeError, ValueError):
        return 1, 1, []
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    fewest = sum(p.default is p.empty for p in positional)
    most = sys.maxsize if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional)
    return max(fewest, 1), most, [p.name for p in parameters]


def _numbers(value: Any) -> Any:
    """Return arrays of any library as NumPy's, floating-point ones as they are."""

    def leaf(one: Any) -> Any:
        foreign = hasattr(one, "__array__") and not _is_array(one)
        return np.asarray(one.detach().cpu() if hasattr(one, "detach") else one) if foreign else one

    return jax.tree.map(leaf, value)


class JaxObjective:
    """The scalar of which the gradient is measured; ``used`` says what it was at the last call."""

    def __init__(self, loss: Callable[..., Any] | None, target: Any, /) -> None:
        if loss is not None and not callable(loss):
            raise ArgumentError("loss", "must be a function of output and target", type(loss).__name__)
        self._loss = loss
        self._target = target
        self.used = ""

    @property
    def exists(self) -> bool:
        """Whether there is a loss beside what the model returns."""
        return self._loss is not None or self._target is not None

    def __call__(self, output: Any, /) -> Any:
        """Return the loss of an output."""
        if self._loss is not None:
            self.used = "the loss that was given"
            both = self._target is not None and _arity(self._loss, 0)[1] > 1
            return self._loss(output, self._target) if both else self._loss(output)
        return self._usual(output)

    def _usual(self, output: Any) -> Any:
        """Return the cross entropy over the last axis with integers, and the squared error of other targets."""
        target = jnp.asarray(self._target)
        if not isinstance(output, jax.Array):
            remedy = "Pass loss=, a function of output and target."
            raise ArgumentError("model", "must return an array for the default loss", type(output).__name__, remedy)
        if jnp.issubdtype(target.dtype, jnp.integer) and output.shape[:-1] == target.shape:
            self.used = "cross entropy"
            logs = jax.nn.log_softmax(output, -1)
            return -jnp.take_along_axis(logs, target[..., None], -1).mean()
        if jnp.issubdtype(target.dtype, jnp.inexact) and target.size == output.size:
            self.used = "squared error"
            return jnp.mean(jnp.abs(output - target.reshape(output.shape)) ** 2)
        arrived = f"a target of shape {target.shape} for an output of shape {output.shape}"
        raise ArgumentError("batch", "must hold a target that fits the output", arrived, "Pass loss=.")
