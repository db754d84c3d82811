"""A live JAX model, a batch and a loss in the form in which they are traced (imports JAX; only for such a model)."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from unitcircle.diagnosis._subject import is_flax
from unitcircle.errors import ArgumentError, DtypeError, NotFiniteError, ShapeError

TARGETS = ("labels", "label", "targets", "target", "y")
"""Keys of a dictionary that hold the target, where the model takes no such argument."""
PREDICTIONS = ("logits", "predictions", "prediction", "output")
"""Keys of a dictionary that a model returns under which the default loss finds what it compares with the target."""


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

    fills = "model, done = unitcircle.jax.initialize(model, {}, key=0)"
    return JaxModel(of_arrays, structure.unflatten(arrays), lambda tree: tree, name, fills)


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
    batch = _first_of(batch)
    function = model.__call__ if is_flax(model, "flax.linen") or is_flax(model, "flax.nnx") else model
    fewest, most, names = _arity(function, skip=int(bound and function is model))
    if isinstance(batch, Mapping):
        given = {str(key): _of_list(value) for key, value in cast("Mapping[Any, Any]", batch).items()}
        if fewest == 1 and names and not set(given) & set(names):
            return JaxBatch((_numbers(given),), {})
        keys = [key for key in given if key in TARGETS and key not in names]
        target = given.pop(keys[0]) if len(keys) == 1 else None
        return JaxBatch((), _numbers(given), _numbers(target))
    if not isinstance(batch, tuple | list) or names[:1] == ["batch"]:
        return JaxBatch((_numbers(batch),), {})
    items = tuple(_numbers(_of_list(item)) for item in cast("Sequence[Any]", batch))
    if len(items) > 1 and fewest <= len(items) - 1 <= most:
        return JaxBatch(items[:-1], {}, items[-1])
    if fewest <= len(items) <= most:
        return JaxBatch(items, {})
    takes = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    rule = f"must be inputs, or (*inputs, target), for a model that takes {takes} by position"
    raise ArgumentError("batch", rule, f"{len(items)} items", "Pass a dictionary of the model's arguments.")


def _first_of(batch: Any) -> Any:
    """Return the first batch of a loader: an iterable that is no array, container or text."""
    if not isinstance(batch, Iterable) or isinstance(batch, Mapping | tuple | list | str) or hasattr(batch, "shape"):
        return batch
    torch = sys.modules.get("torch")
    with nullcontext() if torch is None else torch.random.fork_rng(devices=[]):  # torch's loaders draw from it
        first = next(iter(batch), None)
    if first is None:
        raise ArgumentError("batch", "must hold at least one batch", f"an empty {type(batch).__name__}")
    return first


def require_finite(batch: JaxBatch, /) -> None:
    """Raise the error that names NaN and infinities of a batch, which the outputs or states of a model show."""
    parts = {f"input {k + 1}" if len(batch.args) > 1 else "the input": value for k, value in enumerate(batch.args)}
    parts |= {repr(key): value for key, value in batch.options.items()} | {"the target": batch.target}
    for name, part in parts.items():
        for leaf in jax.tree.leaves(part):
            values = np.asarray(leaf)
            if values.dtype.kind in "fc" and not np.isfinite(values).all():
                kind = "NaN" if np.isnan(values).any() else "infinity"
                arrived = f"{kind} in {name} ({int((~np.isfinite(values)).sum())} of {values.size} entries)"
                remedy = "Clean the data: what the model computes is not finite because of them."
                raise NotFiniteError("batch", "must be finite", arrived, remedy)


def _arity(function: Any, skip: int) -> tuple[int, int, list[str]]:
    try:
        parameters = list(inspect.signature(function).parameters.values())[skip:]
    except (TypeError, ValueError):
        return 1, 1, []
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    fewest = sum(p.default is p.empty for p in positional)
    most = sys.maxsize if any(p.kind is p.VAR_POSITIONAL for p in parameters) else len(positional)
    return max(fewest, 1), most, [p.name for p in parameters]


def _of_list(value: Any) -> Any:
    """Return lists of numbers, as a tokenizer returns them, as an array."""
    leaves = jax.tree.leaves(value) if isinstance(value, list) else []
    if not leaves or not all(isinstance(leaf, int | float) for leaf in leaves):
        return value
    try:
        array = np.array(value)
    except ValueError as error:  # of unequal lengths
        raise ArgumentError("batch", "must hold sequences padded to one length", str(error)) from error
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _numbers(value: Any) -> Any:
    """Return arrays of any library as NumPy's, floating-point ones as they are."""

    def leaf(one: Any) -> Any:
        foreign = hasattr(one, "__array__") and not _is_array(one)
        one = np.asarray(one.detach().cpu() if hasattr(one, "detach") else one) if foreign else one
        if isinstance(one, str) or (isinstance(one, np.ndarray) and one.dtype.kind in "OSU"):
            raise DtypeError("batch", "must hold numbers", repr(one) if isinstance(one, str) else f"dtype {one.dtype}")
        if _is_array(one) and one.size == 0:
            rule = "must hold at least one sequence of at least one step"
            raise ShapeError("batch", rule, f"shape {tuple(one.shape)}")
        return one

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

    def errors(self, output: Any, /) -> np.ndarray | None:
        """Return the gradient ``(B, k)`` by the output where all B sequences get their mean one; None where unknown."""
        if self._target is None:
            return None
        try:
            output = _prediction(output)
            same = jnp.broadcast_to(output.mean(0, keepdims=True), output.shape)
            gradient = jax.grad(lambda output: self(output).real)(same)
        except Exception:  # a loss of something else than this array
            return None
        return np.asarray(gradient, dtype=float).reshape(len(gradient), -1)

    def _usual(self, output: Any) -> Any:
        """Return the cross entropy over the last axis with integers, and the squared error of other targets."""
        # Its values are known while the function is traced, when an operation of JAX on them is not.
        values = np.asarray(self._target)
        target, output = jnp.asarray(values), _prediction(output)
        if jnp.issubdtype(target.dtype, jnp.integer) and target.size == output.size:
            if not np.isin(values, (0, 1)).all():
                raise _misfit(target, output)
            self.used = "binary cross entropy"
            logits = output.reshape(target.shape)
            return jnp.mean(jnp.logaddexp(0.0, logits) - target * logits)
        if jnp.issubdtype(target.dtype, jnp.integer) and output.shape[:-1] == target.shape:
            if values.size and values.max() >= output.shape[-1]:
                rule = f"must hold classes below the {output.shape[-1]} outputs"
                raise ArgumentError("batch", rule, f"class {values.max()}")
            self.used = "cross entropy"
            logs = jax.nn.log_softmax(output, -1)
            return -jnp.take_along_axis(logs, target[..., None], -1).mean()
        if jnp.issubdtype(target.dtype, jnp.inexact) and target.size == output.size:
            self.used = "squared error"
            return jnp.mean(jnp.abs(output - target.reshape(output.shape)) ** 2)
        raise _misfit(target, output)


def _prediction(output: Any) -> jax.Array:
    """Return the array of an output that a target is compared with: the first of a tuple, or the logits."""
    if isinstance(output, tuple | list) and output:
        output = cast("Sequence[Any]", output)[0]
    if isinstance(output, Mapping):
        by_key = cast("Mapping[str, Any]", output)
        output = next((by_key[key] for key in PREDICTIONS if key in by_key), by_key)
    if not isinstance(output, jax.Array):
        remedy = "Pass loss=, a function of output and target."
        raise ArgumentError("model", "must return an array for the default loss", type(output).__name__, remedy)
    return output


def _misfit(target: jax.Array, output: jax.Array) -> ArgumentError:
    arrived = f"a target of shape {target.shape} for an output of shape {output.shape}"
    return ArgumentError("batch", "must hold a target that fits the output", arrived, "Pass loss=.")
