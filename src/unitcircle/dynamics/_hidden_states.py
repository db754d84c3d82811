"""The geometry of hidden states, and how much of it the input explains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unitcircle._keywords import right_keywords
from unitcircle._series import participation_ratio
from unitcircle.dynamics._as_recurrence import as_recurrence
from unitcircle.dynamics._recurrence import Recurrence
from unitcircle.errors import ArgumentError
from unitcircle.torch import Rng, generator_of

_PIECE = 64
"""Steps after which replicas are compared."""
_BINS = 10
"""Number of equal bins of [-1, 1] in which the exploration of a unit is counted."""


@dataclass(frozen=True, eq=False)
class HiddenStates:
    """The geometry of hidden states ``h_t`` (of an LSTM h without c; of a stack the h of all layers together).

    Attributes
    ----------
    states
        ``(T, B, n)``, without the initial state; T = 1 where only the last was measured.
    input_share
        ``(T,)``: share of the variance of ``h_t`` that the input explains; the rest is memory of the initial state. 1
        means that the initial state is forgotten (echo state property), 0 that the input has no effect. NaN for a
        single sequence.
    threshold
        ``|h|`` from which a unit counts as saturated.
    """

    states: np.ndarray
    input_share: np.ndarray
    threshold: float

    @property
    def distance(self) -> np.ndarray:
        """Distance from the origin ``‖h_t‖ / √n`` ``(T, B)``: 1 in the corners of the hypercube [-1, 1]^n."""
        return np.linalg.norm(self.states, axis=-1) / np.sqrt(self.states.shape[-1])

    @property
    def saturation(self) -> np.ndarray:
        """Share of units with ``|h|`` at or above the threshold ``(T,)``."""
        return (np.abs(self.states) >= self.threshold).mean((1, 2))

    @property
    def effective_dimension(self) -> np.ndarray:
        """Participation ratio ``(tr C)² / tr C²`` ``(T,)`` of the covariance C of ``h_t`` over the batch.

        NaN for B = 1; at most min(n, B − 1): compare initializations at the same batch size.
        """
        return np.array([participation_ratio(h) for h in self.states])

    @property
    def exploration(self) -> float:
        """Share of ten equal bins of [-1, 1] that a unit visits, mean over units."""
        bins = np.clip(((self.states + 1) / 2 * _BINS).astype(int), 0, _BINS - 1)
        inside = np.abs(self.states) <= 1
        visited = [(inside & (bins == j)).any((0, 1)) for j in range(_BINS)]
        return float(np.mean(visited))

    @property
    def orthants(self) -> int:
        """Number of different sign patterns of ``h_t`` over time and batch, that is of orthants visited."""
        signs = np.packbits(self.states.reshape(-1, self.states.shape[-1]) > 0, axis=-1)
        return len(np.unique(signs, axis=0))

    def __str__(self) -> str:
        steps, sequences, n = self.states.shape
        dimension = f"effective dimension {participation_ratio(self.states[-1]):.3g} at the end"
        if sequences == 1:
            dimension = "an effective dimension and the share of the input need a batch of two or more"
        of = f"{n} units, {steps} steps, {sequences} sequence{'s' * (sequences != 1)}"
        return f"hidden states of {of}: {self.saturation.mean():.0%} saturated, {dimension}"


@right_keywords
def hidden_states(
    model: nn.Module | Callable[[Any, Any], Any] | Recurrence,
    inputs: Any,
    /,
    *,
    initial: Any = None,
    replicas: int = 4,
    threshold: float = 0.95,
    last_only: bool = False,
    rng: Rng = 0,
    dtype: torch.dtype | None = torch.float64,
) -> HiddenStates:
    """Measure the geometry of the hidden states over a batch of sequences.

    The share of the variance that the input explains is that of a one-way analysis of variance: every sequence is run
    from the same random initial states, scaled per unit to the root mean square of the states visited::

        share = σ²(between inputs) / (σ²(between inputs) + σ²(between initial states))

    Parameters
    ----------
    model
        What :func:`as_recurrence` takes.
    inputs
        Sequences in the module's own layout.
    initial
        Initial state in the module's own structure; zero where None.
    replicas
        Number of random initial states, at least 2.
    threshold
        ``|h|`` from which a unit counts as saturated.
    last_only
        Whether to measure ``h_T`` alone: the last of what is measured otherwise, as a result of one step, and faster.
    rng
        Seed, ``torch.Generator`` or ``numpy.random.Generator``, of the random initial states.
    dtype
        Precision; None for the module's own.

    Returns
    -------
    HiddenStates
        States, distance from the origin, saturation, effective dimension, input share, exploration.

    Raises
    ------
    ArgumentError
        Fewer than two replicas.

    References
    ----------
    Gao and Ganguli, On simplicity and complexity in the brave new world of large-scale neuroscience (2015), for the
    participation ratio.

    Examples
    --------
    >>> states = hidden_states(torch.nn.RNN(3, 8), torch.randn(20, 4, 3))
    >>> tuple(states.states.shape)
    (20, 4, 8)
    """
    _check(replicas)
    recurrence = as_recurrence(model, state=initial, dtype=dtype)
    part = recurrence.parts.get("h", slice(None))
    first = -1 if last_only else 1
    with recurrence.as_found(), torch.no_grad():
        xs, states = recurrence.trajectory(inputs, initial=initial)
        driven = xs if xs is not None else len(states) - 1
        h = states[first:, :, part].cpu().double().numpy()
        if last_only:
            share = np.array([input_share(recurrence, driven, states, replicas=replicas, rng=rng)])
        elif states.shape[1] == 1:
            share = np.full(len(h), np.nan)
        else:
            share = _input_share(recurrence.run(driven, _starts(states, replicas, rng))[1:, :, :, part])
    return HiddenStates(h, share, threshold)


@right_keywords
def input_share(
    recurrence: Recurrence, xs: Tensor | int, states: Tensor, /, *, replicas: int = 4, rng: Rng = 0
) -> float:
    """Measure the share of the variance of h_T that the input explains, at the end of a known trajectory.

    Parameters
    ----------
    recurrence
        The step.
    xs
        Its inputs ``(T, B, m)``, or the number of steps without input.
    states
        ``(T + 1, B, N)``: the trajectory, which sets the scale of the random initial states.
    replicas
        Number of random initial states, at least 2.
    rng
        Seed, ``torch.Generator`` or ``numpy.random.Generator``.

    Returns
    -------
    float
        Between 0 and 1, the last of :func:`hidden_states`; NaN for a single sequence.

    Raises
    ------
    ArgumentError
        Fewer than two replicas.

    Examples
    --------
    Two sequences driven through a layer that forgets within a step: what it holds is the input's:

    >>> import torch
    >>> from unitcircle.dynamics import as_recurrence
    >>> recurrence = as_recurrence(lambda x, h: 0.0 * h + x, state=torch.zeros(1, 1))
    >>> xs = torch.tensor([[[1.0], [-1.0]]] * 3)
    >>> input_share(recurrence, xs, recurrence.run(xs, torch.zeros(1, 2, 1))[:, 0])
    1.0
    """
    _check(replicas)
    if states.shape[1] == 1:
        return float("nan")
    part = recurrence.parts.get("h", slice(None))
    now = _starts(states, replicas, rng)
    agreed = 16 * torch.finfo(states.dtype).eps * float(states[1:].abs().max())
    for piece in [xs] if isinstance(xs, int) else xs.split(_PIECE):
        now = recurrence.run(piece, now)[-1]
        if float((now - now[:1]).abs().max()) <= agreed:
            # What they differ by later is rounding, however it grows: nothing is left of where they began.
            last = states[-1, :, part]
            return float(float((last - last[:1]).abs().max()) > agreed)
    return float(_input_share(now[None, ..., part])[0])


def _starts(states: Tensor, replicas: int, rng: Rng) -> Tensor:
    """Return random initial states ``(replicas, B, N)`` of the size of those visited."""
    generator = generator_of(rng)
    shape = (replicas, 1, states.shape[2])
    normal = torch.randn(shape, generator=generator, dtype=torch.float64, device=generator.device)
    return (normal.to(states) * states[1:].square().mean((0, 1)).sqrt()).expand(-1, states.shape[1], -1)


def _check(replicas: int) -> None:
    if replicas < 2:
        raise ArgumentError("replicas", "must be at least 2, since their scatter is measured", f"{replicas}")


def _input_share(states: Tensor) -> np.ndarray:
    """Return the share ``(T,)`` of the variance of states ``(T, replicas, B, n)`` that the input explains."""
    h = states.cpu().double().numpy()
    within = h.var(1, ddof=1).mean(1).sum(-1)
    # The variance of means of R replicas exceeds that between inputs by 1/R of the variance within.
    between = h.mean(1).var(1, ddof=1).sum(-1) - within / h.shape[1]
    between = np.maximum(between, 0.0)
    total = between + within
    return np.where(total > 0, between / np.where(total > 0, total, 1.0), 0.0)
