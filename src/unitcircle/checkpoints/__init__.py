"""Recurrent layers from checkpoint files; nothing in a file is ever executed."""

from unitcircle.checkpoints._coverage import Coverage, Entry
from unitcircle.checkpoints._read import Layers, read

__all__ = ["Coverage", "Entry", "Layers", "read"]
