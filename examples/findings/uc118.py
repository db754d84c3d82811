"""Ignore it where half of the heads are meant to look at one token, and others carry the memory."""

import numpy as np

from unitcircle.recurrence import from_linear

PICTURE = "memory"


def before():
    return from_linear("LRU", ring(sign=-1))  # nu_log with the sign of ν lost


def after():
    return from_linear("LRU", ring(sign=1))


def ring(sign):
    """Return an LRU with moduli between .9 and .999, as its authors draw it."""
    rng = np.random.default_rng(0)
    modulus = np.sqrt(rng.uniform(0.9**2, 0.999**2, 24))
    return {"nu_log": sign * np.log(-np.log(modulus)), "theta_log": np.log(rng.uniform(1e-3, 6.28, 24))}
