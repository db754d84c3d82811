"""Trying initializers on copies of a live model (imports torch; imported only for such a model)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from torch import nn

from unitcircle.diagnosis._examination import chrono_for
from unitcircle.diagnosis._live import Execution, LiveModel, measure
from unitcircle.diagnosis._trial import AS_IT_IS, Trial, Trials, rank_trials
from unitcircle.errors import ArgumentError
from unitcircle.initializers import Chrono, ForgetBias, Initializer, parse
from unitcircle.recurrence import Cell
from unitcircle.torch import copied, initialize_

FEWEST_SEEDS = 5
REMEDIES = "remedies"
LOG_10 = math.log(10)


@dataclass(frozen=True)
class Candidate:
    """A way to initialize a model."""

    name: str  # The specification of the user
    options: Mapping[str, Any]  # Arguments of :func:`unitcircle.torch.initialize_`

    @property
    def call(self) -> str:
        """The line of code that applies it."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"unitcircle.torch.initialize_(model, {arguments})"


def candidates(
    specifications: Iterable[str | Initializer | Mapping[str, Any]],
    live: LiveModel,
    /,
    *,
    steps: int,
    at: Sequence[str] = (),
) -> list[Candidate]:
    """Return one candidate per distinct specification."""
    by_name: dict[str, Candidate] = {}
    for item in specifications:
        for specification in _remedies(live, steps) if item == REMEDIES else [item]:
            candidate = _candidate(specification, at)
            by_name.setdefault(candidate.name, candidate)
    return list(by_name.values())


def _remedies(live: LiveModel, steps: int) -> list[str]:
    cells = {layer.cell for layer, _ in live.layers}
    names = ["orthogonal"]
    if any(cell.gated for cell in cells):
        chrono = chrono_for(steps)
        names += ["orthogonal + forget_bias", chrono, f"orthogonal + {chrono}"]
    if not all(cell.gated for cell in cells):
        names += ["block_rotation", "eigen(modulus=1.0)"]
    return [*names, "identity"] if Cell.RNN_RELU in cells else names


def _candidate(specification: str | Initializer | Mapping[str, Any], at: Sequence[str]) -> Candidate:
    linear = {"linear": list(at)} if at else {}
    if isinstance(specification, Mapping):
        name = ", ".join(f"{key}={value}" for key, value in specification.items())
        return Candidate(name, {**specification} | linear)
    options: dict[str, Any] = {}
    for part in re.split(r"\s\+\s", specification) if isinstance(specification, str) else [specification]:
        init = parse(part)
        role = "bias" if isinstance(init, Chrono | ForgetBias) else "recurrent"
        if role in options:
            rule = "must name one recurrent initializer, one bias, or both"
            raise ArgumentError("try_initializers", rule, repr(str(specification)))
        options[role] = part if isinstance(part, str) else str(init)
    return Candidate(str(specification), options | linear)


def try_candidates(
    model: nn.Module,
    execution: Execution,
    live: LiveModel,
    tried: Sequence[Candidate],
    /,
    *,
    steps: int,
    seeds: int,
    weights: Mapping[str, float] | None,
) -> Trials:
    """Measure a model re-initialized with each candidate, on copies, and rank the candidates."""
    if seeds < FEWEST_SEEDS:
        rule = f"must be at least {FEWEST_SEEDS}, because fewer draws give too wide an interval"
        raise ArgumentError("seeds", rule, f"{seeds}")
    trials = [Trial(AS_IT_IS, "", {name: np.array([value]) for name, value in _criteria(live, steps).items()})]
    twin = copied(model)
    execution.progress.expect(len(tried) * seeds)
    try:
        for candidate in tried:
            rows: list[dict[str, float]] = []
            for draw in range(seeds):
                # One copy serves all draws: it is reset first, so that tensors a candidate does not fill come from the
                # model and not from the previous candidate.
                twin.load_state_dict(model.state_dict())
                initialize_(twin, **candidate.options, rng=execution.seed + draw)
                rows.append(_criteria(measure(twin, execution, thorough=False, loops=live.loops), steps))
                execution.progress.advance()
            values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
            trials.append(Trial(candidate.name, candidate.call, values))
    except KeyboardInterrupt:
        done = {trial.name for trial in trials}
        left = tuple(candidate.name for candidate in tried if candidate.name not in done)
        return replace(rank_trials(trials, weights), untried=left)
    return rank_trials(trials, weights)


def _criteria(live: LiveModel, steps: int) -> dict[str, float]:
    layers = [layer for _, layer in live.layers if layer is not None]
    flows = np.array([layer.change(steps) / LOG_10 for layer in layers] or [math.nan])
    typical = np.array([layer.typical / LOG_10 for layer in layers] or [math.nan])
    dimension = np.array([layer.dimension for layer in layers] or [math.nan])
    return {
        "flow": float(flows[np.argmax(np.abs(flows))]),
        "typical_direction": float(typical[np.argmax(np.abs(typical))]),
        "effective_dimension": float(dimension.min()),
    }
