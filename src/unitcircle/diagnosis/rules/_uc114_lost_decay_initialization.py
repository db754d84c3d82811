"""Rule UC114, lost-decay-initialization."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._driven import LOST
from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._head_memory import head_memory, tokens
from unitcircle.diagnosis._lost_decay import law_of, lost_parameters
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import linear_layers


@rule("UC114", "lost-decay-initialization", fix="safe")
def lost_decay_initialization(exam: Examination) -> Iterator[Finding]:
    """The decay of a linear recurrence does not start where the authors of its family start it.

    ## What was found
    A parameter of the decay (`A_log`, `dt_bias`, `time_decay`, `fgate.bias`, ...) has one value in all heads or
    channels, or in a quarter of them, or hardly differs between them, though its authors spread it; or its heads are in
    another order; or it is stored on another scale than the one it is read on: A in place of its logarithm, the step in
    place of its inverse softplus, the logarithm taken twice, a squared step, a changed sign. Equal entries that
    clamping or pruning explains are a note. Not seen are a step ten times too small, which other models draw; the curve
    of another family; and a logarithm that starts at 0 and was drawn from noise.

    ## Why it matters
    The parameters of the decay are initialized by hand, outside `reset_parameters`: they are lost where a framework
    initializes a model again after construction, on the meta device, in shards or in a conversion. The model still
    trains, and with Δ = softplus(1) in place of Δ in (.001, .1) its heads forget within a few tokens. In transformers
    this was issue 43717, and eight model classes of its version 5.24 fill `dt_bias` with ones.

    ## Remedy
    Draw the parameter again from its authors' law, which the finding states, in float32, and before training. Weights
    that were trained from such a start are as they are: on a batch the finding states the memory on its tokens, and is
    a note where a head keeps a write over a quarter of them.
    """
    for layer, linear in linear_layers(exam):
        memory = head_memory(layer.layer)
        if memory is None:
            continue
        text = f"memory at rest: median {tokens(memory.median)} tokens, longest {tokens(memory.longest)}"
        severity, evidence = Severity.WARNING, memory.to_dict()
        if layer.tokens is not None:
            median, longest = float(np.median(layer.tokens.memory)), float(layer.tokens.memory.max())
            text += f"; on these tokens: median {tokens(median)}, longest {tokens(longest)}"
            evidence |= {"median_on_tokens": median, "longest_on_tokens": longest}
            if longest * -math.log(LOST) >= layer.steps / 4:
                severity = Severity.NOTE
        for lost in lost_parameters(linear):
            yield Finding(
                severity if lost.sure else Severity.NOTE,
                layer.place(linear.names.get(lost.parameter, lost.parameter)),
                f"{lost.what}{'' if lost.sure else ', unless they were clamped or pruned'}; {text}",
                "every head starts with a decay that the authors of this family do not start with",
                law_of(linear, lost.parameter),
                {"family": linear.family.name, "parameter": lost.parameter, "symptom": lost.symptom} | evidence,
            )
