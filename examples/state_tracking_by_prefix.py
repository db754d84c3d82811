"""Counting modulo 3 again, with an answer asked after every symbol: what a recurrence with rotations learns.

Run as ``python examples/state_tracking_by_prefix.py > docs/results/state-tracking-by-prefix.md`` (minutes of one core).

Protocol, written before the runs
---------------------------------
In ``state_tracking.py`` no range of eigenvalues learned Tomita's language 6 to 0.99 from the answer after the last
symbol. Here the recurrence is the same, ``h' = λ(x) h + b(x)`` of 32 units, with the same readout and the same three
ranges, (0, 1), (-1, 1) and the disc, all arms from the same draws. Different are, for all arms alike:

- the label of every prefix is asked, weighted to equal shares of the classes, with 0.2 of label smoothing, so that a
  state which drifts with length is punished at every symbol;
- strings have up to 4 symbols at first and up to 30 after 600 of 1,000 steps, each string with its own share of ones,
  uniform in (0, 1); 32 strings a step; Adam, 50 steps of warm-up to a rate of 0.01, cosine to 0;
- |λ| starts near 1 (a ~ N(8, 1)), the angles are uniform in (−π, π) and learned as they are, b starts at N(0, 1) for
  the begin symbol and at 0 for the others. No angle is planted near 2π/3.

Score: balanced accuracy on the test strings of the task (40 to 100 symbols, the answer after the last), which decide
nothing. A seed has *learned* where it is at least 0.99. Seeds 0 to 4. These settings were chosen among some ten (16 to
128 units, starts of |λ|, labels after the last symbol or after each, smoothing, shares of ones) on seeds 100 to 104, of
the disc on language 6 (best 1.000, one of five above 0.99) and of (-1, 1) on language 5; the other arms were not tried.

Expected (Grazzi et al., arXiv 2411.12537, theorems 1 and 2): language 5 is learned with (-1, 1) in at least one seed,
and with (0, 1) in none; language 6 with the disc in at least one, and with (0, 1) or (-1, 1) in none. What comes out
otherwise is said. Rates have 95 % intervals of Clopper and Pearson.

Second protocol, written after the runs of the first and before its own
------------------------------------------------------------------------
In the first, the disc learned language 6 in none of five seeds (best 0.799): the loss of training is at its least, and
what is learned are other angles than 2π/3, which the readout tells apart up to 30 symbols. In the second, Gaussian
noise of standard deviation 0.7 is added to the state that the readout sees in training, for all arms alike, so that
only states far from each other are of use. All else is as it was. Chosen on seeds 100 to 104 of the disc on language 6
(three of five above 0.99; a deviation of 1.5, seen after the choice, gave four); seeds 10 to 14, which no run has seen.
The expectation is the same.
"""

from __future__ import annotations

import datetime as dt
import math
import sys
from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import beta
from torch import Tensor
from torch.nn import functional

from unitcircle.experiments.tasks import Tomita

UNITS, HIDDEN, STEPS, BATCH, RATE = 32, 32, 1000, 32, 0.01
PROTOCOLS = {"first": (range(5), 0.0), "second": (range(10, 15), 0.7)}
"""Protocol → its seeds, and the noise on the state that the readout sees in training."""
SHORT, LONG, GROWING, WARM, SMOOTHING, LEARNED = 4, 30, 600, 50, 0.2, 0.99
BEGIN = 2
Parameters = dict[str, Tensor]
ARMS: dict[str, Callable[[Parameters], tuple[Tensor, Tensor]]] = {
    "(0, 1)": lambda p: (p["a"].sigmoid(), torch.zeros_like(p["a"])),
    "(-1, 1)": lambda p: (torch.tanh(p["a"] * p["sign"]), torch.zeros_like(p["a"])),
    "disc": lambda p: (p["a"].sigmoid(), math.pi * p["theta"]),
}
"""Range of λ → its modulus, of either sign, and its angle, each ``(seeds, symbols, units)``."""
MEMBERS: dict[int, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    5: lambda zeros, ones: (zeros % 2 == 0) & (ones % 2 == 0),
    6: lambda zeros, ones: (zeros - ones) % 3 == 0,
}
NAMES = {5: "5: an even number of zeros and of ones", 6: "6: zeros minus ones a multiple of 3"}
EXPECTED = {5: {"(-1, 1)": True, "(0, 1)": False}, 6: {"disc": True, "(0, 1)": False, "(-1, 1)": False}}


def drawn(seeds: range) -> Parameters:
    """Return the parameters of all seeds, the same for every arm."""
    found: dict[str, list[Tensor]] = {}
    for seed in seeds:
        rng = np.random.default_rng(seed)
        table = (3, UNITS)
        one = {
            "a": rng.normal(8, 1, table),
            "sign": rng.choice([-1.0, 1.0], table),
            "theta": rng.uniform(-1, 1, table),
            "b": rng.standard_normal(table) * (np.arange(3) == BEGIN)[:, None],
            "W1": rng.standard_normal((2 * UNITS, HIDDEN)) / math.sqrt(2 * UNITS),
            "c1": np.zeros((1, HIDDEN)),
            "W2": rng.standard_normal((HIDDEN, 2)) / math.sqrt(HIDDEN),
            "c2": np.zeros((1, 2)),
        }
        for name, values in one.items():
            found.setdefault(name, []).append(torch.tensor(values, dtype=torch.float32))
    return {name: torch.stack(values).requires_grad_(name != "sign") for name, values in found.items()}


def states(arm: str, p: Parameters, symbols: Tensor) -> Tensor:
    """Return the states ``(seeds, T, strings, 2 units)`` after every symbol of strings ``(T, strings)``."""
    modulus, angle = ARMS[arm](p)
    real, imaginary = ((modulus * part)[:, symbols] for part in (angle.cos(), angle.sin()))
    b = p["b"][:, symbols]
    x = torch.zeros(len(b), symbols.shape[1], UNITS)
    y, found = torch.zeros_like(x), []
    for t in range(len(symbols)):
        u, v = real[:, t], imaginary[:, t]
        x, y = u * x - v * y + b[:, t], v * x + u * y
        found.append(torch.cat([x, y], -1))
    return torch.stack(found, 1)


def logits(p: Parameters, state: Tensor) -> Tensor:
    """Return the logits ``(seeds, answers, 2)`` of states ``(seeds, answers, 2 units)``."""
    return functional.gelu(state @ p["W1"] + p["c1"]) @ p["W2"] + p["c2"]


def batch(grammar: int, step: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return symbols ``(T, strings)`` that begin with the begin symbol, and the label of every prefix."""
    length = int(SHORT + (LONG - SHORT) * min(1, step / GROWING))
    ones = rng.random((length, BATCH)) < rng.random(BATCH)
    symbols = np.concatenate([np.full((1, BATCH), BEGIN), ones.astype(int)])
    counts = [(symbols == symbol).cumsum(0) for symbol in (0, 1)]
    return torch.tensor(symbols), torch.tensor(MEMBERS[grammar](*counts)).long()


def trained(grammar: int, arm: str, seeds: range, noise: float) -> np.ndarray:
    """Return the balanced accuracy on the test strings of every seed."""
    p, rng = drawn(seeds), np.random.default_rng(0)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam([value for value in p.values() if value.requires_grad], lr=RATE)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / WARM) * (0.5 + 0.5 * math.cos(math.pi * step / STEPS))
    )
    for step in range(STEPS):
        symbols, labels = batch(grammar, step, rng)
        labels = labels.flatten()
        share = labels.float().mean().clamp(1e-3, 1 - 1e-3)
        weights = torch.where(labels == 1, 0.5 / share, 0.5 / (1 - share))
        seen = states(arm, p, symbols).flatten(1, 2)
        answers = logits(p, seen + noise * torch.randn(seen.shape, generator=generator) if noise else seen)
        losses = functional.cross_entropy(
            answers.flatten(0, 1), labels.repeat(len(seeds)), reduction="none", label_smoothing=SMOOTHING
        )
        optimizer.zero_grad()
        (losses.view(len(seeds), -1) * weights).mean(1).sum().backward()
        optimizer.step()
        schedule.step()
    return tested(Tomita(grammar), arm, p)


@torch.no_grad()
def tested(task: Tomita, arm: str, p: Parameters) -> np.ndarray:
    """Return the balanced accuracy of every seed after the last symbol of the test strings."""
    right, total = torch.zeros(len(p["a"])), 0.0
    for given in task.held_out("test"):
        last, columns = given.weights.argmax(0), np.arange(given.weights.shape[1])
        labels = torch.tensor(np.array(given.targets)[last, columns]).long()
        weights = torch.tensor(given.weights[last, columns])
        state = states(arm, p, torch.tensor(given.inputs))[:, torch.tensor(last), torch.tensor(columns)]
        right += ((logits(p, state).argmax(-1) == labels) * weights).sum(-1)
        total += float(weights.sum())
    return right.numpy() / total


def interval(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % interval of Clopper and Pearson of a rate."""
    low = beta.ppf(0.025, successes, trials - successes + 1) if successes else 0.0
    high = beta.ppf(0.975, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)


HEAD = """# State tracking with an answer after every symbol: Tomita's languages 5 and 6

Printed by `python examples/state_tracking_by_prefix.py` on {date}; the protocols are the head of that file, each
committed before its runs. One diagonal linear recurrence of {units} units whose eigenvalues lie in the stated range,
trained on all prefixes of strings up to {long} symbols; no angle starts near 2π/3 on purpose. Balanced accuracy on the
task's strings of 40 to 100 symbols; chance is .5. [Trained on the last answer alone](state-tracking.md), none learned
language 6."""
TABLE = """
## The {name} protocol{what}

| language | range of λ | learned (≥ .99) | 95 % interval | median | lowest | highest |
|---|---|---|---|---|---|---|"""


def report(name: str) -> None:
    """Print what a protocol gives."""
    seeds, noise = PROTOCOLS[name]
    what = f": noise of {noise} on the state that the readout sees in training" if noise else ""
    print(TABLE.format(name=name, what=what))
    verdicts: list[str] = []
    for grammar, language in NAMES.items():
        for arm in ARMS:
            score = np.sort(trained(grammar, arm, seeds, noise))
            learned = int((score >= LEARNED).sum())
            low, high = interval(learned, len(seeds))
            values = " | ".join(f"{value:.3f}" for value in (np.median(score), score[0], score[-1]))
            rate = f"{learned} of {len(seeds)} | {low:.2f} to {high:.2f}"
            print(f"| {language} | {arm} | {rate} | {values} |", flush=True)
            expected = EXPECTED[grammar].get(arm)
            if expected is not None:
                verdict = "as expected" if expected == (learned > 0) else "not as expected"
                verdicts.append(f"Language {grammar} with {arm}: learned in {learned} of {len(seeds)}, {verdict}.")
    print("\n" + "\n".join(verdicts))


def main() -> None:
    torch.set_num_threads(1)
    print(HEAD.format(date=dt.datetime.now(dt.UTC).date(), units=UNITS, long=LONG))
    for name in sys.argv[1:] or PROTOCOLS:
        report(name)


if __name__ == "__main__":
    main()
