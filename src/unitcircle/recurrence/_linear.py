"""Layers of the families of linear recurrences, at rest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unitcircle._array import to_numpy
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.recurrence._cell import Cell
from unitcircle.recurrence._layer import RecurrentLayer
from unitcircle.recurrence._linear_families import LINEAR_FAMILIES
from unitcircle.recurrence._linear_recurrence import LinearRecurrence, in_double
from unitcircle.recurrence._source import layer_options


def from_linear(
    family: str,
    parameters: Mapping[str, Any],
    /,
    *,
    names: Mapping[str, str] | None = None,
    dtypes: Mapping[str, str] | None = None,
    inputs: Any = None,
    **options: Any,
) -> RecurrentLayer:
    """Return the recurrence of a linear family at rest: every input-dependent pre-activation is 0.

    Parameters
    ----------
    family
        A key of :data:`LINEAR_FAMILIES`: ``"Gated DeltaNet"``, ``"RWKV-7"``, ...
    parameters
        The parameters of the decay by the names in ``LINEAR_FAMILIES[family].parameters``.
    names, dtypes
        Their names and element types in the file; those of ``parameters`` by default.
    inputs
        Input weight ``(n, m)``, or None, as in most families, where it depends on the input.
    **options
        ``name``, ``layer``, ``source`` of :class:`RecurrentLayer`.

    Returns
    -------
    RecurrentLayer
        A layer of kind ``diagonal`` with λ at rest, whose ``linear`` holds what is stored.

    Raises
    ------
    UnknownNameError
        No such family.
    ArgumentError
        A parameter is missing, or the parameters do not fit together.

    Examples
    --------
    >>> layer = from_linear("RWKV-5", {"time_decay": [[0.0, -5.0]]})
    >>> layer.linear.memory.round(1).tolist(), layer.linear.size
    ([[1.0, 148.4]], '1 head x 2')
    """
    if family not in LINEAR_FAMILIES:
        raise UnknownNameError("family", family, LINEAR_FAMILIES)
    row = LINEAR_FAMILIES[family]
    if missing := [name for name in row.parameters if name not in parameters]:
        raise ArgumentError("parameters", f"must hold {', '.join(row.parameters)} of {family}", f"no {missing[0]}")
    stored = {name: to_numpy(value, argument=name) for name, value in parameters.items()}
    try:
        with np.errstate(all="ignore"):  # what is infinite or not a number is named by the findings
            logs = np.atleast_1d(row.log_rest({name: in_double(value) for name, value in stored.items()}))
            eigenvalues = np.exp(logs)
    except (ValueError, TypeError, IndexError) as error:
        shapes = ", ".join(f"{name} {value.shape}" for name, value in stored.items())
        raise ArgumentError("parameters", f"must fit together as in {family}", shapes) from error
    recurrence = LinearRecurrence(
        family=row,
        log_eigenvalues=logs,
        parameters=stored,
        dtypes=dtypes or {name: value.dtype.name for name, value in stored.items()},
        names=names or {name: name for name in stored},
    )
    first = next(iter(stored.values()))
    return RecurrentLayer(
        cell=Cell.DIAGONAL,
        diagonal=eigenvalues.ravel(),
        inputs={} if inputs is None else {"h": to_numpy(inputs, argument="inputs")},
        linear=recurrence,
        **layer_options(options, row.layout, first),
    )
