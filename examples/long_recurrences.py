"""Long linear recurrences: how often ρᵀ and ‖Wᵀ‖ pass a bound, by law and by draws; and the curse of memory.

python examples/long_recurrences.py               # five minutes on one idle core
python examples/long_recurrences.py quick         # 1/20 of the draws

Prints the tables of ``docs/theory/long-recurrences.md``: the 99 % quantile of ρ against the limit for n → ∞; the share
of 100,000 Gaussian matrices whose ρ is within the size of ``std_for_radius(n, at=0.99)``; P(ρᵀ > 10) by the exact law
beside P(‖Wᵗ‖ > 10 for a t up to T) by draws; and the derivative of a state with respect to its eigenvalue.
"""

from __future__ import annotations

import math
import sys

import numpy as np

from unitcircle.ensembles import SpectralRadius, std_for_radius
from unitcircle.initializers import Gaussian

LEVEL, BOUND = 0.99, 10.0
SIZES = ((16, 100_000), (64, 100_000))
"""Units, and draws of the test of the 99 % size."""
LENGTHS = (300, 1000, 3000)
NORMS = ((64, 1000), (256, 100))


def gumbel(n: int, q: float) -> float:
    """Return a quantile of Rider and Sinclair's limit of ρ for real entries of std 1/√n; NaN where it has none."""
    gamma = math.log(n) - 2 * math.log(math.log(n)) - math.log(2 * math.pi)
    if gamma <= 0:
        return math.nan
    return 1 + math.sqrt(gamma / (4 * n)) - math.log(-2 * math.log(q)) / math.sqrt(4 * n * gamma)


def laws(n: int, steps: int) -> dict[str, float]:
    """Return the standard deviations that are compared."""
    limit = gumbel(n, LEVEL)
    return {
        "1/√n": n**-0.5,
        "half Glorot, 1/(2√n)": n**-0.5 / 2,
        "limit for n → ∞, 99 %": BOUND ** (1 / steps) / limit * n**-0.5,
        "exact, 99 %": std_for_radius(n, radius=BOUND, at=LEVEL, steps=steps),
    }


def quantiles() -> None:
    """Print the exact quantile beside that of the limit."""
    print("n      99 % of ρ at 1/√n   limit    P(ρ ≤ limit)")
    for n in (64, 256, 1024, 4096):
        law, limit = SpectralRadius(n, n**-0.5), gumbel(n, LEVEL)
        print(f"{n:<6} {float(law.ppf(LEVEL)):<19.4f} {limit:<8.4f} {float(law.cdf(limit)):.4f}")


def coverage(scale: int) -> None:
    """Print how many draws have their radius within the size of the exact law."""
    for n, draws in SIZES:
        count, within, rng = draws // scale, 0, np.random.default_rng(n)
        init = Gaussian(std=std_for_radius(n, at=LEVEL))
        for start in range(0, count, 1000):
            W = init.sample(n, size=min(1000, count - start), rng=rng)
            within += int((np.abs(np.linalg.eigvals(W)).max(-1) <= 1).sum())
        share = within / count
        error = math.sqrt(LEVEL * (1 - LEVEL) / count)
        sigmas = abs(share - LEVEL) / error
        print(f"n = {n}: {100 * share:.2f} % of {count} draws within the 99 % size, ± {100 * error:.2f} ({sigmas:.1f})")


def log_norms(G: np.ndarray, lengths: tuple[int, ...]) -> dict[int, np.ndarray]:
    """Return log ‖Gᵗ‖ at the powers of 2 and at the lengths, by squaring matrices times powers of e."""
    power, scale, t = G, np.zeros(len(G)), 1
    total = {length: (np.broadcast_to(np.eye(G.shape[-1]), G.shape), np.zeros(len(G))) for length in lengths}
    found = {}
    while t <= max(lengths):
        found[t] = scale + np.log(np.linalg.norm(power, 2, axis=(-2, -1)))
        for length in lengths:
            if length & t:
                product, exponent = total[length]
                total[length] = _scaled(product @ power, exponent + scale)
        power, scale = _scaled(power @ power, 2 * scale)
        t *= 2
    for length, (product, exponent) in total.items():
        found[length] = exponent + np.log(np.linalg.norm(product, 2, axis=(-2, -1)))
    return found


def _scaled(matrices: np.ndarray, exponent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    size = np.abs(matrices).max((-2, -1))
    return matrices / size[:, None, None], exponent + np.log(size)


def explosions(scale: int) -> None:
    """Print how often the bound is passed within T, by ρ and, at T and the powers of 2 before it, by the norm."""
    for n, draws in NORMS:
        rng, count = np.random.default_rng(n), max(draws // scale, 20)
        batches = [log_norms(Gaussian(std=1.0).sample(n, size=20, rng=rng), LENGTHS) for _ in range(count // 20)]
        logs = {t: np.concatenate([batch[t] for batch in batches]) for t in batches[0]}
        print(f"n = {n}, bound {BOUND:g}, {count} draws of the norm")
        print("T      std                      P(ρ^T > bound)   P(‖W^t‖ > bound, t ≤ T)   median of log10 ‖W^T‖")
        for steps in LENGTHS:
            for name, std in laws(n, steps).items():
                if not math.isfinite(std):
                    print(f"{steps:<6} {name:<24} undefined")
                    continue
                beyond = np.any([logs[t] + t * math.log(std) > math.log(BOUND) for t in logs if t <= steps], 0)
                median = np.median(logs[steps] + steps * math.log(std)) / math.log(10)
                exact = float(SpectralRadius(n, std).sf(BOUND ** (1 / steps)))
                error = math.sqrt(max(beyond.mean() * (1 - beyond.mean()), 1 / count) / count)
                print(f"{steps:<6} {name:<24} {exact:<16.3g} {beyond.mean():.4f} ± {error:.4f}           {median:+.0f}")


def curse(scale: int) -> None:
    """Print E h² and E s² of a state and its derivative against their formulas, and what remains for ν and θ."""
    print("|λ|     E h²: formula, simulated      E s²: formula, simulated        √(E s²/E h²) for λ, ν, θ")
    for modulus in (0.9, 0.99, 0.999):
        rng, runs = np.random.default_rng(0), 20_000 // scale
        lam = modulus * np.exp(0.3j)
        h, s = np.zeros((2, runs), complex)
        for _ in range(round(12 / (1 - modulus))):
            h, s = lam * h + rng.standard_normal(runs), lam * s + h
        state, slope = (float((np.abs(x) ** 2).mean()) for x in (h, s))
        r2 = modulus**2
        gain = math.sqrt(slope / state)
        print(
            f"{modulus:<7} {1 / (1 - r2):<12.4g} {state:<16.4g} {(1 + r2) / (1 - r2) ** 3:<12.4g} {slope:<18.4g} "
            f"{gain:<8.4g} {-modulus * math.log(modulus) * gain:<8.3f} {modulus * gain:.4g}"
        )


def main(scale: int) -> None:
    quantiles()
    print()
    coverage(scale)
    print()
    explosions(scale)
    print()
    curse(scale)


if __name__ == "__main__":
    main(20 if "quick" in sys.argv[1:] else 1)
