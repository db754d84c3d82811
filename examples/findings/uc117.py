"""Ignore it where sequences are short against the memory that the rounding error changes."""

import numpy as np

from unitcircle.recurrence import from_linear

OPTIONS = {"steps": 4096, "ignore": ["UC112"]}
PICTURE = "rounding"


def before():
    parameters = {name: bfloat16(values) for name, values in fresh().items()}
    return from_linear("Mamba-2", parameters, dtypes={"A_log": "bfloat16", "dt_bias": "bfloat16"})


def after():
    return from_linear("Mamba-2", fresh(), dtypes={"A_log": "float32", "dt_bias": "float32"})


def fresh():
    return {"A_log": np.log(np.arange(1.0, 17)), "dt_bias": steps(16)}


def bfloat16(values):
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 256) / 256, exponent)


def steps(heads):
    """Return dt_bias, the inverse softplus of log-uniform(.001, .1), as the authors of Mamba draw it."""
    dt = np.exp(np.random.default_rng(0).uniform(np.log(1e-3), np.log(1e-1), heads))
    return dt + np.log(-np.expm1(-dt))
