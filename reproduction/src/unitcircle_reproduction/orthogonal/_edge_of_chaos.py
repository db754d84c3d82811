"""Deep tanh networks from orthogonal weights over the gain: gradients through depth, and learning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from unitcircle.experiments.comparison import paired_p
from unitcircle.experiments.tasks import Digits
from unitcircle.initializers import Orthogonal
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import BEYOND, FURTHER, Context
from unitcircle_reproduction._judgement import Evidence, follows, number, significant

GAINS = (0.8, 0.9, 1.0, 1.05, 1.1, 1.2, 1.5, 2.0)
EDGE, ORDERED, CHAOTIC = 1.05, 0.8, 2.0
"""tanh is critical at 1 for weak signals; a little above, it carries them without shrinking them."""
DEPTH, UNITS, NETWORKS = 64, 64, 20
FACTOR = 10.0
"""Within which a gradient counts as faithful."""
TRAINED_DEPTH, TRAINED_UNITS, STEPS, BATCH = 32, 32, 200, 64
RATES, SEEDS = (0.01, 0.03, 0.1, 0.3), 8
PIXELS, CLASSES = 64, 10


def ratios(gain: float, seed: int, /) -> np.ndarray:
    """Return log(‖gradient of the first layer's output‖/‖of the last's‖) of networks, for random gradients there."""
    rng = np.random.default_rng([seed, 51])
    found = []
    for _ in range(NETWORKS):
        weights = Orthogonal(gain=gain).sample(UNITS, rng=rng, size=DEPTH)
        h, slopes = np.tanh(rng.standard_normal(UNITS)), []
        for W in weights:
            h = np.tanh(W @ h)
            slopes.append(1 - h**2)
        g = rng.standard_normal(UNITS)
        start = np.linalg.norm(g)
        for W, slope in zip(weights[::-1], slopes[::-1], strict=True):
            g = W.T @ (slope * g)
        found.append(np.log(np.linalg.norm(g) / start))
    return np.array(found)


def trained(members: Sequence[tuple[float, float, int]], /, *, steps: int = STEPS) -> np.ndarray:
    """Return the test accuracy of networks of a gain, a rate and a seed each, trained as one program."""
    draws = [_draw(gain, seed) for gain, _, seed in members]
    weights = [
        torch.from_numpy(np.stack(part).astype(np.float32)).requires_grad_() for part in zip(*draws, strict=True)
    ]
    rate = torch.tensor([rate for _, rate, _ in members], dtype=torch.float32)[:, None, None]
    streams = {seed: np.random.default_rng([seed, 53]) for *_, seed in members}
    for _ in range(steps):
        batches = {seed: _pixels(Digits().sample(stream, BATCH)) for seed, stream in streams.items()}
        x, y = (torch.from_numpy(np.stack([batches[seed][k] for *_, seed in members])) for k in range(2))
        out = _forward(weights, x)
        functional.cross_entropy(out.flatten(0, 1), y.flatten(), reduction="none").view(y.shape).mean(
            1
        ).sum().backward()
        _descend(weights, rate)
    x, y = _pixels(next(iter(Digits().held_out("test"))))
    with torch.no_grad():
        right = _forward(weights, torch.from_numpy(x).expand(len(members), *x.shape)).argmax(-1) == torch.from_numpy(y)
    return right.double().mean(1).numpy()


def _pixels(batch: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the images of a batch of sequences as vectors ``(B, 64)``, and the labels."""
    return np.ascontiguousarray(batch.inputs[:PIXELS, :, 0].T), batch.targets.astype(np.int64)


def _draw(gain: float, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng([seed, 52])
    n = TRAINED_UNITS
    first, last = rng.standard_normal((n, PIXELS)) / PIXELS**0.5, rng.standard_normal((CLASSES, n)) / n**0.5
    return [first, *Orthogonal(gain=gain).sample(n, rng=rng, size=TRAINED_DEPTH), last]


def _forward(weights: Sequence[Tensor], x: Tensor) -> Tensor:
    h = x
    for W in weights[:-1]:
        h = (h @ W.mT).tanh()
    return h @ weights[-1].mT


@torch.no_grad()
def _descend(weights: Sequence[Tensor], rate: Tensor) -> None:
    gradients = [W.grad for W in weights if W.grad is not None]
    norm = torch.stack([g.flatten(1).square().sum(1) for g in gradients]).sum(0).sqrt()
    factor = (1 / norm).clamp(max=1.0)[:, None, None]
    for W, g in zip(weights, gradients, strict=True):
        W.sub_(rate * factor * g)
        g.zero_()


def contest(first_seed: int, /) -> dict[str, np.ndarray]:
    """Return accuracies ``(gains, seeds)`` at the rate of each gain, these rates, and whether each is at an edge."""
    known: dict[float, dict[float, float]] = {gain: {} for gain in GAINS}
    best: dict[float, float] = {}
    further = [(gain, rate) for gain in GAINS for rate in RATES]
    for _ in range(1 + FURTHER):
        found = trained([(gain, rate, first_seed + 1000) for gain, rate in further])
        for (gain, rate), score in zip(further, found, strict=True):
            known[gain][rate] = float(score)
        # Between equal rates the smaller one.
        best = {gain: min(scores, key=lambda rate, of=scores: (-of[rate], rate)) for gain, scores in known.items()}
        further = [(gain, float(f"{best[gain] * factor:.3g}")) for gain, factor in _further(known, best).items()]
        if not further:
            break
    seeds = range(first_seed, first_seed + SEEDS)
    accuracy = trained([(gain, best[gain], seed) for gain in GAINS for seed in seeds]).reshape(len(GAINS), SEEDS)
    edges = _further(known, best)
    return {
        "accuracy": accuracy,
        "rates": np.array([best[gain] for gain in GAINS]),
        "edge": np.array([gain in edges for gain in GAINS]),
    }


def _further(known: Mapping[float, Mapping[float, float]], best: Mapping[float, float]) -> dict[float, float]:
    """Return gain → factor to the next rate, of the gains whose best rate is the smallest or the largest."""
    ends = {gain: (min(rates), max(rates)) for gain, rates in known.items()}
    return {
        gain: 1 / BEYOND if best[gain] == low else BEYOND
        for gain, (low, high) in ends.items()
        if best[gain] in {low, high}
    }


def claims(context: Context, /) -> Iterator[Claim]:
    """Measure gradients at every gain, train networks from each, and judge the edge against both sides."""
    if context.leaves_out("orthogonal/edge-of-chaos"):
        return
    found = context.kept(
        "orthogonal-edge", (GAINS, RATES, FURTHER, STEPS, context.first_seed), lambda: contest(context.first_seed)
    )
    yield judged({gain: ratios(gain, context.draws) for gain in GAINS}, found)


def judged(logs: Mapping[float, np.ndarray], found: Mapping[str, np.ndarray], /) -> Claim:
    """Return the claim that follows from the gradients' log ratios by gain, and from the accuracies."""
    decades = {gain: float(np.median(values)) / np.log(FACTOR) for gain, values in logs.items()}
    evidence = [
        Evidence(f"gradients are faithful at g = {EDGE:g}", 1 if abs(decades[EDGE]) < 1 else -1),
        Evidence(
            f"and not at {ORDERED:g} and {CHAOTIC:g}",
            1 if min(abs(decades[ORDERED]), abs(decades[CHAOTIC])) >= 1 else -1,
        ),
    ]
    accuracy = dict(zip(GAINS, found["accuracy"], strict=True))
    differences = {gain: accuracy[EDGE] - accuracy[gain] for gain in (ORDERED, CHAOTIC)}
    signs = [int(np.sign(values.mean())) for values in differences.values()]
    told = significant(signs, [paired_p(values.tolist()) for values in differences.values()])
    evidence += [
        Evidence(f"{EDGE:g} learns more than {gain:g}", sign) for gain, sign in zip(differences, told, strict=True)
    ]
    verdict, condition = follows(evidence)
    return Claim(
        "edge-of-chaos",
        "Deep tanh networks from orthogonal weights, over the gain",
        "Orthogonal initial conditions lead to faithful propagation of gradients even in deep nonlinear networks, as "
        "long as they operate at the edge of chaos (Saxe, McClelland and Ganguli).",
        f"Haar × g in tanh networks. Untrained, a gradient crosses {DEPTH} layers of {UNITS} units with "
        + ", ".join(f"{value:+.1f}" for value in decades.values())
        + f" decades at g = {', '.join(map('{:g}'.format, decades))} (median of {NETWORKS} networks). Trained on "
        f"digits ({TRAINED_DEPTH} layers of {TRAINED_UNITS} units, {STEPS} steps of plain descent, clipped at 1, "
        f"each gain at its best rate of another seed, extended at an edge, {SEEDS} seeds), the mean test accuracy is "
        + ", ".join(f"{number(float(values.mean()))}" for values in accuracy.values())
        + f". Faithful is called a factor within {FACTOR:g}.",
        verdict,
        [
            {
                "g": gain,
                "gradient, decades over depth": decades[gain],
                "from": float(logs[gain].min()) / np.log(FACTOR),
                "to": float(logs[gain].max()) / np.log(FACTOR),
                "test accuracy, mean": float(accuracy[gain].mean()),
                "worst": float(accuracy[gain].min()),
                "rate": number(float(rate)) + " (edge)" * bool(edge),
            }
            for gain, rate, edge in zip(GAINS, found["rates"], found["edge"], strict=True)
        ],
        condition=condition,
    )
