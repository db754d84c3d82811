"""Ignore it where half of the heads are meant to look at one token, and others carry the memory."""

import numpy as np

from unitcircle.recurrence import from_linear

PICTURE = "memory"


def before():
    return from_linear("LRU", ring(forgetful=16))  # most channels have lost their memory


def after():
    return from_linear("LRU", ring(forgetful=0))


def ring(forgetful):
    """Return an LRU with moduli between .9 and .999, as its authors draw it, and below .001 in some channels."""
    rng = np.random.default_rng(0)
    modulus = np.sqrt(rng.uniform(0.9**2, 0.999**2, 24))
    modulus[:forgetful] = rng.uniform(1e-5, 9e-4, forgetful)
    return {"nu_log": np.log(-np.log(modulus)), "theta_log": np.log(rng.uniform(1e-3, 6.28, 24))}
