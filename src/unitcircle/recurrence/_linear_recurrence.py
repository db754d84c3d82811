"""What a layer with a linear recurrence stores of its decay, and how long its heads remember."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from unitcircle._array import HALF_EPS
from unitcircle.recurrence._copies import remade
from unitcircle.recurrence._linear_families import LinearFamily


@dataclass(frozen=True, eq=False, kw_only=True)
class LinearRecurrence:
    """The decay of a linear recurrence as its layer stores it.

    Attributes
    ----------
    family
        What the layer is: transition, parameters, range, source.
    log_eigenvalues
        log λ at rest (nats per token), real or complex, in the shape ``(heads,)``, ``(heads, channels)``,
        ``(channels,)`` or ``(channels, modes)``; −inf where λ = 0.
    parameters
        Parameter → its values, in the stored precision.
    dtypes
        Parameter → element type in which it is stored.
    names
        Parameter → its name in the file, without that of the module.
    reflects
        Of a delta rule: whether its configuration doubles β, to 2 σ(b) (``allow_neg_eigval``).
    """

    family: LinearFamily
    log_eigenvalues: np.ndarray = field(repr=False)
    parameters: Mapping[str, np.ndarray] = field(repr=False)
    dtypes: Mapping[str, str]
    names: Mapping[str, str]
    reflects: bool = False

    def __post_init__(self) -> None:
        for name in ("parameters", "dtypes", "names"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return remade(self)

    @property
    def units(self) -> int:
        """The number of heads, or of channels where the layer has no heads with one decay each."""
        return self.log_eigenvalues.shape[0]

    @property
    def size(self) -> str:
        """The number of heads or channels, and of the eigenvalues in each: ``"16 heads"``, ``"64 channels x 16"``."""
        each = self.log_eigenvalues[0].size
        unit = self.family.unit if self.units == 1 else f"{self.family.unit}s"
        return f"{self.units} {unit}" + (f" x {each}" if each > 1 else "")

    @cached_property
    def memory(self) -> np.ndarray:
        """Tokens after which 1/e of a write is left at rest, τ = −1 / log |λ|, in the shape of λ; inf for |λ| ≥ 1."""
        return _memory(self.log_eigenvalues)

    @cached_property
    def rounding(self) -> np.ndarray:
        """Largest relative error of ``memory`` that the storage in half precision can have caused; 0 in float32."""
        error = np.zeros(self.log_eigenvalues.shape)
        exact = {name: in_double(value) for name, value in self.parameters.items()}
        for name, dtype in self.dtypes.items():
            if dtype in HALF_EPS:
                moved = exact | {name: exact[name] * (1 + HALF_EPS[dtype] / 2)}
                with np.errstate(all="ignore"):
                    ratio = np.log(_memory(self.family.log_rest(moved)) / self.memory)
                error += np.abs(np.nan_to_num(ratio, nan=0.0, posinf=np.inf, neginf=np.inf))
        return error

    @property
    def in_half_precision(self) -> dict[str, str]:
        """Name in the file → element type, of the parameters that are stored in half precision."""
        return {self.names.get(name, name): dtype for name, dtype in self.dtypes.items() if dtype in HALF_EPS}

    @property
    def along_key(self) -> np.ndarray | None:
        """Of a delta rule: the eigenvalue α(1 − β) along the key at rest, one per head; otherwise None.

        β at rest is σ(0) = 1/2, or 1 where the model doubles it.
        """
        if not self.family.delta:
            return None
        left = 0.0 if self.reflects else 0.5
        return np.exp(np.real(self.log_eigenvalues)).reshape(self.units, -1).mean(1) * left

    @property
    def range(self) -> tuple[float, float] | None:
        """Smallest and largest real eigenvalue of the transition of this layer over all inputs; None if unbounded."""
        if self.family.range is None:
            return None
        low, high = (-1.0, 1.0) if self.reflects else self.family.range
        if self.family.constant:
            values = np.real(np.exp(self.log_eigenvalues))
            return float(values.min()), float(values.max())
        if "lower_bound" in self.parameters:
            low = float(np.min(self.parameters["lower_bound"], initial=1.0))
        return low, high


def in_double(value: np.ndarray, /) -> np.ndarray:
    """Return real or complex values in double precision."""
    return value.astype(np.complex128 if value.dtype.kind == "c" else np.float64)


def _memory(logs: np.ndarray) -> np.ndarray:
    rate = -np.real(logs)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(rate > 0, 1 / rate, np.where(np.isnan(rate), np.nan, np.inf))
