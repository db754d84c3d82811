"""A record of one measurement, and its plain form."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from unitcircle.diagnosis import Finding

MonitorRecord = dict[str, Any]
"""Numbers by name, ``"<block>/<metric>"``, as floats, and

``eigenvalues``
    Block → complex ``(n,)``, at exact measurements: at each of the first 16 of a block, then at 8 for each doubling of
    their number.
``gradient_by_lag``
    Layer → log-norm by lag ``(T + 1,)``, where a batch was measured, thinned out in the same way.
``findings``
    Sequence of :class:`unitcircle.Finding`, where there are any.
"""

Sink = Callable[[MonitorRecord, int], Any]
"""A function of a record and its step."""

DIGITS = 7
"""Significant digits of a number in a line: weights in single precision have no more."""


def scalars(record: Mapping[str, Any], /) -> dict[str, float]:
    """Return the finite numbers of a record, the form that most loggers take.

    Parameters
    ----------
    record
        The record of a measurement.

    Returns
    -------
    dict
        Name → number. A curve by lag is reduced to lags 0, 1, 2, 4, … and the last: ``"<layer>/gradient_by_lag/16"``.

    Examples
    --------
    >>> scalars({"step": 3, "loss": 0.5, "name": "x", "radius": float("nan")})
    {'loss': 0.5}
    """
    numbers = {name: value for name, value in record.items() if isinstance(value, float)}
    for layer, curve in record.get("gradient_by_lag", {}).items():
        last = len(curve) - 1
        lags = sorted({0, last, *(1 << k for k in range(last.bit_length()))})
        numbers |= {f"{layer}/gradient_by_lag/{lag}": float(curve[lag]) for lag in lags}
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def plain(value: Any, /) -> Any:
    """Return a value as strict JSON has it: 7 digits; complex as [re, im]; infinities and NaN as "inf" and "nan"."""
    if isinstance(value, np.ndarray):
        array = cast("np.ndarray", value)
        if np.iscomplexobj(array):
            array = np.stack([np.real(array), np.imag(array)], -1)
        return plain(np.round(array.astype(float), 6).tolist())
    if isinstance(value, Finding):
        return plain(value.to_dict())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in cast("list[Any]", value)]
    return value
