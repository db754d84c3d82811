"""Trying initializers on copies of a live model (needs torch; imported only when such a model arrives)."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn

from unitcircle.diagnosis._examination import chrono_for
from unitcircle.diagnosis._live import Execution, LiveModel, measure
from unitcircle.diagnosis._trial import AS_IT_IS, Trial, Trials, ranked
from unitcircle.errors import ArgumentError
from unitcircle.initializers import Chrono, ForgetBias, Initializer, parse
from unitcircle.recurrence import Cell
from unitcircle.torch import initialize_

FEWEST_SEEDS = 5
REMEDIES = "remedies"
LOG_10 = math.log(10)


@dataclass(frozen=True)
class Candidate:
    """A way to initialize a model."""

    name: str  # As it was asked for
    options: Mapping[str, Any]  # Arguments of :func:`unitcircle.torch.initialize_`

    @property
    def call(self) -> str:
        """The line of code that applies it."""
        listed = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"unitcircle.torch.initialize_(model, {listed})"


def candidates(
    given: Iterable[str | Initializer | Mapping[str, Any]], live: LiveModel, /, *, steps: int, at: Sequence[str] = ()
) -> list[Candidate]:
    """Return the candidates that were asked for."""
    found: dict[str, Candidate] = {}
    for item in given:
        for one in _remedies(live, steps) if item == REMEDIES else [item]:
            made = _candidate(one, at)
            found.setdefault(made.name, made)
    return list(found.values())


def _remedies(live: LiveModel, steps: int) -> list[str]:
    cells = {layer.cell for layer, _ in live.layers}
    names = ["orthogonal"]
    if any(cell.gated for cell in cells):
        chrono = chrono_for(steps)
        names += ["orthogonal + forget_bias", chrono, f"orthogonal + {chrono}"]
    if not all(cell.gated for cell in cells):
        names += ["block_rotation", "eigen(modulus=1.0)"]
    return [*names, "identity"] if Cell.RNN_RELU in cells else names


def _candidate(given: str | Initializer | Mapping[str, Any], at: Sequence[str]) -> Candidate:
    linear = {"linear": list(at)} if at else {}
    if isinstance(given, Mapping):
        name = ", ".join(f"{key}={value}" for key, value in given.items())
        return Candidate(name, {**given} | linear)
    options: dict[str, Any] = {}
    for part in re.split(r"\s\+\s", given) if isinstance(given, str) else [given]:
        init = parse(part)
        role = "bias" if isinstance(init, Chrono | ForgetBias) else "recurrent"
        if role in options:
            rule = "must name one recurrent initializer, one bias, or both"
            raise ArgumentError("try_initializers", rule, repr(str(given)))
        options[role] = part if isinstance(part, str) else str(init)
    return Candidate(str(given), options | linear)


def try_candidates(
    model: nn.Module,
    execution: Execution,
    live: LiveModel,
    given: Sequence[Candidate],
    /,
    *,
    steps: int,
    seeds: int,
    weights: Mapping[str, float] | None,
) -> Trials:
    """Measure a model re-initialized with each candidate, on copies, and rank the candidates."""
    if seeds < FEWEST_SEEDS:
        rule = f"must be at least {FEWEST_SEEDS}, for fewer draws give no interval worth reading"
        raise ArgumentError("seeds", rule, f"{seeds}")
    made = [Trial(AS_IT_IS, "", {name: np.array([value]) for name, value in _criteria(live, steps).items()})]
    twin = copy.deepcopy(model)
    for candidate in given:
        rows: list[dict[str, float]] = []
        for draw in range(seeds):
            # Every draw replaces the last one whole, so that one copy is enough; what a candidate does not fill must
            # be as it was, so that candidates do not inherit from each other.
            twin.load_state_dict(model.state_dict())
            initialize_(twin, **candidate.options, rng=execution.seed + draw)
            rows.append(_criteria(measure(twin, execution, thorough=False), steps))
        values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        made.append(Trial(candidate.name, candidate.call, values))
    return ranked(made, weights)


def _criteria(live: LiveModel, steps: int) -> dict[str, float]:
    measured = [layer for _, layer in live.layers if layer is not None]
    flows = np.array([layer.change(steps) / LOG_10 for layer in measured] or [math.nan])
    typical = np.array([layer.typical / LOG_10 for layer in measured] or [math.nan])
    dimension = np.array([layer.dimension for layer in measured] or [math.nan])
    return {
        "flow": float(flows[np.argmax(np.abs(flows))]),
        "typical_direction": float(typical[np.argmax(np.abs(typical))]),
        "effective_dimension": float(dimension.min()),
    }
