"""Networks of one transition, linear or tanh, trained on copying and adding: many starts and rates as one program."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from unitcircle.dynamics import participation_ratio
from unitcircle.initializers import Gaussian, parse
from unitcircle_reproduction._context import BEYOND, FURTHER

SEEDS, TUNING = 8, 1
RATES = (1e-3, 3e-3, 1e-2)
BATCH = 16
KEPT = "kept"
"""Law of a Gaussian weight whose eigenvectors are kept while its eigenvalues get a modulus: ``"kept(0.95)"``."""


@dataclass(frozen=True)
class Memory:
    """A task of the source, in its size: what is fed in, and what is asked for at the end."""

    name: str
    units: int
    inputs: int
    outputs: int
    baseline: float
    steps: int  # Of training
    sample: Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]  # (T, B, inputs) and (S, B) or (B,)
    activation: Literal["linear", "tanh"] = "linear"  # Of the transition
    clip: float = 1.0  # Largest norm of a network's gradient
    descent: Literal["adam", "sgd"] = "adam"
    rates: tuple[float, ...] = RATES  # The first that are tried


KINDS, REMEMBERED, DELAY, LENGTH = 4, 5, 20, 100


def copying(rng: np.random.Generator, size: int, /, *, delay: int = DELAY) -> tuple[np.ndarray, np.ndarray]:
    """Return symbols to be repeated after blank steps, one-hot with blank and marker, and the symbols."""
    symbols = rng.integers(KINDS, size=(REMEMBERED, size))
    inputs = np.zeros((2 * REMEMBERED + delay, size), int) + KINDS
    inputs[:REMEMBERED], inputs[-REMEMBERED - 1] = symbols, KINDS + 1
    return np.eye(KINDS + 2, dtype=np.float32)[inputs], symbols


def adding(rng: np.random.Generator, size: int, /, *, length: int = LENGTH) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers with two marked, one in each half, and the sum of these."""
    numbers, marks = rng.random((length, size), dtype=np.float32), np.zeros((length, size), np.float32)
    half, columns = length // 2, np.arange(size)
    for start in (0, half):
        marks[rng.integers(start, start + half, size=size), columns] = 1
    return np.stack([numbers, marks], -1), (numbers * marks).sum(0)


COPYING = Memory("copying 20", 48, KINDS + 2, KINDS, math.log(KINDS), 300, copying)
LONGER = replace(COPYING, name="copying 50", sample=partial(copying, delay=50))
ADDING = Memory("adding 100", 24, 2, 1, 1 / 6, 300, adding)
TASKS = (COPYING, LONGER, ADDING)

CELLS = {name: replace(COPYING, name=f"copying 20, {name}", activation=name, steps=200) for name in ("linear", "tanh")}
"""The copying task in the two cells of the doses."""


class _Transition(torch.autograd.Function):
    """The states h ← V h + u of a linear recurrence, and their gradients by one adjoint recursion."""

    # G_t = ∂L/∂h_t + Vᵀ G_(t+1) is the gradient of u_t; that of V is Σ G_t h_(t−1)ᵀ, one product for all steps.
    @staticmethod
    def forward(ctx: Any, V: Tensor, fed: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        states, h, transition = [], torch.zeros_like(fed[0]), V.mT
        for each in fed:
            h = torch.baddbmm(each, h, transition)
            states.append(h)
        found = torch.stack(states)
        ctx.save_for_backward(V, found)
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        V, states = ctx.saved_tensors
        adjoints, g = [], torch.zeros_like(gradient[0])
        for each in reversed(gradient):
            g = torch.baddbmm(each, g, V)
            adjoints.append(g)
        fed = torch.stack(adjoints[::-1])
        later, earlier = (part.transpose(0, 1).flatten(1, 2) for part in (fed[1:], states[:-1]))
        return later.mT @ earlier, fed


def hidden(parameters: Mapping[str, Tensor], inputs: Tensor, activation: str, /) -> Tensor:
    """Return the states ``(T, R, B, n)`` of R networks."""
    fed = (torch.einsum("rnd,rtbd->trbn", parameters["U"], inputs) + parameters["b"]).relu()
    if activation == "linear":
        found: Any = _Transition.apply(parameters["V"], fed)
        return found
    states, transition = [torch.zeros_like(fed[0])], parameters["V"].mT
    for each in fed:
        states.append(torch.baddbmm(each, states[-1], transition).tanh())
    return torch.stack(states[1:])


def losses(
    parameters: Mapping[str, Tensor], inputs: Tensor, targets: Tensor, /, *, activation: str = "linear"
) -> Tensor:
    """Return the loss of each of R networks h ← φ(V h + ReLU(U x + b)), y = W h + c: inputs ``(R, T, B, d)``."""
    answers = targets.shape[1] if targets.ndim == 3 else 1
    states = hidden(parameters, inputs, activation)
    out = states[-answers:].transpose(0, 1) @ parameters["W"].mT[:, None] + parameters["c"][:, None]
    if targets.ndim == 2:
        return (out[:, 0, :, 0] - targets).square().mean(1)
    nats = functional.cross_entropy(out.flatten(0, -2), targets.flatten(), reduction="none")
    return nats.view(targets.shape).mean((1, 2))


Member = tuple[str, float, int]
"""The law of the transition, the rate and the seed of one network."""


def trained(task: Memory, members: Sequence[Member], /) -> np.ndarray:
    """Return the loss of each network on held-out data, the least of four looks; inf where it diverged."""
    return fitted(task, members)[0]


def fitted(task: Memory, members: Sequence[Member], /) -> tuple[np.ndarray, dict[str, Tensor]]:
    """Return the loss of each network as :func:`trained`, and the parameters at the end."""
    seeds = sorted({seed for *_, seed in members})
    which = torch.tensor([seeds.index(seed) for *_, seed in members])
    parameters = {
        name: p.requires_grad_() for name, p in drawn(task, [(law, seed) for law, _, seed in members]).items()
    }
    rate = torch.tensor([rate for _, rate, _ in members])
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in parameters.items()}
    streams = [np.random.default_rng([seed, 43]) for seed in seeds]
    held_out = [torch.from_numpy(part)[None] for part in task.sample(np.random.default_rng(44), 500)]
    best = np.full(len(members), np.inf)
    for step in range(1, task.steps + 1):
        batches = [task.sample(stream, BATCH) for stream in streams]
        x, y = (torch.from_numpy(np.stack(part))[which] for part in zip(*batches, strict=True))
        losses(parameters, x, y, activation=task.activation).sum().backward()
        _descend(task, parameters, moments, rate, step)
        if step % (task.steps // 4) == 0:
            with torch.no_grad():
                parts = (part.expand(len(members), *part.shape[1:]) for part in held_out)
                found = losses(parameters, *parts, activation=task.activation).numpy()
            best = np.fmin(best, np.where(np.isfinite(found), found, np.inf))
    return best, {name: p.detach() for name, p in parameters.items()}


def drawn(task: Memory, members: Sequence[tuple[str, int]], /) -> dict[str, Tensor]:
    """Return the initial parameters of networks of a law and a seed each, stacked."""
    draws = _stacked([_draw(task, law, seed) for law, seed in members])
    return {name: torch.from_numpy(np.stack(values).astype(np.float32)) for name, values in draws.items()}


def _stacked(draws: Sequence[Mapping[str, np.ndarray]]) -> dict[str, list[np.ndarray]]:
    return {name: [draw[name] for draw in draws] for name in draws[0]}


def _draw(task: Memory, law: str, seed: int) -> dict[str, np.ndarray]:
    """Return the initial parameters of a network: all but the transition are the same for every law."""
    rng = np.random.default_rng([seed, 42])
    n = task.units
    shapes = {"U": (n, task.inputs), "W": (task.outputs, n)}
    drawn = {name: rng.standard_normal(shape) * (2 / sum(shape)) ** 0.5 for name, shape in shapes.items()}
    drawn |= {"b": np.zeros((1, n)), "c": np.zeros((1, task.outputs))}
    return drawn | {"V": _transition(law, n, rng)}


def _transition(law: str, n: int, rng: np.random.Generator) -> np.ndarray:
    if not law.startswith(KEPT):
        return parse(law).sample(n, rng=rng)
    # The second reading of the summary: W = Q Λ Q⁻¹ with |Λ| set and Q as it was drawn, which is not normal.
    values, vectors = np.linalg.eig(Gaussian().sample(n, rng=rng))
    modulus = float(law[len(KEPT) + 1 : -1])
    return np.real((vectors * (modulus * values / np.abs(values))) @ np.linalg.inv(vectors))


@torch.no_grad()
def dimensions(task: Memory, laws: Sequence[str], seeds: Sequence[int], /) -> np.ndarray:
    """Return the effective dimension (Σλ)²/Σλ² of the last states before training ``(laws, seeds)``."""
    draws = _stacked([_draw(task, law, seed) for law in laws for seed in seeds])
    parameters = {name: torch.from_numpy(np.stack(values)) for name, values in draws.items()}
    inputs = torch.from_numpy(task.sample(np.random.default_rng(45), 500)[0].astype(float))[None]
    last = hidden(parameters, inputs.expand(len(laws) * len(seeds), *inputs.shape[1:]), task.activation)[-1]
    return np.reshape([participation_ratio(h) for h in last.numpy()], (len(laws), len(seeds)))


@torch.no_grad()
def _descend(
    task: Memory,
    parameters: Mapping[str, Tensor],
    moments: Mapping[str, tuple[Tensor, Tensor]],
    rate: Tensor,
    step: int,
) -> None:
    """Take one step of Adam, or of plain descent, each network with its rate, the norm of its gradient clipped."""
    gradients = {name: p.grad for name, p in parameters.items() if p.grad is not None}
    norm = torch.stack([g.flatten(1).square().sum(1) for g in gradients.values()]).sum(0).sqrt()
    factor = (task.clip / norm).clamp(max=1.0)[:, None, None]
    size = (rate * math.sqrt(1 - 0.999**step) / (1 - 0.9**step))[:, None, None]
    for name, g in gradients.items():
        g.mul_(factor)
        if task.descent == "sgd":
            parameters[name].sub_(rate[:, None, None] * g)
        else:
            mean, square = moments[name]
            mean.mul_(0.9).add_(g, alpha=0.1)
            square.mul_(0.999).addcmul_(g, g, value=0.001)
            parameters[name].sub_(size * mean / (square.sqrt() + 1e-8))
        g.zero_()


def contest(task: Memory, laws: Sequence[str], first_seed: int, /) -> dict[str, np.ndarray]:
    """Return scores ``(laws, seeds)`` at the rate of each law, these rates, and whether each is at an edge."""
    tuning = [first_seed + 1000 + k for k in range(TUNING)]
    found: dict[float, np.ndarray] = {}
    further, chosen = list(task.rates), list[float]()
    for _ in range(1 + FURTHER):
        scores = trained(task, [(law, rate, seed) for rate in further for law in laws for seed in tuning])
        found |= dict(zip(further, scores.reshape(len(further), len(laws), TUNING).mean(-1), strict=True))
        chosen = [min(found, key=lambda rate, k=k: found[rate][k]) for k in range(len(laws))]
        low, high = min(found), max(found)
        further = [low / BEYOND] * (low in chosen) + [high * BEYOND] * (high in chosen)
        if not further:
            break
    seeds = [first_seed + k for k in range(SEEDS)]
    scores = trained(task, [(law, rate, seed) for law, rate in zip(laws, chosen, strict=True) for seed in seeds])
    edge = [rate in {min(found), max(found)} for rate in chosen]
    return {
        "scores": scores.reshape(len(laws), SEEDS),
        "rates": np.array(chosen),
        "edge": np.array(edge),
        "dimensions": dimensions(task, laws, seeds),
    }
