"""Tensors from what a caller passes: dense ones of numbers, or an error that names the argument."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from unitcircle.errors import DtypeError


def dense(value: Any, /, *, argument: str) -> torch.Tensor:
    """Return an array of any library, or nested lists of numbers, as a dense tensor with values.

    Parameters
    ----------
    value
        A tensor, which is returned as it is, or what :func:`torch.as_tensor` takes.
    argument
        Name of the argument, for the error.

    Returns
    -------
    torch.Tensor
        The values, in the element type they have.

    Raises
    ------
    DtypeError
        It is sparse, nested, quantized, on the meta device, or holds no numbers that torch knows.

    Examples
    --------
    >>> dense([[1.0, 2.0]], argument="W").shape
    torch.Size([1, 2])
    """
    rule = "must be a dense tensor of numbers"
    if isinstance(value, np.ndarray) and not value.flags.writeable:
        value = value.copy()
    try:
        tensor = torch.as_tensor(value)
    except Exception as error:  # conversions of the caller's own objects may raise anything
        raise DtypeError(argument, rule, _sort(value)) from error
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_quantized or tensor.is_meta:
        raise DtypeError(argument, rule, _sort(tensor))
    return tensor


def real(value: Any, /, *, argument: str) -> torch.Tensor:
    """Return a dense tensor, as :func:`dense` does, and refuse a complex one.

    Returns
    -------
    torch.Tensor
        The tensor.

    Raises
    ------
    DtypeError
        The array is complex.

    Examples
    --------
    >>> real([[1.0, 2.0]], argument="W").shape
    torch.Size([1, 2])
    """
    tensor = dense(value, argument=argument)
    if tensor.is_complex():
        raise DtypeError(argument, "must be real", f"dtype {tensor.dtype}")
    return tensor


def require_tensor(value: Any, /, *, argument: str, floating: bool = True) -> torch.Tensor:
    """Return a tensor that a function differentiates or fills in place, or refuse what is none."""
    if not isinstance(value, torch.Tensor):
        raise DtypeError(argument, "must be a tensor of torch", _sort(value))
    tensor = dense(value, argument=argument)
    if floating and (tensor.element_size() == 1 or not (tensor.is_floating_point() or tensor.is_complex())):
        raise DtypeError(argument, "must hold floating-point or complex numbers", f"dtype {tensor.dtype}")
    return tensor


def _sort(value: Any) -> str:
    """Return what a value is, for a message."""
    if isinstance(value, torch.Tensor):
        kind = "nested" if value.is_nested else "meta" if value.is_meta else str(value.layout).removeprefix("torch.")
        return f"a tensor that is {kind}, of {value.dtype}"
    dtype = getattr(value, "dtype", None)
    return f"{type(value).__qualname__}{'' if dtype is None else f' of {str(dtype)[:40]}'}"
