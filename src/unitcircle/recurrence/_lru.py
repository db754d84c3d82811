"""The input normalization of the linear recurrent unit."""

from __future__ import annotations

from typing import Any

import numpy as np

from unitcircle._array import dtype_name, floating, namespace, require_finite
from unitcircle.errors import DtypeError


def lru_gamma_log(nu_log: Any, /) -> Any:
    r"""Return the logarithm of the input normalization of an LRU, in the array library of its argument.

    .. math:: γ = \sqrt{1 - |λ|^2}, \quad |λ| = \exp(-e^{ν}), \qquad
              \log γ = \tfrac12 \log\left(-\operatorname{expm1}(-2 e^{ν})\right)

    With it the state of white inputs of variance 1 has variance 1, whatever |λ| is. It is computed from ν: a |λ| next
    to 1 is rounded to 1, and 1 − |λ|² then to 0.

    Parameters
    ----------
    nu_log
        ν ``(...)``, the logarithm of the decay (nats per step), finite.

    Returns
    -------
    array
        log γ, of the shape, library and element type of ν.

    Raises
    ------
    DtypeError
        It holds no real floating-point numbers.
    NotFiniteError
        A NaN or an infinity: at ν = −∞, |λ| = 1, the state has no stationary variance.

    References
    ----------
    A. Orvieto et al., "Resurrecting recurrent neural networks for long sequences", ICML 2023, arXiv 2303.06349,
    section 3.4.

    Examples
    --------
    >>> import numpy as np
    >>> ν = np.log(-np.log([0.6, 0.8]))
    >>> np.exp(lru_gamma_log(ν)).round(6)
    array([0.8, 0.6])
    """
    nu = floating(nu_log, argument="nu_log", axes=0, low=True)
    if dtype_name(nu).startswith("complex"):
        raise DtypeError("nu_log", "must be real", f"dtype {dtype_name(nu)}")
    xp = namespace(nu)
    require_finite(nu, argument="nu_log")
    with np.errstate(over="ignore"):  # |λ| = 0 then, and γ = 1
        return 0.5 * xp.log(-xp.expm1(-2.0 * xp.exp(nu)))
