"""Mean-field theory of wide tanh networks, by the trapezoidal rule over a Gaussian."""

import numpy as np

_Z = np.linspace(-12, 12, 24001)
_WEIGHT = np.exp(-(_Z**2) / 2) / np.sqrt(2 * np.pi) * (_Z[1] - _Z[0])


def _mean(values):
    return float((_WEIGHT * values).sum())


def fixed_variance(std_w, std_b=0.0):
    """q* = σ_w² ⟨tanh²(√q z)⟩ + σ_b²."""
    q = 1.0
    for _ in range(4000):
        q = std_w**2 * _mean(np.tanh(np.sqrt(q) * _Z) ** 2) + std_b**2
    return q


def slope_variance(std_w, std_b=0.0):
    """χ = σ_w² ⟨sech⁴(√q* z)⟩: by what the squared norm of a gradient changes per layer."""
    return std_w**2 * _mean(np.cosh(np.sqrt(fixed_variance(std_w, std_b)) * _Z) ** -4.0)


def leading_exponent(g):
    """λ₁ = ½ log χ of the autonomous network h' = tanh(W h), W of standard deviation g/√N, N → ∞."""
    return 0.5 * np.log(slope_variance(g))
