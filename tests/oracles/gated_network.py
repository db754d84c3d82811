"""A random GRU or LSTM driven by noise: growth of the distance of two states that start side by side."""

import numpy as np

NEAR = 1e-6


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _gru(state, weights, noise, bias):
    (h,) = state
    r = _sigmoid(weights[0] @ h + noise[0])
    z = _sigmoid(weights[1] @ h + noise[1] + bias)
    return (z * h + (1 - z) * np.tanh(noise[2] + r * (weights[2] @ h)),)


def _lstm(state, weights, noise, bias):
    h, c = state
    i, f, g, o = (w @ h + x for w, x in zip(weights, noise, strict=True))
    c = _sigmoid(f + bias) * c + _sigmoid(i) * np.tanh(g)
    return _sigmoid(o) * np.tanh(c), c


CELLS = {"gru": (_gru, 3, 1), "lstm": (_lstm, 4, 2)}


def simulate(cell, gain, input_std, keep_bias=0.0, *, n=200, draws=8, steps=300, burn=100, rng=0):
    """Return (exponent, its standard error, variance of a gate, its standard error) over draws of the weights."""
    rng = np.random.default_rng(rng)
    step, gates, parts = CELLS[cell]
    exponents, variances = [], []
    for _ in range(draws):
        weights = gain / n**0.5 * rng.standard_normal((gates, n, n))
        first = tuple(0.1 * rng.standard_normal((parts, n)))
        second = tuple(part + NEAR / n**0.5 * rng.standard_normal(n) for part in first)
        logs, squares = [], []
        for _ in range(steps):
            noise = input_std * rng.standard_normal((gates, n))
            first = step(first, weights, noise, keep_bias)
            second = step(second, weights, noise, keep_bias)
            distance = np.sqrt(sum(((b - a) ** 2).sum() for a, b in zip(first, second, strict=True)))
            second = tuple(a + (b - a) * NEAR / distance for a, b in zip(first, second, strict=True))
            logs.append(np.log(distance / NEAR))
            squares.append(gain**2 * (first[0] ** 2).mean() + input_std**2)
        exponents.append(np.mean(logs[burn:]))
        variances.append(np.mean(squares[burn:]))
    scale = np.sqrt(draws)
    return tuple(f(x) for x in (exponents, variances) for f in (np.mean, lambda x: np.std(x, ddof=1) / scale))
