"""What a person passes to be diagnosed without a batch, as layers with their coverage."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from unitcircle import checkpoints
from unitcircle.checkpoints import Coverage, Entry, Layers
from unitcircle.errors import ArgumentError
from unitcircle.recurrence import RecurrentLayer

ACCEPTED = (
    "a path, a state dict or other mapping of arrays, one array, recurrent layers, or a model of torch, Keras or flax"
)
"""What can be diagnosed."""
_OPTIMIZER = "opt_state"


@dataclass(frozen=True)
class Subject:
    """The layers that are diagnosed, and where they come from."""

    layers: Sequence[RecurrentLayer]
    coverage: Coverage | None = None
    name: str = "layers"
    format: str = ""


def without_complex(subject: Subject, /) -> Subject:
    """Return a subject without complex layers, which no rule can judge: each is named as not read."""
    names = [layer.name for layer in subject.layers if _is_complex(layer)]
    if not names:
        return subject
    judged = [layer for layer in subject.layers if not _is_complex(layer)]
    coverage = subject.coverage or Coverage()
    unread = tuple(f"{name or 'a layer'} is complex: not judged; spectrum measures its weight" for name in names)
    analysed = tuple(entry for entry in coverage.analysed if entry.reason not in names)
    coverage = replace(coverage, analysed=analysed, unread=(*coverage.unread, *unread))
    return replace(subject, layers=judged, coverage=coverage)


def _is_complex(layer: RecurrentLayer) -> bool:
    return any(map(np.iscomplexobj, layer.gates.values()))


def subject_of(model: Any, at: Sequence[str] = (), /) -> Subject:
    """Return the layers of a file, of arrays, or of a model of any framework that is not run."""
    if isinstance(model, Layers):
        name, kind = (str(model.path), model.format) if model.path else (model.format, "")
        return Subject(model, model.coverage, name, kind)
    if isinstance(model, RecurrentLayer):
        return Subject([model])
    subject = _of_model(model, at)
    if subject is not None:
        return subject
    if isinstance(model, str | os.PathLike | Mapping) or (hasattr(model, "shape") and hasattr(model, "dtype")):
        return subject_of(checkpoints.read(model))
    strange = type(model)
    kind = strange.__name__
    if isinstance(model, Iterable) and not isinstance(model, bytes):
        items = list(cast("Iterable[Any]", model))
        foreign = [type(item) for item in items if not isinstance(item, RecurrentLayer)]
        if not foreign:
            return Subject(items)
        strange, kind = foreign[0], f"a {kind} of {foreign[0].__name__}"
    raise ArgumentError("model", f"must be {ACCEPTED}", kind, _remedy(strange, model))


def _of_model(model: Any, at: Sequence[str]) -> Subject | None:
    """Return the layers of a model of a framework, which is loaded already, or None for other objects."""
    if is_keras(model):
        return _of_keras(model)
    if is_live(model):
        from unitcircle.diagnosis import _live  # noqa: PLC0415  (it imports torch)

        layers, coverage = _live.weights(model, at)
        return Subject(layers, coverage, type(model).__name__, "weights")
    arrays = _tree(model) if "jax" in sys.modules else {}
    return _of_jax(model, arrays) if arrays else None


def _remedy(strange: type, model: object) -> str:
    """Return what to pass in place of an object that is not accepted."""
    torch = sys.modules.get("torch")
    package = strange.__module__
    packages = {kind.__module__.split(".")[0] for kind in strange.__mro__}
    remedies = (
        (is_live(getattr(model, "model", None)), "Pass its model."),
        (isinstance(model, type), "Pass an instance of the class."),
        (
            torch is not None and issubclass(strange, torch.nn.Module),
            "Pass one of them, or torch.nn.ModuleList of them.",
        ),
        (
            "sklearn" in packages,
            "An estimator of scikit-learn holds no recurrence; unitcircle.spectrum measures one matrix.",
        ),
        (package.startswith("flax.linen"), "A linen module holds no weights: pass its variables."),
        (
            package.startswith("unitcircle.dynamics"),
            "Pass the module it was made from; unitcircle.dynamics measures a step function.",
        ),
        (
            hasattr(strange, "shape"),
            "Pass a mapping of names to arrays, which say which array is which, or the Keras model itself.",
        ),
    )
    return next((remedy for fits, remedy in remedies if fits), "")


def _tree(model: Any) -> dict[str, Any]:
    """Return the arrays of a tree of JAX by their paths, without the state of optimizers; nothing for other objects."""
    jax, nnx = sys.modules["jax"], sys.modules.get("flax.nnx")
    if nnx is not None and isinstance(model, nnx.Module):
        model = nnx.state(model, nnx.Param)
    if nnx is not None and isinstance(model, nnx.State):
        model = nnx.to_pure_dict(model)
    if isinstance(model, Iterable) and not isinstance(model, Mapping):
        return {}
    entries = jax.tree_util.tree_flatten_with_path(model)[0]
    paths = [([jax.tree_util.keystr((key,), simple=True) for key in path], leaf) for path, leaf in entries if path]
    arrays = {".".join(path): leaf for path, leaf in paths if _OPTIMIZER not in path}
    return arrays if any(isinstance(leaf, jax.Array) for leaf in arrays.values()) else {}


def _of_jax(model: Any, arrays: Mapping[str, Any]) -> Subject:
    """Return the cells of flax, with the activations of an nnx module, and what else is recurrent by its name."""
    from unitcircle.jax import to_layers  # noqa: PLC0415  (JAX is loaded already)

    by_name = checkpoints.read(arrays)
    unread: list[str] = []
    try:
        cells = [layer for layer in to_layers(model) if arrays.keys() >= {*layer.source.tensors}]
    except ArgumentError as error:
        cells = []
        if "MGU" in str(error):
            unread.append(str(error))
    taken = {tensor: layer.label for layer in cells for tensor in layer.source.tensors}
    others = [layer for layer in by_name if taken.keys().isdisjoint(layer.source.tensors)]
    coverage = by_name.coverage
    known = {entry.name for entry in coverage.analysed}
    entries = [Entry(name, tuple(arrays[name].shape), label) for name, label in taken.items() if name not in known]
    coverage = replace(
        coverage,
        analysed=(*coverage.analysed, *entries),
        skipped=tuple(entry for entry in coverage.skipped if entry.name not in taken),
        unread=(*(text for text in coverage.unread if text.split(" ", 1)[0] not in taken), *unread),
        other=coverage.other - sum(entry.name not in {one.name for one in coverage.skipped} for entry in entries),
    )
    return Subject([*cells, *others], coverage, type(model).__name__, "weights")


def _of_keras(model: Any) -> Subject:
    """Return the recurrent layers of a Keras model."""
    from unitcircle.keras import to_layers  # noqa: PLC0415  (Keras is loaded already)

    layers = to_layers(model)
    shapes = {variable.path: tuple(variable.shape) for variable in model.weights}
    taken = {tensor: layer.label for layer in layers for tensor in layer.source.tensors}
    unread = [
        f"{layer.name} applies a cell of a kind that is not known ({type(layer.cell).__name__}): not read"
        for layer in model._flatten_layers()
        if isinstance(layer, sys.modules["keras"].layers.RNN)
        and layer.weights
        and taken.keys().isdisjoint(variable.path for variable in layer.weights)
    ]
    entries = tuple(Entry(name, shapes.get(name, ()), label) for name, label in taken.items())
    coverage = Coverage(entries, other=len(shapes) - len(entries), unread=tuple(unread))
    return Subject(layers, coverage, type(model).__name__, "weights")


def is_live(model: object, /) -> bool:
    """Return whether this is a ``torch.nn.Module``, without importing torch.

    Returns
    -------
    bool
        Whether it is; False for a model of Keras.

    Examples
    --------
    >>> is_live({"weight_hh_l0": [[0.5]]})
    False
    """
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module) and not is_keras(model)


def is_keras(model: object, /) -> bool:
    """Return whether this is a Keras layer or model, which with the backend torch is a torch module too."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(model, keras.Layer)


def is_flax(model: object, package: str, /) -> bool:
    """Return whether this is a module of ``flax.nnx`` or ``flax.linen``, without importing them."""
    module = sys.modules.get(package)
    return module is not None and isinstance(model, module.Module)


def is_live_jax(model: object, params: object = None, /) -> bool:
    """Return whether this is a model of JAX that can be run, without importing JAX."""
    jax = sys.modules.get("jax")
    if jax is None or is_keras(model) or is_live(model) or not callable(model):
        return False
    if params is not None or is_flax(model, "flax.nnx") or is_flax(model, "flax.linen"):
        return True
    # A callable tree; a plain function is a leaf, and no array.
    return any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(model))
