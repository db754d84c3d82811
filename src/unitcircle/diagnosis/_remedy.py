"""The call that remedies a finding, in the framework that its layer came from."""

from __future__ import annotations

from unitcircle.diagnosis._examination import LayerExamination

_CALLS = {"keras": "keras.initialize_(model, {})", "flax": "jax.initialize_(model, {}, key=0)"}


def initialize_call(layer: LayerExamination, /, **arguments: str) -> str:
    """Return the call that initializes a layer in the framework of its weights' layout, torch by default."""
    framework = layer.layer.source.layout.partition("-")[0]
    arguments_text = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    return f"unitcircle.{_CALLS.get(framework, 'torch.initialize_(model, {})').format(arguments_text)}"
