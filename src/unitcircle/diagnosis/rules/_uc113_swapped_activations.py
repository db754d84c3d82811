"""Rule UC113, swapped-activations."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule
from unitcircle.recurrence import Cell


@rule("UC113", "swapped-activations")
def swapped_activations(exam: Examination) -> Iterator[Finding]:
    """The gates and the candidate of a gated cell have their activation functions swapped.

    ## What was found
    The candidate (g or n) has a sigmoid and the gates have tanh. `activation` and `recurrent_activation` of a Keras
    layer were interchanged.

    ## Why it matters
    A gate with tanh can be negative: it flips the sign of what it should let through. A candidate with a sigmoid can
    only add, so the state drifts to one side.

    ## Remedy
    Set `activation="tanh", recurrent_activation="sigmoid"`, and train again.
    """
    for layer in exam.layers:
        if not layer.layer.cell.gated:
            continue
        candidate = "g" if layer.layer.cell is Cell.LSTM else "n"
        phi = layer.layer.activations
        if phi[candidate].startswith("tanh") or "sigmoid" not in phi[candidate]:
            continue
        gates = {gate: phi[gate] for gate in layer.layer.cell.gates if gate != candidate}
        if set(gates.values()) == {"tanh"}:
            yield Finding(
                Severity.ERROR,
                layer.place(),
                f"the candidate {candidate} has {phi[candidate]} and the gates have tanh: they are swapped",
                "a gate that can be negative flips the sign of what it lets through",
                "activation='tanh', recurrent_activation='sigmoid', and train again",
                {"activations": dict(phi)},
            )
