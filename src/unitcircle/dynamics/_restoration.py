"""Measurement without side effects: training mode and random state are restored."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager

import torch
from torch import nn


@contextmanager
def evaluation_mode(module: nn.Module, /, *, random: bool = True) -> Generator[None]:
    """Measure in evaluation mode (no dropout, fixed running statistics), then restore."""
    training = [part for part in module.modules() if part.training]
    devices = {p.device.index or 0 for p in module.parameters() if p.device.type == "cuda"}
    with ExitStack() as stack:
        if random:
            stack.enter_context(torch.random.fork_rng(sorted(devices)))
        try:
            for part in training:
                part.training = False
            yield
        finally:
            for part in training:
                part.training = True
