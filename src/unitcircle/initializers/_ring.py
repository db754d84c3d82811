"""The weight of the LRU: a complex diagonal with eigenvalues in an annulus."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, pi
from typing import Any

import numpy as np

from unitcircle._array import Weight, complex_dtype, namespace, ndtr
from unitcircle.errors import ArgumentError
from unitcircle.initializers._banded import identity
from unitcircle.initializers._certificate import Certificate, random_law
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import number
from unitcircle.recurrence import lru_gamma_log


@dataclass(frozen=True)
class Ring(Initializer):
    r"""The weight of the LRU: a complex diagonal, its eigenvalues uniform in area over a sector of an annulus.

    .. math:: W = \operatorname{diag}(r_k e^{iφ_k}), \qquad r_k^2 \sim U(r_{\min}^2, r_{\max}^2), \qquad
              φ_k \sim U(0, φ_{\max})

    The result is complex for every type of z. Half precision gives complex64: bfloat16 parts would round a modulus of
    0.999 to 1.

    Parameters
    ----------
    r_min, r_max
        Radii of the annulus, 0 ≤ r_min < r_max.
    max_phase
        φ_max (rad), positive.

    Raises
    ------
    ArgumentError
        ``r_min`` is not below ``r_max``.

    Notes
    -----
    :meth:`lru` gives the parameters ν, θ and γ of an LRU layer with these eigenvalues.

    r_k is computed from ``z[k, k]`` and φ_k from ``z[k, k + 1]`` (the last from column 0), so that a single unit takes
    both from one number: each has its law, but they are not independent.

    References
    ----------
    A. Orvieto et al., "Resurrecting recurrent neural networks for long sequences", ICML 2023, arXiv 2303.06349,
    lemma 3.2.

    Examples
    --------
    >>> λ = Ring(r_min=0.9).sample(100, rng=0).diagonal()
    >>> bool(np.all((abs(λ) >= 0.9) & (abs(λ) <= 1)))
    True
    """

    name = "ring"
    aliases = ("lru",)

    r_min: float = 0.0
    r_max: float = 1.0
    max_phase: float = 2 * pi

    def __post_init__(self) -> None:
        number(self, "r_min", "must not be negative", lambda r: r >= 0)
        number(self, "r_max", "must be positive", lambda r: r > 0)
        number(self, "max_phase", "must be positive", lambda phase: phase > 0)
        if self.r_min >= self.r_max:
            raise ArgumentError("r_min", "must be below r_max", f"r_min={self.r_min}, r_max={self.r_max}")

    def lru(self, z: Any, /) -> dict[str, Any]:
        r"""Return the parameters of an LRU layer with the eigenvalues of ``init(z)``, input normalization included.

        .. math:: λ = \exp(-e^{ν} + i e^{θ}), \qquad γ = \sqrt{1 - |λ|^2}

        Computed from 1 − r², not from a rounded r, so that at ``r_max = 1`` too every |λ| is below 1 and no γ is 0.

        Parameters
        ----------
        z
            Standard-normal array ``(..., n, n)``, as of a call. Half precision is computed in float32 and cast last.

        Returns
        -------
        dict
            ``"nu_log"``, ``"theta_log"``, ``"gamma_log"``: ν, θ and log γ, each ``(..., n)``, in the library and
            element type of ``z``; the names of the parameters in the authors' layers.

        Raises
        ------
        ArgumentError
            ``r_max`` above 1, which no ν gives.
        ShapeError
            Not square, or no unit.
        DtypeError
            Not floating-point, or complex.
        NotFiniteError
            A NaN or an infinity.

        Examples
        --------
        >>> made = Ring(r_min=0.9, r_max=0.999).lru(np.random.default_rng(0).standard_normal((8, 8)))
        >>> modulus, γ = np.exp(-np.exp(made["nu_log"])), np.exp(made["gamma_log"])
        >>> bool(np.allclose(modulus**2 + γ**2, 1))
        True
        """
        if self.r_max > 1:
            rule = "must be at most 1 in an LRU, whose |λ| is exp(−exp ν)"
            raise ArgumentError("r_max", rule, f"{self.r_max:g}")
        z, cast = self._normal(z)
        xp = namespace(z)
        area, phase = self._polar(z)
        # 1 − r², from the upper tail: near the circle r² has lost it.
        beyond = (1 - self.r_max) * (1 + self.r_max) + self._width * ndtr(-xp.linalg.diagonal(z))
        inside = area < 0.5
        log_area = xp.where(inside, xp.log(area), xp.log1p(-xp.where(inside, xp.zeros_like(beyond), beyond)))
        nu_log = xp.log(-0.5 * log_area)
        made = {"nu_log": nu_log, "theta_log": xp.log(phase), "gamma_log": lru_gamma_log(nu_log)}
        return {name: cast(value) for name, value in made.items()}

    @property
    def _width(self) -> float:
        """The difference of the squared radii."""
        return self.r_max**2 - self.r_min**2

    def _polar(self, z: Any) -> tuple[Any, Any]:
        """Return r² and φ of every eigenvalue."""
        xp = namespace(z)
        beside = xp.linalg.diagonal(xp.roll(z, -1, axis=-1))
        return self.r_min**2 + self._width * ndtr(xp.linalg.diagonal(z)), self.max_phase * ndtr(beside)

    def _weight(self, z: Any) -> Any:
        xp = namespace(z)
        area, phase = self._polar(z)
        modulus = xp.sqrt(area)
        dtype = complex_dtype(xp, z.dtype)
        eigenvalues = xp.astype(modulus * xp.cos(phase), dtype) + 1j * xp.astype(modulus * xp.sin(phase), dtype)
        return eigenvalues[..., None, :] * xp.astype(identity(z), dtype)

    def _measure(self, W: Weight) -> Certificate:
        promise = f"diagonal, |λ|² ~ U({self.r_min**2:.4g}, {self.r_max**2:.4g}), arg λ ~ U(0, {self.max_phase:.4g})"
        eigenvalues = np.diagonal(W.value, axis1=-2, axis2=-1)
        area = (np.abs(eigenvalues) ** 2 - self.r_min**2) / self._width
        phase = np.mod(np.angle(eigenvalues), 2 * pi)
        laws = [random_law(promise, area, lambda x: np.clip(x, 0, 1), W.eps)]
        laws.append(random_law(promise, phase, lambda x: _wrapped_uniform_cdf(x, self.max_phase), W.eps))
        residual = max(law.residual for law in laws)
        beside = bool(np.any(W.value * (1 - np.eye(W.n))))
        return Certificate(promise, inf if beside else residual, laws[0].tolerance)


def _wrapped_uniform_cdf(phase: np.ndarray, longest: float) -> np.ndarray:
    """Return the distribution function of U(0, longest) modulo 2π, at phases in [0, 2π)."""
    turns = 2 * pi * np.arange(int(longest // (2 * pi)) + 1)
    return np.clip((longest - turns), 0, phase[..., None]).sum(axis=-1) / longest
