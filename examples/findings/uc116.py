"""Ignore it where a head is meant to keep everything, as an attention sink does."""

import numpy as np

from unitcircle.recurrence import from_linear

PICTURE = "memory"


def before():
    rates = np.log(np.arange(1.0, 17))
    rates[3] = -60.0  # exp(-60): this head never decays
    return from_linear("Gated DeltaNet", {"A_log": rates, "dt_bias": steps(16)})


def after():
    return from_linear("Gated DeltaNet", {"A_log": np.log(np.arange(1.0, 17)), "dt_bias": steps(16)})


def steps(heads):
    """Return dt_bias, the inverse softplus of log-uniform(.001, .1), as the authors of Mamba draw it."""
    dt = np.exp(np.random.default_rng(0).uniform(np.log(1e-3), np.log(1e-1), heads))
    return dt + np.log(-np.expm1(-dt))
