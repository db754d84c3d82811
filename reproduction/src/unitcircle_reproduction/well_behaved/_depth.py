"""Gradients through deep stacks at initialization, beside the product of spectral norms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy import stats
from scipy.special import digamma
from torch import nn

from unitcircle.dynamics import depth_flow
from unitcircle.initializers import Gaussian, Orthogonal

INPUTS = 4
"""Inputs over which the log-norm of a network's gradient is averaged."""

Draw = Callable[[int, int, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Kind:
    """A kind of stack."""

    name: str  # For tables
    draw: Draw  # (width, depth, rng) → weights (depth, n, n)
    relu: bool  # Whether a ReLU follows every layer
    # What theory says of the growth rate at a width, nats per layer back; NaN where it says nothing.
    rate: Callable[[int], float] = lambda _: float("nan")


@dataclass(frozen=True, eq=False)
class Depth:
    """Gradients of many networks of one kind."""

    kind: Kind  # kind, width: Of the networks
    width: int
    logs: np.ndarray  # (networks, depth + 1): log ‖gradient‖, relative to that at the output, by layers back
    bounds: np.ndarray  # The same for the product of the spectral norms
    highest: float  # Largest excess of a log-norm of one input over its bound
    # Share of the inputs for which all units of a ReLU layer are off: no gradient is left, and they are left out.
    lost: float = 0.0

    @property
    def rates(self) -> np.ndarray:
        """Growth rate of every network, nats per layer back."""
        return self.logs[:, -1] / (self.logs.shape[1] - 1)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the mean growth rate over networks."""
        if np.ptp(self.rates) < 1e-12:
            return float(self.rates.min()), float(self.rates.max())
        low, high = stats.ttest_1samp(self.rates, 0.0).confidence_interval(0.95)
        return float(low), float(high)


def _draw(width: int, depth: int, rng: np.random.Generator, *, gain: float, orthogonal: bool) -> np.ndarray:
    init = Orthogonal(gain=gain) if orthogonal else Gaussian(std=gain * width**-0.5)
    return init.sample(width, rng=rng, size=depth)


def _gaussian_rate(width: int, /) -> float:
    # ‖Wᵀv‖² of a Gaussian W with variance 1/n is χ²_n/n, whatever v, independently in every layer.
    return float(digamma(width / 2) - np.log(width / 2)) / 2


GAUSSIAN = Kind("Gaussian, linear", partial(_draw, gain=1.0, orthogonal=False), relu=False, rate=_gaussian_rate)
ORTHOGONAL = Kind("orthogonal, linear", partial(_draw, gain=1.0, orthogonal=True), relu=False, rate=lambda _: 0.0)
RELU = (
    Kind("Gaussian × √2 (He), ReLU", partial(_draw, gain=2**0.5, orthogonal=False), relu=True),
    Kind("orthogonal, ReLU", partial(_draw, gain=1.0, orthogonal=True), relu=True),
    Kind("orthogonal × √2, ReLU", partial(_draw, gain=2**0.5, orthogonal=True), relu=True),
)
KINDS = (GAUSSIAN, ORTHOGONAL, *RELU)


def orthogonal_projections(width: int, depth: int, rng: np.random.Generator, /, *, rank: int) -> np.ndarray:
    """Draw weights of rank r with all r singular values 1: ``U Vᵀ``, U and V the first columns of orthogonal ones."""
    U, V = (Orthogonal().sample(width, rng=rng, size=depth)[..., :rank] for _ in range(2))
    return U @ np.swapaxes(V, -1, -2)


def low_rank(rank: int, /) -> Kind:
    """Return the linear stacks of weights of a rank, all of whose non-zero singular values are 1."""

    def rate(width: int) -> float:
        # The share of a random direction that r of n dimensions keep is Beta(r/2, (n − r)/2).
        return float(digamma(rank / 2) - digamma(width / 2)) / 2

    return Kind(f"rank {rank}, σ = 1", partial(orthogonal_projections, rank=rank), relu=False, rate=rate)


def measure(kind: Kind, width: int, depth: int, networks: int, /, *, seed: int) -> Depth:
    """Measure the gradient at every layer of many networks."""
    logs, bounds, highest, lost = [], [], -np.inf, 0
    for index in range(networks):
        rng = np.random.default_rng([seed, width, index])
        weights = kind.draw(width, depth, rng)
        inputs = torch.from_numpy(rng.standard_normal((INPUTS, width)))
        flow = depth_flow(_stack(weights, kind.relu), inputs, jacobians=False, rng=int(rng.integers(2**32)))
        steps = np.log(np.linalg.norm(weights[::-1], 2, axis=(-2, -1)))
        bound = np.concatenate([[0.0], np.cumsum(steps)])
        relative = flow.log_norms - flow.log_norms[0]
        highest = max(highest, float((relative - bound[:, None]).max()))
        alive = np.asarray(np.isfinite(relative).all(0))
        lost += int(np.sum(~alive))
        if alive.any():
            logs.append(relative[:, alive].mean(-1))
            bounds.append(bound)
    return Depth(kind, width, np.array(logs), np.array(bounds), highest, lost / (networks * INPUTS))


def _stack(weights: np.ndarray, relu: bool) -> nn.Sequential:
    modules: list[nn.Module] = []
    for W in weights:
        linear = nn.utils.skip_init(nn.Linear, W.shape[1], W.shape[0], bias=False, dtype=torch.float64)
        linear.weight = nn.Parameter(torch.from_numpy(W))
        modules += [linear, nn.ReLU()] if relu else [linear]
    return nn.Sequential(*modules)
