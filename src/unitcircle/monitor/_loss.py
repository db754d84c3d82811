"""The loss since the last measurement, without waiting for the device at every step."""

from __future__ import annotations

import math
from typing import Any

from unitcircle._array import library
from unitcircle.errors import ArgumentError

WAITING = 64
"""Number of JAX losses kept unread: a loss that many steps old has been computed."""


class LossPeak:
    """The latest loss and the largest since the last measurement, read from a device only when they are due."""

    def __init__(self) -> None:
        self._latest: Any = None
        self._peak: Any = None
        self._waiting: list[Any] = []

    def note(self, loss: Any, /) -> None:
        """Note the loss of one step: a number, a tensor, an array, or None."""
        if loss is None:
            return
        # This runs at every step, with cold caches after the backward pass: the fewest look-ups first. Of a tensor its
        # device takes 14 microseconds then, whether that is the host 2.
        if isinstance(loss, float):
            self._take(loss)
        elif getattr(loss, "is_cpu", False) and loss.numel() == 1:
            value = loss.item()
            self._take(value if type(value) is float else _number(loss))
        else:
            self._note_other(loss)

    def _note_other(self, loss: Any) -> None:
        """Note a loss that is neither a number of Python's nor a tensor on the host."""
        # The shape is known on the host, without waiting for a device.
        if math.prod(getattr(loss, "shape", ())) != 1:
            raise ArgumentError("loss", "must be one number", f"shape {tuple(loss.shape)}", "Take its mean.")
        if hasattr(loss, "detach") and loss.device.type != "cpu":
            # Nothing is read from a device; on the host reading is cheaper than an operation.
            loss = loss.detach()
            self._latest = loss
            # fmax ignores NaN: the peak of the finite losses is kept, and a NaN shows as the latest loss.
            self._peak = loss if self._peak is None else loss.fmax(self._peak)
        elif not hasattr(loss, "detach") and library(loss) == "jax":
            self._waiting.append(loss)
            if len(self._waiting) >= 2 * WAITING:
                self._read(WAITING)
        else:
            self._take(_number(loss))

    def _read(self, count: int) -> None:
        for loss in self._waiting[:count]:
            self._take(float(loss))
        del self._waiting[:count]

    def _take(self, loss: float) -> None:
        self._latest = loss
        if self._peak is None or not loss <= self._peak:
            self._peak = loss

    def take_peak(self) -> dict[str, float]:
        """Return the latest loss and the peak, and reset the peak."""
        self._read(len(self._waiting))
        if self._latest is None:
            return {}
        latest = float(self._latest)
        peak = latest if self._peak is None else float(self._peak)
        self._latest = self._peak = None
        return {"loss": latest, "loss_peak": peak if math.isfinite(peak) else latest}


def _number(loss: Any) -> float:
    """Return a loss on the host as a number: a tensor, an array, or a number of another kind."""
    try:
        return float(loss.item() if hasattr(loss, "item") else loss)
    except (TypeError, ValueError) as error:
        raise ArgumentError("loss", "must be one number", repr(loss)) from error
