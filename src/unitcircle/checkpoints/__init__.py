"""Recurrent layers from checkpoint files; nothing in a file is ever executed."""

from unitcircle.checkpoints._coverage import Coverage, Entry
from unitcircle.checkpoints._read import Layers, read
from unitcircle.checkpoints._rewrite import Tensors, rewrite, tensors_of_file

__all__ = ["Coverage", "Entry", "Layers", "Tensors", "read", "rewrite", "tensors_of_file"]
