"""Fused layers as single nodes of the graph, for a run in which only what is around them matters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from unitcircle.dynamics._layers import is_fused
from unitcircle.torch import RecurrentTensors


class _Node(torch.autograd.Function):
    """A node that depends on some tensors, and cannot be differentiated."""

    @staticmethod
    def forward(_ctx: Any, run: Callable[[], tuple[Tensor, ...]], *_tensors: Tensor) -> tuple[Tensor, ...]:
        """Return what a layer computes."""
        return run()


@contextmanager
def opaque(model: nn.Module, known: Collection[str], /) -> Generator[None]:
    """Record each call of a fused layer with parameters that are known as one node of the graph."""
    replaced: list[nn.Module] = []
    try:
        for path, module in model.named_modules():
            names = {name for tensors in RecurrentTensors.of(module, path) for name in tensors.names.values()}
            if is_fused(module) and "forward" not in module.__dict__ and names & set(known):
                module.__dict__["forward"] = _forward(module)
                replaced.append(module)
        yield
    finally:
        for module in replaced:
            del module.__dict__["forward"]


def _forward(module: nn.RNNBase) -> Callable[..., Any]:
    own: Callable[..., Any] = type(module).forward

    def forward(input: Any, hx: Any = None) -> Any:  # noqa: A002  (torch's name)
        if not isinstance(input, Tensor):
            return own(module, input, hx)
        state = () if hx is None else hx if isinstance(hx, tuple) else (hx,)

        def run() -> tuple[Tensor, ...]:
            output, last = own(module, input, hx)
            return (output, *last) if isinstance(last, tuple) else (output, last)

        output, *last = _Node.apply(run, input, *state, *module.parameters())
        return output, tuple(last) if len(last) > 1 else last[0]

    return forward
