"""Diagonal and low-rank recurrences by the names of the few numbers that they are given by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from unitcircle.checkpoints._inventory import Inventory
from unitcircle.recurrence import RecurrentLayer, from_low_rank, from_lru, from_mamba, from_s4d


def structured_layer(work: Inventory, name: str, /) -> RecurrentLayer | None:
    """Return the layer whose first part a tensor is, if its other parts are there."""
    for key, others, strangers, make in _STRUCTURED:
        if name != key and not name.endswith((f".{key}", f"/{key}", f"_{key}")):
            continue
        prefix = name.removesuffix(key)
        names = [name, *(prefix + other for other in others)]
        if any(full not in work.free for full in names) or any(prefix + other in work.free for other in strangers):
            continue
        arrays = [work.load(full) for full in names]
        layer = make(*arrays, name=prefix.rstrip("./_") or name, source=work.source(names))
        if layer is not None:
            short = work.layer_name(prefix, layer.cell) if prefix.rstrip("./_") else name
            return replace(layer, name=short)
    return None


def _low_rank(m: Any, n: Any, **options: Any) -> RecurrentLayer | None:
    if m.ndim != 2 or m.shape != n.shape or 2 * m.shape[1] > m.shape[0] or m.dtype.kind != "f":
        return None
    # Such networks have a leak, which stands in the code.
    return from_low_rank(m, n, unknown=frozenset({"leak"}), **options)


def _s4d(log_A_real: Any, A_imag: Any, log_dt: Any, **options: Any) -> RecurrentLayer:
    return from_s4d(-np.exp(log_A_real.astype(np.float64)) + 1j * A_imag, log_dt, **options)


def _s5(real: Any, imaginary: Any, log_step: Any, **options: Any) -> RecurrentLayer:
    return from_s4d(real + 1j * imaginary, log_step.ravel(), **options)


def _s5_complex(eigenvalues: Any, log_step: Any, **options: Any) -> RecurrentLayer | None:
    return from_s4d(eigenvalues, log_step.ravel(), **options) if eigenvalues.dtype.kind == "c" else None


_STRUCTURED: tuple[tuple[str, tuple[str, ...], tuple[str, ...], Callable[..., RecurrentLayer | None]], ...] = (
    ("nu_log", ("theta_log",), (), from_lru),
    ("A_log", ("dt_proj.bias",), (), from_mamba),
    ("A_log", ("dt_bias",), (), from_mamba),
    ("log_A_real", ("A_imag", "log_dt"), ("P",), _s4d),
    ("Lambda_re", ("Lambda_im", "log_step"), ("P",), _s5),
    ("Lambda", ("log_step",), ("P",), _s5_complex),
    ("m", ("n",), (), _low_rank),
)
"""A name that starts a structured recurrence, the names of its other parts, names with which it is another recurrence
(``P`` makes that of S4, which is not diagonal), and what makes the layer."""
