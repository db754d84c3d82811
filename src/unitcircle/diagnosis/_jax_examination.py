"""The examination of a live JAX model (imports JAX; imported only for such a model)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from unitcircle.checkpoints import Coverage
from unitcircle.diagnosis._candidates import Candidate, candidates, criteria, ranked, with_untried
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._jax_live import JaxRun, LiveJax, measure
from unitcircle.diagnosis._jax_model import JaxModel, jax_batch, jax_model
from unitcircle.errors import ArgumentError
from unitcircle.jax import initialize
from unitcircle.report import Progress


def examine(  # noqa: PLR0913  (what diagnose was asked)
    model: Any,
    batch: Any,
    params: Any,
    loss: Callable[..., Any] | None,
    /,
    *,
    steps: int | None,
    initializers: Sequence[Any],
    seeds: int,
    weights: Mapping[str, float] | None,
    seed: int,
) -> tuple[Examination, Coverage, str]:
    """Measure a model on a batch, and with other initial parameters; return its name too."""
    function = jax_model(model, params)
    run = JaxRun(jax_batch(batch, model, bound=params is not None), loss, seed)
    live = measure(function, run)
    if steps is not None and steps > live.steps:
        raise ArgumentError("steps", f"must not exceed the batch's {live.steps}", f"{steps}", "Pass longer sequences.")
    length = live.steps if steps is None else steps
    trials, coverage = None, live.coverage
    if initializers:
        texts = [initializers] if isinstance(initializers, str) else initializers
        tried = candidates(texts, live, steps=length)
        trial = _trial(function, run, live, length)
        with Progress("measurements") as progress:
            trials = ranked(
                live, tried, trial, progress, seeds=seeds, steps=length, weights=weights, call=function.fills
            )
        coverage = with_untried(coverage, tried, trials)
    layers = [LayerExamination(layer, length, None, seed, measured) for layer, measured in live.layers]
    return Examination(layers, length, steps_given=True, trials=trials), coverage, function.name


def _trial(model: JaxModel, run: JaxRun, live: LiveJax, steps: int) -> Callable[[Candidate, int], dict[str, float]]:
    """Return the function that measures one draw of a candidate, on parameters of its own."""

    def trial(candidate: Candidate, draw: int) -> dict[str, float]:
        params, _ = initialize(model.params, **candidate.options, key=run.seed + draw)
        return criteria(measure(model.with_params(params), run, thorough=False, traced=live.found), steps)

    return trial
