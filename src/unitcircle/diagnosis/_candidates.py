"""Trying initializers on copies of a live model."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from unitcircle.checkpoints import Coverage
from unitcircle.diagnosis._live_layer import LiveLayer
from unitcircle.diagnosis._remedies import name_of, remedies
from unitcircle.diagnosis._trial import AS_IT_IS, Trial, Trials, rank_trials
from unitcircle.errors import ArgumentError
from unitcircle.initializers import GateBias, Initializer, parse
from unitcircle.recurrence import RecurrentLayer
from unitcircle.report import Progress

if TYPE_CHECKING:
    from torch import nn

    from unitcircle.diagnosis._live import Execution, LiveModel

FEWEST_SEEDS = 5
REMEDIES = "remedies"
LOG_10 = math.log(10)


@dataclass(frozen=True)
class Candidate:
    """A way to initialize a model."""

    name: str  # The specification of the user
    options: Mapping[str, Any]  # Arguments of :func:`unitcircle.torch.initialize_`

    @property
    def action(self) -> dict[str, str]:
        """The same for any module of the model; empty where only this call says it."""
        texts = {name: value for name, value in self.options.items() if isinstance(value, str)}
        return texts if len(texts) == len(self.options) else {}

    @property
    def arguments(self) -> str:
        """Its arguments as text."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items())


class Measured(Protocol):
    """The recurrent layers of a live model of any framework."""

    @property
    def layers(self) -> Sequence[tuple[RecurrentLayer, LiveLayer | None]]:
        """Each with its measurements."""
        ...


def candidates(
    specifications: Iterable[str | Initializer | Mapping[str, Any]],
    live: Measured,
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


def _remedies(live: Measured, steps: int) -> list[str]:
    return [name_of(action) for layer, measured in live.layers for action in remedies(layer, steps, measured)]


def _candidate(specification: str | Initializer | Mapping[str, Any], at: Sequence[str]) -> Candidate:
    linear = {"linear": list(at)} if at else {}
    if isinstance(specification, Mapping):
        name = ", ".join(f"{key}={value}" for key, value in specification.items())
        return Candidate(name, {**specification} | linear)
    options: dict[str, Any] = {}
    for part in re.split(r"\s\+\s", specification) if isinstance(specification, str) else [specification]:
        named = isinstance(part, str) and part.startswith("bias=")
        part = part.removeprefix("bias=") if isinstance(part, str) else part  # noqa: PLW2901
        init = parse(part)
        role = "bias" if named or isinstance(init, GateBias) else "recurrent"
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
    from unitcircle.diagnosis._live import measure  # noqa: PLC0415  (it imports torch)
    from unitcircle.torch import copied, initialize_  # noqa: PLC0415

    twin = copied(model)

    def trial(candidate: Candidate, draw: int) -> dict[str, float]:
        # One copy serves all draws: it is reset first, so that tensors a candidate does not fill come from the model
        # and not from the previous candidate.
        twin.load_state_dict(model.state_dict())
        initialize_(twin, **candidate.options, rng=execution.seed + draw)
        return criteria(measure(twin, execution, thorough=False, loops=live.loops), steps)

    return ranked(live, tried, trial, execution.progress, steps=steps, seeds=seeds, weights=weights)


def ranked(
    live: Measured,
    tried: Sequence[Candidate],
    trial: Callable[[Candidate, int], dict[str, float]],
    progress: Progress,
    /,
    *,
    steps: int,
    seeds: int,
    weights: Mapping[str, float] | None,
    call: str = "unitcircle.torch.initialize_(model, {})",
) -> Trials:
    """Measure draws of every candidate, and rank them with the model as it is; ``call`` is the line to run."""
    if seeds < FEWEST_SEEDS:
        rule = f"must be at least {FEWEST_SEEDS}, because fewer draws give too wide an interval"
        raise ArgumentError("seeds", rule, f"{seeds}")
    trials = [Trial(AS_IT_IS, "", {name: np.array([value]) for name, value in criteria(live, steps).items()})]
    progress.expect(len(tried) * seeds)
    try:
        for candidate in tried:
            rows: list[dict[str, float]] = []
            for draw in range(seeds):
                rows.append(trial(candidate, draw))
                progress.advance()
            values = {name: np.array([row[name] for row in rows]) for name in rows[0]}
            trials.append(Trial(candidate.name, call.format(candidate.arguments), values, action=candidate.action))
    except KeyboardInterrupt:
        done = {trial.name for trial in trials}
        left = tuple(candidate.name for candidate in tried if candidate.name not in done)
        return replace(rank_trials(trials, weights), untried=left)
    return rank_trials(trials, weights)


def with_untried(coverage: Coverage, tried: Sequence[Candidate], trials: Trials, /) -> Coverage:
    """Return a coverage that says what was asked for and not tried."""
    if trials.untried:
        text = f"interrupted: {', '.join(trials.untried)} not tried"
        return replace(coverage, unread=(*coverage.unread, text))
    if tried:
        return coverage
    note = "no initializer was tried: the list of remedies has none for these layers, or they have it already"
    return replace(coverage, notes=(*coverage.notes, note))


def criteria(live: Measured, steps: int, /) -> dict[str, float]:
    """Return the criteria of the ranking, of the worst layer."""
    layers = [layer for _, layer in live.layers if layer is not None]
    flows = np.array([layer.change(steps) / LOG_10 for layer in layers] or [math.nan])
    typical = np.array([layer.typical / LOG_10 for layer in layers] or [math.nan])
    dimension = np.array([layer.dimension for layer in layers] or [math.nan])
    return {
        "flow": float(flows[np.argmax(np.abs(flows))]),
        "typical_direction": float(typical[np.argmax(np.abs(typical))]),
        "effective_dimension": float(dimension.min()),
    }
