"""The base of every initializer, and the text and dictionary forms of a specification."""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from unitcircle._arguments import generator, shape, whole_number
from unitcircle._array import ArrayT, Weight, dtype_name, gaussian, require_normal, weight
from unitcircle._keywords import right_keywords
from unitcircle._specification import Specification
from unitcircle.errors import DtypeError, ShapeError
from unitcircle.initializers._certificate import Certificate

REGISTRY: dict[str, type[Specification]] = {}
"""Every name a specification may use, aliases included, with its class."""


@dataclass(frozen=True)
class Initializer(Specification, ABC):
    """A named, frozen, serialisable specification of a distribution over weights.

    ``weight = init(z)``: an initializer is a pure function of a standard-normal array, in the array library of
    that array. Two initializers are equal if their parameters are; ``str(init)`` is a text that
    :func:`parse` reads back.
    """

    kind = "initializer"
    registry = REGISTRY
    example = "eigen(modulus=0.95)"

    axes: ClassVar[int] = 2
    """Trailing axes of one weight: 2, or 1 for a bias."""
    elementwise: ClassVar[bool] = False
    """Whether every entry depends on its own number alone, so that a bias vector can be drawn as well."""
    square: ClassVar[bool] = True
    """Whether the weight must be square."""
    field: ClassVar[str] = "real"
    """The scalars it is defined for: ``"real"`` only, or ``"complex"`` as well."""

    def __call__(self, z: ArrayT, /) -> ArrayT:
        """Return the weight made from a standard-normal array.

        Parameters
        ----------
        z
            Standard-normal array ``(..., m, n)``, m = fan_out and n = fan_in (a bias: ``(..., n)``), of any array
            library, element type and device; complex entries have E|z|² = 1. Half precision is computed in float32
            and cast last.

        Returns
        -------
        array
            The weight, of the shape, library, device and type of ``z`` (complex where the law is).

        Raises
        ------
        ShapeError
            Too few axes, no unit, or not square where the weight must be.
        DtypeError
            Not floating-point, or complex where the law is real.
        NotFiniteError
            A NaN or an infinity.
        """
        z, cast = self._normal(z)
        return cast(self._weight(z))

    def _normal(self, z: Any) -> tuple[Any, Callable[[Any], Any]]:
        """Return checked normal numbers, at least single precision, and the cast back to their own type."""
        z, cast = gaussian(z, axes=1 if self.elementwise else self.axes)
        if 0 in z.shape[-self.axes :]:
            raise ShapeError("z", "must have at least one unit", f"shape {tuple(z.shape)}")
        if self.axes == 2 and self.square and z.shape[-1] != z.shape[-2]:
            raise ShapeError("z", f"must be square in its last two axes for {self.name}", f"shape {tuple(z.shape)}")
        if self.field == "real" and dtype_name(z).startswith("complex"):
            raise DtypeError("z", f"must be real for {self.name}", f"dtype {dtype_name(z)}")
        require_normal(z)
        return z, cast

    def certificate(self, W: Any, /) -> Certificate:
        """Measure a weight, or the worst of a batch, against the property that this initializer promises.

        Parameters
        ----------
        W
            The weight ``(..., m, n)``, of any array library.

        Returns
        -------
        Certificate
            The promise, the residual, and the tolerance.

        Raises
        ------
        ShapeError
            No weight at all, or not of a shape that this initializer gives.
        """
        axes = 1 if self.elementwise else self.axes
        w = weight(W, axes=axes, square=self.square and self.axes == 2)
        if not w.value.size:
            raise ShapeError("W", "must hold at least one weight", f"shape {w.value.shape}")
        with np.errstate(over="ignore", invalid="ignore"):  # the residual of what overflows is infinite
            return self._measure(w)

    @abstractmethod
    def _weight(self, z: Any) -> Any:
        """Return the weight, z being checked and at least single precision."""

    @abstractmethod
    def _measure(self, W: Weight) -> Certificate:
        """Return the certificate of a checked weight in double precision."""

    def residual(self, W: Any, /) -> float:
        """Return how far a weight is from the promised property: the residual of its certificate."""
        return self.certificate(W).residual

    @right_keywords
    def sample(
        self,
        n: int | tuple[int, int],
        /,
        *,
        rng: np.random.Generator | int | None = None,
        size: int | tuple[int, ...] = (),
    ) -> np.ndarray:
        """Draw weights as NumPy arrays in double precision.

        Parameters
        ----------
        n
            Number of units, or ``(rows, columns)`` = ``(fan_out, fan_in)`` of a rectangular weight.
        rng
            Generator or seed; global random state is never touched.
        size
            Batch shape.

        Returns
        -------
        numpy.ndarray
            Shape ``(*size, n, n)``; a bias gives ``(*size, n)``.

        Raises
        ------
        ShapeError
            A size that is not a positive whole number, or a pair of sizes for a bias.
        ArgumentError
            ``rng`` is neither a generator nor a seed.
        """
        sides = tuple(n) if isinstance(n, tuple | list) else (n, n)[: self.axes]
        if len(sides) != self.axes:
            rule = "must be one number for a bias" if self.axes == 1 else "must be a number of units, or a pair of them"
            raise ShapeError("n", rule, reprlib.repr(n))
        units = [whole_number("n", k, error=ShapeError) for k in sides]
        return self(generator(rng).standard_normal((*(shape("size", size) or ()), *units)))


def from_dict(specification: dict[str, Any], /) -> Initializer:
    """Return the initializer that a dictionary describes: :meth:`Initializer.from_dict`.

    Parameters
    ----------
    specification
        ``{"name": ..., **parameters}`` as :meth:`Initializer.to_dict` writes it.

    Returns
    -------
    Initializer
        The frozen specification.

    Examples
    --------
    >>> from unitcircle.initializers import Orthogonal
    >>> from_dict(Orthogonal(gain=2.0).to_dict()) == Orthogonal(gain=2.0)
    True
    """
    return Initializer.from_dict(specification)


def parse(text: str | Initializer, /) -> Initializer:
    """Read an initializer from text, the form of command lines, study files and reports: :meth:`Initializer.parse`.

    Parameters
    ----------
    text
        ``"eigen(modulus=0.95, angles=haar)"``; an :class:`Initializer` is returned as it is.

    Returns
    -------
    Initializer
        The frozen specification.

    Examples
    --------
    >>> parse("eigen(modulus=0.9)")
    Eigen(modulus=0.9, angles='haar')
    >>> parse(str(parse("chain"))) == parse("chain")
    True
    """
    return Initializer.parse(text)
