"""How likely the powers of a weight explode or vanish, for each of the usual laws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from unitcircle.initializers import parse
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._judgement import CONFIDENCE, Evidence, follows

STEPS, SIZES = 64, (32, 128)
FACTOR = 10.0
"""A norm that has grown, or shrunk, by more than this has exploded, or vanished."""
LAWS = {
    "uniform, U(−1/√n, 1/√n)": "torch_default",
    "uniform of variance 1/n": "lecun_uniform",
    "normal, N(0, 1/n)": "lecun_normal",
    "normal, N(0, 2/n)": "kaiming_normal",
}
ORTHOGONAL = "orthogonal (Haar)"


@dataclass(frozen=True)
class Share:
    """How often something happened in independent draws."""

    count: int
    draws: int

    @property
    def ends(self) -> tuple[float, float]:
        """The 95 % interval of the probability by Clopper and Pearson."""
        interval = stats.binomtest(self.count, self.draws).proportion_ci(CONFIDENCE, method="exact")
        return float(interval.low), float(interval.high)

    def __str__(self) -> str:
        """Return the share with its interval."""
        low, high = self.ends
        return f"{self.count / self.draws:.0%} [{low:.0%}, {high:.0%}]"


def claims(context: Context, /) -> Iterator[Claim]:
    """Draw many weights of every law, and count those whose powers have left a decade."""
    draws = context.pick(100, 1000)
    evidence, rows = list[Evidence](), list[dict[str, Any]]()
    for n in SIZES:
        for words, law in {**LAWS, ORTHOGONAL: "orthogonal"}.items():
            logs = norms(law, n, draws, context.draws) / np.log(FACTOR)
            grown, shrunk = (Share(int(part.sum()), draws) for part in (logs > 1, logs < -1))
            either = Share(grown.count + shrunk.count, draws)
            low, high = either.ends
            rows.append(
                {"weight": words, "n": n, "explodes": str(grown), "vanishes": str(shrunk), "either": str(either)}
                | {f"log₁₀ ‖W⁶⁴‖₂, {q} %": float(np.percentile(logs, q)) for q in (5, 50, 95)}
            )
            if words != ORTHOGONAL:
                evidence.append(Evidence(f"{words}, n = {n}", 1 if low > 0.5 else -1 if high < 0.5 else 0))
    verdict, condition = follows(evidence)
    found = "; ".join(f"{row['weight']}, n = {row['n']} {row['either']}" for row in rows)
    yield Claim(
        "fates",
        "How likely powers explode or vanish, by law",
        "Random uniform or normal weights give no guarantee as to the eigenvalues, and are likely to result in "
        "exploding or vanishing results.",
        f"Share of {draws} draws whose ‖W⁶⁴‖₂ lies above {FACTOR:g} or below 1/{FACTOR:g}, 95 % by Clopper and "
        f"Pearson: {found}. Likely is called a share above one half.",
        verdict,
        rows,
        condition=condition,
    )


def norms(law: str, n: int, draws: int, seed: int, /) -> np.ndarray:
    """Return log ‖W⁶⁴‖₂ of draws of a law."""
    W = parse(law).sample(n, rng=np.random.default_rng([seed, n]), size=draws)
    # Squared six times: within double precision, which a factor of 10 does not feel.
    return np.log(np.linalg.norm(np.linalg.matrix_power(W, STEPS), 2, axis=(-2, -1)))
