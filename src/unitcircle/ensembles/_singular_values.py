"""Laws of the singular values of random weights: Marchenko-Pastur and its square case, the quarter circle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from unitcircle._array import to_numpy
from unitcircle.ensembles._tracy_widom import tracy_widom_sf
from unitcircle.errors import NotFiniteError, ShapeError


def _matrix(W: Any) -> np.ndarray:
    value = to_numpy(W)
    if value.ndim != 2 or 0 in value.shape:
        raise ShapeError("W", "must be one weight (rows, columns)", f"shape {value.shape}")
    if not np.isfinite(value).all():
        raise NotFiniteError("W", "must be finite", "a NaN or an infinity")
    return value.astype(np.result_type(value.dtype, np.float64))


@dataclass(frozen=True)
class MarchenkoPastur:
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
    """

    quantity: ClassVar[str] = "squared singular values"

    rows: int
    columns: int
    std: float

    @classmethod
    def fitted(cls, W: Any, /) -> Self:
        """Return the law whose std is the root mean square of a weight's entries."""
        value = _matrix(W)
        return cls(value.shape[0], value.shape[1], float(np.sqrt(np.mean(abs(value) ** 2))))

    @staticmethod
    def values(W: Any, /) -> np.ndarray:
        """Return what the law speaks of: squared singular values, in decreasing order."""
        return np.linalg.svd(_matrix(W), compute_uv=False) ** 2

    @property
    def edges(self) -> tuple[float, float]:
        """The interval ``std² (√rows ∓ √columns)²``."""
        root = np.sqrt([self.rows, self.columns])
        return float((self.std * (root[0] - root[1])) ** 2), float((self.std * root.sum()) ** 2)

    def coordinate(self, values: np.ndarray, /) -> np.ndarray:
        """Return the values themselves."""
        return values

    def pdf(self, x: Any, /) -> np.ndarray:
        """Return the limiting density, elementwise."""
        low, high = self.edges
        x = np.asarray(x, float)
        inside = (x > max(low, 0)) & (x < high)
        safe = np.where(inside, x, high)
        k = min(self.rows, self.columns)
        return np.where(inside, np.sqrt((high - safe) * np.maximum(safe - low, 0)) / safe, 0) / (
            2 * np.pi * k * self.std**2
        )

    def cdf(self, x: Any, /) -> np.ndarray:
        """Return the limiting distribution function, elementwise, in closed form."""
        # x = std² (c + d cos θ) makes the density sin²θ/(c + d cos θ), whose integral is elementary.
        c, d = self.rows + self.columns, 2 * np.sqrt(self.rows * self.columns)
        gap = abs(self.rows - self.columns)
        theta = np.arccos(np.clip((np.asarray(x, float) / self.std**2 - c) / d, -1, 1))
        angle = np.arctan2(gap * np.sin(theta / 2), (c + d) * np.cos(theta / 2))
        mass = c * theta - d * np.sin(theta) - 2 * gap * angle
        return 1 - mass / (2 * np.pi * min(self.rows, self.columns))

    def beyond(self, x: Any, /) -> np.ndarray:
        """Return about the probability that any squared singular value exceeds x: Tracy and Widom's edge.

        Parameters
        ----------
        x
            Squared singular values.

        Returns
        -------
        numpy.ndarray
            Probabilities, right to O(rows^-2/3).
        """
        root = np.sqrt([self.rows - 0.5, self.columns - 0.5])
        scale = root.sum() * (1 / root).sum() ** (1 / 3)
        return tracy_widom_sf((np.asarray(x, float) / self.std**2 - root.sum() ** 2) / scale)

    def sample(self, rng: np.random.Generator, /) -> np.ndarray:
        """Draw one weight with Gaussian entries."""
        return self.std * rng.standard_normal((self.rows, self.columns))


@dataclass(frozen=True)
class QuarterCircle:
    """Singular values of a square weight with independent entries: a quarter circle as n grows.

    ``f(s) = √(4 n std² - s²) / (π n std²)`` up to the edge ``2 std √n``.

    Parameters
    ----------
    n
        Size of the weight.
    std
        Standard deviation of an entry.
    """

    quantity: ClassVar[str] = "singular values"

    n: int
    std: float

    @classmethod
    def fitted(cls, W: Any, /) -> Self:
        """Return the law whose std is the root mean square of a weight's entries."""
        value = _matrix(W)
        if value.shape[0] != value.shape[1]:
            raise ShapeError(
                "W", "must be square for the quarter circle", f"shape {value.shape}", "Use MarchenkoPastur."
            )
        return cls(value.shape[0], float(np.sqrt(np.mean(abs(value) ** 2))))

    @staticmethod
    def values(W: Any, /) -> np.ndarray:
        """Return what the law speaks of: singular values, in decreasing order."""
        return np.linalg.svd(_matrix(W), compute_uv=False)

    @property
    def _squares(self) -> MarchenkoPastur:
        return MarchenkoPastur(self.n, self.n, self.std)

    @property
    def edge(self) -> float:
        """The largest singular value of a large weight: ``2 std √n``."""
        return 2 * self.std * float(np.sqrt(self.n))

    def coordinate(self, values: np.ndarray, /) -> np.ndarray:
        """Return the values themselves."""
        return values

    def pdf(self, s: Any, /) -> np.ndarray:
        """Return the limiting density, elementwise."""
        s = np.asarray(s, float)
        height = np.sqrt(np.maximum(self.edge**2 - s * s, 0)) / (np.pi * self.n * self.std**2)
        return np.where(s >= 0, height, 0)

    def cdf(self, s: Any, /) -> np.ndarray:
        """Return the limiting distribution function, elementwise."""
        x = np.clip(np.asarray(s, float) / self.edge, 0, 1)
        return 2 / np.pi * (x * np.sqrt(1 - x * x) + np.arcsin(x))

    def beyond(self, s: Any, /) -> np.ndarray:
        """Return about the probability that any singular value exceeds s: Tracy and Widom's edge."""
        return self._squares.beyond(np.asarray(s, float) ** 2)

    def sample(self, rng: np.random.Generator, /) -> np.ndarray:
        """Draw one weight with Gaussian entries."""
        return self._squares.sample(rng)
