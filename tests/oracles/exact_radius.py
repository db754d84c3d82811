"""The spectral radius in exact arithmetic: the characteristic polynomial in integers, its roots in 60 digits."""

from fractions import Fraction

import mpmath
import numpy as np

DIGITS = 60


def exact_radius(A: np.ndarray) -> mpmath.mpf:
    """Return ρ of the numbers in a small matrix, taken as they are, to about 50 digits."""
    if np.iscomplexobj(A):  # the eigenvalues of the real form are λ and their conjugates
        return exact_radius(np.block([[A.real, -A.imag], [A.imag, A.real]]))
    rows = [[Fraction(float(x)) for x in row] for row in A]
    scale = max((x.denominator for row in rows for x in row), default=1)
    coefficients = square_free(characteristic([[int(x * scale) for x in row] for row in rows]))
    while coefficients[-1] == 0:  # a root at zero
        coefficients = coefficients[:-1]
    if len(coefficients) == 1:
        return mpmath.mpf(0)
    with mpmath.workdps(DIGITS):
        # Scaled for the product of the roots to have modulus 1, which the iteration starts from.
        degree = len(coefficients) - 1
        size = mpmath.root(abs(mpmath.mpf(coefficients[-1].numerator) / coefficients[-1].denominator), degree)
        scaled = [mpmath.mpf(c.numerator) / c.denominator / size**k for k, c in enumerate(coefficients)]
        roots = mpmath.polyroots(scaled, maxsteps=2000, extraprec=400)
        return max(map(abs, roots)) * size / scale


def characteristic(rows: list[list[int]]) -> list[Fraction]:
    """Return the coefficients of det(z − A), the leading 1 first, by the recursion of Faddeev and LeVerrier."""
    A = np.array(rows, dtype=object)
    n = len(A)
    coefficients, M = [1], np.zeros_like(A)
    for k in range(1, n + 1):
        M = A @ M + coefficients[-1] * np.eye(n, dtype=int).astype(object)
        coefficients.append(-int(np.trace(A @ M)) // k)
    return [Fraction(c) for c in coefficients]


def square_free(p: list[Fraction]) -> list[Fraction]:
    """Return the monic polynomial with the same roots, each once: p / gcd(p, p′)."""
    a, b = p, [c * (len(p) - 1 - k) for k, c in enumerate(p[:-1])]
    while any(b):
        a, b = b, divide(a, b)[1]
    quotient = divide(p, a)[0]
    return [c / quotient[0] for c in quotient]


def divide(a: list[Fraction], b: list[Fraction]) -> tuple[list[Fraction], list[Fraction]]:
    """Return quotient and remainder of two polynomials, highest coefficient first."""
    quotient, rest = [], list(a)
    while len(rest) >= len(b):
        quotient.append(rest[0] / b[0])
        rest = [x - quotient[-1] * (b[k] if k < len(b) else 0) for k, x in enumerate(rest)][1:]
    while rest and rest[0] == 0:
        rest = rest[1:]
    return quotient, rest
