"""Parts of a layer that its file names and we do not know."""

from __future__ import annotations

from dataclasses import replace

from unitcircle.errors import UnknownNameError
from unitcircle.recurrence import RecurrentLayer, activation


def marked(layer: RecurrentLayer, /) -> RecurrentLayer:
    """Return a layer that says so where one of its activations, whose name it keeps, is not a function we know."""
    try:
        for name in layer.activations.values():
            activation(name)
    except UnknownNameError:
        return replace(layer, unknown=layer.unknown | {"activation"})
    return layer
