"""Weights whose spectral radius is known because they are built from it, and naive twins of its parts."""

import numpy as np
from scipy import sparse


def reservoir(n, density, seed):
    """A sparse Gaussian reservoir, as users of echo state networks draw it."""
    rng = np.random.default_rng(seed)
    return sparse.random_array((n, n), density=density, rng=rng, data_sampler=rng.standard_normal, format="csr")


def hidden_triangle(eigenvalues, coupling, rng):
    """A dense real matrix with these real eigenvalues, ever further from normal as the coupling grows."""
    n = len(eigenvalues)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    return Q @ (np.diag(eigenvalues) + np.triu(rng.standard_normal((n, n)), 1) * coupling / n**0.5) @ Q.T


def strong_components(A):
    """The partition into strongly connected components, from the boolean closure of the graph."""
    reaches = np.eye(len(A), dtype=bool) | (A != 0)
    for k in range(len(A)):
        reaches |= np.outer(reaches[:, k], reaches[k])
    mutual = reaches & reaches.T
    return {frozenset(np.flatnonzero(row)) for row in mutual}


def polynomial_norm(A, roots, v):
    """‖Π (A − θ_i) v‖, one factor after another."""
    for root in roots:
        v = A @ v - root * v
    return np.linalg.norm(v)
