"""The spectrum of one weight and derived quantities, each computed at its first use."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from unitcircle._array import Weight, to_numpy, weight
from unitcircle._card import card
from unitcircle.spectra._asymptotics import asymptotics
from unitcircle.spectra._drawn_powers import in_single
from unitcircle.spectra._eigenvalues import found, in_order
from unitcircle.spectra._horizon import horizon
from unitcircle.spectra._largest_singular_value import LANCZOS, largest_singular_value
from unitcircle.spectra._normality import departure_given, eigenvector_condition
from unitcircle.spectra._power import power_norms
from unitcircle.spectra._scaled import ScaledMatrix


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum:
    """The spectrum of a weight or of a batch; :func:`spectrum` makes it.

    Every property is computed once, when it is first used, and comes in the library of the weight: a Python number
    for one weight, an array of the batch shape ``(...)`` for a batch.

    Attributes
    ----------
    weight
        The weight, checked.
    """

    weight: Weight

    @cached_property
    def eigenvalues(self) -> Any:
        """Eigenvalues λ by decreasing modulus, complex, ``(..., n)``: see :func:`eigenvalues`."""
        return self.weight.restore(self._eigenvalues)

    @cached_property
    def _eigenvalues(self) -> np.ndarray:
        """The eigenvalues in double precision and their order."""
        return in_order(self.weight, *self._found)

    @cached_property
    def _found(self) -> tuple[np.ndarray, float]:
        """The eigenvalues in no order, over a power of two, and this: the order of 64 takes half as long as they do."""
        return found(self.weight)

    @cached_property
    def _moduli(self) -> np.ndarray:
        """Their moduli by decreasing size, of which radius and departure are made."""
        values, unit = self._found
        with np.errstate(over="ignore"):
            return np.sort(np.abs(values))[..., ::-1] * unit

    @cached_property
    def radius(self) -> Any:
        """Spectral radius ρ = max |λ|."""
        return self.weight.restore(self._moduli.max(axis=-1))

    @cached_property
    def singular_values(self) -> Any:
        """Singular values σ by decreasing size, ``(..., n)``."""
        return self.weight.restore(np.linalg.svd(self.weight.value, compute_uv=False))

    @cached_property
    def norm(self) -> Any:
        """Spectral norm σ₁, the largest stretch in one step."""
        if "singular_values" in self.__dict__ or self.weight.n < LANCZOS:
            return self.weight.restore(to_numpy(self.singular_values)[..., 0])
        scaled = [ScaledMatrix.of(value) for value in self.weight.value.reshape(-1, self.weight.n, self.weight.n)]
        with np.errstate(over="ignore"):
            norms = [np.ldexp(largest_singular_value(each.mantissa)[0], each.exponent) for each in scaled]
        return self.weight.restore(np.reshape(norms, self.weight.batch))

    @cached_property
    def smallest_singular_value(self) -> Any:
        """σ_n, the smallest stretch in one step."""
        return self.weight.restore(to_numpy(self.singular_values)[..., -1])

    @cached_property
    def departure_from_normality(self) -> Any:
        """Henrici's number: see :func:`departure_from_normality`."""
        return self.weight.restore(departure_given(self.weight, self._moduli))

    @cached_property
    def eigenvector_condition(self) -> Any:
        """κ(V), infinite where W is defective: see :func:`eigenvector_condition`."""
        return eigenvector_condition(self.weight.source)

    @cached_property
    def asymptotics(self) -> Any:
        """The behaviour of Wᵗ for large t: see :func:`asymptotics`."""
        return asymptotics(self.weight.source)

    def power_norms(self, steps: int = 64, /) -> Any:
        """Return log ‖Wᵗ‖₂ for t = 0..steps (nats), computed once for each number of steps.

        Parameters
        ----------
        steps
            The largest power T.

        Returns
        -------
        array
            ``(..., T + 1)``: see :func:`power_norms`.
        """
        if steps not in self._power_norms:
            self._power_norms[steps] = power_norms(self.weight.source, steps)
        return self._power_norms[steps]

    def drawn_power_norms(self, steps: int = 64, /) -> Any:
        """Return log ‖Wᵗ‖₂ for t = 0..steps (nats), right to 0.001: enough for a figure, and sooner.

        Parameters
        ----------
        steps
            The largest power T.

        Returns
        -------
        array
            ``(..., T + 1)``: from 256 units on products in single precision, checked twice in double precision and done
            again in it where that differs; otherwise those of :meth:`power_norms`.

        Examples
        --------
        >>> spectrum([[0.5]]).drawn_power_norms(2) / np.log(2.0)
        array([ 0., -1., -2.])
        """
        if steps not in self._power_norms and (logs := in_single(self.weight, steps)) is not None:
            return self.weight.restore(logs)
        return self.power_norms(steps)

    @cached_property
    def _power_norms(self) -> dict[int, Any]:
        """Number of steps → what was computed."""
        return {}

    def horizon(self, factor: float, /, *, direction: Literal["either", "down", "up"] = "either") -> Any:
        """Return the first lag t at which ‖Wᵗ‖₂ has changed by a factor, relative to lag 0 (‖W⁰‖₂ = 1).

        Parameters
        ----------
        factor
            The factor, above 1.
        direction
            ``"down"``: only a decrease to 1/factor counts; ``"up"``: only an increase to the factor.

        Returns
        -------
        float or array
            The lag in steps; infinite where it never changes so much: see :func:`horizon`.
        """
        return horizon(self.weight.source, factor, direction=direction)

    def __repr__(self) -> str:
        return f"<Spectrum of {self._what}>"

    @property
    def _what(self) -> str:
        n = f"{self.weight.n} × {self.weight.n}"
        if self.weight.batch:
            return f"a batch {self.weight.batch} of {n} weights"
        return f"a {'real' if np.isrealobj(self.weight.value) else 'complex'} {n} weight"

    def __str__(self) -> str:
        return "\n".join([f"spectrum of {self._what}", *(f"  {name:<25} {value}" for name, value in self._rows())])

    def _repr_html_(self) -> str:
        return card(f"spectrum of {self._what}", rows=self._rows())

    def _rows(self) -> list[tuple[str, str]]:
        rows = [] if self.weight.batch else [("asymptotics of Wᵗ", str(self.asymptotics.verdict))]
        return [
            *rows,
            ("spectral radius ρ", _range(self.radius)),
            ("spectral norm σ₁", _range(self.norm)),
            ("smallest singular value", _range(self.smallest_singular_value)),
            ("departure from normality", _range(self.departure_from_normality)),
            ("eigenvector condition", _range(self.eigenvector_condition)),
        ]


def spectrum(W: Any, /) -> Spectrum:
    r"""Measure the spectrum of a weight, or of a batch; each number is computed at its first use.

    .. math:: ρ = \max_k |λ_k| ≤ σ_1 = ‖W‖_2

    Parameters
    ----------
    W
        Weight ``(..., n, n)``, real or complex, of any array library.

    Returns
    -------
    Spectrum
        Frozen; ``print`` shows a summary.

    Raises
    ------
    ArgumentError
        Not square, empty, not finite or not numbers: see :mod:`unitcircle.errors`.

    Examples
    --------
    >>> s = spectrum([[0.9, 10.0], [0.0, 0.8]])
    >>> s.radius, round(s.norm, 4), s.departure_from_normality
    (0.9, 10.072, 10.0)
    """
    return Spectrum(weight(W))


def _range(values: Any) -> str:
    sizes = np.ravel(to_numpy(values))
    if not sizes.size:
        return "no weight"
    low, high = f"{sizes.min():.6g}", f"{sizes.max():.6g}"
    return low if low == high else f"{low} to {high}"
