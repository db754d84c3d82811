"""The examination of a live model (imports torch; imported only for such a model)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from unitcircle.checkpoints import Coverage
from unitcircle.diagnosis._candidates import candidates, try_candidates
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._live import Execution, measure
from unitcircle.diagnosis._live_loops import names_of
from unitcircle.errors import ArgumentError


def examine(
    model: nn.Module,
    execution: Execution,
    /,
    *,
    steps: int | None,
    initializers: Sequence[Any],
    seeds: int,
    weights: Mapping[str, float] | None,
) -> tuple[Examination, Coverage]:
    """Measure a model on a batch, and copies of it with other initializers."""
    with execution.progress:
        live = measure(model, execution)
        if steps is not None and steps > live.steps and not live.interrupted:
            rule = f"must not exceed the batch's {live.steps}"
            raise ArgumentError("steps", rule, f"{steps}", "Pass longer sequences.")
        length = live.steps if steps is None else steps
        trials, coverage = None, live.coverage
        if initializers and live.interrupted:
            coverage = replace(coverage, unread=(*coverage.unread, "interrupted: no initializer was tried"))
        elif initializers:
            texts = [initializers] if isinstance(initializers, str) else initializers
            tried = candidates(texts, live, steps=length, at=names_of(model, execution.at))
            trials = try_candidates(model, execution, live, tried, steps=length, seeds=seeds, weights=weights)
            if trials.untried:
                text = f"interrupted: {', '.join(trials.untried)} not tried"
                coverage = replace(coverage, unread=(*coverage.unread, text))
    layers = [LayerExamination(layer, length, None, execution.seed, measured) for layer, measured in live.layers]
    return Examination(layers, length, steps_given=True, trials=trials), coverage
