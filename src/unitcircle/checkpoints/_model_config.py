"""What the configuration of a model says about its linear recurrences, which their weights do not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from unitcircle.checkpoints._coverage import Coverage
from unitcircle.checkpoints._json_text import parse_json
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import RecurrentLayer, from_linear

NAME = "config.json"
LARGEST = 1 << 20
DEFAULT_BOUND = -5.0
"""Logarithm of the fastest decay of a bounded gate of KDA, where the configuration has no other."""
DEPTH = 4
UNTOLD = "the file does not say whether the gate of KDA is bounded"
"""How the note begins that a configuration makes needless."""
UNTOLD_RATE = (
    "the file does not say how Mamba-3 makes A: read with A = 1 at rest, as mamba_ssm since its pull request 962; "
    "before it, and in fla, log λ at rest is log 2 of this"
)
"""The note that a configuration of fla, whose A is −softplus, makes needless."""
_DOUBLED = ("allow_neg_eigval", "linear_allow_neg_eigval")
_BOUNDED = ("kda_safe_gate", "safe_gate")
_BOUNDS = ("kda_lower_bound", "linear_lower_bound", "gate_lower_bound", "lower_bound")
_NAMED = {
    "retnet": "RetNet",
    "based": "Based",
    "rebased": "ReBased",
    "linear_attn": "linear attention",
    "linear-attention": "linear attention",
    "ttt": "a test-time training layer (TTT)",
}
"""Type of a model → what its layers are, where their names are those of softmax attention."""


def config_beside(path: Path, /) -> Mapping[str, Any]:
    """Return the configuration of Hugging Face in a folder, or beside a file; empty where there is none to read."""
    file = (path if path.is_dir() else path.parent) / NAME
    try:
        if path.name == NAME or not file.is_file() or file.stat().st_size > LARGEST:
            return {}
        content = parse_json(file.read_bytes())
    except (CheckpointError, OSError, RecursionError):
        return {}
    return cast("Mapping[str, Any]", content) if isinstance(content, dict) else {}


def config_of(model: Any, /) -> Mapping[str, Any]:
    """Return the configuration of a live model of transformers.

    Parameters
    ----------
    model
        Any object.

    Returns
    -------
    Mapping
        What ``model.config.to_dict()`` gives; empty where there is no such thing.

    Examples
    --------
    >>> config_of("no model")
    {}
    """
    make = getattr(getattr(model, "config", None), "to_dict", None)
    content = make() if callable(make) else None
    return cast("Mapping[str, Any]", content) if isinstance(content, Mapping) else {}


def configured(
    layers: Sequence[RecurrentLayer], coverage: Coverage, config: Mapping[str, Any], /
) -> tuple[list[RecurrentLayer], Coverage]:
    """Return layers as a configuration says that they are run, and what it was used for."""
    options = dict(_options(config))
    used: dict[str, None] = {}
    made = [_configured(layer, options, used) for layer in layers]
    notes = coverage.notes
    if any(layer.linear is not None and layer.linear.family.name.startswith("KDA") for layer in layers) and any(
        "gate" in note for note in used
    ):
        notes = tuple(note for note in notes if not note.startswith(UNTOLD))
    unread = coverage.unread
    kind = str(config.get("model_type", "")).lower()
    if kind == "mamba3" and UNTOLD_RATE in notes:
        made = [_of_softplus(layer) for layer in made]
        used[f"{NAME} says model_type {kind}: A of Mamba-3 is −softplus, as in fla"] = None
        notes = tuple(note for note in notes if note != UNTOLD_RATE)
    if kind in _NAMED and not any(layer.linear is not None for layer in layers) and not unread:
        unread = (f"{NAME} says that the layers are {_NAMED[kind]} (model_type {kind}): not read",)
    return made, replace(coverage, notes=(*notes, *used), unread=unread)


def _options(config: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield the entries of a configuration and of those inside it, the outer ones last."""
    for value in config.values():
        if isinstance(value, Mapping) and depth < DEPTH:
            yield from _options(cast("Mapping[str, Any]", value), depth + 1)
    yield from ((name, value) for name, value in config.items() if isinstance(value, bool | int | float))


def _configured(layer: RecurrentLayer, options: Mapping[str, Any], used: dict[str, None]) -> RecurrentLayer:
    linear = layer.linear
    if linear is None:
        return layer
    if linear.family.name.startswith("KDA") and (bounded := _is_bounded(options)) is not None:
        name, value = bounded
        family = "KDA, bounded" if value else "KDA"
        used[f"{NAME} says {name}: the gate of KDA is {'bounded' if value else 'not bounded'}"] = None
        bound = next((options[key] for key in _BOUNDS if key in options), DEFAULT_BOUND) if value else DEFAULT_BOUND
        if (family != linear.family.name and (value or "A_log" in linear.parameters)) or bound != DEFAULT_BOUND:
            layer = _of_gate(layer, family, float(bound))
            linear = layer.linear
    if linear is not None and linear.family.delta:
        doubled = next((name for name in _DOUBLED if name in options), "")
        if doubled and options[doubled] is True:
            used[f"{NAME} says {doubled}: β of the delta rule is 2 σ(b), its eigenvalues lie in [−1, 1]"] = None
            return replace(layer, linear=replace(linear, reflects=True))
    return layer


def _of_softplus(layer: RecurrentLayer) -> RecurrentLayer:
    """Return a layer of Mamba-3 whose A is −softplus, at rest −log 2."""
    if layer.linear is None or layer.linear.family.name != "Mamba-3":
        return layer
    return _with(layer, "Mamba-3", {"rate": math.log(2)})


def _of_gate(layer: RecurrentLayer, family: str, bound: float) -> RecurrentLayer:
    """Return a layer of KDA with the gate that its configuration says."""
    return _with(layer, family, {"gate_bound": bound} if bound != DEFAULT_BOUND else {})


def _with(layer: RecurrentLayer, family: str, numbers: Mapping[str, float]) -> RecurrentLayer:
    """Return a layer as one of a family, with numbers of a configuration."""
    linear = layer.linear
    assert linear is not None
    parameters, names, dtypes = dict(linear.parameters), dict(linear.names), dict(linear.dtypes)
    for name, value in numbers.items():
        parameters[name], names[name], dtypes[name] = np.array([value]), NAME, "float64"
    other = from_linear(family, parameters, names=names, dtypes=dtypes)
    return replace(layer, diagonal=other.diagonal, linear=other.linear)


def _is_bounded(options: Mapping[str, Any]) -> tuple[str, bool] | None:
    """Return the option that says whether the gate of KDA is bounded, and what it says; None where none does."""
    for name in _BOUNDED:
        if isinstance(options.get(name), bool):
            return name, options[name]
    for name in _BOUNDS:
        if isinstance(options.get(name), float | int) and not isinstance(options[name], bool) and options[name] < 0:
            return name, True
    return None
