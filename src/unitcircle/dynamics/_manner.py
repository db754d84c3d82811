"""How a model is run where it is measured, and how that differs from a run in training."""

from __future__ import annotations

import random
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType

import numpy as np
import torch
from torch import Tensor, nn

from unitcircle.dynamics._normalization import batch_statistics, converged_spectral_norms

_DROPOUT = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
_FORCING = re.compile("teacher|forcing|scheduled_sampling|sampling_prob|^tf_?(ratio|prob|rate)", re.IGNORECASE)
_SAID = frozenset({"dropout", "dropout1d", "dropout2d", "dropout3d", "batch_norm", "instance_norm"})
"""Functions that take the mode as an argument, and have a note of their own."""
MOST = 4
"""Names of parts in one note."""


@contextmanager
def as_in_training(model: nn.Module, tensors: dict[str, Tensor], /) -> Generator[list[str]]:
    """Run a model with these copies of its tensors as training would; yield notes, complete when the run has ended."""
    notes = [*_dropout(model), *_modes(model), *_teacher_forcing(model), *converged_spectral_norms(model, tensors)]
    before = _random_state()
    with batch_statistics(model) as normalized:
        yield notes
    notes += [
        f"{name} holds its initial statistics: run with those of the batch, as in training" for name in normalized
    ]
    if _random_state() != before:
        notes.append("the model draws random numbers in evaluation mode too: measured with one draw of them")


def _random_state() -> tuple[object, ...]:
    """Return the states of the three generators that a model may use, so that they can be compared."""
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002  (the one that a model may use)
    return torch.random.get_rng_state().numpy().tobytes(), random.getstate(), name, np.asarray(keys).tobytes(), *rest


def _dropout(model: nn.Module) -> list[str]:
    def drops(module: nn.Module) -> bool:
        if isinstance(module, _DROPOUT):
            return module.p > 0
        if isinstance(module, nn.MultiheadAttention):
            return module.dropout > 0
        return isinstance(module, nn.RNNBase) and module.num_layers > 1 and module.dropout > 0

    names = [name or "the model" for name, module in model.named_modules() if drops(module)]
    return [f"dropout is off while measured: {', '.join(names)}"] if names else []


def _modes(model: nn.Module) -> list[str]:
    """Return a note on the parts whose own code asks whether it is trained, as a dropout of a person's own does."""
    asking = [
        name or "the model"
        for name, part in model.named_modules()
        if any("training" in code.co_names and _SAID.isdisjoint(code.co_names) for code in _own_code(part))
    ]
    if not asking:
        return []
    more = f" and {len(asking) - MOST} more" if len(asking) > MOST else ""
    return [f"in evaluation mode while measured, which their own code asks for: {', '.join(asking[:MOST])}{more}"]


def _teacher_forcing(model: nn.Module) -> list[str]:
    """Return a note on an argument, variable or attribute of that name in the code of any part of a model."""
    codes = (code for part in model.modules() for code in _own_code(part))
    name = next((name for code in codes for name in code.co_varnames + code.co_names if _FORCING.search(name)), None)
    if name is None:
        return []
    manner = "run in evaluation mode as the batch and the model's defaults say, with one random draw"
    return [f"teacher forcing ({name}): {manner}"]


def _own_code(part: nn.Module) -> Iterator[CodeType]:
    """Yield the code of the methods of a part that its author wrote, without that which only builds it."""
    for kind in type(part).__mro__:
        if kind.__module__.partition(".")[0] in {"torch", "builtins"}:
            continue
        for name, function in vars(kind).items():
            if name != "__init__" and isinstance(function, FunctionType):
                yield function.__code__
