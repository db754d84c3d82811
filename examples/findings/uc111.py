"""Ignore it where the memory that is lost is longer than any sequence you will run."""

import numpy as np

from unitcircle.recurrence import Source, from_diagonal

PICTURE = "moduli"


def before():
    stored = round_half(ring())
    return from_diagonal(stored, source=Source(dtype="bfloat16"))  # 0.9985, a memory of 670 steps, has become 1


def after():
    return from_diagonal(ring())  # the same in float32


def ring():
    """Return eigenvalues close to the unit circle; the first is the longest memory."""
    angles = np.random.default_rng(0).uniform(-np.pi, np.pi, 63)
    return np.concatenate([[0.9985], 0.99 * np.exp(1j * angles)])


def round_half(values):
    """Round to the seven bits of bfloat16."""
    parts = [np.ldexp(np.round(m * 256) / 256, e) for m, e in (np.frexp(values.real), np.frexp(values.imag))]
    return parts[0] + 1j * parts[1]
