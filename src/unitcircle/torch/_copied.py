"""A copy of a module."""

from __future__ import annotations

import copy

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from unitcircle.errors import ArgumentError


def copied(model: nn.Module, /) -> nn.Module:
    """Return a deep copy, in which tensors that were computed from parameters are values.

    Parameters
    ----------
    model
        A module.

    Returns
    -------
    torch.nn.Module
        The copy.

    Raises
    ------
    ArgumentError
        The module cannot be copied.

    Examples
    --------
    >>> model = nn.Linear(2, 2)
    >>> copied(model) is model
    False
    """
    # copy.deepcopy refuses tensors of a graph, such as a weight that a hook of weight_norm has computed.
    computed = [leaf for part in model.modules() for leaf in pytree.tree_leaves(vars(part)) if isinstance(leaf, Tensor)]
    memo = {id(tensor): tensor.detach().clone() for tensor in computed if not tensor.is_leaf}
    try:
        return copy.deepcopy(model, memo)
    except Exception as error:
        cause = f"{type(error).__name__}: {error}"
        raise ArgumentError("model", "must allow copy.deepcopy", cause, "Its copy is measured or changed.") from error
