"""Ignore it where the task is no state machine: it states a property, and is reported on request only."""

import numpy as np

from unitcircle.recurrence import from_linear

OPTIONS = {"select": ["UC115"]}
PICTURE = "ranges"


def before():
    return from_linear("Gated DeltaNet", {"A_log": np.log(np.arange(1.0, 17)), "dt_bias": steps(16)})


def after():
    # RWKV-7 may have negative eigenvalues along its key.
    return from_linear("RWKV-7", {"w0": -5.5 + 5 * np.linspace(0, 1, 64) ** 1.2})


def steps(heads):
    """Return dt_bias, the inverse softplus of log-uniform(.001, .1), as the authors of Mamba draw it."""
    dt = np.exp(np.random.default_rng(0).uniform(np.log(1e-3), np.log(1e-1), heads))
    return dt + np.log(-np.expm1(-dt))
