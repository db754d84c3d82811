"""Learning times of deep linear networks as a slope over depths from 2 to 128; the exact solution of two layers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor

from unitcircle.initializers import Gaussian, Orthogonal
from unitcircle.report import CYCLE
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._judgement import Evidence, follows
from unitcircle_reproduction.orthogonal._depth import GAUSSIAN, PROTOCOLS, Start

UNITS, ANSWERS = 16, 4
DEPTHS = (2, 4, 8, 16, 32, 64, 128)
SEEDS, TUNING = 8, 2
RATES = tuple(2.0**-k for k in range(-1, 7))
FARTHEST = 4
"""Halvings, or doublings, by which the rates are extended at most while the best is at an edge."""
MOST_STEPS = 200
LEARNED = 0.01
"""Share of the variance that is left: at 30 % one step of a large rate, by chance, could count as learned."""
FLAT = 0.25
"""Slopes up to this are called independent of the depth: twice the time at sixteen times the depth."""
LAWS = {"orthogonal": Orthogonal(), "gaussian": Gaussian()}


@dataclass(frozen=True, eq=False)
class Times:
    """Steps to 1 % of the variance from one start, at the rate chosen for each depth."""

    steps: np.ndarray  # (depths, seeds); inf where they were not enough
    rates: np.ndarray  # (depths,)
    at_edge: np.ndarray  # (depths,): whether the rate is the last that was tried

    @property
    def slopes(self) -> np.ndarray:
        """Slope of log steps on log depth, one a seed; who did not learn counts as ``MOST_STEPS``: a lower bound."""
        y = np.log(np.minimum(self.steps, MOST_STEPS))
        x = np.log(DEPTHS)[:, None] - np.mean(np.log(DEPTHS))
        return (x * y).sum(0) / np.square(x).sum()


class Fit(NamedTuple):
    """A mean slope with its 95 % t interval over the seeds."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        """Return the numbers."""
        return f"{self.mean:+.3f} [{self.low:+.3f}, {self.high:+.3f}]"


def fit(slopes: np.ndarray, /) -> Fit:
    """Return the mean of slopes with its interval."""
    half = float(stats.t.isf(0.025, len(slopes) - 1) * stats.sem(slopes))
    return Fit(float(slopes.mean()), float(slopes.mean()) - half, float(slopes.mean()) + half)


def gradients(layers: Sequence[Tensor], readout: Tensor, target: Tensor, /) -> tuple[list[Tensor], Tensor, Tensor]:
    """Return the gradients of ``(layers, readout)`` of ‖R W_D … W_1 − A‖²/k, and that loss: inputs are white."""
    prefix = [torch.eye(layers[0].shape[-1], dtype=target.dtype).expand_as(layers[0])]
    for W in layers:
        prefix.append(W @ prefix[-1])
    error = readout @ prefix[-1] - target
    suffix, found = readout, list[Tensor]()
    scaled = 2 / target.shape[-2] * error
    for W, before in zip(reversed(layers), reversed(prefix[:-1]), strict=True):
        found.append(suffix.mT @ (scaled @ before.mT))
        suffix = suffix @ W
    return found[::-1], scaled @ prefix[-1].mT, error.square().sum((-2, -1)) / target.shape[-2]


def learn(
    start: Start, depth: int, rates: Sequence[float], seeds: Sequence[int], /, *, first: bool = False
) -> np.ndarray:
    """Return the steps of gradient descent ``(rates, seeds)`` to 1 % of the variance; inf: too few steps."""
    # first: only until all seeds of one rate have learned, which is what the choice of a rate asks for.
    drawn = [_draw(start, depth, seed) for seed in seeds]
    layers, readout, target = (
        torch.from_numpy(np.concatenate([np.stack(part)] * len(rates)).astype(np.float32))
        for part in zip(*drawn, strict=True)
    )
    rate = torch.tensor(np.repeat(rates, len(seeds)), dtype=torch.float32)
    weights = [*layers.unbind(1), readout]
    steps = np.full(len(rate), math.inf)
    alive = np.arange(len(rate))
    for step in range(MOST_STEPS + 1):
        *gradient, loss = _flat(gradients(weights[:-1], weights[-1], target))
        got = (loss <= LEARNED).numpy()
        steps[alive[got]] = step
        if first and np.isfinite(steps.reshape(len(rates), -1)).all(1).any():
            break
        # A run that has learned or diverged leaves.
        stays = np.flatnonzero(~got & torch.isfinite(loss).numpy())
        if not len(stays):
            break
        size = rate
        if start.clip is not None:
            norm = torch.stack([g.square().sum((-2, -1)) for g in gradient]).sum(0).sqrt()
            size = rate * (start.clip / norm).clamp(max=1.0)
        kept = torch.from_numpy(stays)
        weights = [(W - size[:, None, None] * g)[kept] for W, g in zip(weights, gradient, strict=True)]
        target, rate, alive = target[kept], rate[kept], alive[stays]
    return steps.reshape(len(rates), len(seeds))


def _flat(found: tuple[list[Tensor], Tensor, Tensor]) -> list[Tensor]:
    return [*found[0], found[1], found[2]]


def _draw(start: Start, depth: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng([seed, 37])
    target = Orthogonal().sample(UNITS, rng=rng)[:ANSWERS]
    inner, ends = LAWS[start.inner], LAWS[start.ends]
    layers = [(ends if k == 0 else inner).sample(UNITS, rng=rng) for k in range(depth)]
    return np.stack(layers), ends.sample(UNITS, rng=rng)[:ANSWERS], target


def times(start: Start, first_seed: int, /) -> Times:
    """Return the learning times from a start, each depth at the rate that two tuning seeds choose for it."""
    seeds = [first_seed + k for k in range(SEEDS)]
    tuning = [first_seed + 1000 + k for k in range(TUNING)]
    steps, chosen, edges = [], [], []
    for depth in DEPTHS:
        known = dict(zip(RATES, learn(start, depth, RATES, tuning, first=True), strict=True))
        best = _best(known)
        while best in {min(known), max(known)} and len(known) < len(RATES) + FARTHEST:
            further = best / 2 if best == min(known) else best * 2
            known[further] = learn(start, depth, (further,), tuning, first=True)[0]
            best = _best(known)
        steps.append(learn(start, depth, (best,), seeds)[0])
        chosen.append(best)
        edges.append(best in {min(known), max(known)})
    return Times(np.array(steps), np.array(chosen), np.array(edges))


def _best(known: Mapping[float, np.ndarray]) -> float:
    """Return the rate at which all seeds have learned first, of equal ones that in their middle."""
    means = {rate: float(steps.max()) for rate, steps in known.items()}
    equal = sorted(rate for rate, mean in means.items() if mean == min(means.values()))
    return equal[len(equal) // 2]


def claims(context: Context, /) -> Iterator[Claim]:
    """Judge the slope of learning time on depth, and the shape of the learning curves."""
    found: dict[Start, Times] = {}
    for start in (*PROTOCOLS, *GAUSSIAN.values()):
        arrays = context.kept(
            "orthogonal-learning-times",
            (str(start), DEPTHS, RATES, UNITS, context.first_seed),
            lambda start=start: vars(times(start, context.first_seed)),
        )
        found[start] = Times(**arrays)
    yield _slope_claim(found)
    yield _plateau_claim()


def evidence_of(fits: Mapping[Start, Fit], /) -> list[Evidence]:
    """Return what each protocol says: flat, and the Gaussian start with the same clipping steeper than it."""
    evidence: list[Evidence] = []
    for start in PROTOCOLS:
        own, other = fits[start], fits[GAUSSIAN[start.clip]]
        flat, steeper = own.low >= -FLAT and own.high <= FLAT, other.low > own.high
        contrary = own.low > FLAT or other.high < own.low
        evidence.append(Evidence(str(start), 1 if flat and steeper else -1 if contrary else 0))
    return evidence


def _slope_claim(found: Mapping[Start, Times]) -> Claim:
    fits = {start: fit(result.slopes) for start, result in found.items()}
    verdict, condition = follows(evidence_of(fits))
    lost = {start: int(np.isinf(result.steps).sum()) for start, result in found.items()}
    words = "; ".join(
        f"{start} {fits[start]}"
        + (f" (at least: {lost[start]} of {found[start].steps.size} runs not learned)" * bool(lost[start]))
        for start in found
    )
    edges = [f"{start} at depth {d}" for start, r in found.items() for d, e in zip(DEPTHS, r.at_edge, strict=True) if e]
    return Claim(
        "learning-times",
        "Deep linear networks: the slope of learning time on depth",
        "From orthogonal initial weights the learning time of a deep linear network does not depend on its depth; from "
        "scaled Gaussian ones it grows (Saxe, McClelland and Ganguli).",
        f"Gradient descent on the expected loss, inputs white, n = {UNITS}, {ANSWERS} answers of a Haar teacher, "
        f"{SEEDS} seeds, at most {MOST_STEPS} steps to 1 % of the variance, at every depth the best rate of two other "
        f"seeds, extended while at an edge (still at one: {', '.join(edges) or 'none'}). Slope of log steps on log "
        f"depth, {DEPTHS[0]} to {DEPTHS[-1]}, mean over seeds with 95 % t interval: {words}. Independent of the depth "
        f"is called a slope within ±{FLAT:g}, twice the time at sixteen times the depth, the rule of the committed "
        "contest, beside a Gaussian start whose slope lies above.",
        verdict,
        [
            {"start": str(start)}
            | {
                f"depth {d}": f"{np.median(s):.0f}".replace("inf", "never")
                for d, s in zip(DEPTHS, result.steps, strict=True)
            }
            | {"slope": str(fits[start]), "rates": ", ".join(f"{rate:.3g}" for rate in result.rates)}
            for start, result in found.items()
        ],
        {"Steps to 1 % of the variance against depth: median and range over the seeds.": partial(_figure, found)},
        {str(start): list(value) for start, value in fits.items()},
        condition,
    )


def _figure(found: Mapping[Start, Times]) -> Figure:
    figure = Figure(figsize=(7.2, 4.4), layout="constrained")
    ax = figure.subplots()
    for k, (start, result) in enumerate(found.items()):
        x = np.array(DEPTHS) * 1.04 ** (k - 2.5)
        median = np.median(result.steps, 1)
        shown = np.isfinite(median)
        missing = ", ".join(str(d) for d, there in zip(DEPTHS, shown, strict=True) if not there)
        label = f"{start} (not at {missing})" if missing else str(start)
        ax.plot(x[shown], median[shown], "osD^vP"[k] + "-", ms=4, color=CYCLE[k % len(CYCLE)], label=label)
        low, high = result.steps.min(1), np.minimum(result.steps.max(1), MOST_STEPS)
        ax.vlines(x[shown], low[shown], high[shown], color=CYCLE[k % len(CYCLE)], lw=1)
    ax.set(
        xscale="log", yscale="log", xlabel="depth (matrices below the readout)", ylabel="steps to 1 % of the variance"
    )
    ax.set_xticks(DEPTHS, [str(depth) for depth in DEPTHS])
    ax.minorticks_off()
    figure.legend(loc="outside lower center", ncols=2, fontsize=7)
    return figure


# ------------------------------------------------------------------ two layers, from small weights


STRENGTHS = (4.0, 2.0, 1.0, 0.5)
START_SIZE, RATE = 1e-3, 1e-3


def exact_strength(s: float, t: np.ndarray, /) -> np.ndarray:
    """Return s·e^(2st)/(e^(2st) − 1 + s/a₀), the strength of a mode of two layers after the time t."""
    # A. M. Saxe, J. L. McClelland, S. Ganguli, ICLR 2014, equation 9.
    return s / (1 - np.exp(-2 * s * t) * (1 - s / START_SIZE))


def descend(rng: np.random.Generator, steps: int, /) -> np.ndarray:
    """Return the strengths of the modes ``(steps + 1, modes)`` of two layers by plain gradient descent."""
    n = len(STRENGTHS)
    left, right, inside = (Orthogonal().sample(n, rng=rng) for _ in range(3))
    target = left @ np.diag(STRENGTHS) @ right.T
    # Balanced and aligned with the modes, as the solution assumes; the hidden basis is arbitrary.
    second, first = (START_SIZE**0.5 * part for part in (left @ inside.T, inside @ right.T))
    found = []
    for _ in range(steps + 1):
        found.append(np.diag(left.T @ second @ first @ right).copy())
        error = target - second @ first
        second, first = second + RATE * error @ first.T, first + RATE * second.T @ error
    return np.array(found)


def _plateau_claim() -> Claim:
    steps = 9000
    found = descend(np.random.default_rng(41), steps)
    t = RATE * np.arange(steps + 1)
    exact = np.stack([exact_strength(s, t) for s in STRENGTHS], -1)
    error = np.abs(found - exact) / STRENGTHS
    half = [float(t[np.argmax(found[:, k] >= s / 2)]) for k, s in enumerate(STRENGTHS)]
    tenth = [float(t[np.argmax(found[:, k] >= s / 10)]) for k, s in enumerate(STRENGTHS)]
    foretold = [math.log(s / START_SIZE - 1) / (2 * s) for s in STRENGTHS]
    low = [f"{a / b:.0%}" for a, b in zip(tenth, half, strict=True)]
    within = float(error.max()) < 0.02
    return Claim(
        "plateaus",
        "Two linear layers: plateaus and the exact solution",
        "Although the network is linear, its learning is not: long plateaus are followed by rapid transitions to a "
        "lower error, and there are exact solutions of it (Saxe, McClelland and Ganguli).",
        f"Gradient descent (rate {RATE:g}, {steps} steps) on a map of strengths "
        f"{', '.join(f'{s:g}' for s in STRENGTHS)}, all modes starting at {START_SIZE:g}: the strength of a mode "
        f"follows s·e^(2st)/(e^(2st) − 1 + s/a₀) within {error.max():.1%} of s at every step. Half of it is reached at "
        f"t = {', '.join(f'{x:.2f}' for x in half)} (solution {', '.join(f'{x:.2f}' for x in foretold)}), the "
        f"strongest first; before, the modes stay below a tenth for {', '.join(low)} of that time.",
        Verdict.HOLDS if within and half == sorted(half) else Verdict.FAILS,
        [
            {"strength": s, "half reached at": h, "solution": f, "largest error / s": float(e)}
            for s, h, f, e in zip(STRENGTHS, half, foretold, error.max(0), strict=True)
        ],
        {"Strength of each mode against time: descent (lines) and solution (dots).": partial(_modes, t, found, exact)},
    )


def _modes(t: np.ndarray, found: np.ndarray, exact: np.ndarray) -> Figure:
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    ax = figure.subplots()
    for k, s in enumerate(STRENGTHS):
        ax.plot(t, found[:, k], color=CYCLE[k], label=f"s = {s:g}")
        ax.plot(t[::300], exact[::300, k], "o", ms=3, color=CYCLE[k])
    ax.set(xlabel="time, steps × rate", ylabel="strength of the mode")
    ax.legend()
    return figure
