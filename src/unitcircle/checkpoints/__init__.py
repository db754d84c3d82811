"""Recurrent layers from checkpoint files; nothing in a file is ever executed."""

from unitcircle.checkpoints._coverage import Coverage, Entry
from unitcircle.checkpoints._model_config import config_of
from unitcircle.checkpoints._read import Layers, read
from unitcircle.checkpoints._rewrite import Tensors, rewrite, tensors_of_file

__all__ = ["Coverage", "Entry", "Layers", "Tensors", "config_of", "read", "rewrite", "tensors_of_file"]
