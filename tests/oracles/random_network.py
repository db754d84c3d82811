"""A random network driven by noise, simulated: the leading exponent and the variance, with standard errors."""

import numpy as np
from scipy import special

FUNCTIONS = {
    "tanh": (np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    "relu": (lambda x: np.maximum(x, 0), lambda x: 1.0 * (x > 0)),
    "leaky_relu": (lambda x: np.maximum(x, 0.01 * x), lambda x: np.where(x > 0, 1, 0.01)),
    "sigmoid": (special.expit, lambda x: special.expit(x) * (1 - special.expit(x))),
    "gelu": (
        lambda x: x * (1 + special.erf(x / 2**0.5)) / 2,
        lambda x: (1 + special.erf(x / 2**0.5)) / 2 + x * np.exp(-(x**2) / 2) / (2 * np.pi) ** 0.5,
    ),
    "linear": (lambda x: x, np.ones_like),
}


def simulate(
    activation, gain, input_std, bias_std=0.0, leak=1.0, *, n=200, draws=8, steps=300, burn=100, haar=False, rng=0
):
    """Return (exponent, its standard error, variance, its standard error) over draws of the weight."""
    rng = np.random.default_rng(rng)
    function, derivative = FUNCTIONS[activation]
    exponents, variances = [], []
    for _ in range(draws):
        W = rng.standard_normal((n, n))
        if haar:
            Q, R = np.linalg.qr(W)
            W = gain * Q * np.sign(np.diag(R))
        else:
            W = gain * W / n**0.5
        b = bias_std * rng.standard_normal(n)
        h, v = 0.5 * rng.standard_normal(n), rng.standard_normal(n)
        v /= np.linalg.norm(v)
        logs, squares = [], []
        for _ in range(steps):
            a = W @ h + input_std * rng.standard_normal(n) + b
            v = (1 - leak) * v + leak * derivative(a) * (W @ v)
            h = (1 - leak) * h + leak * function(a)
            logs.append(np.log(np.linalg.norm(v)))
            squares.append(a @ a / n)
            v /= np.linalg.norm(v)
        exponents.append(np.mean(logs[burn:]))
        variances.append(np.mean(squares[burn:]))
    scale = np.sqrt(draws)
    return tuple(f(x) for x in (exponents, variances) for f in (np.mean, lambda x: np.std(x, ddof=1) / scale))
