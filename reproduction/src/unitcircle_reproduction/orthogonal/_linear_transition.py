"""Networks with a linear transition, trained: which orthogonal start suits copying, and which adding."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from unitcircle.experiments.comparison import median_interval, paired_p
from unitcircle.initializers import parse
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._equivalence import Plan
from unitcircle_reproduction._judgement import CONFIDENCE, Evidence, follows, number, with_interval

LAWS = {
    "Haar": "orthogonal",
    "identity": "identity",
    "blocks": "block_rotation",
    "eigen 1, Haar angles": "eigen(modulus=1.0, angles=haar)",
}
SEEDS, TUNING = 8, 1
RATES = (1e-3, 3e-3, 1e-2)
FARTHEST = 2
"""Rates that are added at most while the best is at an edge, each 3.3 times farther."""
BATCH = 16
PART = 0.1
"""Margin: a tenth of the baseline."""


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


KINDS, REMEMBERED, DELAY, LENGTH = 4, 5, 20, 100


def copying(rng: np.random.Generator, size: int, /) -> tuple[np.ndarray, np.ndarray]:
    """Return symbols to be repeated after 20 blank steps, one-hot with blank and marker, and the symbols."""
    symbols = rng.integers(KINDS, size=(REMEMBERED, size))
    inputs = np.zeros((2 * REMEMBERED + DELAY, size), int) + KINDS
    inputs[:REMEMBERED], inputs[-REMEMBERED - 1] = symbols, KINDS + 1
    return np.eye(KINDS + 2, dtype=np.float32)[inputs], symbols


def adding(rng: np.random.Generator, size: int, /) -> tuple[np.ndarray, np.ndarray]:
    """Return 100 numbers with two marked, one in each half, and the sum of these."""
    numbers, marks = rng.random((LENGTH, size), dtype=np.float32), np.zeros((LENGTH, size), np.float32)
    half, columns = LENGTH // 2, np.arange(size)
    for start in (0, half):
        marks[rng.integers(start, start + half, size=size), columns] = 1
    return np.stack([numbers, marks], -1), (numbers * marks).sum(0)


TASKS = (
    Memory("copying 20", 48, KINDS + 2, KINDS, math.log(KINDS), 300, copying),
    Memory("adding 100", 24, 2, 1, 1 / 6, 300, adding),
)


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


def losses(parameters: Mapping[str, Tensor], inputs: Tensor, targets: Tensor, /) -> Tensor:
    """Return the loss of each of R networks h ← V h + ReLU(U x + b), y = W h + c: inputs ``(R, T, B, d)``."""
    fed = torch.einsum("rnd,rtbd->trbn", parameters["U"], inputs) + parameters["b"]
    answers = targets.shape[1] if targets.ndim == 3 else 1
    states: Any = _Transition.apply(parameters["V"], fed.relu())
    out = states[-answers:].transpose(0, 1) @ parameters["W"].mT[:, None] + parameters["c"][:, None]
    if targets.ndim == 2:
        return (out[:, 0, :, 0] - targets).square().mean(1)
    nats = functional.cross_entropy(out.flatten(0, -2), targets.flatten(), reduction="none")
    return nats.view(targets.shape).mean((1, 2))


Member = tuple[str, float, int]
"""The law of the transition, the rate and the seed of one network."""


def trained(task: Memory, members: Sequence[Member], /) -> np.ndarray:
    """Return the loss of each network on held-out data, the least of four looks; inf where it diverged."""
    seeds = sorted({seed for *_, seed in members})
    which = torch.tensor([seeds.index(seed) for *_, seed in members])
    parameters = {
        name: torch.from_numpy(np.stack(values).astype(np.float32)).requires_grad_()
        for name, values in _stacked([_draw(task, law, seed) for law, _, seed in members]).items()
    }
    rate = torch.tensor([rate for _, rate, _ in members])
    moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in parameters.items()}
    streams = [np.random.default_rng([seed, 43]) for seed in seeds]
    held_out = [torch.from_numpy(part)[None] for part in task.sample(np.random.default_rng(44), 500)]
    best = np.full(len(members), np.inf)
    for step in range(1, task.steps + 1):
        batches = [task.sample(stream, BATCH) for stream in streams]
        x, y = (torch.from_numpy(np.stack(part))[which] for part in zip(*batches, strict=True))
        losses(parameters, x, y).sum().backward()
        _adam(parameters, moments, rate, step)
        if step % (task.steps // 4) == 0:
            with torch.no_grad():
                found = losses(parameters, *(part.expand(len(members), *part.shape[1:]) for part in held_out)).numpy()
            best = np.fmin(best, np.where(np.isfinite(found), found, np.inf))
    return best


def _stacked(draws: Sequence[Mapping[str, np.ndarray]]) -> dict[str, list[np.ndarray]]:
    return {name: [draw[name] for draw in draws] for name in draws[0]}


def _draw(task: Memory, law: str, seed: int) -> dict[str, np.ndarray]:
    """Return the initial parameters of a network: all but the transition are the same for every law."""
    rng = np.random.default_rng([seed, 42])
    n = task.units
    shapes = {"U": (n, task.inputs), "W": (task.outputs, n)}
    drawn = {name: rng.standard_normal(shape) * (2 / sum(shape)) ** 0.5 for name, shape in shapes.items()}
    drawn |= {"b": np.zeros((1, n)), "c": np.zeros((1, task.outputs))}
    return drawn | {"V": parse(law).sample(n, rng=rng)}


@torch.no_grad()
def _adam(
    parameters: Mapping[str, Tensor], moments: Mapping[str, tuple[Tensor, Tensor]], rate: Tensor, step: int
) -> None:
    """Take one step of Adam, each network with its rate, the norm of its gradient clipped at 1."""
    gradients = {name: p.grad for name, p in parameters.items() if p.grad is not None}
    norm = torch.stack([g.flatten(1).square().sum(1) for g in gradients.values()]).sum(0).sqrt()
    factor = (1 / norm).clamp(max=1.0)[:, None, None]
    size = (rate * math.sqrt(1 - 0.999**step) / (1 - 0.9**step))[:, None, None]
    for name, g in gradients.items():
        mean, square = moments[name]
        g.mul_(factor)
        mean.mul_(0.9).add_(g, alpha=0.1)
        square.mul_(0.999).addcmul_(g, g, value=0.001)
        parameters[name].sub_(size * mean / (square.sqrt() + 1e-8))
        g.zero_()


def contest(task: Memory, first_seed: int, /) -> dict[str, np.ndarray]:
    """Return scores ``(laws, seeds)`` at the rate of each law, these rates, and whether each is at an edge."""
    laws = list(LAWS.values())
    tuning = [first_seed + 1000 + k for k in range(TUNING)]
    found: dict[float, np.ndarray] = {}
    further, chosen = list(RATES), list[float]()
    for _ in range(1 + FARTHEST):
        scores = trained(task, [(law, rate, seed) for rate in further for law in laws for seed in tuning])
        found |= dict(zip(further, scores.reshape(len(further), len(laws), TUNING).mean(-1), strict=True))
        chosen = [min(found, key=lambda rate, k=k: found[rate][k]) for k in range(len(laws))]
        low, high = min(found), max(found)
        further = [low / 3.3] * (low in chosen) + [high * 3.3] * (high in chosen)
        if not further:
            break
    seeds = [first_seed + k for k in range(SEEDS)]
    scores = trained(task, [(law, rate, seed) for law, rate in zip(laws, chosen, strict=True) for seed in seeds])
    edge = [rate in {min(found), max(found)} for rate in chosen]
    return {"scores": scores.reshape(len(laws), SEEDS), "rates": np.array(chosen), "edge": np.array(edge)}


def claims(context: Context, /) -> Iterator[Claim]:
    """Train all starts on both tasks, and judge the two comparisons that the source makes."""
    found = {
        task.name: context.kept(
            "orthogonal-linear-transition",
            (task.name, task.units, task.steps, BATCH, RATES, tuple(LAWS.items()), context.first_seed),
            lambda task=task: contest(task, context.first_seed),
        )
        for task in TASKS
    }
    yield judged({task.name: (task, found[task.name]) for task in TASKS})


COMPARISONS = {"copying 20": ("identity", "Haar"), "adding 100": ("Haar", "identity")}
"""Task → what the source says fails on it, and what it says succeeds."""


def judged(found: Mapping[str, tuple[Memory, Mapping[str, np.ndarray]]], /) -> Claim:
    """Return the claim that follows from the scores."""
    labels, rows, evidence = list(LAWS), list[dict[str, Any]](), list[Evidence]()
    for name, (task, arrays) in found.items():
        worse, better = (arrays["scores"][labels.index(label)] for label in COMPARISONS[name])
        # One look of the two comparisons; diverged runs count as the baseline.
        plan = Plan((SEEDS,), PART * task.baseline, (1 - CONFIDENCE) / len(COMPARISONS))
        pairs = (np.minimum(worse, task.baseline) - np.minimum(better, task.baseline)).tolist()
        decision = plan.decide(pairs, paired_p)
        needed = plan.needed(pairs) if decision.open else math.nan
        evidence.append(
            Evidence(f"{name}: {' against '.join(COMPARISONS[name])}", decision.sign, decision.equivalent, needed)
        )
        rows += [
            {
                "task": name,
                "transition starts as": label,
                "loss, median [95 %]": with_interval(float(np.median(s)), median_interval(s.tolist(), CONFIDENCE)),
                "baseline": task.baseline,
                "below half the baseline": f"{int((s < task.baseline / 2).sum())}/{len(s)}",
                "rate": number(float(rate)) + " (edge)" * bool(edge),
            }
            for label, s, rate, edge in zip(labels, arrays["scores"], arrays["rates"], arrays["edge"], strict=True)
        ]
    verdict, condition = follows(evidence, margin=f"margin declared beforehand: {PART:g} of the baseline")
    words = "; ".join(
        f"{row['task']}, {row['transition starts as']} {row['loss, median [95 %]']} ({row['below half the baseline']} "
        f"below half the baseline {row['baseline']:.3g})"
        for row in rows
    )
    return Claim(
        "linear-transition",
        "Linear transitions, trained: orthogonal for copying, identity for adding",
        "Initializing the transition as a random orthogonal matrix or as the identity is critical: networks with a "
        "linear transition learn copying from the first and adding from the second, and fail the other way round "
        "(Henaff, Szlam and LeCun).",
        f"h ← V h + ReLU(U x + b), V trained with all else; {KINDS} kinds of {REMEMBERED} symbols, {DELAY} blank "
        f"steps, {TASKS[0].units} units; {LENGTH} numbers, {TASKS[1].units} units; {TASKS[0].steps} steps of {BATCH} "
        f"sequences, Adam, clipped at 1, {SEEDS} seeds, each start at its best rate of another seed. {words}.",
        verdict,
        rows,
        condition=condition,
    )
