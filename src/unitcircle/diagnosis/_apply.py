"""The merged remedy of a diagnosis, applied to the live model that was diagnosed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from unitcircle.diagnosis._finding import Finding
from unitcircle.diagnosis._remedy import merged_action
from unitcircle.diagnosis._subject import is_keras, is_live
from unitcircle.errors import ArgumentError

if TYPE_CHECKING:
    from unitcircle.diagnosis._text import DiagnosisData
    from unitcircle.initializers import Initialization


def actions_of(diagnosis: DiagnosisData) -> dict[str, Mapping[str, str]]:
    """Return label of a layer → arguments of ``initialize_``, for every layer that an initialization remedies."""
    by_layer: dict[str, list[Finding]] = defaultdict(list)
    for finding in diagnosis.findings:
        if finding.action:
            by_layer[finding.place.layer].append(finding)
    return {label: merged_action(findings) for label, findings in by_layer.items()}


def apply_remedies(diagnosis: DiagnosisData, model: Any, *, trained: bool, rng: Any) -> tuple[Initialization, ...]:
    """Initialize the layers of a model that have findings which an initialization remedies."""
    actions = actions_of(diagnosis)
    layers = {layer.layer.label: layer for layer in diagnosis.layers}
    refused = [label for label in actions if diagnosis.examination.trained(layers[label]) and not trained]
    if refused:
        rule = "must have no trained layers with such findings, whose knowledge an initialization erases"
        raise ArgumentError(
            "model", rule, f"a trained {', '.join(refused)}", "Pass trained=True to do it all the same."
        )
    if is_live(model):
        return _of_torch(diagnosis, model, actions, rng)
    if not is_keras(model):
        rule = "must be the torch.nn.Module or Keras model that was diagnosed"
        remedy = "" if diagnosis.remedy is None else f"Run the remedy yourself: {diagnosis.remedy.text}"
        raise ArgumentError("model", rule, type(model).__name__, remedy)
    if not actions:
        return ()
    chosen = set(map(_frozen, actions.values()))
    if len(chosen) > 1 or actions.keys() != layers.keys():
        rule = "must have one remedy for all its layers to be initialized as a whole"
        remedy = "Call initialize_ on these layers."
        raise ArgumentError("model", rule, f"remedies for {', '.join(actions)}", remedy)
    from unitcircle.keras import initialize_  # noqa: PLC0415  (loads Keras, which is there)

    return (initialize_(model, **dict(chosen.pop()), rng=rng),)


def _of_torch(
    diagnosis: DiagnosisData, model: Any, actions: Mapping[str, Mapping[str, str]], rng: Any
) -> tuple[Initialization, ...]:
    """Initialize the modules of the layers; the layers and directions of one module are filled together."""
    from unitcircle.torch import initialize_  # noqa: PLC0415  (loads torch, which is there)

    modules: dict[str, dict[str, str]] = defaultdict(dict)
    for layer in diagnosis.layers:
        if layer.layer.label in actions:
            # enc.weight_hh_l0 is the weight of the module enc.
            path = layer.layer.source.tensors[0].rpartition(".")[0] if layer.layer.source.tensors else layer.layer.name
            modules[path] = {**actions[layer.layer.label], **modules[path]}
    return tuple(initialize_(model.get_submodule(path), **action, rng=rng) for path, action in modules.items())


def _frozen(action: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(action.items()))
