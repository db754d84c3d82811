"""The leak of a plain cell by its names: a stored share α, a step and a time constant, or one that is not known."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from unitcircle.checkpoints._inventory import Inventory

_SHARES = ("leak", "leaky", "leak_rate", "leaking_rate", "leaky_rate", "leakage", "leak_factor")
_SHARES_OF_RATES = ("alpha",)
_SHARES_OF_RESERVOIRS = ("alpha", "a", "lr")
_RATE = re.compile(
    r"(?:[Ww]_|raw_?|log_?|logit_?|inv_?)*"
    r"(?:taus?|tau_[a-z]+|[a-z]+_tau|alphas?|leak\w*|leaky\w*|dt|delta_t|time_?const\w*|time_scale)(?:_raw|_logit)?"
    r"(?:\.(?:weight|bias))?",
    re.IGNORECASE,
)  # fmt: skip


def is_rate(leaf: str, /) -> bool:
    """Whether the last part of a name is that of a leak, a step or a time constant."""
    return _RATE.fullmatch(leaf) is not None


def leak_of(
    work: Inventory, places: tuple[str, ...], units: int, /, *, reservoir: bool, textbook: bool
) -> tuple[Any, tuple[str, ...], bool]:
    """Return the leak α of a plain cell, the tensors it comes from, and whether the cell has one that is not known."""
    # `places` are the prefixes of its tensors. A share α is one number, or one for each unit, in (0, 1].
    names = (*_SHARES, *(() if textbook else _SHARES_OF_RATES), *(_SHARES_OF_RESERVOIRS if reservoir else ()))
    for place in places:
        for name in names:
            full = place + name
            if (value := _share(work, full, units)) is not None:
                return value, (full,), False
        if (step := _share(work, f"{place}dt", 1, positive=True)) is not None:
            tau = _share(work, f"{place}tau", units, positive=True)
            if tau is not None and np.all(step <= tau):
                return step / tau, (f"{place}dt", f"{place}tau"), False
    for place in places:
        if place not in work.rates:
            work.rates[place] = any(_RATE.fullmatch(full, len(place)) for full in work.free_below(place))
        if work.rates[place]:
            return 1.0, (), True
    return 1.0, (), False


def _share(work: Inventory, name: str, units: int, *, positive: bool = False) -> Any:
    tensor = work.free.get(name)
    if tensor is None or not tensor.dtype.startswith(("float", "bfloat", "int")):
        return None
    if np.prod(tensor.shape, dtype=object) not in {1, units}:
        return None
    value = np.asarray(work.load(name), dtype=np.float64).ravel()
    if not np.all((value > 0) & (np.isfinite(value) if positive else value <= 1)):
        return None
    return float(value[0]) if value.size == 1 else value
