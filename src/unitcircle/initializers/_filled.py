"""The result of an initialization: every block that was filled, with its certificate."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from dataclasses import dataclass

from unitcircle.errors import ArgumentError, CertificateError
from unitcircle.initializers._certificate import Certificate
from unitcircle.initializers._initializer import Initializer


@dataclass(frozen=True)
class Filled:
    """One block that was filled.

    Attributes
    ----------
    tensor
        Qualified name of the tensor.
    gate
        The gate, or empty for a whole tensor.
    init
        Its initializer.
    certificate
        The certificate of the stored numbers.
    """

    tensor: str
    gate: str
    init: Initializer
    certificate: Certificate

    def __str__(self) -> str:
        place = f"{self.tensor}[{self.gate}]" if self.gate else self.tensor
        return f"{place} = {self.init}: {self.certificate}"


@dataclass(frozen=True)
class Initialization:
    """The result of initializing a model.

    Attributes
    ----------
    filled
        Every block that was filled, with its certificate.
    """

    filled: tuple[Filled, ...]

    def __str__(self) -> str:
        return "\n".join(map(str, self.filled))


def require(filled: Iterable[Filled], /) -> tuple[Filled, ...]:
    """Return the blocks if each keeps the promise of its initializer.

    Parameters
    ----------
    filled
        The filled blocks.

    Returns
    -------
    tuple of Filled
        The same blocks.

    Raises
    ------
    CertificateError
        Some blocks do not; the message lists them.
    ArgumentError
        Not a sequence of them.

    Examples
    --------
    >>> import numpy as np
    >>> from unitcircle.initializers import parse
    >>> orthogonal = parse("orthogonal")
    >>> good = Filled("W", "h", orthogonal, orthogonal.certificate(np.eye(3)))
    >>> len(require([good]))
    1
    """
    try:
        blocks = tuple(filled)
        broken = [str(block) for block in blocks if not block.certificate.holds]
    except (TypeError, AttributeError) as error:
        raise ArgumentError("filled", "must be a sequence of Filled", reprlib.repr(filled)) from error
    if broken:
        raise CertificateError("\n".join(broken))
    return blocks
