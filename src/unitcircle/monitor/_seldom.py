"""Measurements that are made less often because they cost more: all eigenvalues, and the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SELDOM = 10
"""Measurements from one exact measurement, or one of a batch, to the next."""
EIGENVALUES_SECONDS = 1.5e-9
"""Time of all eigenvalues and of the first polar factor over n³, on one core, until it is measured."""


class SeldomMeasurements:
    """When each kind was last measured, and what it costs: seconds, of eigenvalues seconds per n³."""

    def __init__(self) -> None:
        self._kinds: dict[str, tuple[int | None, float]] = {"exact": (None, EIGENVALUES_SECONDS), "batch": (None, 0.0)}

    def is_due(self, kind: str, measurement: int, /) -> bool:
        """Whether a kind is due at a measurement, if there is time for it."""
        last = self._kinds[kind][0]
        return last is None or measurement - last >= SELDOM

    def cost(self, kind: str, /) -> float:
        """Return what a kind cost when it was last measured."""
        return self._kinds[kind][1]

    def note(self, kind: str, measurement: int, cost: float, /) -> None:
        """Note that a kind was measured."""
        self._kinds[kind] = (measurement, cost)

    def state_dict(self) -> dict[str, Any]:
        """Return the turns and the costs as plain values."""
        return {kind: list(value) for kind, value in self._kinds.items()}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Restore the state that :meth:`state_dict` returned."""
        self._kinds = {kind: (state[kind][0], float(state[kind][1])) for kind in self._kinds}
