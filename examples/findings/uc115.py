"""Ignore it where the task is no state machine: it states a property, and is reported on request only."""

import numpy as np

from unitcircle.recurrence import from_linear

OPTIONS = {"select": ["UC115"]}
PICTURE = "ranges"


def before():
    return from_linear("Gated DeltaNet", {"A_log": np.log(np.arange(1.0, 17)), "dt_bias": steps(16)})


def after():
    # The eigenvalues of an LRU are complex: it rotates, and can count.
    rng = np.random.default_rng(0)
    modulus = np.sqrt(rng.uniform(0.9**2, 0.999**2, 24))
    return from_linear("LRU", {"nu_log": np.log(-np.log(modulus)), "theta_log": np.log(rng.uniform(1e-3, 6.28, 24))})


def steps(heads):
    """Return dt_bias, the inverse softplus of log-uniform(.001, .1), as the authors of Mamba draw it."""
    dt = np.exp(np.random.default_rng(0).uniform(np.log(1e-3), np.log(1e-1), heads))
    return dt + np.log(-np.expm1(-dt))
