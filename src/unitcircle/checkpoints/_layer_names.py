"""Names of layers that a person recognises: those of the module, without what wraps it."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import replace
from itertools import chain, count

from unitcircle.recurrence import Cell, RecurrentLayer

_WRAPPER = re.compile(r"(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)[./]")
_LEADING = re.compile(r"(?:state_dict|model_state_dict|model_state|params|module|model)[./](?=.)", re.DOTALL)
_WEIGHT = re.compile(r"(^|[./])(?:[WwUu]|weights?|kernel|lin|linear|fc)$")
_BARE = {Cell.LSTM: "lstm", Cell.GRU: "gru"}


def natural_order(name: str, /) -> list[tuple[int, str]]:
    """Return the key that sorts names with their numbers as numbers: ``blocks.2`` before ``blocks.10``."""
    parts = re.split(r"(\d+)", name)
    return [(len(part), part) if place % 2 else (0, part) for place, part in enumerate(parts)]


def layer_name(prefix: str, cell: Cell, weight: str = "", /) -> str:
    """Return the name of a layer, from what its tensors' names have in common, or else its weight or its kind."""
    name = _WEIGHT.sub(r"\1", _WRAPPER.sub("", prefix).rstrip("./_")).rstrip("./_")
    while (shorter := _LEADING.sub("", name, count=1) if _LEADING.match(name) else name) != name:
        name = shorter
    return name or weight.removesuffix(".weight").removesuffix(":0") or _BARE.get(cell, "rnn")


def distinct(layer: RecurrentLayer, labels: Container[str], /) -> RecurrentLayer:
    """Return a layer that has none of the labels: under the name of its first tensor where its own is one of them."""
    names = [layer.name, re.sub(r"[./](weight|kernel)$", "", layer.source.tensors[0])]
    more = (f"{names[1]}#{number}" for number in count(2))
    named = (layer if name == layer.name else replace(layer, name=name) for name in chain(names, more))
    return next(one for one in named if one.label not in labels)
