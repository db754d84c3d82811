"""Ignore it where you chose another law of decays on purpose and measured that it helps."""

import numpy as np

from unitcircle.recurrence import from_linear

PICTURE = "memory"


def before():
    # A loop that zeroes every bias of the model has taken dt_bias with it.
    return from_linear("Mamba-2", {"A_log": np.log(np.arange(1.0, 17)), "dt_bias": np.zeros(16)})


def after():
    return from_linear("Mamba-2", {"A_log": np.log(np.arange(1.0, 17)), "dt_bias": steps(16)})


def steps(heads):
    """Return dt_bias, the inverse softplus of log-uniform(.001, .1), as the authors of Mamba draw it."""
    dt = np.exp(np.random.default_rng(0).uniform(np.log(1e-3), np.log(1e-1), heads))
    return dt + np.log(-np.expm1(-dt))
