"""Measurement without side effects: a model and the random state are left as they were found."""

from __future__ import annotations

import random as python_random
import sys
from collections import deque
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from unitcircle.dynamics._torch_scans import scans_as_loops

DEPTH = 4
"""How deep containers and objects inside a module's attributes are followed."""


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
    found = _Found()
    for part in module.modules():
        found.keep(part.__dict__, DEPTH)
    try:
        yield
    finally:
        found.restore()


_LEFT_ALONE = (str, bytes, int, float, type, type(None), ModuleType, nn.Parameter)
"""What cannot change, what is not a part of the model, and parameters, of which a copy is run."""


def _same(value: Any, copy: Any) -> bool:
    """Whether a container holds the same objects as its copy, in the same order."""
    if len(value) != len(copy):
        return False
    if isinstance(value, dict):
        pairs = zip(value.items(), copy.items(), strict=True)
        return all(a == b and x is y for (a, x), (b, y) in pairs)
    return value == copy if isinstance(value, set) else all(a is b for a, b in zip(value, copy, strict=True))


class _Found:
    """Values of attributes as they were, each object once."""

    def __init__(self) -> None:
        self._restorers: list[Callable[[], None]] = []
        self._seen: dict[int, Any] = {}  # The objects are kept alive, so that no id is given to another

    def keep(self, value: Any, depth: int) -> None:
        """Remember the content of an object, and of what it holds."""
        if id(value) in self._seen or isinstance(value, _LEFT_ALONE):
            return
        self._seen[id(value)] = value
        if isinstance(value, Tensor):
            self._keep_tensor(value)
        elif isinstance(value, torch.Generator):
            self._later(value.set_state, value.get_state())
        elif isinstance(value, np.random.Generator):
            self._later(lambda state: setattr(value.bit_generator, "state", state), value.bit_generator.state)
        elif isinstance(value, python_random.Random):
            self._later(value.setstate, value.getstate())
        elif isinstance(value, np.ndarray):
            self._later(lambda copy: np.copyto(value, copy), value.copy())
        elif isinstance(value, dict | list | set | deque):
            self._keep_container(cast("Any", value), depth)
        elif isinstance(value, tuple):
            self._keep_items(cast("tuple[Any, ...]", value), depth)
        elif isinstance(value, nn.Module) or (hasattr(value, "__dict__") and not callable(value)):
            self.keep(vars(value), depth)

    def restore(self) -> None:
        """Give every object the content that it had."""
        for restore in reversed(self._restorers):
            restore()

    def _later(self, function: Callable[[Any], Any], argument: Any) -> None:
        self._restorers.append(lambda: function(argument))

    def _keep_items(self, values: Any, depth: int) -> None:
        if depth:
            for value in values:
                self.keep(value, depth - 1)

    def _keep_container(self, value: Any, depth: int) -> None:
        copy = value.copy()
        self._keep_items(list(copy.values()) if isinstance(value, dict) else list(copy), depth)

        def restore() -> None:
            if _same(value, copy):
                return
            value.clear()
            (value.update if isinstance(value, dict | set) else value.extend)(copy)

        self._restorers.append(restore)

    def _keep_tensor(self, value: Tensor) -> None:
        if value.is_meta or value.is_sparse or torch.is_inference(value):
            return
        version, copy, flag = value._version, value.detach().clone(), value.requires_grad

        def restore() -> None:
            if value._version != version:
                with torch.no_grad():
                    value.copy_(copy)
            if value.is_leaf and value.requires_grad != flag:
                value.requires_grad_(flag)

        self._restorers.append(restore)
