"""The exact law of the spectral radius of a real Gaussian matrix: a determinant of order n/2.

With ``x = r²``, ``N = ⌊n/2⌋``, indices ``j, k = 0..N-1`` and

    w_j² = e^{-x} x^{2j} / (2j)!                     the Poisson mass of mean x at 2j
    u_j² = C(2j, j) / 4^j
    a_j  = u_j P(j + 1/2, x/2)                       P, Q: regularised incomplete gamma functions
    T_m  = 2 ∫_0^{π/2} sin((2m+1)θ) erfcx(√2 r sin θ) dθ,      T_{-m-1} = -T_m
    B_jk = δ_jk P(2j+1, x) + (r/√(2π)) w_j w_k T_{j-k}

the law for entries of unit variance is ``F(r) = det(B - a wᵀ)`` for even n; for odd n it is the determinant of B
with one more row (j = N) and ``a/u_N`` as one more column. ``docs/theory/spectral-radius-law.md`` derives it.

Three devices make it cheap and accurate. *Window*: where ``2j`` is far below ``min(x, n)`` the weight ``w_j``
vanishes to double precision, the columns are unit vectors and are dropped: order O(√n) near the edge. *Scale*: in
the left tail rows and columns are divided by ``√P(2j+1, x)``, in the right tail ``1 - F`` is expanded in
``K = 1 - B + a wᵀ``, whose elements are made of upper incomplete gamma functions, so that neither tail is a
difference of larger numbers.
*Basis*: far left, monomials (:mod:`._left_tail`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from unitcircle.ensembles._incomplete_gamma import log_gammainc, log_gammaincc, log_poisson
from unitcircle.ensembles._left_tail import left_tail
from unitcircle.ensembles._toeplitz import toeplitz_elements

# Elements of the largest stack of matrices worked on at once.
STACK = 1_000_000
# Below this, 1 - F is summed as a trace series; above it, 1 - F loses at most two digits of F's sixteen.
SERIES_BELOW = 1e-2
# Above this size the slower formula of the left tail would take seconds a radius. Without it the relative error of F
# grows from 1e-10 to 1e-6 as F falls to 1e-300, and log F below that is good to a few per cent.
LEFT_TAIL_UP_TO = 512


@dataclass(frozen=True)
class _Terms:
    """The terms of the determinant, for R radii and the L indices inside the window."""

    r: np.ndarray  # (R, 1)
    j: np.ndarray  # (L,), or (L + 1,) for odd n
    log_w: np.ndarray  # (R, like j)
    log_diagonal: np.ndarray  # (R, like j) log P(2j+1, r²)
    u: np.ndarray  # (like j)
    toeplitz: np.ndarray  # (R, 2 size + 1): T_m for m = -size..size
    odd: bool

    def t(self, shift: int = 0) -> np.ndarray:
        """Return the Toeplitz matrices T_{j-k+shift}, without copying."""
        size = self.j.size
        reverse = self.toeplitz[:, ::-1]
        view = np.lib.stride_tricks.sliding_window_view(reverse, size, axis=-1)
        return view[:, size - shift - np.arange(size)]


def _window(n: int, r: float) -> int:
    x = min(r * r, float(n))
    return max(0, min(int((x - 13.5 * np.sqrt(x) - 20) / 2), (n - 1) // 2))


def _terms(n: int, r: np.ndarray, first: int) -> _Terms:
    half, odd = divmod(n, 2)
    j = np.arange(first, half + odd, dtype=float)
    r = r[:, None]
    x = r * r
    # C(2j, j)/4^j as a product: gamma functions of j would lose log10(j log j) digits.
    central = np.cumprod(np.concatenate(([1.0], 1 - 0.5 / np.arange(1, half + odd))))
    return _Terms(
        r=r,
        j=j,
        log_w=0.5 * log_poisson(2 * j, x),
        log_diagonal=log_gammainc(2 * j + 1, x),
        u=np.sqrt(central[first:]),
        toeplitz=toeplitz_elements(r[:, 0], j.size),
        odd=bool(odd),
    )


def _scaled_matrix(terms: _Terms) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return B - a wᵀ with rows and columns divided by √P, the logarithm of that factor, and the scaled w."""
    half_log = 0.5 * terms.log_diagonal
    w = np.exp(terms.log_w - half_log)
    a = terms.u * np.exp(log_gammainc(terms.j + 0.5, 0.5 * terms.r**2) - half_log)
    matrix = (terms.r / np.sqrt(2 * np.pi) * w)[:, :, None] * w[:, None, :] * terms.t()
    diagonal = np.arange(terms.j.size)
    matrix[:, diagonal, diagonal] += 1
    if terms.odd:
        matrix[:, :, -1] = a / terms.u[-1]
        return matrix, terms.log_diagonal[:, :-1].sum(1) + half_log[:, -1], w
    matrix -= a[:, :, None] * w[:, None, :]
    return matrix, terms.log_diagonal.sum(1), w


def _log_sf_series(terms: _Terms) -> np.ndarray:
    """Return log(1 - F) where it is small, from traces of powers of K."""
    x = terms.r**2
    log_scale = np.minimum(terms.log_w.max(1, keepdims=True), 0)
    scale = np.exp(log_scale)
    w = np.exp(terms.log_w - log_scale)
    # K/scale: its largest elements are of order one even where w underflows.
    k = -(terms.r / np.sqrt(2 * np.pi) * scale * w)[:, :, None] * w[:, None, :] * terms.t()
    diagonal = np.arange(terms.j.size)
    k[:, diagonal, diagonal] += np.exp(log_gammaincc(2 * terms.j + 1, x) - log_scale)
    upper = terms.u * np.exp(log_gammaincc(terms.j + 0.5, 0.5 * x) - log_scale)
    if terms.odd:
        # At r = ∞ the matrix is the identity with u/u_N as last column. K is formed after multiplying by the inverse
        # of that, a column operation that does not change the determinant.
        limit = terms.u[:-1] / terms.u[-1]
        k[:, :, -1] = upper / terms.u[-1] - k[:, :, :-1] @ limit
    else:
        k += (terms.u - np.exp(log_scale) * upper)[:, :, None] * w[:, None, :]
    # log det(1 - K) = -Σ tr Kᵏ/k; eight terms, because K has eigenvalues below SERIES_BELOW.
    k2 = k @ k
    k3, k4 = k2 @ k, k2 @ k2

    def trace(p: np.ndarray, q: np.ndarray) -> np.ndarray:
        return np.einsum("rij,rji->r", p, q)

    traces = np.einsum("rii->r", k), np.einsum("rii->r", k2), trace(k2, k), trace(k2, k2)
    traces += trace(k4, k), trace(k4, k2), trace(k4, k3), trace(k4, k4)
    ratio = sum(value * scale[:, 0] ** (power - 1) / power for power, value in enumerate(traces, 1))
    with np.errstate(divide="ignore"):
        return log_scale[:, 0] + np.log(ratio) + np.log(special.exprel(-scale[:, 0] * ratio))


def _stacks(n: int, r: np.ndarray) -> list[np.ndarray]:
    """Split sorted radii into stacks that share a window and fit in memory."""
    stacks: list[np.ndarray] = []
    start = 0
    while start < r.size:
        size = (n + 1) // 2 - _window(n, r[start])
        step = max(1, STACK // max(size * size, 1))
        stacks.append(r[start : start + step])
        start += step
    return stacks


def ginibre_log_laws(n: int, r: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Return log P(ρ ≤ r) and log P(ρ > r) at sorted radii ``(R,)`` for a real Gaussian matrix of unit variance."""
    parts = [_log_laws(n, stack) for stack in _stacks(n, r)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _log_laws(n: int, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    terms = _terms(n, r, _window(n, float(r[0])))
    matrix, log_scale, _ = _scaled_matrix(terms)
    log_cdf = np.minimum(log_scale + np.linalg.slogdet(matrix)[1], 0)
    if (far := _far_left(n, log_cdf)).any():
        log_cdf[far] = left_tail(n, r[far])[0]
    with np.errstate(divide="ignore"):
        log_sf = np.log(-np.expm1(log_cdf))
    right = log_sf < np.log(SERIES_BELOW)
    if right.any():
        log_sf[right] = _log_sf_series(_terms(n, r[right], _window(n, float(r[right][0]))))
        log_cdf[right] = np.log1p(-np.exp(log_sf[right]))
    return log_cdf, log_sf


def ginibre_log_density(n: int, r: np.ndarray, /) -> np.ndarray:
    """Return the log density ``log F + log tr(M⁻¹ dM/dr)`` of ρ at sorted radii ``(R,)``, where F = det M."""
    # The Toeplitz part has a derivative in closed form:
    # r dT_m/dr = 2r² (T_m - (T_{m+1} + T_{m-1})/2) - √(2π) r (δ_{m,0} - δ_{m,-1}).
    return np.concatenate([_log_density(n, stack) for stack in _stacks(n, r)])


def _log_density(n: int, r: np.ndarray) -> np.ndarray:
    terms = _terms(n, r, _window(n, float(r[0])))
    matrix, log_scale, w = _scaled_matrix(terms)
    log_cdf = np.minimum(log_scale + np.linalg.slogdet(matrix)[1], 0)
    j = terms.j
    x = (terms.r**2)[:, :, None]
    log_top = (terms.log_w - 0.5 * terms.log_diagonal).max(1)
    thin = np.exp(terms.log_w - 0.5 * terms.log_diagonal - log_top[:, None])
    row, column = w[:, :, None], thin[:, None, :]
    slope = (1 + 2 * j[:, None] + 2 * j) * terms.t() - x * (terms.t(1) + terms.t(-1))
    derivative = row * column * slope / np.sqrt(2 * np.pi)
    index = np.arange(j.size)
    derivative[:, index, index] += terms.r * w * thin
    derivative[:, index[:-1], index[1:]] += terms.r * w[:, :-1] * thin[:, 1:]
    half_log = 0.5 * terms.log_diagonal
    if terms.odd:
        # d a_j/dr = √(2/π) w_j, for a_j is 1/√(2π) times ∫ of twice that weight.
        derivative[:, :, -1] = np.sqrt(2 / np.pi) * thin / terms.u[-1]
    else:
        a = terms.u * np.exp(log_gammainc(j + 0.5, 0.5 * terms.r**2) - half_log)
        derivative -= np.sqrt(2 / np.pi) * row * column
        derivative -= a[:, :, None] * (column * (2 * j / terms.r - terms.r)[:, None, :])
    trace = np.einsum("rii->r", np.linalg.solve(matrix, derivative))
    with np.errstate(divide="ignore", invalid="ignore"):
        result = log_cdf + log_top + np.log(trace)
    if (far := _far_left(n, log_cdf)).any():
        result[far] = left_tail(n, r[far])[1]
    return result


def _far_left(n: int, log_cdf: np.ndarray) -> np.ndarray:
    # Measured against multi-precision: to the right of this the determinant keeps twelve digits.
    return (log_cdf < -10 - n / 2) & (n <= LEFT_TAIL_UP_TO)
