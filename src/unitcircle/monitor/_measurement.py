"""What is measured of one weight at one step."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from unitcircle._array import to_numpy
from unitcircle.monitor._frame_schedule import is_frame
from unitcircle.monitor._leading_values import LeadingValues, within_range
from unitcircle.monitor._weights import WeightBlock
from unitcircle.spectra import polar_factor, tangent_share

METRICS = (
    "radius",
    "norm",
    "orthogonality",
    "drift",
    "update",
    "gradient",
    "flow",
    "exponent",
    "states",
    "loss",
)
"""The groups of metrics, all measured by default; ``flow``, ``exponent`` and ``states`` need a batch."""
DIRECT = 128
"""Size up to which all eigenvalues cost no more than a Krylov space."""
POWERS = 16
"""Largest power of the weight that is applied to its leading singular vector."""
ORTHOGONAL = 1e-3
"""Relative deviation from a multiple of an orthogonal matrix up to which W₀ stands for its own polar factor: the share
of a change that is tangent then has about the same relative error."""


class BlockMonitor:
    """Measures one watched weight, and keeps what later measurements need."""

    def __init__(self, groups: Collection[str], rng: np.random.Generator) -> None:
        self._groups = frozenset(groups)
        self._leading = LeadingValues(rng)
        self._reference: np.ndarray | None = None
        # W₀ itself where it is orthogonal; None until it has been computed.
        self._polar: np.ndarray | None = None
        self._before: np.ndarray | None = None
        self._exact = 0

    def keep(self, block: WeightBlock, /) -> None:
        """Copy the weight, one optimizer step before it is measured."""
        self._before = block.value.copy()

    def measure(self, block: WeightBlock, /, *, exact: bool) -> tuple[dict[str, float], np.ndarray | None]:
        r"""Measure the weight.

        ::

            radius          ρ(W)
            norm            σ₁(W)
            departure       √(‖W‖_F² − Σ|λ|²), at exact measurements
            transient       max_t log ‖Wᵗ v₁‖ − t log max(ρ, 1), v₁ the leading right singular vector, t ≤ 16, of a
                            recurrent weight
            orthogonality   ‖WᵀW − I‖_F / √n
            drift           ‖W − W₀‖_F / ‖W₀‖_F since the first measurement
            tangent         ‖skew(Qᵀ(W − W₀))‖_F² / ‖W − W₀‖_F², W₀ = Q P (polar); the rest changes WᵀW. Where W₀ is
                            not a multiple of an orthogonal matrix, from the first exact measurement on
            update          ‖ΔW‖_F / ‖W‖_F of the last optimizer step
            gradient        ‖∂L/∂W‖_F

        Parameters
        ----------
        block
            The weight.
        exact
            Whether to compute all eigenvalues and singular values.

        Returns
        -------
        tuple
            Numbers by name, and the eigenvalues ``(n,)`` if they were computed and are to be recorded. NaN for a
            weight that is not finite.
        """
        with np.errstate(over="ignore", invalid="ignore"):  # of weights that are about to leave the range
            return self._measure(block, exact=exact)

    def _measure(self, block: WeightBlock, *, exact: bool) -> tuple[dict[str, float], np.ndarray | None]:
        """Measure the weight; what leaves the range of a number is infinite."""
        W, groups = block.value, self._groups
        n = len(W)
        numbers: dict[str, float] = {}
        if "gradient" in groups and not np.isnan(block.gradient):
            numbers["gradient"] = block.gradient
        if not np.isfinite(W).all():
            self._before = None
            return numbers | dict.fromkeys(("radius", "norm"), float("nan")), None
        eigenvalues, frame = None, False
        inside, scale = within_range(W)
        gram = inside.conj().T @ inside if "orthogonality" in groups or ("norm" in groups and exact) else None
        if "radius" in groups:
            if exact:
                wide = inside.astype(np.result_type(W, np.float64))
                values = np.linalg.eigvals(wide).astype(complex)
                eigenvalues = values * scale
                numbers["radius"] = float(np.abs(values).max()) * scale
                squares = float(np.linalg.norm(wide)) ** 2
                frame, self._exact = is_frame(self._exact), self._exact + 1
                numbers["departure"] = max(squares - float((np.abs(values) ** 2).sum()), 0.0) ** 0.5 * scale
            else:
                numbers["radius"] = self._leading.radius(W)
        if "norm" in groups:
            numbers["norm"] = self._leading.norm(W)
            if exact and gram is not None:
                numbers["norm"] = float(np.linalg.eigvalsh(gram)[-1]) ** 0.5 * scale
            if "radius" in groups and block.recurrent:
                numbers["transient"] = self._leading.transient(W, numbers["radius"], POWERS)
        if "orthogonality" in groups and gram is not None:
            deviation = gram if scale == 1 else gram * scale * scale
            numbers["orthogonality"] = float(np.linalg.norm(deviation - np.eye(n, dtype=W.dtype))) / n**0.5
        if "drift" in groups:
            numbers |= self._since_reference(W, exact=exact)
        if self._before is not None and self._before.shape == W.shape:
            numbers["update"] = _relative(W - self._before, self._before)
        self._before = None
        return numbers, eigenvalues if frame else None

    def _since_reference(self, W: np.ndarray, *, exact: bool) -> dict[str, float]:
        if self._reference is None or self._reference.shape != W.shape:
            self._reference = W.copy()
            self._polar = self._reference if _is_orthogonal(W) else None
        if exact and self._polar is None:
            self._polar = polar_factor(self._reference)
        change = W - self._reference
        drift = _relative(change, self._reference)
        numbers = {"drift": drift}
        if 0 < drift < np.inf and self._polar is not None:
            numbers["tangent"] = float(tangent_share(change, self._polar))
        return numbers

    @property
    def size(self) -> int | None:
        """Number of units; None where nothing is kept that has that size."""
        arrays = [self._reference, *self._leading.state_dict().values()]
        return next((len(array) for array in arrays if array is not None), None)

    def state_dict(self) -> dict[str, Any]:
        """Return what later measurements need, as arrays by name."""
        optional = {"reference": self._reference, "polar": None if self._polar is self._reference else self._polar}
        arrays = {name: array for name, array in optional.items() if array is not None}
        return arrays | {"exact": np.array(float(self._exact))} | self._leading.state_dict()

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Restore the arrays that :meth:`state_dict` returned."""
        # The checkpoint may have been read onto a device.
        arrays = {name: to_numpy(array) for name, array in state.items()}
        self._reference, self._polar = arrays.pop("reference", None), arrays.pop("polar", None)
        self._exact = int(arrays.pop("exact"))
        if self._polar is None and self._reference is not None and _is_orthogonal(self._reference):
            self._polar = self._reference
        self._leading.load_state_dict(arrays)


def _relative(change: np.ndarray, to: np.ndarray) -> float:
    """Return ‖change‖_F / ‖to‖_F; NaN where to is zero."""
    size = float(np.linalg.norm(to))
    return float(np.linalg.norm(change)) / size if size > 0 else float("nan")


def _is_orthogonal(W: np.ndarray) -> bool:
    """Whether W is a multiple of an orthogonal matrix, within the tolerance."""
    gram = W.conj().T @ W
    size = float(np.trace(gram).real) / len(W)
    deviation = float(np.linalg.norm(gram - size * np.eye(len(W), dtype=W.dtype))) / len(W) ** 0.5
    return size > 0 and deviation <= ORTHOGONAL * size
