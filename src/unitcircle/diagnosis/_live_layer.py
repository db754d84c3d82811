"""The measurements of one recurrent layer of a live model, without a framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from unitcircle.diagnosis._carrying import Carrying
from unitcircle.diagnosis._driven import LOST

SATURATED = 0.95
"""Modulus from which a tanh unit counts as saturated: there its slope is at most 0.1."""


def _no_gates() -> Mapping[str, GateActivity]:
    return {}


@dataclass(frozen=True)
class GateActivity:
    """How far one sigmoid gate was open along the trajectories.

    Attributes
    ----------
    openness
        Mean activation over time, batch and units, between 0 and 1.
    log_openness
        Mean logarithm of the activation (nats): the growth rate per step due to the gate alone.
    slowest
        The same for the unit whose gate is widest open.

    Examples
    --------
    >>> import torch
    >>> from unitcircle.diagnosis import diagnose
    >>> lstm = torch.nn.LSTM(2, 4)
    >>> _ = [torch.nn.init.zeros_(parameter) for parameter in lstm.parameters()]
    >>> diagnosis = diagnose(lstm, torch.zeros(5, 3, 2))
    >>> diagnosis.layers[0].live.gates["f"].openness  # σ(0)
    0.5
    """

    openness: float
    log_openness: float
    slowest: float


@dataclass(frozen=True, eq=False)
class LiveLayer:
    """The measurements of one recurrent layer on a batch.

    Attributes
    ----------
    log_gradient
        ``(T + 1,)``: log-norm of the gradient of the loss with respect to the full state by lag (nats), mean over the
        batch; lag 0 is the layer's last state. −inf where it is 0, inf where it overflows.
    log_jacobian
        ``(T + 1,)``: log ‖∂h_T/∂s_t‖_F by lag, which does not depend on the loss.
    growth_rate, growth_rate_stderr
        Growth rate of the gradient (nats per step back) and its standard error.
    sequences
        Number of sequences in the batch.
    distance
        ``(T,)``: ‖h_t‖/√n, mean over the batch, each sequence counted back from its end; None where the states are
        not known (``at=``).
    saturation
        Share of the units, over time and batch, whose tanh is at ±0.95 or beyond; NaN where there is no tanh.
    dimension
        Participation ratio of the covariance of h_T over the batch, at most ``largest_dimension``.
    largest_dimension
        min(n, B − 1).
    input_share
        Share of the variance of h_T that the input explains.
    readable
        Share of what there is to learn that a linear readout of what is near foretells, each sequence from the others:
        of the variance over the batch of the loss's gradient by the output, for an answer that is the same for all.
        Near is h_T, or the inputs within :attr:`reach`, or those of up to eight of these steps, or those of up to two
        with the products of any two, whichever foretells most. NaN where the loss has no target, or there are fewer
        than 32 sequences.
    far
        The largest such share that the inputs of up to eight steps foretell of which some are beyond :attr:`reach`; 1
        where those within it are the same in all sequences, 0 where nothing is beyond it.
    carrying
        Of a plain cell, where a few steps tell half of the target: measures what arrives there of a gradient that the
        sequences share; else None.
    padding
        How many last inputs are one constant vector, the same for all sequences: their median over the batch; 0 where
        there are fewer than 2, or the loss does not read the states at them.
    padding_change
        Change of the gradient's log-norm over them (nats), mean over the batch.
    dead
        Indices of units whose h never changes.
    revived
        How many of them do with all biases at 0, in a plain cell.
    units
        Number of units n.
    exponent, exponent_stderr
        Leading Lyapunov exponent (nats per step), as the growth rate of ∂h_T/∂s_t over the last three quarters of the
        lags, and its standard error; NaN where the Jacobian vanishes or overflows.
    spectrum
        Measures ``typical``; None where it cannot be measured, or would take too long.
    gates
        Sigmoid gate → its activity.
    trajectories
        Number of trajectories of the layer on the batch, of which this is the one where the gradient changes most.
    cut
        The first lag at which the model detaches the state: from it on the gradient is 0; None where it does not.
    links
        At how many places it does.
    gated
        Whether a step of a hand-written recurrence, or of a scan, multiplies what depends on the state by a gate.
    drive
        Of a plain cell, over its units: the root mean square of the standard deviation over the batch of U x + b, and
        of its mean; otherwise None.

    Examples
    --------
    >>> import torch
    >>> from unitcircle.diagnosis import diagnose
    >>> rnn = torch.nn.RNN(2, 4, nonlinearity="relu")
    >>> live = diagnose(rnn, torch.zeros(5, 3, 2)).layers[0].live
    >>> live.sequences, live.log_gradient.shape
    (3, (6,))
    """

    log_gradient: np.ndarray
    log_jacobian: np.ndarray
    growth_rate: float
    growth_rate_stderr: float
    sequences: int
    distance: np.ndarray | None = None
    saturation: float = float("nan")
    dimension: float = float("nan")
    largest_dimension: int = 0
    input_share: float = float("nan")
    readable: float = float("nan")
    far: float = float("nan")
    carrying: Carrying | None = field(default=None, repr=False)
    padding: int = 0
    padding_change: float = 0.0
    dead: tuple[int, ...] = ()
    revived: int = 0
    units: int = 0
    exponent: float = float("nan")
    exponent_stderr: float = float("nan")
    spectrum: Callable[[], float] | None = field(default=None, repr=False)
    gates: Mapping[str, GateActivity] = field(default_factory=_no_gates)
    trajectories: int = 1
    cut: int | None = None
    links: int = 0
    gated: bool = False
    drive: tuple[float, float] | None = None

    @cached_property
    def typical(self) -> float:
        """Median log singular value of ∂h_T/∂s_0 (nats), measured when it is first asked for; NaN without spectrum."""
        return float("nan") if self.spectrum is None else self.spectrum()

    @property
    def steps(self) -> int:
        """T, the number of steps the layer takes."""
        return len(self.log_gradient) - 1

    @property
    def unmeasured(self) -> str:
        """Why the change of the gradient over the length is not known, as a clause; empty where it is."""
        if self.start == len(self.log_gradient):
            return "no gradient of the loss reaches its states"
        if not np.isfinite(self.log_gradient[self.start]):
            return f"the gradient of the loss is infinite or NaN at its state {self.start} steps from the end"
        broken = np.flatnonzero(np.isnan(self.log_gradient))
        return f"the gradient of the loss is NaN {broken[0]} steps back" if broken.size else ""

    @property
    def start(self) -> int:
        """The first lag that the loss reaches; T + 1 where it reaches no state."""
        reached = np.flatnonzero(~np.isneginf(self.log_gradient))
        return int(reached[0]) if reached.size else len(self.log_gradient)

    @property
    def reach(self) -> int:
        """The lags, from the last input that is not padding, at which the gradient is neither below 1/1000 nor cut."""
        start = max(self.start, self.padding)
        curve = _relative(self.log_gradient[start:])
        lost = np.flatnonzero(curve <= np.log(LOST))
        ends = [self.steps, *([start + int(lost[0])] if lost.size else []), *([] if self.cut is None else [self.cut])]
        return max(min(ends) - self.padding, 0)

    @property
    def grows(self) -> bool:
        """Whether small differences of the state grow with the lag: by the exponent, or the gradient overflows."""
        return self.exponent > 0 or bool(np.isposinf(self.log_gradient).any())

    def change(self, steps: int, /) -> float:
        """Return the change of the gradient's log-norm over so many steps back (nats), from where the loss starts."""
        curve = _relative(self.log_gradient)
        return float(curve[min(steps, len(curve) - 1)]) if curve.size else float("nan")

    def first_lag(self, factor: float, /, *, of: str = "gradient") -> int | None:
        """Return how many steps back a norm has changed by a factor, or None where it never does.

        Parameters
        ----------
        factor
            Share of the value at the end, below 1 for a vanishing norm and above 1 for an exploding one.
        of
            ``"gradient"`` or ``"jacobian"``.

        Returns
        -------
        int or None
            Steps back from the last state that the norm reaches.
        """
        curve = _relative(self.log_gradient if of == "gradient" else self.log_jacobian)
        target = np.log(factor)
        passed = np.flatnonzero(curve <= target if target < 0 else curve >= target)
        return int(passed[0]) if passed.size else None

    def to_dict(self) -> dict[str, Any]:
        """Return the measurements as plain values."""
        return {
            "steps": self.steps,
            "sequences": self.sequences,
            "log_gradient": self.log_gradient.tolist(),
            "log_jacobian": self.log_jacobian.tolist(),
            "growth_rate": self.growth_rate,
            "growth_rate_stderr": self.growth_rate_stderr,
            "distance": None if self.distance is None else self.distance.tolist(),
            "saturation": self.saturation,
            "effective_dimension": self.dimension,
            "largest_dimension": self.largest_dimension,
            "input_share": self.input_share,
            "readable": self.readable,
            "far": self.far,
            "padding": self.padding,
            "padding_change": self.padding_change,
            "dead_units": list(self.dead),
            "units_revived_without_bias": self.revived,
            "leading_exponent": self.exponent,
            "leading_exponent_stderr": self.exponent_stderr,
            "typical_direction": self.typical,
            "typical_direction_is_measured": self.spectrum is not None,
            "gates": {name: vars(gate) for name, gate in self.gates.items()},
            "trajectories": self.trajectories,
            "detached_at_lag": self.cut,
            "gated": self.gated,
        }


def _relative(curve: np.ndarray) -> np.ndarray:
    """Return a curve from the first lag that the loss reaches, minus its value there."""
    reached = np.flatnonzero(~np.isneginf(curve))
    if not reached.size or not np.isfinite(curve[reached[0]]):
        return curve[:0]
    return curve[reached[0] :] - curve[reached[0]]
