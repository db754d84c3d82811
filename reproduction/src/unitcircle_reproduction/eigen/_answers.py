"""The same inputs with two kinds of answer, a number and a class: eigenvalues and hidden states after training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from unitcircle.dynamics import participation_ratio
from unitcircle.experiments.comparison import paired_p
from unitcircle.experiments.tasks import MackeyGlass
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._equivalence import equivalence_p, pairs_needed
from unitcircle_reproduction._judgement import CONFIDENCE, Evidence, follows, number, significant
from unitcircle_reproduction._transition import Memory, adding, drawn, fitted, hidden

UNITS, STEPS, RATE = 32, 600, 3e-3
"""One rate for both kinds: how far eigenvalues move depends on it."""
SEEDS = 10
"""Pairs: with ten the smallest p is 1/512, which Holm's correction of 18 tests lets pass; with eight none would."""
LEARNED = 0.5
"""Share of the baseline's loss below which a network has learned its task."""
LAWS = {"eigen .95": "eigen(modulus=0.95, angles=uniform)", "Xavier": "xavier_normal"}
SATURATED = 0.95
CLASSES, RECALLED, FORECAST = 2, 10, 20

Sample = tuple[np.ndarray, np.ndarray]


def recall(rng: np.random.Generator, size: int, /) -> Sample:
    """Return numbers of which the first is asked for, and that number less its mean."""
    numbers = rng.random((RECALLED, size, 1), dtype=np.float32)
    return numbers, numbers[0, :, 0] - np.float32(0.5)


def sums(rng: np.random.Generator, size: int, /) -> Sample:
    """Return the adding task over 10 numbers, the sum less its mean."""
    inputs, targets = adding(rng, size, length=RECALLED)
    return inputs, targets - np.float32(1)


def forecast(rng: np.random.Generator, size: int, /) -> Sample:
    """Return windows of the Mackey-Glass series, and the value 20 steps later."""
    batch = MackeyGlass(horizon=FORECAST, length=3 * RECALLED).sample(rng, size)
    return batch.inputs.astype(np.float32), batch.targets[:, 0].astype(np.float32)


def as_class(sample: Callable[[np.random.Generator, int], Sample], /) -> Callable[[np.random.Generator, int], Sample]:
    """Return the same inputs with the class of the answer: whether it is positive."""

    def classes(rng: np.random.Generator, size: int, /) -> Sample:
        inputs, targets = sample(rng, size)
        return inputs, (targets > 0).astype(np.int64)[None]

    return classes


INPUTS = {"the first of 10": (1, 1 / 12, recall), "adding 10": (2, 1 / 6, sums), "Mackey-Glass": (1, 1.0, forecast)}
"""Name → features, variance of the answer, sample."""
KINDS = ("numbers", "classes")
TASKS = {
    (name, kind): Memory(
        f"{name}, {kind}",
        UNITS,
        features,
        # A number is the first of two readouts: were there one, all later draws of a seed would be others.
        CLASSES,
        variance if kind == "numbers" else math.log(CLASSES),
        STEPS,
        sample if kind == "numbers" else as_class(sample),
        activation="tanh",
    )
    for name, (features, variance, sample) in INPUTS.items()
    for kind in KINDS
}
STATISTICS = {
    "radius": ("ρ after training", 0.1),
    "median": ("median modulus after training", 0.05),
    "beyond": ("share of moduli beyond 1", 0.05),
}
STATES = {
    "distance": ("distance ‖h_T‖/√n", 0.05),
    "saturated": ("saturated share", math.nan),
    "dimension": ("effective dimension", 1.0),
}
"""Attribute → words, and the margin within which there is no practical difference; NaN: not compared."""
MARGINS = "margins declared beforehand: {}"


class Test(NamedTuple):
    """One comparison of pairs: its name, the differences, and the margin of no practical difference."""

    name: str
    differences: np.ndarray
    margin: float

    @property
    def p(self) -> float:
        """The p-value of the permutation test; 1 where there are no two pairs."""
        return paired_p(self.differences.tolist()) if len(self.differences) > 1 else 1.0


def judged(tests: Sequence[Test], /) -> list[Evidence]:
    """Return what the comparisons of a claim say: Holm over all of them, equivalence each by itself."""
    level = 1 - CONFIDENCE
    signs = [int(np.sign(test.differences.mean())) if len(test.differences) > 1 else 0 for test in tests]
    told = significant(signs, [test.p for test in tests])
    evidence = []
    for test, sign in zip(tests, told, strict=True):
        deviation = float(test.differences.std(ddof=1)) if len(test.differences) > 1 else math.inf
        equivalent = not sign and equivalence_p(test.differences.tolist(), test.margin) < level
        evidence.append(Evidence(test.name, sign, equivalent, pairs_needed(deviation, test.margin, level)))
    return evidence


class Answered(NamedTuple):
    """Networks of one task and kind of answer; every array ``(laws, seeds)``, of states ``(laws, seeds, 2)``."""

    scores: np.ndarray  # Loss over the baseline
    radius: np.ndarray
    median: np.ndarray
    beyond: np.ndarray
    distance: np.ndarray  # distance, saturated, dimension: of the last states, before and after training
    saturated: np.ndarray
    dimension: np.ndarray


def answered(task: Memory, seeds: range, /) -> Answered:
    """Train the networks of one task from every law, and measure eigenvalues and states."""
    members = [(law, seed) for law in LAWS.values() for seed in seeds]
    scores, end = fitted(task, [(law, RATE, seed) for law, seed in members])
    shape = (len(LAWS), len(seeds))
    moduli = np.abs(np.linalg.eigvals(end["V"].double().numpy()))
    inputs = torch.from_numpy(task.sample(np.random.default_rng(46), 500)[0])[None]
    states = list[list[tuple[float, float, float]]]()
    for parameters in (drawn(task, members), end):
        with torch.no_grad():
            last = hidden(parameters, inputs.expand(len(members), *inputs.shape[1:]), task.activation)[-1]
        states.append([_of_states(h) for h in last.double().numpy()])
    distance, saturated, dimension = (
        part.reshape(*shape, 2) for part in np.moveaxis(np.array(states), 0, -1).swapaxes(0, 1)
    )
    return Answered(
        scores.reshape(shape) / task.baseline,
        moduli.max(1).reshape(shape),
        np.median(moduli, 1).reshape(shape),
        (moduli > 1).mean(1).reshape(shape),
        distance,
        saturated,
        dimension,
    )


def _of_states(h: np.ndarray) -> tuple[float, float, float]:
    distance = float(np.sqrt(np.square(h).mean(1)).mean())
    return distance, float((np.abs(h) >= SATURATED).mean()), float(participation_ratio(h))


def claims(context: Context, /) -> Iterator[Claim]:
    """Train every input with both kinds of answer; judge the eigenvalues, and the hidden states by initializer."""
    if context.leaves_out("eigen/answers"):
        return
    seeds = range(context.first_seed, context.first_seed + SEEDS)
    found = {
        key: Answered(
            **context.kept(
                "eigen-answers",
                (task.name, UNITS, STEPS, RATE, tuple(LAWS.items()), seeds),
                partial(_arrays, task, seeds),
            )
        )
        for key, task in TASKS.items()
    }
    yield eigenvalues(found)
    yield states(found)


def _arrays(task: Memory, seeds: range) -> dict[str, np.ndarray]:
    return answered(task, seeds)._asdict()


def eigenvalues(found: Mapping[tuple[str, str], Answered], /) -> Claim:
    """Judge whether eigenvalues differ by the kind of answer, the inputs, the start and the rate being the same."""
    tests, rows = list[Test](), list[dict[str, Any]]()
    for task in INPUTS:
        for k, law in enumerate(LAWS):
            first, second = (found[task, kind] for kind in KINDS)
            both = (first.scores[k] < LEARNED) & (second.scores[k] < LEARNED)
            row: dict[str, Any] = {"inputs": task, "start": law, "pairs that learned": f"{both.sum()}/{len(both)}"}
            for key, (words, margin) in STATISTICS.items():
                a, b = (getattr(each, key)[k] for each in (first, second))
                test = Test(f"{words}, {task}, {law}", (b - a)[both], margin)
                tests.append(test)
                p = test.p
                row |= {f"{words}: numbers": float(np.median(a)), "classes": float(np.median(b)), "p": p}
                row = {f"{name}, {words}" if name in {"classes", "p"} else name: value for name, value in row.items()}
            rows.append(row)
    # The source says that they differ, and not which way: a difference either way is as it says.
    told = judged(tests)
    verdict, condition = follows(
        [each._replace(sign=abs(each.sign)) for each in told],
        margin=MARGINS.format(", ".join(f"{margin:g} of {words}" for words, margin in STATISTICS.values())),
    )
    way = "; ".join(
        f"{words}: {_WAYS[frozenset(each.sign for each in told[j :: len(STATISTICS)] if each.sign)]}"
        for j, (words, _) in enumerate(STATISTICS.values())
    )
    return Claim(
        "answers",
        "The same inputs, two kinds of answer: eigenvalues after training",
        "Eigenvalues of trained networks behave differently for regression and for classification.",
        f"tanh-RNNs of {UNITS} units, {STEPS} steps at the rate {RATE:g}, {SEEDS} seeds: the same inputs, weights and "
        f"readouts of one law are asked for a number, or for whether it is above its mean. Pairs of which both learned "
        f"(loss below {LEARNED:g} of the baseline) are compared, {len(tests)} comparisons, permutation test, Holm. "
        f"{sum(bool(each.sign) for each in told)} are told apart; {way}.",
        verdict,
        rows,
        condition=condition,
    )


_WAYS = {
    frozenset[int](): "no difference",
    frozenset({1}): "larger for classes",
    frozenset({-1}): "larger for numbers",
    frozenset({-1, 1}): "larger for either by task",
}


def states(found: Mapping[tuple[str, str], Answered], /) -> Claim:
    """Judge whether hidden states lie further out and are more diverse with the eigen initializer than without."""
    tests, rows = list[Test](), list[dict[str, Any]]()
    for (task, kind), each in found.items():
        for key, (words, margin) in STATES.items():
            values = getattr(each, key)
            for t, when in enumerate(("before", "after")):
                row = {"task": f"{task}, {kind}", "last states": words, "when": when}
                rows.append(row | {law: float(np.median(values[k, :, t])) for k, law in enumerate(LAWS)})
                # Untrained networks are the same for both kinds of answer.
                if not math.isnan(margin) and (kind, when) != ("classes", "before"):
                    name = f"{words}, {task}, {when}" + f", {kind}" * (when == "after")
                    tests.append(Test(name, values[0, :, t] - values[1, :, t], margin))
    verdict, condition = follows(
        judged(tests),
        margin=MARGINS.format(", ".join(f"{m:g} of {words}" for words, m in STATES.values() if not math.isnan(m))),
    )
    return Claim(
        "states",
        "Hidden states with and without the initializer",
        "Compare the distribution of hidden states with and without the initializer: with it they should explore space "
        "away from the origin, and be diverse.",
        f"The same networks: last states of 500 sequences, eigen .95 against Xavier, {SEEDS} pairs, before and after "
        f"training; ‖h‖/√n and the effective dimension are compared, {len(tests)} comparisons, permutation test, "
        "Holm. "
        f"Effective dimension before training, median: "
        + "; ".join(
            f"{row['task'].rpartition(',')[0]} {' against '.join(number(row[law]) for law in LAWS)}"
            for row in rows
            if row["last states"] == STATES["dimension"][0]
            and row["when"] == "before"
            and row["task"].endswith("numbers")
        )
        + ".",
        verdict,
        rows,
        condition=condition,
    )
