"""Normalization that has not seen any data yet, run as training runs it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.spectral_norm import SpectralNorm

_INSTANCE = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
_NORMALIZATION = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, *_INSTANCE)
CONVERGED = 0.99
"""Share of the largest singular value from which the estimate of spectral_norm counts as converged."""


@contextmanager
def batch_statistics(model: nn.Module, /) -> Generator[list[str]]:
    """Run normalization layers that hold their initial statistics (0, 1) with those of the batch; yield their names."""
    # Such statistics are never used in training, and scale the inputs by any factor.
    fresh = {name: module for name, module in model.named_modules() if _is_fresh(module)}
    used: list[str] = []
    handles: list[Any] = []
    try:
        for name, module in fresh.items():

            def hook(part: nn.Module, arguments: tuple[Any, ...], name: str = name) -> None:
                x = arguments[0]
                # One value a channel has no variance.
                part.training = x.numel() > x.shape[1] * (len(x) if isinstance(part, _INSTANCE) else 1)
                if part.training and name not in used:
                    used.append(name)

            handles.append(module.register_forward_pre_hook(hook))
        with _functional_statistics(used):
            yield used
    finally:
        for handle in handles:
            handle.remove()
        for module in fresh.values():
            module.training = False


@contextmanager
def _functional_statistics(used: list[str]) -> Generator[None]:
    """Do so where the code of a person calls the function with statistics of its own."""
    plain = functional.batch_norm

    def batch_norm(  # noqa: PLR0917  (torch's signature)
        input: Tensor,  # noqa: A002  (torch's name)
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        *rest: Any,
        **options: Any,
    ) -> Tensor:
        several = input.numel() > input.shape[1] if input.ndim > 1 else False
        if training or not several or not _are_initial(running_mean, running_var):
            return plain(input, running_mean, running_var, weight, bias, training, *rest, **options)
        if (said := "a call of torch.nn.functional.batch_norm") not in used:
            used.append(said)
        return plain(input, None, None, weight, bias, True, *rest, **options)

    functional.batch_norm = batch_norm
    try:
        yield
    finally:
        functional.batch_norm = plain


def _is_fresh(module: nn.Module) -> bool:
    if not isinstance(module, _NORMALIZATION):
        return False
    count = module.num_batches_tracked
    return (count is None or int(count) == 0) and _are_initial(module.running_mean, module.running_var)


def _are_initial(mean: Tensor | None, variance: Tensor | None) -> bool:
    return mean is not None and not bool(mean.any()) and (variance is None or bool((variance == 1).all()))


def converged_spectral_norms(model: nn.Module, tensors: dict[str, Tensor], /) -> list[str]:
    """Replace the singular vectors of hook-style spectral_norm that have not converged; return notes."""
    notes: list[str] = []
    for path, module in model.named_modules():
        for hook in vars(module)["_forward_pre_hooks"].values():
            if not isinstance(hook, SpectralNorm):
                continue
            weight, u, v = (f"{path}.{hook.name}_{part}".lstrip(".") for part in ("orig", "u", "v"))
            W = hook.reshape_weight_to_matrix(tensors[weight].detach())
            left, values, right = torch.linalg.svd(W, full_matrices=False)
            if abs(float(tensors[u] @ W @ tensors[v])) >= CONVERGED * float(values[0]):
                continue
            tensors[u], tensors[v] = left[:, 0].contiguous(), right[0].contiguous()
            notes.append(f"spectral_norm of {weight.removesuffix('_orig')} has not converged: run with its limit")
    return notes
