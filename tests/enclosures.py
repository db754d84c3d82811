"""``make enclosures``: intervals of the spectral radius against exact rational arithmetic, by kind of structure."""

import sys
from collections import defaultdict

import mpmath
import numpy as np
from tests.oracles.exact_radius import DIGITS, exact_radius
from tests.structured import structured

from unitcircle.spectra import spectral_radius

ROOTS = mpmath.mpf(10) ** -40
"""Relative, of the 60-digit roots."""


def is_inside(A: np.ndarray) -> bool:
    """Return whether the interval of ρ contains the ρ of exact arithmetic."""
    estimate = spectral_radius(A)
    with mpmath.workdps(DIGITS):
        radius = exact_radius(np.asarray(A))
        lower, upper = mpmath.mpf(float(estimate.lower)), mpmath.mpf(float(estimate.upper))
        return bool(lower * (1 - ROOTS) <= radius <= upper * (1 + ROOTS))


def main(count: int, seed: int) -> int:
    """Try a number of matrices, print how many intervals miss, and return exit status 1 if one does."""
    tried: dict[str, list[np.ndarray]] = defaultdict(list)
    outside: dict[str, list[np.ndarray]] = defaultdict(list)
    for name, A in structured(count, seed):
        tried[name].append(A)
        if not is_inside(A):
            outside[name].append(A)
    lines = ["| structure | matrices | converged | radius outside |", "|---|---|---|---|"]
    for name, matrices in tried.items():
        converged = sum(spectral_radius(A).converged for A in matrices)
        lines.append(f"| {name.replace('_', ' ')} | {len(matrices)} | {converged} | {len(outside[name])} |")
    misses = [A.tolist() for matrices in outside.values() for A in matrices]
    lines += ["", f"{count:,} matrices, seed {seed}: {len(misses)} outside", *map(str, misses)]
    sys.stdout.write("\n".join(lines) + "\n")
    return int(bool(misses))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
