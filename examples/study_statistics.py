"""How far the statistics of a study can be trusted with few runs: coverage of intervals, false verdicts.

Prints the figures of docs/studies.md. ``python examples/study_statistics.py [groups]``
"""

import math
import sys
from collections.abc import Callable

import numpy as np

from unitcircle.experiments.comparison import Interval, Judge, Row, Standing

CONFIDENCE = 0.95
LABELS = "ABCDEFG"
LAWS: dict[str, tuple[float, Callable[[np.random.Generator, int], np.ndarray]]] = {
    "normal": (0.0, lambda rng, n: rng.standard_normal(n)),
    "solved or stuck": (0.5, lambda rng, n: np.where(rng.random(n) < 0.5, 0.1, 0.9) + 0.02 * rng.standard_normal(n)),
    "log-normal": (math.exp(0.5), lambda rng, n: np.exp(rng.standard_normal(n))),
}


def row(label: str, scores: np.ndarray) -> Row:
    none = Interval(math.nan, math.nan)
    counts = dict.fromkeys(("missing", "failed", "diverged", "solved"), 0)
    numbers = dict.fromkeys(("mean", "median", "worst", "deviation", "median_steps"), 0.0)
    intervals = dict.fromkeys(("interval", "success", "steps_interval"), none)
    seeds, steps = tuple(range(len(scores))), (math.inf,) * len(scores)
    return Row(label, 1e-3, False, seeds, tuple(scores), steps, **counts, **numbers, **intervals)


def main(groups: int) -> None:
    rng = np.random.default_rng(1)
    judge = Judge(by_steps=False, higher_is_better=True, confidence=CONFIDENCE)
    for name, (mean, draw) in LAWS.items():
        for n in (5, 10, 20):
            # The interval of a mean is that of the difference to a reference that always scores 0.
            zero = row("zero", np.zeros(n))
            intervals = [judge.paired(row("", draw(rng, n)), zero).difference_interval for _ in range(groups)]
            coverage = np.mean([interval.low <= mean <= interval.high for interval in intervals])
            print(f"{name:16} {n:3} runs: coverage {coverage:.3f}")
        verdicts = alone = 0
        for _ in range(groups):
            rows = judge.all_against([row(label, draw(rng, 10)) for label in LABELS], "A", "")[1:]
            verdicts += any(r.verdict in {Standing.BETTER, Standing.WORSE} for r in rows)
            alone += any(not r.difference_interval.low <= 0 <= r.difference_interval.high for r in rows)
        print(f"{name:16} six equal rows, ten seeds: any verdict {verdicts / groups:.3f}, ", end="")
        print(f"any interval without 0 {alone / groups:.3f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
