"""Layers from named tensors: which belong together, in which layout, and which only look recurrent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from unitcircle.checkpoints._coverage import Coverage, Entry
from unitcircle.checkpoints._families import plain_families_of
from unitcircle.checkpoints._forms import count_names
from unitcircle.checkpoints._framework_cells import flax_layer, keras_layer, matched, torch_layer
from unitcircle.checkpoints._framework_stacks import framework_layer
from unitcircle.checkpoints._gatewise import gatewise_layer
from unitcircle.checkpoints._hand_written_stacks import refuse_stack
from unitcircle.checkpoints._impostors import is_of_optimizer, suspicion
from unitcircle.checkpoints._inventory import Inventory
from unitcircle.checkpoints._layer_names import natural_order
from unitcircle.checkpoints._plain_cells import plain_layer, plain_layer_of_textbook
from unitcircle.checkpoints._siblings import note_unused
from unitcircle.checkpoints._structured_names import structured_layer
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.checkpoints._unread import UnreadFamilies
from unitcircle.errors import ArgumentError
from unitcircle.recurrence import RecurrentLayer


def assemble(
    tensors: Mapping[str, StoredTensor],
    /,
    *,
    file: str,
    texts: Mapping[str, str] | None = None,
    chosen: Sequence[RecurrentLayer] = (),
) -> tuple[list[RecurrentLayer], Coverage]:
    """Return the chosen layers and the recurrent layers among the other tensors, and what became of every tensor."""
    count_names(tensors)
    work = Inventory(tensors, file, texts or {})
    for layer in chosen:
        work.keep(layer)
    moments = _set_aside(work)
    failed: dict[str, str] = {}
    with np.errstate(all="ignore"):  # what overflows or is not a number is named by the findings
        for recognise in _RECOGNISERS:
            for name in list(work.free):
                if name in work.free:
                    _find(work, recognise, name, failed)
    note_unused(work)
    _say_what_is_unread(work, failed)
    return _in_order(work.layers, tensors), _coverage(work, moments)


def _in_order(layers: Sequence[RecurrentLayer], tensors: Mapping[str, StoredTensor]) -> list[RecurrentLayer]:
    """Return layers as the file has them; the alphabet, in which some formats sort, is no order of ``blocks.10``."""
    place = {name: index for index, name in enumerate(tensors)}
    layers = sorted(layers, key=lambda layer: place[layer.source.tensors[0]])
    names = [layer.source.tensors[0] for layer in layers]
    return (
        sorted(layers, key=lambda layer: natural_order(layer.source.tensors[0])) if names == sorted(names) else layers
    )


def _hand_written(work: Inventory, name: str) -> RecurrentLayer | None:
    if not work.is_matrix(name):
        return None
    for family in plain_families_of(name):
        match = matched(work, [family], name)
        layer = None if match is None else plain_layer(work, match)
        if layer is not None:
            return layer
    return plain_layer_of_textbook(work, name)


_RECOGNISERS: tuple[Callable[[Inventory, str], RecurrentLayer | None], ...] = (
    gatewise_layer,
    torch_layer,
    keras_layer,
    flax_layer,
    structured_layer,
    framework_layer,
    _hand_written,
)
"""What makes a layer of a name, in this order: ``Whh`` is a gate where ``Whr`` and ``Whz`` stand beside it."""


def _find(
    work: Inventory, recognise: Callable[[Inventory, str], RecurrentLayer | None], name: str, failed: dict[str, str]
) -> None:
    """Make the layer whose recurrent weight a tensor is, if its name says that it is one."""
    try:
        layer = recognise(work, name)
    except (ArgumentError, ValueError, IndexError) as error:
        text = str(error) if isinstance(error, ArgumentError) else f"its parts do not fit together ({error})"
        failed[name] = text
        work.skip(name, f"named as a recurrent weight, but: {text}", undecided=True)
        return
    if layer is not None:
        work.keep(layer)


def _set_aside(work: Inventory) -> list[str]:
    """Take out what cannot be a weight of its own: the state of optimizers, and second names of one memory."""
    first: dict[object, str] = {work.stored[name].identity: name for name in work.taken}
    moments: list[str] = []
    for name, tensor in list(work.free.items()):
        if is_of_optimizer(name):
            del work.free[name]
            if suspicion("hh", tensor):
                moments.append(name)
        elif tensor.identity is not None and first.setdefault(tensor.identity, name) != name:
            if suspicion("hh", tensor):
                work.skip(name, f"the same memory as {first[tensor.identity]}", undecided=False)
            else:
                del work.free[name]
    return moments


def _say_what_is_unread(work: Inventory, failed: Mapping[str, str]) -> None:
    linear = [name for layer in work.layers if layer.linear is not None for name in layer.source.tensors]
    families = UnreadFamilies(work.tensors, [*work.free, *failed], linear)
    work.unread |= dict.fromkeys(families.sentences)
    for name, tensor in list(work.free.items()):
        if not families.hold(name):
            refuse_stack(work, name)
        elif (verdict := suspicion(name, tensor)) is not None and verdict[1]:
            work.skip(name, "in a part that looks like another recurrence, which is not read", undecided=False)
    work.unread |= dict.fromkeys(
        families.named_only([*failed, *(name for name in work.tensors if name in work.skipped)])
    )
    for name, error in failed.items():
        if not families.hold(name):
            work.unread[f"{name} is named as a recurrent weight, but {error}: not read"] = None


def _coverage(work: Inventory, moments: Sequence[str]) -> Coverage:
    """Return what became of every tensor."""
    shape = {name: tensor.shape for name, tensor in work.stored.items()}
    for name, tensor in list(work.free.items()):
        verdict = suspicion(name, tensor)
        if verdict:
            work.skip(name, verdict[0], undecided=verdict[1])
    if moments:
        more = f", as {len(moments) - 1} more" if len(moments) > 1 else ""
        work.skip(moments[0], f"state of an optimizer, by its name{more}", undecided=False)
    skipped = {name: why for name, why in work.skipped.items() if name not in work.taken}
    return Coverage(
        analysed=tuple(Entry(name, shape[name], layer) for name, layer in work.taken.items()),
        skipped=tuple(Entry(name, shape[name], *skipped[name]) for name in shape if name in skipped),
        notes=tuple(work.notes),
        other=len(work.stored) - len(work.taken) - len(skipped),
        unread=tuple(work.unread),
    )
