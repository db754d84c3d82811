"""Plain cells, leaky ones and reservoirs: one square recurrent matrix, by the names that people give it."""

from __future__ import annotations

import re

from unitcircle.checkpoints._families import Family, Match
from unitcircle.checkpoints._gate_blocks import vector
from unitcircle.checkpoints._inventory import Inventory, module_of
from unitcircle.checkpoints._time_constants import leak_of
from unitcircle.recurrence import Cell, RecurrentLayer, from_torch

_ASSUMED_COLUMNS = "hand-written plain cells are taken to act on columns; their spectra are the same either way"
_ASSUMED_WITHOUT_LEAK = "hand-written plain cells whose file holds no leak are taken without one"


def plain_layer(work: Inventory, match: Match, /) -> RecurrentLayer | None:
    """Return the plain cell of a square matrix, with the leak that stands beside it, or None where it is none."""
    name, shape = match.recurrent, work.shape(match.recurrent)
    if len(set(shape)) != 1 or shape[0] < 2:
        return None
    n = shape[0]
    # Names like "bias" are so common that only the shape shows whether they belong here.
    biases = [full if vector(work, full, n) is not None else None for full in match.biases]
    inputs = match.inputs if match.inputs and work.is_matrix(match.inputs) and n in work.shape(match.inputs) else None
    if match.family.needs_input and inputs is None:
        return None
    if match.family.evidence and not any(
        re.search(match.family.evidence, full) for full in work.free_below(match.prefix)
    ):
        return None
    recurrent, input_weight, layout = work.load(name), work.load(inputs), "columns?" if match.family.by_hand else ""
    if input_weight is not None and input_weight.shape != (n, n):
        # The input weight tells on which side the author writes the state.
        layout = "rows" if len(input_weight) != n else "columns" if match.family.by_hand else ""
        if layout == "rows":
            recurrent = recurrent if match.family.state_on_columns else recurrent.T
            input_weight = input_weight.T
    if layout == "columns?":
        work.notes[_ASSUMED_COLUMNS] = None
    activation = work.plain_activation(match.prefix)
    places = tuple(dict.fromkeys((match.prefix, module_of(match.prefix))))
    leak, used, unknown = leak_of(work, places, n, reservoir=match.family.reservoir, textbook=match.family.textbook)
    unknown = unknown or (match.family.leaky and not used)
    leaky = unknown or bool(used)
    if match.family.by_hand and not leaky:
        work.notes[_ASSUMED_WITHOUT_LEAK] = None
    cell = Cell.LEAKY_RNN if leaky else Cell.plain(activation)
    tensors = [full for full in (name, inputs, *biases) if full]
    return from_torch(
        recurrent,
        cell=cell,
        weight_ih=input_weight,
        bias_ih=vector(work, biases[0], n),
        bias_hh=vector(work, biases[1], n),
        name=work.layer_name(match.prefix, cell, name[len(match.prefix) :] if match.family.by_hand else ""),
        layer=match.layer,
        direction="reverse" if match.reverse else "forward",
        leak=leak,
        activations={"h": activation},
        unknown=frozenset({"leak"} if unknown else ()),
        source=work.source([*tensors, *used], layout),
    )


def plain_layer_of_textbook(work: Inventory, name: str, /) -> RecurrentLayer | None:
    """Return the cell of ``U (n, m)``, ``V (m, n)`` and ``W (n, n)``, where W acts on the state and V reads it out."""
    prefix, leaf = name[:-1], name[-1:]
    if leaf not in {"W", "w"} or (prefix and prefix[-1] not in "./_"):
        return None
    U, V = (prefix + (letter if leaf == "W" else letter.lower()) for letter in "UV")
    n = work.shape(name)[0]
    if not (work.is_matrix(U) and work.is_matrix(V) and work.shape(U)[0] == n == work.shape(V)[1]):
        return None
    if work.shape(name) != (n, n) or work.shape(U) == (n, n):
        return None
    return plain_layer(work, Match(_TEXTBOOK, prefix, name, U, None))


_TEXTBOOK = Family("W", ("U",), textbook=True)
