"""The merged remedy of a diagnosis, applied to the live model that was diagnosed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unitcircle._filling import places_in
from unitcircle.diagnosis._finding import Finding
from unitcircle.diagnosis._remedy import LOST_DECAY, drawn_decay, merged_action
from unitcircle.diagnosis._subject import is_flax, is_keras, is_live
from unitcircle.errors import ArgumentError
from unitcircle.initializers import Initialization

if TYPE_CHECKING:
    from unitcircle.diagnosis._examination import LayerExamination
    from unitcircle.diagnosis._text import DiagnosisData


@dataclass(frozen=True)
class DecayInitialization(Initialization):
    """Parameters of a decay that were drawn again: a law, of which no single draw has a certificate."""

    drawn: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(self.drawn)


def apply_remedies(diagnosis: DiagnosisData, model: Any, *, trained: bool, rng: Any) -> tuple[Initialization, ...]:
    """Initialize the layers of a model that have findings which an initialization remedies."""
    chosen: dict[str, list[Finding]] = defaultdict(list)
    for finding in diagnosis.findings:
        if finding.action or finding.code == LOST_DECAY:
            chosen[finding.place.layer].append(finding)
    layers = {layer.layer.label: layer for layer in diagnosis.layers}
    if not (is_live(model) or is_keras(model) or is_flax(model, "flax.nnx")):
        rule = "must be the torch.nn.Module, Keras model or nnx module that was diagnosed"
        remedy = "" if diagnosis.remedy is None else f"Run the remedy yourself: {diagnosis.remedy.text}"
        raise ArgumentError("model", rule, type(model).__name__, remedy)
    refused = (
        [] if trained else [text for label in chosen if (text := _refusal(diagnosis, layers[label], chosen[label]))]
    )
    if refused:
        rule = "must have no trained layers with such findings, whose knowledge an initialization erases"
        raise ArgumentError("model", rule, "; ".join(refused), "Pass trained=True to do it all the same.")
    actions = {label: action for label, findings in chosen.items() if (action := merged_action(findings))}
    if isinstance(rng, int) and len(actions) > 1:
        rng = np.random.default_rng(rng)  # one seed for each layer would give equal layers
    fill = _of_torch if is_live(model) else _of_keras if is_keras(model) else _of_nnx
    filled = fill(model, {label: (layers[label], action) for label, action in actions.items()}, rng)
    drawn = tuple(_draw_decays(diagnosis, model, chosen, rng))
    return (*filled, DecayInitialization((), drawn)) if drawn else tuple(filled)


def _refusal(diagnosis: DiagnosisData, layer: LayerExamination, findings: list[Finding]) -> str:
    """Return why a layer is not touched, or an empty text."""
    state = diagnosis.examination.trained(layer)
    # A parameter with one value in all heads was not trained, whatever else is in the layer.
    if state is False or all(finding.evidence.get("symptom") == "constant" for finding in findings):
        return ""
    return f"{'a trained ' if state else ''}{layer.layer.label} ({layer.training})"


_Actions = Mapping[str, tuple[Any, Mapping[str, str]]]
"""Label of a layer → its examination, and arguments of ``initialize_``."""


def _of_torch(model: Any, actions: _Actions, rng: Any) -> list[Initialization]:
    """Initialize the layers of a torch module: those of one action together, and no other."""
    from torch import nn  # noqa: PLC0415  (it is there)

    from unitcircle.torch import initialize_  # noqa: PLC0415

    groups: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for layer, action in actions.values():
        groups[tuple(sorted(action.items()))].append(layer.layer.source.tensors[0])
    result: list[Initialization] = []
    weights = {name for name, _ in [*model.named_parameters(), *model.named_modules()]}
    for action, names in groups.items():
        if strange := [name for name in names if weights.isdisjoint({name, name.rpartition(".")[0]})]:
            rule = "must be the module that was diagnosed"
            raise ArgumentError("model", rule, f"{type(model).__name__} without {strange[0]}")
        paths = [name.rpartition(".")[0] for name in names]
        linear = [path for path in paths if isinstance(model.get_submodule(path), nn.Linear)]
        result.append(initialize_(model, **dict(action), linear=linear, only=names, rng=rng))
    return result


def _of_keras(model: Any, actions: _Actions, rng: Any) -> list[Initialization]:
    """Initialize the layers of a Keras model, each the innermost that holds the weight."""
    from unitcircle.keras import initialize_  # noqa: PLC0415  (loads Keras, which is there)

    result: list[Initialization] = []
    for layer, action in actions.values():
        weight = layer.layer.source.tensors[0]
        holders = [part for part in model._flatten_layers() if weight in {variable.path for variable in part.weights}]
        result.append(initialize_(min(holders, key=lambda part: len(part.weights)), **action, rng=rng))
    return result


def _of_nnx(model: Any, actions: _Actions, rng: Any) -> list[Initialization]:
    """Initialize the cells of an nnx module."""
    from flax import nnx  # noqa: PLC0415  (it is there)

    from unitcircle.jax import initialize_  # noqa: PLC0415

    result: list[Initialization] = []
    for layer, action in actions.values():
        part, cell = model, model
        for name in layer.layer.source.tensors[0].split("."):
            part = getattr(part, name) if hasattr(part, name) else part[int(name) if name.isdecimal() else name]
            if isinstance(part, nnx.RNNCellBase):
                cell = part
                break
        key = (
            int(np.random.default_rng(rng).integers(2**31))
            if rng is None or isinstance(rng, np.random.Generator)
            else rng
        )
        result.append(initialize_(cell, **action, key=key))
    return result


def _draw_decays(diagnosis: DiagnosisData, model: Any, chosen: Mapping[str, list[Finding]], rng: Any) -> Iterator[str]:
    """Draw the lost parameters of decays again, and yield what was drawn."""
    layers = {layer.layer.label: layer.layer for layer in diagnosis.layers}
    generator = (
        rng if isinstance(rng, np.random.Generator) else np.random.default_rng(rng if isinstance(rng, int) else None)
    )
    for finding in (finding for findings in chosen.values() for finding in findings if finding.code == LOST_DECAY):
        values, stored, law = drawn_decay(diagnosis.layers, finding, generator)
        tensors = layers[finding.place.layer].source.tensors
        names = [name for name in tensors if name == stored or name.endswith(f".{stored}")]
        parameters = dict(model.named_parameters()) if names and is_live(model) else {}
        target, places = parameters.get(names[0]) if names else None, None
        if target is not None and tuple(target.shape) != values.shape:
            held = {name: value.detach().numpy(force=True) for name, value in parameters.items() if name in tensors}
            places = places_in(held, layers[finding.place.layer], names[0], finding.evidence["parameter"])
        if target is None or values.shape not in {tuple(target.shape), None if places is None else places.shape}:
            rule = "must hold the parameters of its decays as they were read"
            raise ArgumentError(
                "model", rule, f"no {stored} of shape {values.shape}", f"Assign it yourself: {finding.remedy}"
            )
        if places is not None:
            whole = target.detach().numpy(force=True).astype(float).ravel()
            whole[places] = values
            values = whole.reshape(tuple(target.shape))
        target.data.copy_(target.data.new_tensor(values))
        yield f"{names[0]} <- {law}"
