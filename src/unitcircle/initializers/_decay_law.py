"""The base of the laws of a parameter of a decay."""

from __future__ import annotations

from abc import ABC
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from unitcircle._array import namespace, weight
from unitcircle._specification import Specification
from unitcircle.errors import DtypeError
from unitcircle.initializers._certificate import Certificate
from unitcircle.initializers._initializer import Initializer

REGISTRY: dict[str, type[Specification]] = {}


@dataclass(frozen=True)
class DecayLaw(Initializer, ABC):
    """The law of a parameter of a decay, such as ``dt_bias`` or ``A_log``; as an initializer, but of any shape.

    Examples
    --------
    >>> import numpy as np
    >>> law = DecayLaw.parse("step(low=0.001, high=0.1)")
    >>> step = np.logaddexp(law.sample(1000, rng=0), 0)
    >>> bool(0.001 <= step.min() < step.max() <= 0.1), law.certificate(law.sample(1000, rng=0)).holds
    (True, True)
    """

    kind = "law of a decay"
    registry = REGISTRY
    example = "step(low=0.001, high=0.1)"
    axes = 1
    square = False
    elementwise = True

    whole: ClassVar[bool] = False
    """Whether it is a curve over all entries of the parameter, in row-major order, and not a law of each."""

    def shaped(self, z: Any, /) -> Any:
        """Return a parameter of the shape of standard-normal numbers of any shape, a single number included."""
        xp = namespace(z)
        shape = tuple(z.shape)
        return xp.reshape(self(xp.reshape(z, (-1,)) if self.whole or not shape else z), shape)

    def certificate(self, W: Any, /) -> Certificate:
        """Measure the promise as every initializer does, and refuse complex parameters: a decay has none."""
        if np.iscomplexobj(weight(W, axes=1, square=False).value):
            raise DtypeError("W", "must be real, as the parameters of a decay are", "complex numbers")
        return super().certificate(W)

    def certificate_of(self, values: Any, /) -> Certificate:
        """Return the certificate of a parameter of any shape."""
        xp = namespace(values)
        return self.certificate(xp.reshape(values, (-1,)) if self.whole or self.elementwise else values)
