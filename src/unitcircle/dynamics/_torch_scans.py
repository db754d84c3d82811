"""The scans of torch, which run as one operation, run step by step instead: then their steps can be seen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

_SCAN, _ASSOCIATIVE = "torch._higher_order_ops.scan", "torch._higher_order_ops.associative_scan"


@contextmanager
def scans_as_loops() -> Generator[None]:
    """Run ``scan`` and ``associative_scan`` of ``torch._higher_order_ops`` as loops, where they are loaded."""
    replaced = ((_SCAN, "_maybe_compile_and_run_fn", _scan), (_ASSOCIATIVE, "generic_associative_scan", _associative))
    with ExitStack() as stack:
        for module, name, plain in replaced:
            found: Any = sys.modules.get(module)
            if hasattr(found, name):
                stack.callback(setattr, found, name, getattr(found, name))
                setattr(found, name, plain)
        yield


def _scan(
    _run: Any, combine: Callable[..., tuple[Any, Any]], state: Sequence[Tensor], xs: Sequence[Tensor]
) -> tuple[Any, Any]:
    """Return the last carry and the stacked outputs of ``carry, out = combine(*carry, *x)``."""
    carry: Any = None
    outputs: list[Any] = []
    for t in range(len(xs[0])):
        carry, out = combine(*state, *(x[t] for x in xs))
        state = pytree.tree_leaves(carry)
        outputs.append(out)
    return carry, pytree.tree_map(
        lambda *leaves: torch.stack(leaves) if isinstance(leaves[0], Tensor) else leaves[0], *outputs
    )


def _associative(
    combine: Callable[..., Sequence[Tensor]], xs: Sequence[Tensor], dim: int = 0, additional_inputs: Sequence[Any] = ()
) -> list[Tensor]:
    """Return ``x_1, x_1 ∘ x_2, (x_1 ∘ x_2) ∘ x_3, …``, which an associative operation makes in any order."""
    parts = [x.split(1, dim) for x in xs]
    state: Sequence[Tensor] = [x[0] for x in parts]
    states: list[Sequence[Tensor]] = [state]
    for t in range(1, len(parts[0])):
        state = combine(*state, *(x[t] for x in parts), *additional_inputs)
        states.append(state)
    return [torch.cat(column, dim) for column in zip(*states, strict=True)]
