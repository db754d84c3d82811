"""Leading eigenvalue and singular value of a weight that changes slowly: a search starts where the last ended."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unitcircle.spectra import KrylovBasis

FIRST = 144
"""Steps of a search without a start: within 1 % of ρ for an orthogonal weight of 1024 units, the hardest case."""
NEXT = 128
"""Steps of a search with a start."""
CHECKS = (16, 32, 64)
"""Steps after which a search may end early."""
NORM_STEPS = 24
SETTLED = 1e-3
"""Relative residual of the leading Ritz pair at which a search ends."""
RITZ_VECTORS = 32
"""Ritz vectors whose sum is the next start: several, because another one may become the leading one."""
NOISE = 0.1
"""Share of a random vector in the start: without it an eigenvalue outside the last space would not be found."""

SQUARED = 30
"""Powers of two between which nothing that is squared leaves the range of a float32."""

Product = Callable[[np.ndarray], np.ndarray]


class LeadingValues:
    """Spectral radius and spectral norm of one weight, again and again."""

    # Arnoldi's method over a Krylov space whose first vector is the sum of the outermost Ritz vectors of the last
    # search and a little noise. A change E of the weight moves that space by O(‖E‖), so that few steps do what a
    # cold search takes hundreds for; no restart is needed at the accuracy of a monitor.
    #
    # Saad (2011), Numerical Methods for Large Eigenvalue Problems, chapters 6 and 7.

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._right: np.ndarray | None = None
        self._singular: np.ndarray | None = None

    def radius(self, W: np.ndarray, /) -> float:
        """Return the spectral radius of W ``(n, n)``, to about 1 %."""
        W, scale = within_range(W)
        steps = FIRST if self._right is None else NEXT
        value, self._right = self._search(lambda x: W @ x, W, self._right, steps, RITZ_VECTORS)
        return value * scale

    def norm(self, W: np.ndarray, /) -> float:
        """Return the spectral norm of W ``(n, n)``, to about 1 %."""
        W, scale = within_range(W)
        steps = 2 * NORM_STEPS if self._singular is None else NORM_STEPS
        value, self._singular = self._search(lambda x: W.conj().T @ (W @ x), W, self._singular, steps, 1)
        return value**0.5 * scale

    def transient(self, W: np.ndarray, radius: float, steps: int, /) -> float:
        """Return a lower bound of max_t log ‖Wᵗ‖ − t log max(ρ, 1) over t ≤ steps (nats), for W ``(n, n)``."""
        if self._singular is None:
            self.norm(W)
        v = self._singular
        assert v is not None
        v = v / np.linalg.norm(v)
        grown, peak, slope = 0.0, 0.0, float(np.log(max(radius, 1.0)))
        for t in range(1, steps + 1):
            v = W @ v
            length = float(np.linalg.norm(v))
            if not 0 < length < np.inf:
                break
            grown += float(np.log(length))
            v /= length
            peak = max(peak, grown - t * slope)
        return peak

    def _search(
        self, apply: Product, W: np.ndarray, start: np.ndarray | None, steps: int, count: int
    ) -> tuple[float, np.ndarray]:
        n = len(W)
        noise = self._rng.standard_normal(n).astype(W.dtype)
        # A start may hold fewer dimensions than its weight needs, but not another number of units.
        if start is None or start.shape != (n,):
            start = noise
        else:
            start = start + NOISE * np.linalg.norm(start) / np.linalg.norm(noise) * noise
        basis = _arnoldi(apply, start, min(steps, n))
        values, vectors = np.linalg.eig(basis.hessenberg[:-1])
        order = np.argsort(-np.abs(values))[:count]
        # Conjugate Ritz vectors of a real weight add up to a real one.
        total = vectors[:, order].sum(1)
        total = total if np.iscomplexobj(W) else total.real
        vector = basis.vectors @ total.astype(W.dtype)
        return float(np.abs(values[order[0]])), vector if vector.any() else noise

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return the starts by name."""
        starts = {"right": self._right, "singular": self._singular}
        return {name: vector for name, vector in starts.items() if vector is not None}

    def load_state_dict(self, state: dict[str, np.ndarray], /) -> None:
        """Restore the starts that :meth:`state_dict` returned."""
        self._right, self._singular = state.get("right"), state.get("singular")


def within_range(W: np.ndarray, /) -> tuple[np.ndarray, float]:
    """Return a finite weight whose square is finite too, and the power of two that it is to be multiplied by."""
    exponent = int(np.frexp(np.abs(W).max(initial=0.0))[1]) - 1
    if abs(exponent) <= SQUARED or not W.any():
        return W, 1.0
    # In two steps: 2⁻ᵉ may be beyond the range where W · 2⁻ᵉ is not.
    half = exponent // 2
    return W * W.dtype.type(2.0**-half) * W.dtype.type(2.0 ** (half - exponent)), 2.0**exponent


def _arnoldi(apply: Product, start: np.ndarray, steps: int) -> KrylovBasis:
    """Return a Krylov space, smaller where the search ended early."""
    basis = KrylovBasis(start, steps)
    while basis.extend(apply(basis.last)) and basis.m < steps:
        if basis.m in CHECKS and _residual(basis.hessenberg) < SETTLED:
            break
    return basis


def _residual(H: np.ndarray) -> float:
    values, vectors = np.linalg.eig(H[:-1])
    top = int(np.abs(values).argmax())
    size = abs(values[top])
    return float(abs(H[-1, -1]) * abs(vectors[-1, top]) / size) if size > 0 else float("inf")
