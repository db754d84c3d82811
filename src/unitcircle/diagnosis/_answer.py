"""The answer of a diagnosis: whether the network carries a signal over the length."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle.checkpoints import Coverage
from unitcircle.diagnosis._driven import LOST
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._head_memory import memory_of_all, tokens
from unitcircle.report import factor


@dataclass(frozen=True)
class Answer:
    """Whether a network carries a signal over a length.

    Attributes
    ----------
    verdict
        ``"yes"``: every layer does. ``"partly"``: some do. ``"no"``: none does, or one explodes. ``"unknown"``: not
        every layer could be measured, or none was read.
    sentence
        The answer in words, the first line of the report.
    steps
        The length T (steps).
    reach
        Steps after which 1/1000 of a perturbation is left in the layer that keeps it longest; None where it keeps more
        than that over the whole length, or nothing was measured.
    memory
        Where all layers are linear recurrences of known families: median, shortest and longest memory at rest (tokens
        after which 1/e is left) over all heads; otherwise None.

    Examples
    --------
    >>> import numpy as np
    >>> from unitcircle.diagnosis import diagnose
    >>> from unitcircle.recurrence import from_torch
    >>> answer = diagnose([from_torch(0.5 * np.eye(4), cell="linear")], steps=50).answer
    >>> answer.verdict, answer.reach, answer.sentence
    ('no', 10, 'linear: carries a signal over 50 steps? no: 1/1000 is left after 10 steps')
    """

    verdict: str
    sentence: str
    steps: int
    reach: int | None
    memory: Mapping[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain values."""
        return {
            "verdict": self.verdict,
            "sentence": self.sentence,
            "steps": self.steps,
            "reach": self.reach,
            "memory": None if self.memory is None else dict(self.memory),
        }


@dataclass(frozen=True)
class _Fate:
    """What one layer does over the length: how much is left, and when it is lost or beyond 1000 times as much."""

    layer: LayerExamination
    nats: float
    lost: int | None
    exploded: int | None


def answer(exam: Examination, coverage: Coverage | None, /) -> Answer:
    """Answer the question from the measurements of every layer."""
    steps = exam.steps
    if not exam.layers:
        return Answer("unknown", _nothing(coverage), steps, None)
    signal = "gradient" if any(layer.live is not None for layer in exam.layers) else "signal"
    head = f"{_layers(exam.layers)}: carries a {signal} over {steps} steps?"
    fates: list[_Fate] = []
    missing: list[LayerExamination] = []
    for layer in exam.layers:
        if (fate := _fate(layer)) is None:
            missing.append(layer)
        else:
            fates.append(fate)
    if missing:
        why = missing[0].unmeasured or "what it keeps depends on its state and inputs"
        verdict, words, reach = "unknown", f"cannot tell: {missing[0].layer.label}: {why}", None
    else:
        verdict, words, reach = _verdict(fates)
    memory = memory_of_all([layer.layer for layer in exam.layers])
    if memory is not None:
        median, *ends = (tokens(memory[name]) for name in ("median", "shortest", "longest"))
        words += f"; memory at rest: median {median} tokens, {ends[0]} to {ends[1]}"
    on_tokens = [layer.tokens.memory for layer in exam.layers if layer.tokens is not None]
    if on_tokens:
        values = np.concatenate(on_tokens)
        median, *ends = (tokens(float(value)) for value in (np.median(values), values.min(), values.max()))
        words += f"; on these tokens: median {median}, {ends[0]} to {ends[1]}"
    return Answer(verdict, f"{head} {words}", steps, reach, memory)


def _verdict(fates: Sequence[_Fate]) -> tuple[str, str, int | None]:
    exploding = [fate for fate in fates if fate.exploded is not None]
    if exploding:
        first = min(exploding, key=lambda fate: fate.exploded or 0)
        where = f" in {first.layer.layer.label}" if len(fates) > 1 else ""
        return "no", f"no: it grows 1000 times within {first.exploded} steps{where}", None
    lost = [fate for fate in fates if fate.lost is not None]
    if len(lost) == len(fates):
        reach = max(fate.lost or 0 for fate in lost)
        at_best = " at best" if len(fates) > 1 else ""
        return "no", f"no: 1/1000 is left after {reach} steps{at_best}", reach
    left = max(fate.nats for fate in fates)
    if lost:
        return "partly", f"{len(fates) - len(lost)} of {len(fates)} layers do: {factor(left)} is left at best", None
    worst = min(fate.nats for fate in fates)
    return "yes", f"yes: {factor(worst)} is left", None


def _fate(layer: LayerExamination) -> _Fate | None:
    """Return what a layer does, or None where it was not measured or an unknown part decides it."""
    if layer.unmeasured:
        return None
    if layer.live is not None:
        nats = layer.live.change(layer.steps)
        if math.isnan(nats):
            return None
        lags = (layer.live.first_lag(LOST), layer.live.first_lag(1 / LOST))
        lost, exploded = (lag if lag is not None and lag <= layer.steps else None for lag in lags)
        return _Fate(layer, nats, lost, exploded)
    if layer.tokens is not None or layer.layer.diagonal is not None:
        nonlinear = layer.layer.linear is not None and layer.layer.linear.family.nonlinear
        return None if nonlinear else _fate_of_linear(layer)
    driven = layer.driven
    if driven is None:
        return None
    return _Fate(layer, float(driven.log_growth[-1]), driven.first_below(LOST), driven.first_above(1 / LOST))


def _fate_of_linear(layer: LayerExamination) -> _Fate:
    """Return what a linear recurrence does: on its tokens where they are known, and at rest otherwise."""
    if layer.tokens is not None:
        kept = layer.tokens.log_norms.max(1)[layer.tokens.lags <= layer.steps]
        gone = layer.tokens.lags[: len(kept)][kept <= math.log(LOST)]
        return _Fate(layer, float(kept[-1]), int(gone[0]) if gone.size else None, None)
    rate = layer.slowest_rate
    t = None if rate == 0 else math.ceil(math.log(LOST) / -abs(rate)) if math.isfinite(rate) else 1
    within = t if t is not None and t <= layer.steps else None
    return _Fate(layer, rate * layer.steps, within if rate < 0 else None, within if rate > 0 else None)


def _layers(layers: Sequence[LayerExamination]) -> str:
    """Return the kinds of cells and their number: ``"lstm, 2 layers"``, ``"gru and 3 lstm"``."""
    kinds = Counter(layer.kind for layer in layers)
    if len(kinds) == 1:
        (kind,) = kinds
        return kind if len(layers) == 1 else f"{kind}, {len(layers)} layers"
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _nothing(coverage: Coverage | None) -> str:
    if coverage is None:
        return "nothing was analysed: no layers were given"
    count = len(coverage.skipped) + coverage.other
    return f"nothing was analysed: none of {count} tensors was recognised as a recurrent weight"
