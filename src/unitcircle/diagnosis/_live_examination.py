"""The examination of a live model (imports torch; imported only for such a model)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from unitcircle import checkpoints
from unitcircle.checkpoints import Coverage
from unitcircle.diagnosis._candidates import candidates, try_candidates, with_untried
from unitcircle.diagnosis._examination import DEFAULT_STEPS, Examination, LayerExamination
from unitcircle.diagnosis._linear_attention import told_by_class
from unitcircle.diagnosis._live import Execution, measure, read
from unitcircle.diagnosis._live_loops import names_of
from unitcircle.dynamics import TokenMemory, token_memory
from unitcircle.errors import ArgumentError, CheckpointError
from unitcircle.recurrence import RecurrentLayer


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
        linear, of_linear = linear_recurrences(model, execution)
        other = initializers or execution.at or any(read(model)) or any(_may_be_a_loop(*one) for one in linear)
        if linear and not other:
            unread = (*of_linear.unread, *told_by_class(model, of_linear.unread))
            return _of_linear(linear, replace(of_linear, unread=unread), steps)
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
            coverage = with_untried(coverage, tried, trials)
    layers = [LayerExamination(layer, length, None, execution.seed, measured) for layer, measured in live.layers]
    measured = {tensor for layer, _ in live.layers for tensor in layer.source.tensors}
    left = [one for one in linear if measured.isdisjoint(one[0].source.tensors)]
    layers += [LayerExamination(layer, length, None, execution.seed, tokens=tokens) for layer, tokens in left]
    if left:
        unread = (*coverage.unread, *of_linear.unread)
        notes = (note for note in coverage.notes if not note.startswith("no loop carries a state"))
        coverage = replace(coverage, notes=(*notes, *of_linear.notes), unread=unread)
    return Examination(layers, length, steps_given=True, trials=trials), coverage


def _may_be_a_loop(layer: RecurrentLayer, tokens: TokenMemory | None) -> bool:
    """Return whether a layer ran no scan that is known, or is of a family that people write as a loop."""
    return tokens is None or (layer.linear is not None and layer.linear.family.name in {"LRU", "S4D", "S5"})


def _of_linear(
    linear: Sequence[tuple[RecurrentLayer, TokenMemory | None]], coverage: Coverage, steps: int | None
) -> tuple[Examination, Coverage]:
    """Return the examination of a model that has linear recurrences, and no recurrent module of torch."""
    tokens = max((memory.steps for _, memory in linear if memory is not None), default=DEFAULT_STEPS)
    if steps is not None and steps > tokens:
        raise ArgumentError("steps", f"must not exceed the batch's {tokens}", f"{steps}", "Pass longer sequences.")
    length = tokens if steps is None else steps
    layers = [LayerExamination(layer, length, tokens=memory) for layer, memory in linear]
    return Examination(layers, length, steps_given=True), coverage


def linear_recurrences(
    model: nn.Module, execution: Execution, /
) -> tuple[list[tuple[RecurrentLayer, TokenMemory | None]], Coverage]:
    """Return the linear recurrences of a model with their memory on the batch, and what was read of its tensors."""
    tensors = {name: value for name, value in model.state_dict().items() if isinstance(value, Tensor)}
    try:
        found = checkpoints.read(tensors, config=checkpoints.config_of(model))
    except (ArgumentError, CheckpointError):  # of another kind than files, such as a tensor without entries
        return [], Coverage()
    layers = [layer for layer in found if layer.linear is not None]
    if not layers:
        return [], Coverage()
    memories, unread = token_memory(model, execution.batch, layers=layers)
    by_tensor = {memory.layer.source.tensors: memory for memory in memories}
    how = (
        f"the linear recurrences were run once forwards, in the model's own precision: {len(memories)} of "
        f"{len(layers)} handed the transitions of these tokens to a scan that is known"
    )
    coverage = replace(found.coverage, notes=(*found.coverage.notes, how), unread=(*found.coverage.unread, *unread))
    return [(layer, by_tensor.get(layer.source.tensors)) for layer in layers], coverage
