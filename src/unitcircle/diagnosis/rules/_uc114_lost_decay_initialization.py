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
    A parameter of the decay (`A_log`, `dt_bias`, `time_decay`, `fgate.bias`, ...) bears a mark that neither its
    authors' law nor training leaves: one value in all heads or channels, or in a quarter of them; entries that are
    exactly 0 or 1, or beyond ±30, where nothing learns; a spread of less than a quarter of the law's; the numbers of
    one shard several times; whole numbers only; draws from N(0, 1) (a note where they are fewer than 1,024); a curve
    without its order, in part, or of another family; another scale: A in place of its logarithm, the step in place of
    its inverse softplus, the logarithm taken twice, a squared step, a changed sign, memories of 10⁵ tokens in all
    channels. Where another parameter of the layer is exactly where its authors start it, the layer was not trained, and
    steps out of the authors' range are a mark too. Entries that clamping or pruning explains are a note. What a file
    does not tell, and how much is found, is in docs/results/lost-decays.md.

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
                Severity.NOTE if lost.unless else severity,
                layer.place(linear.names.get(lost.parameter, lost.parameter)),
                f"{lost.what}{', unless ' if lost.unless else ''}{lost.unless}; {text}",
                "every head starts with a decay that the authors of this family do not start with",
                law_of(linear, lost.parameter),
                {"family": linear.family.name, "parameter": lost.parameter, "symptom": lost.symptom} | evidence,
            )
