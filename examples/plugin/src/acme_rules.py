"""A rule of another distribution: a policy of a company about the size of its layers."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.diagnosis import Examination, Finding, Rule, Severity

LARGEST = 512


def wide_layer(exam: Examination) -> Iterator[Finding]:
    """A recurrent layer has more units than our devices hold in their cache.

    ## What was found
    The hidden size is above 512.

    ## Why it matters
    On our devices a step of such a layer reads its weights from main memory.

    ## Remedy
    Use two layers, or a low-rank recurrent weight.
    """
    for layer in exam.layers:
        n = layer.layer.hidden_size
        if n > LARGEST:
            yield Finding(
                Severity.WARNING,
                layer.place(),
                f"{n} units, more than {LARGEST}",
                "a step reads the weights from main memory",
                "use two layers, or a low-rank recurrent weight",
                {"hidden_size": n, "largest": LARGEST},
            )


WIDE_LAYER = Rule("ACME001", "wide-layer", wide_layer)
