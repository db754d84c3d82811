"""The specifications whose laws are compared between frameworks, and how two samples of weights are compared."""

import numpy as np
from scipy.special import kolmogorov

from unitcircle import initializers as uci

N = 8
CLASSES = set(uci.Initializer.registry.values())
SPECS = [
    *(
        cls()
        for cls in sorted(set(uci.Initializer.registry.values()), key=lambda cls: cls.name)
        if cls.name != "sparse"
    ),
    uci.Sparse(density=0.6),  # at the default density of 0.1 most weights of 8 units have no cycle
    uci.Eigen(modulus=1.1, angles="uniform"),
    uci.Chain(gain=0.99, feedback=0.04),
]
EPS = {
    "float64": 2.0**-52,
    "float32": 2.0**-23,
    "bfloat16": 2.0**-7,
    "float16": 2.0**-10,
    "complex128": 2.0**-52,
    "complex64": 2.0**-23,
}
COMPLEX = {"ring", "unitary_evolution"}
"""Their weights are complex whatever the Gaussian numbers are."""
LEVEL = 1e-6
"""Of one comparison; there are a few hundred, and their seeds are fixed."""


def summaries(weights):
    """Return numbers that know places, scale and spectrum: name → one a weight."""
    weights = weights.reshape(len(weights), -1, weights.shape[-1])
    numbers = {"first": weights[:, 0, 0], "corner": weights[:, 0, -1], "norm": np.linalg.norm(weights, axis=(1, 2))}
    if weights.shape[1] > 1:
        numbers |= {"above": weights[:, 0, 1], "below": weights[:, 1, 0]}
    if weights.shape[1] == weights.shape[2]:
        numbers["trace of square"] = np.einsum("kij,kji->k", weights, weights)
    return {name: np.real(values) for name, values in numbers.items()} | {"imaginary": np.imag(weights[:, 0, 0])}


def rounding(eps):
    """Return how far a number may be off, relative: stored to eps, computed in float32 or float64."""
    return 4 * eps + 50 * N * min(eps, EPS["float32"])


def distance(a, b, slack):
    """Return the Kolmogorov-Smirnov distance of two samples whose numbers may each be wrong by ``slack``."""
    a, b = np.sort(a), np.sort(b)

    def above(first, second):
        # sup_x F_first(x) − F_second(x + slack), at the jumps of the first.
        return (
            np.arange(1, len(first) + 1) / len(first)
            - np.searchsorted(second, first + slack, side="right") / len(second)
        ).max()

    return max(above(a, b), above(b, a), 0.0)


def agreement(weights, reference, eps):
    """Return the smallest p-value of the summaries of two samples of weights ``(count, m, n)`` having one law."""
    ours, theirs = summaries(weights), summaries(reference)
    count = len(weights) * len(reference) / (len(weights) + len(reference))
    slack = rounding(eps)
    scales = {name: max(np.abs(values).max(), 1.0) for name, values in theirs.items()}
    distances = [distance(ours[name], theirs[name], slack * scales[name]) for name in ours]
    return float(kolmogorov(np.sqrt(count) * max(distances)))
