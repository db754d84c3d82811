"""Parts of a layer that its file names and we do not know."""

from __future__ import annotations

from dataclasses import replace

from unitcircle.recurrence import RecurrentLayer, is_known_activation


def marked(layer: RecurrentLayer, /) -> RecurrentLayer:
    """Return a layer that says so where one of its activations, whose name it keeps, is not a function we know."""
    known = all(map(is_known_activation, layer.activations.values()))
    return layer if known else replace(layer, unknown=layer.unknown | {"activation"})
