"""Measurement without side effects: a model and the random state are left as they were found."""

from __future__ import annotations

import random as python_random
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from unitcircle.dynamics._found_values import FoundValues
from unitcircle.dynamics._torch_scans import scans_as_loops


@contextmanager
def evaluation_flags(module: nn.Module, /) -> Generator[None]:
    """Set evaluation mode (no dropout, fixed running statistics), and restore the training flags."""
    training = [part for part in module.modules() if part.training]
    try:
        for part in training:
            part.training = False
        yield
    finally:
        for part in training:
            part.training = True


@contextmanager
def evaluation_mode(module: nn.Module, /) -> Generator[None]:
    """Measure in evaluation mode, then restore attributes, buffers, flags and the random state."""
    devices = {p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"}
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(mode=False))
        stack.enter_context(_eager())
        stack.enter_context(torch.random.fork_rng(sorted(devices)))
        stack.callback(python_random.setstate, python_random.getstate())
        stack.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002  (the one that a model may use)
        stack.enter_context(_attributes_as_found(module))
        stack.enter_context(evaluation_flags(module))
        yield


@contextmanager
def _eager() -> Generator[None]:
    """Run compiled parts as Python, and keep the states that gradient checkpointing would compute again."""
    with ExitStack() as stack:
        stack.enter_context(scans_as_loops())
        if "torch._dynamo" in sys.modules:  # else nothing is compiled, and importing it takes seconds
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        checkpointing: Any = sys.modules.get("torch.utils.checkpoint")
        # The second forward pass would run with other weights, while the gradient is computed.
        for name, plain in (("CheckpointFunction", _Plain), ("_checkpoint_without_reentrant_generator", _no_hooks)):
            if hasattr(checkpointing, name):
                stack.callback(setattr, checkpointing, name, getattr(checkpointing, name))
                setattr(checkpointing, name, plain)
        yield


class _Plain:
    """Stands for torch's function that saves nothing and computes again."""

    @staticmethod
    def apply(function: Callable[..., Any], _preserve: bool, *args: Any) -> Any:
        """Run the function."""
        return function(*args)


def _no_hooks(*_args: Any, **_kwargs: Any) -> Generator[None]:
    """Stands for torch's hooks around a forward pass."""
    yield


@contextmanager
def _attributes_as_found(module: nn.Module) -> Generator[None]:
    """Restore what every module holds: attributes, the containers in them, plain tensors, buffers, generators."""
    # A module may keep its state, a count or a cache from one call to the next.
    found = FoundValues()
    for part in module.modules():
        found.keep_module(part)
    try:
        yield
    finally:
        found.restore()
