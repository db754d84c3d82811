"""Rules over the decay of linear recurrences: lost initializations, heads without use, storage, expressivity."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._head_memory import head_memory, listed, tokens
from unitcircle.diagnosis._lost_decay import law_of, lost_parameters
from unitcircle.diagnosis._rule import rule
from unitcircle.recurrence import LinearRecurrence


def _linear_layers(exam: Examination) -> Iterator[tuple[LayerExamination, LinearRecurrence]]:
    for layer in exam.layers:
        if layer.layer.linear is not None and layer.finite:
            yield layer, layer.layer.linear


@rule("UC114", "lost-decay-initialization")
def lost_decay_initialization(exam: Examination) -> Iterator[Finding]:
    """The decay of a linear recurrence does not start where the authors of its family start it.

    ## What was found
    A parameter of the decay (`A_log`, `dt_bias`, `time_decay`, `fgate.bias`, ...) has one value in all heads or
    channels though its authors spread it, or is stored on another scale than the one it is read on: A in place of its
    logarithm, the step in place of its inverse softplus, the logarithm taken twice, a squared step, a changed sign.

    ## Why it matters
    The parameters of the decay are initialized by hand, outside `reset_parameters`: they are lost where a framework
    initializes a model again after construction, on the meta device, in shards or in a conversion. The model still
    trains, and with Δ = softplus(1) in place of Δ in (.001, .1) its heads forget within a few tokens. In transformers
    this was issue 43717, and eight model classes of its version 5.24 fill `dt_bias` with ones.

    ## Remedy
    Draw the parameter again from its authors' law, which the finding states, in float32, and before training. Weights
    that were trained from such a start are as they are.
    """
    for layer, linear in _linear_layers(exam):
        memory = head_memory(layer.layer)
        if memory is None:
            continue
        for lost in lost_parameters(linear):
            yield Finding(
                Severity.WARNING,
                layer.place(linear.names.get(lost.parameter, lost.parameter)),
                f"{lost.what}; memory at rest: median {tokens(memory.median)} tokens, longest {tokens(memory.longest)}",
                "every head starts with a decay that the authors of this family do not start with",
                law_of(linear, lost.parameter),
                {"family": linear.family.name, "parameter": lost.parameter, "symptom": lost.symptom} | memory.to_dict(),
            )


@rule("UC115", "no-state-tracking", on_request=True)
def no_state_tracking(exam: Examination) -> Iterator[Finding]:
    """For information, with `--select UC115`: the eigenvalues of a layer are real and not negative for every input.

    ## What was found
    The transition of this family has eigenvalues in [0, 1] whatever the input is. Some are fixed by the equation
    (Mamba, Mamba-2, RWKV 4 to 6, GLA, RG-LRU, mLSTM); in the delta rule β = 2 σ(b) (`allow_neg_eigval`) would widen the
    range to (−1, 1), and whether a model uses it stands in its configuration, not in its weights.

    ## Why it matters
    A finite number of such layers cannot compute the parity of a sequence of any length, and layers with real
    eigenvalues only cannot count modulo 3 (Grazzi et al., "Unlocking State-Tracking in Linear RNNs Through Negative
    Eigenvalues", 2024, arXiv 2411.12537, theorems 1 and 2). This is a limit of what the architecture computes at every
    length, not a defect, and language modelling may not need it. Tomita's languages 5 and 6 need it.

    ## Remedy
    None is needed, unless the task must track a state: then eigenvalues in (−1, 1), products of several Householder
    factors, rotations, or a nonlinear recurrence.
    """
    for layer, linear in _linear_layers(exam):
        low, high = linear.family.range
        if low >= 0 and not linear.family.rotates:
            yield Finding(
                Severity.NOTE,
                layer.place(),
                f"{linear.family.name}: eigenvalues in [{low:g}, {high:g}] for every input",
                "such layers cannot compute the parity of sequences of any length",
                "none needed; for state tracking: eigenvalues in (−1, 1), as with allow_neg_eigval of a delta rule",
                {"family": linear.family.name, "range": [low, high]},
            )


@rule("UC116", "endless-memory")
def endless_memory(exam: Examination) -> Iterator[Finding]:
    """A head of a linear recurrence never decays, although its decay is a parameter.

    ## What was found
    The memory of some heads at rest is above five million tokens: exp(A_log) or the step at rest is so small that
    nothing is ever forgotten.

    ## Why it matters
    Such a head adds up everything it reads. The gradient of the decay is proportional to its rate, so that the head
    does not learn to forget either.

    ## Remedy
    Draw the parameters of these heads again, from the law that the finding states. Families whose decay is fixed by
    design (RetNet, lightning attention, the delta rule without a gate) are not reported, and the bounded gate of KDA,
    which its inputs open, only by a note.
    """
    for layer, linear in _linear_layers(exam):
        memory = head_memory(layer.layer)
        if memory is None or not memory.endless or linear.family.fixed or not linear.family.laws:
            continue
        yield Finding(
            Severity.NOTE if linear.family.shut else Severity.WARNING,
            layer.place(),
            f"{len(memory.endless)} of {linear.units} {memory.unit}s never decay ({memory.unit} "
            f"{listed(memory.endless)}): memory at rest {tokens(memory.longest)} tokens",
            "such a head sums up all it reads, and the gradient of its decay vanishes with the rate",
            "; ".join(law_of(linear, parameter) for parameter in linear.family.laws if parameter in linear.parameters),
            {"heads": list(memory.endless), **memory.to_dict()},
        )


@rule("UC117", "half-precision-decay")
def half_precision_decay(exam: Examination) -> Iterator[Finding]:
    """A parameter of the decay is stored in half precision.

    ## What was found
    `A_log`, `dt_bias` or another parameter of the decay is bfloat16 or float16. The finding states by how much the
    memory of a head can have moved by this rounding. Where that is more than a tenth it is UC111 instead.

    ## Why it matters
    These parameters are logarithms, so that rounding changes a memory by a few percent and not by its order. While
    training, an update below 0.4 % of the value is lost: the authors of Mamba keep them in float32.

    ## Remedy
    Keep the parameters of the decay in float32 for training; for inference nothing is needed.
    """
    for layer, linear in _linear_layers(exam):
        stored = linear.in_half_precision
        error = float(np.max(linear.rounding, initial=0.0))
        if not stored or linear.family.fixed:
            continue
        names = ", ".join(stored)
        yield Finding(
            Severity.NOTE,
            layer.place(next(iter(stored))),
            f"{names} stored as {', '.join(sorted(set(stored.values())))}: the memory of a head is off by at most "
            f"{error:.1%}",
            "small updates of the decay are lost while training",
            f"keep {names} in float32 for training",
            {"stored": stored, "largest_relative_error": error},
        )


@rule("UC118", "one-token-memory")
def one_token_memory(exam: Examination) -> Iterator[Finding]:
    """At least half of the heads of a linear recurrence forget in one token.

    ## What was found
    In these heads no eigenvalue at rest keeps 1/1000 of a write over one token.

    ## Why it matters
    A head that forgets in one token is no recurrence: the layer computes from the current token, and from its short
    convolution where it has one. A sign or a logarithm that was lost in the decay does this.

    ## Remedy
    Draw the parameters again, from the law that the finding states.
    """
    for layer, linear in _linear_layers(exam):
        memory = head_memory(layer.layer)
        if memory is None or 2 * len(memory.momentary) < linear.units or lost_parameters(linear):
            continue
        laws = [law_of(linear, parameter) for parameter in linear.family.laws if parameter in linear.parameters]
        yield Finding(
            Severity.WARNING,
            layer.place(),
            f"{len(memory.momentary)} of {linear.units} {memory.unit}s forget in one token ({memory.unit} "
            f"{listed(memory.momentary)}); longest memory {tokens(memory.longest)} tokens",
            "a head that keeps nothing over one token is no recurrence",
            "; ".join(laws) or "raise the bias of the forget gate",
            {"heads": list(memory.momentary), **memory.to_dict()},
        )
