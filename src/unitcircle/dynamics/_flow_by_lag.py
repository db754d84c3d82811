"""The result of a measurement of gradients by lag."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from unitcircle._growth import Flow, Step, steepest

Norm = Literal["gradient", "jacobian", "spectral"]


@dataclass(frozen=True, eq=False)
class GradientFlow(Flow[np.ndarray]):
    """Norms of a gradient by lag, ``T`` steps back from the last state; rates and horizons are ``(layers,)``.

    Attributes
    ----------
    layers
        Names, one per layer, direction and trajectory: a call whose initial state is the last state of an earlier one
        continues it, any other begins a new trajectory, ``"rnn.l0#2"``.
    log_norms
        ``(T + 1, layers, B)``: natural logarithm of the norm with respect to the layer's full state, by lag: lag 0 is
        the end of each sequence, the last lag its initial state. −inf where the norm is 0, inf where it overflows, NaN
        beyond the start of a shorter sequence.
    parts
        ``"h"`` and, if a layer is an LSTM, ``"c"`` → log-norms with respect to that part, of the same shape.
    stderr
        Standard error of ``log_norms`` from the probes, of the same shape; 0 where the norm is exact.
    norm
        The norm: ``"gradient"``, ``"jacobian"`` or ``"spectral"``.
    lengths
        For each layer ``(B,)``: the steps from the initial state of a sequence to its end.
    cuts
        For each layer the lags at which the model detaches the state: beyond, the gradient is 0.
    calls
        For each layer the number of calls of its module that its states run through.
    notes
        How the run differs from one in training: dropout, normalization, teacher forcing.
    """

    layers: tuple[str, ...]
    log_norms: np.ndarray
    parts: Mapping[str, np.ndarray]
    stderr: np.ndarray
    norm: Norm
    lengths: tuple[np.ndarray, ...] = ()
    cuts: tuple[tuple[int, ...], ...] = ()
    calls: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def norms(self) -> np.ndarray:
        """The norms by lag, ``(T + 1, layers, B)``."""
        return np.exp(self.log_norms)

    @property
    def steps(self) -> int:
        """T."""
        return len(self.log_norms) - 1

    def _measure(self, measure: Callable[[np.ndarray], float], /) -> np.ndarray:
        return np.array([measure(self.log_norms[:, k]) for k in range(len(self.layers))])

    @property
    def worst_step(self) -> Step | None:
        """The step back that loses most of the gradient: layer, the lag it starts from, change in nats."""
        return steepest(self.layers, self.log_norms)

    def __str__(self) -> str:
        lines: list[str] = []
        for k, (layer, rate, error) in enumerate(
            zip(self.layers, self.growth_rate, self.growth_rate_stderr, strict=True)
        ):
            if math.isnan(rate):
                lines.append(f"{layer}: the gradient reaches at most one of its states")
                continue
            factor = 1e-3 if not rate > 0 else 1e3
            lag = self.horizon(factor)[k]
            fate = f"changes by {factor:g} within {lag:.0f} steps" if lag < math.inf else "keeps its order of magnitude"
            lines.append(f"{layer}: {rate:+.3g} ± {error:.1g} nats per step back; {fate} of {self.steps}")
        return "\n".join(lines)


def joined(flows: Sequence[GradientFlow], norm: Norm, /) -> GradientFlow:
    """Return the layers of several flows as one."""
    length = max(len(flow.log_norms) for flow in flows)
    batch = max(flow.log_norms.shape[2] for flow in flows)

    def together(columns: Sequence[np.ndarray]) -> np.ndarray:
        padded = [
            np.pad(c, ((0, length - len(c)), (0, 0), (0, batch - c.shape[2])), constant_values=np.nan) for c in columns
        ]
        return np.concatenate(padded, 1)

    return GradientFlow(
        tuple(name for flow in flows for name in flow.layers),
        together([flow.log_norms for flow in flows]),
        {},
        together([flow.stderr for flow in flows]),
        norm,
        tuple(lengths for flow in flows for lengths in flow.lengths),
        tuple(cuts for flow in flows for cuts in flow.cuts),
        tuple(calls for flow in flows for calls in flow.calls),
    )
