"""Tensors beside a layer that by shape and place look like parts of it and were not used."""

from __future__ import annotations

import re
from dataclasses import replace

from unitcircle.checkpoints._impostors import is_of_optimizer, named_reason
from unitcircle.checkpoints._inventory import Inventory, module_of
from unitcircle.checkpoints._room import work as count
from unitcircle.checkpoints._time_constants import is_rate
from unitcircle.recurrence import RecurrentLayer

_STATE = re.compile(r"(?:^|[._])(?:[hc]_?0|[hc]x|init\w*|hidden|state|h_init|x0)$|mask|mean|var|count", re.IGNORECASE)
_ADDED = re.compile(r"(?:^|[._])(?:b|bias\w*|b_\w+|b[a-z])$", re.IGNORECASE)
_ENTERING = re.compile(
    r"(?:^|[._])(?:[wu]_?)?(?:in|input|ih|xh|x|fb|feedback|back|tau|leak|i)(?:\.weight)?$", re.IGNORECASE
)
_INSIDE = re.compile(r"norm|(?:^|[._])(?:ln|bn)\w*[._]|tau|leak|alpha|peep", re.IGNORECASE)
_NORM = re.compile(r"norm|(?:^|[._])(?:ln|bn)\w*[._]", re.IGNORECASE)
_READOUT = re.compile(r"(?:^|[._])[wbv]_?(?:y|hy|o|ho|out)$", re.IGNORECASE)
_LISTED = 6
_LOOKED_AT = 500
_STEPS = 5
"""Steps of work that it takes to look at a tensor beside a layer."""


def note_unused(work: Inventory, /) -> None:
    """Name, for each layer, the unused tensors beside it; with a normalization inside, its activation is unknown."""
    open_names = [name for name in work.free if not is_of_optimizer(name) and "object" not in work.free[name].dtype]
    beside: dict[str, list[str]] = {}
    for name in open_names:
        place = module_of(name)
        beside.setdefault(place, []).append(name)
        outer = module_of(place[:-1])
        if outer != place and _INSIDE.search(name[len(outer) :]):
            beside.setdefault(outer, []).append(name)
    for index, layer in enumerate(work.layers):
        if layer.linear is not None:  # what else its module holds does not change its eigenvalues at rest
            continue
        first = layer.source.tensors[0]
        place = module_of(first)
        if place.endswith(".") and re.search(r"\.(?:weight|kernel)$", first):
            place = module_of(place[:-1])  # the weight of a module of the cell
        looked_at = beside.get(place, ())[:_LOOKED_AT]
        count(_STEPS * len(looked_at), "the tensors beside its layers")
        names = [name for name in looked_at if _belongs(work, layer, name, name[len(place) :])]
        if not names:
            continue
        listed = ", ".join(f"{name[len(place) :]} {_shape(work.shape(name))}" for name in names[:_LISTED])
        more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
        verb = "was" if len(names) == 1 else "were"
        work.notes[f"layer {layer.label}: {listed}{more} {verb} not used"] = None
        for name in names:
            if work.is_matrix(name) and len(set(work.shape(name))) == 1 < work.shape(name)[0]:
                work.skip(name, f"beside layer {layer.label}, of a meaning that is not known", undecided=False)
        if place and any(_NORM.search(name[len(place) :]) for name in names):
            work.layers[index] = replace(layer, unknown=layer.unknown | {"activation"})


def _belongs(work: Inventory, layer: RecurrentLayer, name: str, leaf: str) -> bool:
    shape, n = work.shape(name), layer.hidden_size
    stack = max(1, len(layer.cell.gates)) * n
    extents = [extent for extent in shape if extent != 1]
    if _STATE.search(leaf) or 0 in shape or _READOUT.search(leaf) or named_reason(leaf):
        return False
    if not extents:
        return is_rate(leaf)
    if len(extents) == 1:
        # At the top of a file anything may be as long as the state.
        likely = _ADDED.search(leaf) or _INSIDE.search(leaf) or ("." not in leaf and leaf != name)
        return extents[0] in {n, stack, 2 * stack} and bool(likely)
    if len(extents) != 2:
        return False
    return (stack != n and stack in extents) or (n in extents and bool(_ENTERING.search(leaf) or _INSIDE.search(leaf)))


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"
