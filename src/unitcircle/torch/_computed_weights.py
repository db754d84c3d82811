"""Weights that a module computes from other parameters: writing through the map, and reading back."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.weight_norm import WeightNorm

from unitcircle.errors import ArgumentError

ROUNDING = 64.0
"""Units in the last place, times √n, by which a weight read back may differ from the one written."""


def is_computed(module: nn.Module, name: str, /) -> bool:
    """Whether a tensor of a module is computed from other parameters, so that writing into it has no effect."""
    held = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    shared = getattr(module, name)
    return all(shared is not tensor for _, tensor in held)


def require_writable(module: nn.Module, name: str, place: str, /) -> None:
    """Refuse a computed tensor that cannot be written through the map that computes it."""
    if not is_computed(module, name) or _weight_norm_of(module, name) is not None:
        return
    if not parametrize.is_parametrized(module, name):
        _refuse(place, "which is computed from other parameters", "Initialize it before it is replaced.")
    maps: Any = module.get_submodule(f"parametrizations.{name}")
    for part in maps:
        if not hasattr(part, "right_inverse"):
            _refuse(
                place, f"whose {type(part).__name__} has no right_inverse", "Initialize it before it is parametrized."
            )


@torch.no_grad()
def write_weight(module: nn.Module, name: str, value: Tensor, place: str, /) -> Tensor:
    """Give a tensor of a module a value, through what computes it, and return the tensor read back.

    Parameters
    ----------
    module
        The module that has the tensor.
    name
        Its name there: ``"weight_hh_l0"``.
    value
        The value.
    place
        Its name in messages.

    Returns
    -------
    torch.Tensor
        What the module then has under this name.

    Raises
    ------
    ArgumentError
        The map that computes the tensor has no inverse, or cannot produce the value. Nothing is then changed.

    Examples
    --------
    >>> rnn = torch.nn.RNN(2, 3)
    >>> _ = torch.nn.utils.parametrizations.orthogonal(rnn, "weight_hh_l0")
    >>> with torch.no_grad():
    ...     written = write_weight(rnn, "weight_hh_l0", torch.eye(3), "weight_hh_l0")
    >>> bool(torch.allclose(rnn.weight_hh_l0, torch.eye(3), atol=1e-6))
    True
    """
    if not is_computed(module, name):
        tensor: Tensor = getattr(module, name)
        if tensor is not value:
            tensor.copy_(value)
        return tensor
    require_writable(module, name, place)
    value = value.detach().clone()
    norm = _weight_norm_of(module, name)
    with restored_on_error(module):
        if norm is not None:
            getattr(module, f"{name}_v").copy_(value)
            getattr(module, f"{name}_g").copy_(torch.norm_except_dim(value, 2, norm.dim))
            setattr(module, name, norm.compute_weight(module))
        else:
            inverse: Any = module.get_submodule(f"parametrizations.{name}")
            try:
                inverse.right_inverse(value)
            except (RuntimeError, ValueError, NotImplementedError) as error:
                _refuse(place, f"whose map refuses it ({error})", "Initialize it before it is parametrized.")
        actual: Tensor = getattr(module, name)
        tolerance = ROUNDING * torch.finfo(value.dtype).eps * value.shape[-1] ** 0.5
        if not bool(torch.linalg.vector_norm(actual - value) <= tolerance * torch.linalg.vector_norm(value)):
            remedy = "Choose an initializer whose weights it can hold, or initialize before it is parametrized."
            _refuse(place, "whose map cannot produce such a weight", remedy)
    return actual


def has_gradient(module: nn.Module, name: str, /) -> bool:
    """Whether the gradient of a loss with respect to a tensor of a module can be read after a backward pass.

    Parameters
    ----------
    module
        The module that has the tensor.
    name
        Its name there.

    Returns
    -------
    bool
        True for a parameter, and for a weight that weight_norm computes.

    Examples
    --------
    >>> has_gradient(torch.nn.Linear(2, 2), "weight")
    True
    """
    return not is_computed(module, name) or _norm_and_direction(module, name) is not None


@torch.no_grad()
def gradient_of(module: nn.Module, name: str, /) -> Tensor | None:
    r"""Return ∂L/∂W of a tensor of a module after a backward pass; None where it is not known.

    With weight_norm, W = g v/‖v‖ row by row, the two gradients are its parts along v and across it:

    .. math:: \partial L/\partial W = (\partial L/\partial g)\, v/\|v\| + (\|v\|/g)\, \partial L/\partial v

    Parameters
    ----------
    module
        The module that has the tensor.
    name
        Its name there.

    Returns
    -------
    torch.Tensor or None
        The gradient, in the shape of the tensor.

    Examples
    --------
    >>> layer = torch.nn.Linear(2, 2, bias=False)
    >>> layer(torch.ones(1, 2)).sum().backward()
    >>> gradient_of(layer, "weight").tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """
    if not is_computed(module, name):
        return getattr(module, name).grad
    parts = _norm_and_direction(module, name)
    if parts is None:
        return None
    (g, v), (of_g, of_v) = parts, [part.grad for part in parts]
    if of_g is None or of_v is None:
        return None
    axes = [axis for axis in range(v.ndim) if g.ndim != v.ndim or g.shape[axis] == 1]
    length = torch.linalg.vector_norm(v, dim=axes, keepdim=True)
    return of_g * v / length + length / g * of_v


def _norm_and_direction(module: nn.Module, name: str) -> tuple[Tensor, Tensor] | None:
    """Return g and v of a weight that weight_norm computes, by its hook or its parametrization."""
    if _weight_norm_of(module, name) is not None:
        return getattr(module, f"{name}_g"), getattr(module, f"{name}_v")
    if not parametrize.is_parametrized(module, name):
        return None
    maps: Any = module.get_submodule(f"parametrizations.{name}")
    only = [type(part).__name__ for part in maps] == ["_WeightNorm"]
    return (maps.original0, maps.original1) if only else None


@contextmanager
def restored_on_error(module: nn.Module, /) -> Generator[None]:
    """Give every parameter and buffer of a module its value back where an argument is refused."""
    before = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    try:
        yield
    except ArgumentError:
        module.load_state_dict(before)
        for part in module.modules():
            for norm in _weight_norms(part):
                setattr(part, norm.name, norm.compute_weight(part))
        raise


def _weight_norms(module: nn.Module) -> list[WeightNorm]:
    """Return the hooks that normalize weights of a module."""
    return [hook for hook in vars(module)["_forward_pre_hooks"].values() if isinstance(hook, WeightNorm)]


def _weight_norm_of(module: nn.Module, name: str) -> WeightNorm | None:
    return next((norm for norm in _weight_norms(module) if norm.name == name), None)


def _refuse(place: str, arrived: str, remedy: str) -> NoReturn:
    rule = "must hold weights that can be written"
    raise ArgumentError("module", rule, f"{place}, {arrived}", remedy)
