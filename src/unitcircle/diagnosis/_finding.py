"""One diagnosed defect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

FailOn = Literal["error", "warning", "never"]
"""The severity from which a call fails."""
Kind = Literal["defect", "expressivity"]
"""What a finding is about: a defect, or what a layer cannot compute whatever its weights are."""


class Severity(IntEnum):
    """Severity of a finding; members can be compared."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Place:
    """Where a finding is.

    Attributes
    ----------
    layer
        The layer's name; empty for a finding about the whole model.
    gate
        The gate's name; empty for a finding about a whole layer.
    tensor
        The stored tensor to look at.

    Examples
    --------
    >>> print(Place("encoder", "f", "encoder.weight_hh_l0"))
    encoder[f]
    """

    layer: str = ""
    gate: str = ""
    tensor: str = ""

    def __str__(self) -> str:
        return f"{self.layer}[{self.gate}]" if self.gate else self.layer or "model"


@dataclass(frozen=True)
class Finding:
    """One diagnosed defect: code, severity, place, measured evidence, why it matters, remedy.

    Attributes
    ----------
    severity
        Error, warning or note.
    place
        Layer, gate and tensor.
    message
        What was found, one sentence with its numbers.
    why
        Why the defect matters, one sentence.
    remedy
        What to do, one sentence or one line of code.
    evidence
        The measured numbers by name.
    code
        Stable code, set by the registry: ``"UC101"``. ``unitcircle explain UC101`` prints its page.
    name
        The rule's short name, set by the registry: ``"stacked-orthogonal"``.
    action
        Where an initialization is the remedy, its arguments of ``initialize_``: ``{"recurrent": "orthogonal"}``.
    kind
        Set by the registry: ``"defect"``, or ``"expressivity"``, what no weights of such a layer can compute.
    """

    severity: Severity
    place: Place
    message: str
    why: str
    remedy: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""
    name: str = ""
    action: Mapping[str, str] = field(default_factory=dict)
    kind: Kind = "defect"

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-ready values."""
        return {
            "code": self.code,
            "name": self.name,
            "kind": self.kind,
            "severity": str(self.severity),
            "layer": self.place.layer,
            "gate": self.place.gate,
            "tensor": self.place.tensor,
            "message": self.message,
            "why": self.why,
            "remedy": self.remedy,
            "evidence": dict(self.evidence),
            "action": dict(self.action),
        }

    def __str__(self) -> str:
        return f"{self.place}: {self.code} {self.severity}: {self.message}"
