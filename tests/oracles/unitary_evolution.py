"""The uRNN's product with every factor a dense matrix, from its definition."""

import numpy as np


def product_of_factors(phases, vectors, order):
    n = len(order)
    k = np.arange(n)
    F = np.exp(-2j * np.pi * np.outer(k, k) / n) / np.sqrt(n)
    D = [np.diag(np.exp(1j * phase)) for phase in phases]
    R = [np.eye(n) - 2 * np.outer(v, v.conj()) / np.vdot(v, v) for v in vectors]
    permutation = np.eye(n)[order]
    return D[2] @ R[1] @ F.conj().T @ D[1] @ permutation @ R[0] @ F @ D[0]
