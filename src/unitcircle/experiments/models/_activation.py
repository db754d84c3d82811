"""The activations of plain recurrences."""

from __future__ import annotations

from typing import Literal

Activation = Literal["tanh", "relu", "linear"]
