"""The batch of a live model in the forms that people have it (imports torch; imported only for such a model)."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from torch.nn.utils.rnn import PackedSequence
from torch.utils import _pytree as pytree
from torch.utils.data import DataLoader

from unitcircle.errors import ArgumentError, DtypeError


def batch_of(batch: Any, /) -> Any:
    """Return a batch with tensors in place of NumPy arrays; of a DataLoader the first batch."""
    if isinstance(batch, DataLoader):
        loader = cast("DataLoader[Any]", batch)
        with torch.random.fork_rng(devices=[]):  # a sampler draws from the global generator
            batch = next(iter(loader), None)
        if batch is None:
            raise ArgumentError("batch", "must hold at least one batch", "an empty DataLoader")
        if isinstance(batch, list | tuple) and len(cast("list[Any]", batch)) == 1:
            (batch,) = cast("list[Any]", batch)  # a TensorDataset of inputs alone
    return batch if isinstance(batch, PackedSequence) else pytree.tree_map(_tensor, batch)


def _tensor(leaf: Any) -> Any:
    if not isinstance(leaf, np.ndarray):
        return leaf
    array = cast("np.ndarray[Any, Any]", leaf)
    if array.dtype.kind not in "fciub":
        raise DtypeError("batch", "must hold numbers", f"dtype {array.dtype}")
    return torch.as_tensor(array if array.flags.writeable else array.copy())
