"""The loss since the last measurement, without waiting for the device at every step."""

from __future__ import annotations

__all__ = ["LossPeak"]

import math
from typing import Any


class LossPeak:
    """The latest loss and the largest since the last measurement; a tensor stays where it is until it is asked for."""

    def __init__(self) -> None:
        self._latest: Any = None
        self._peak: Any = None

    def note(self, loss: Any, /) -> None:
        """Take the loss of one step: a number, a tensor, or None."""
        if loss is None:
            return
        # On a device nothing is read, which would wait for it; on the host reading is cheaper than an operation.
        if hasattr(loss, "detach") and loss.device.type != "cpu":
            loss = loss.detach()
            self._latest = loss
            # fmax: a NaN does not hide what else there was, and shows as the latest loss.
            self._peak = loss if self._peak is None else loss.fmax(self._peak)
            return
        loss = float(loss.item() if hasattr(loss, "item") else loss)
        self._latest = loss
        if self._peak is None or not loss <= self._peak:
            self._peak = loss

    def taken(self) -> dict[str, float]:
        """Return the latest loss and the peak, and forget the peak."""
        if self._latest is None:
            return {}
        latest = float(self._latest)
        peak = latest if self._peak is None else float(self._peak)
        self._latest = self._peak = None
        return {"loss": latest, "loss_peak": peak if math.isfinite(peak) else latest}
