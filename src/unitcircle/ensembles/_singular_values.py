"""Laws of the singular values of random weights: Marchenko-Pastur and its square case, the quarter circle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from unitcircle._arguments import generator, positive, whole_number
from unitcircle._array import reals
from unitcircle.ensembles._law import Law
from unitcircle.ensembles._tracy_widom import tracy_widom_pdf, tracy_widom_sf
from unitcircle.ensembles._weight_law import LargestCoordinate, WeightLaw, one_weight, root_mean_square
from unitcircle.errors import ShapeError


@dataclass(frozen=True, init=False, repr=False)
class MarchenkoPastur(WeightLaw):
    """Squared singular values of independent entries, those that are not zero by shape.

    With ``a, b = std² (√rows ∓ √columns)²`` and k the smaller of both numbers, as they grow in proportion:
    ``f(x) = √((b-x)(x-a)) / (2π k std² x)`` between a and b.

    Parameters
    ----------
    rows, columns
        Shape of the weight.
    std
        Standard deviation of an entry.

    References
    ----------
    V. Marchenko, L. Pastur, Distribution of eigenvalues for some sets of random matrices, Math. USSR Sb. 1 (1967);
    Z. Ma, Accuracy of the Tracy-Widom limits for the extreme eigenvalues in white Wishart matrices, Bernoulli 18
    (2012) (the edge).

    Examples
    --------
    >>> law = MarchenkoPastur(rows=200, columns=50, std=0.1)
    >>> round(float(law.mean()), 4)
    2.0
    """

    quantity: ClassVar[str] = "squared singular values"

    rows: int
    columns: int
    entry_std: float

    def __init__(self, rows: int, columns: int, std: float) -> None:
        object.__setattr__(self, "rows", whole_number("rows", rows, error=ShapeError))
        object.__setattr__(self, "columns", whole_number("columns", columns, error=ShapeError))
        object.__setattr__(self, "entry_std", positive("std", std))

    @classmethod
    def fitted(cls, W: Any, /) -> Self:
        """Return the law whose std is the root mean square of a weight's entries."""
        value = one_weight(W)
        return cls(value.shape[0], value.shape[1], root_mean_square(value))

    @staticmethod
    def values(W: Any, /) -> np.ndarray:
        """Return the squared singular values of one weight, in decreasing order."""
        return np.linalg.svd(one_weight(W), compute_uv=False) ** 2

    @property
    def edges(self) -> tuple[float, float]:
        """The interval ``std² (√rows ∓ √columns)²``."""
        root = np.sqrt([self.rows, self.columns])
        return float((self.entry_std * (root[0] - root[1])) ** 2), float((self.entry_std * root.sum()) ** 2)

    def support(self) -> tuple[float, float]:
        """Return the edges."""
        return self.edges

    def pdf(self, x: Any, /) -> Any:
        """Return the limiting density, elementwise."""
        low, high = self.edges
        x = reals(x)
        inside = (x > max(low, 0)) & (x < high)
        safe = np.where(inside, x, high)
        k = min(self.rows, self.columns)
        return np.where(inside, np.sqrt((high - safe) * np.maximum(safe - low, 0)) / safe, 0) / (
            2 * np.pi * k * self.entry_std**2
        )

    def cdf(self, x: Any, /) -> Any:
        """Return the limiting distribution function, elementwise, in closed form."""
        c, d, gap, below, above = self._chords(x)
        phi = 2 * np.arctan2(below, above)
        mass = c * phi + d * np.sin(phi) - 2 * gap * np.arctan2((c + d) * below, gap * above)
        return mass / (2 * np.pi * min(self.rows, self.columns))

    def sf(self, x: Any, /) -> Any:
        """Return one minus the limiting distribution function, elementwise, in closed form."""
        c, d, gap, below, above = self._chords(x)
        theta = 2 * np.arctan2(above, below)
        mass = c * theta - d * np.sin(theta) - 2 * gap * np.arctan2(gap * above, (c + d) * below)
        return mass / (2 * np.pi * min(self.rows, self.columns))

    def _chords(self, x: Any) -> tuple[float, float, float, Any, Any]:
        # x = std² (c + d cos θ) makes the density sin²θ/(c + d cos θ), whose integral is elementary. The distances of
        # x from the edges are as cos²(θ/2) to sin²(θ/2), which keeps all digits next to either; φ = π - θ.
        c, d = self.rows + self.columns, 2 * np.sqrt(self.rows * self.columns)
        low, high = self.edges
        x = np.clip(reals(x), low, high)
        return c, d, abs(self.rows - self.columns), np.sqrt(x - low), np.sqrt(high - x)

    def mean(self) -> float:
        """Return the mean: ``std² max(rows, columns)``."""
        return self.entry_std**2 * max(self.rows, self.columns)

    def var(self) -> float:
        """Return the variance: ``std⁴ rows columns``."""
        return self.entry_std**4 * self.rows * self.columns

    @property
    def largest(self) -> Law:
        """About the law of the largest squared singular value: Tracy and Widom's edge, right to O(rows^-2/3)."""
        return LargestCoordinate(self, lambda x: tracy_widom_sf(self._edge_variable(x)), self._largest_pdf)

    def _largest_pdf(self, x: np.ndarray) -> np.ndarray:
        return tracy_widom_pdf(self._edge_variable(x)) / (self.entry_std**2 * self._edge_scale)

    @property
    def _roots(self) -> np.ndarray:
        return np.sqrt([self.rows - 0.5, self.columns - 0.5])

    @property
    def _edge_scale(self) -> float:
        return self._roots.sum() * (1 / self._roots).sum() ** (1 / 3)

    def _edge_variable(self, x: np.ndarray) -> np.ndarray:
        """Return the variable in which the law of the largest value is Tracy and Widom's."""
        return (x / self.entry_std**2 - self._roots.sum() ** 2) / self._edge_scale

    def draw_weight(self, rng: np.random.Generator | int | None = None, /) -> np.ndarray:
        """Draw one weight with Gaussian entries."""
        return self.entry_std * generator(rng).standard_normal((self.rows, self.columns))


@dataclass(frozen=True, init=False, repr=False)
class QuarterCircle(WeightLaw):
    """Singular values of a square weight with independent entries: a quarter circle as n grows.

    ``f(s) = √(4 n std² - s²) / (π n std²)`` up to the edge ``2 std √n``.

    Parameters
    ----------
    n
        Size of the weight.
    std
        Standard deviation of an entry.

    Examples
    --------
    >>> law = QuarterCircle(100, std=0.1)
    >>> round(float(law.mean()), 4)
    0.8488
    """

    quantity: ClassVar[str] = "singular values"

    n: int
    entry_std: float

    def __init__(self, n: int, std: float) -> None:
        object.__setattr__(self, "n", whole_number("n", n, error=ShapeError))
        object.__setattr__(self, "entry_std", positive("std", std))

    @classmethod
    def fitted(cls, W: Any, /) -> Self:
        """Return the law whose std is the root mean square of a weight's entries."""
        value = one_weight(W)
        if value.shape[0] != value.shape[1]:
            raise ShapeError(
                "W", "must be square for the quarter circle", f"shape {value.shape}", "Use MarchenkoPastur."
            )
        return cls(value.shape[0], root_mean_square(value))

    @staticmethod
    def values(W: Any, /) -> np.ndarray:
        """Return the singular values of one weight, in decreasing order."""
        return np.linalg.svd(one_weight(W), compute_uv=False)

    @property
    def edge(self) -> float:
        """The largest singular value of a large weight: ``2 std √n``."""
        return 2 * self.entry_std * float(np.sqrt(self.n))

    def support(self) -> tuple[float, float]:
        """Return 0 and the edge."""
        return 0.0, self.edge

    def pdf(self, s: Any, /) -> Any:
        """Return the limiting density, elementwise."""
        s = reals(s, argument="s")
        height = np.sqrt(np.maximum(self.edge**2 - s * s, 0)) / (np.pi * self.n * self.entry_std**2)
        return np.where(s >= 0, height, 0)[()]

    def cdf(self, s: Any, /) -> Any:
        """Return the limiting distribution function, elementwise."""
        x = np.clip(reals(s, argument="s") / self.edge, 0, 1)
        return 2 / np.pi * (x * np.sqrt(1 - x * x) + np.arcsin(x))

    def mean(self) -> float:
        """Return the mean: ``4 edge/(3π)``."""
        return 4 * self.edge / (3 * np.pi)

    def var(self) -> float:
        """Return the variance: ``n std² - mean²``."""
        return self.edge**2 * (1 / 4 - 16 / (9 * np.pi**2))

    @property
    def largest(self) -> Law:
        """About the law of the spectral norm: Tracy and Widom's edge, right to O(n^-2/3)."""
        squares = MarchenkoPastur(self.n, self.n, self.entry_std).largest
        return LargestCoordinate(self, lambda s: squares.sf(s * s), lambda s: 2 * s * squares.pdf(s * s))

    def draw_weight(self, rng: np.random.Generator | int | None = None, /) -> np.ndarray:
        """Draw one weight with Gaussian entries."""
        return self.entry_std * generator(rng).standard_normal((self.n, self.n))
