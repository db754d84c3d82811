"""The tensors inside the records of a pickle, by the names a state dict would give them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._impostors import RECURRENT
from unitcircle.checkpoints._pickle import Inert
from unitcircle.checkpoints._pickled_arrays import array_of
from unitcircle.checkpoints._quantized import packed_parameters, with_usual_names
from unitcircle.checkpoints._room import take
from unitcircle.checkpoints._sparse import MAX_ENTRIES
from unitcircle.checkpoints._tensor import StoredTensor

MAX_NAME = 1000
"""Characters of a name: names of nested containers would otherwise grow as the square of the file."""
MAX_DEPTH = 1000
"""Levels of objects inside of objects."""
COST_OF_NAME = 100
"""Bytes that Python keeps for the name of a tensor besides its letters."""
MAX_SENTENCES = 20
"""Remarks about single tensors."""
_TRANSPARENT = {"_parameters", "_buffers", "_modules", "_params", "_hypers"}
_SWITCHES = {"mode", "nonlinearity", "bidirectional"}
_NUMBERS = {"leak", "leaky", "leak_rate", "leaking_rate", "leakage", "alpha", "tau", "dt", "decay"}
"""Names of numbers that a leaky or liquid cell needs."""
_MOMENT = re.compile(r"(?:^|\.)optim\w*(?:\.\d+)?\.state\.\d+\.\w+$", re.IGNORECASE)


@dataclass(frozen=True, eq=False, slots=True)
class Storage:
    """The bytes of one or several tensors in a file."""

    dtype: str
    key: str
    content: Any  # Returns the bytes as a memoryview


def named_tensors(root: Any, /, *, alone: str = "array") -> Contents:
    """Return every tensor that an object holds (``alone``, if it is one), and what says how a layer works."""
    walk = _Walk(alone)
    walk.visit(root)
    tensors, notes = with_usual_names(walk.tensors, walk.texts)
    if walk.moments:
        notes.append(f"{walk.moments} moments of an optimizer are left out")
    return Contents(tensors, walk.texts, notes=(*notes, *walk.notes), unread=tuple(walk.unread))


@dataclass
class _Walk:
    alone: str
    tensors: dict[str, StoredTensor] = field(default_factory=dict[str, StoredTensor])
    texts: dict[str, str] = field(default_factory=dict[str, str])
    notes: dict[str, None] = field(default_factory=dict[str, None])
    unread: dict[str, None] = field(default_factory=dict[str, None])
    moments: int = 0
    entries: int = field(default_factory=lambda: MAX_ENTRIES)

    def visit(self, root: Any) -> None:
        """Collect what is below an object."""
        # A module's attributes count as a dictionary, and its _parameters, _buffers and _modules add no
        # part to the name: a whole pickled module gives the names of its state dict. Every container is visited once.
        seen: set[int] = set()
        made: dict[int, Any] = {}
        wrapped = isinstance(root, Inert) and any(key == "state_dict" for key, _ in root.entries)
        ahead: list[Iterator[tuple[str, Any]]] = [iter([("", root)])]
        while ahead:
            name, value = next(ahead[-1], (None, None))
            if name is None:
                ahead.pop()
                continue
            if isinstance(value, Inert) and value.name and not value.entries:
                if id(value) not in made:
                    made[id(value)] = packed_parameters(value) or array_of(value)
                value = made[id(value)] or value
            if isinstance(value, Inert | list | tuple):
                if id(value) not in seen and len(ahead) < MAX_DEPTH:
                    seen.add(id(value))
                    ahead.append(self.below(name, value, wrapped=wrapped and value is root))
            elif isinstance(value, StoredTensor):
                self.keep(name, value)
            elif isinstance(value, str | bool):
                self.texts[name] = str(value)
            elif isinstance(value, int | float):
                self.keep(name, StoredTensor((), "float64", partial(np.asarray, value, np.float64)))

    def below(
        self, name: str, value: Inert | list[Any] | tuple[Any, ...], *, wrapped: bool
    ) -> Iterator[tuple[str, Any]]:
        """Yield what an object holds, with names, as far as it can be of interest."""
        if isinstance(value, Inert) and value.arguments:
            self.trace(name, value)
        if isinstance(value, Inert) and value.name.startswith("reservoirpy."):
            _name_leak(value.state)
        for key, child in _children(value):
            if not _matters(key, child, name):
                continue
            if wrapped and (key == "state_dict" or isinstance(child, int | float)):
                if key == "state_dict":
                    yield name, child
            elif len(name) + (len(key) if isinstance(key, str) else 20) < MAX_NAME:
                yield _join(name, key), child

    def keep(self, name: str, tensor: StoredTensor) -> None:
        """Record a tensor under a name that is still free."""
        if _MOMENT.search(name):
            self.moments += 1
            return
        match tensor.identity:
            case ("sparse", *_):
                self.entries -= math.prod(tensor.shape)
                if self.entries < 0:
                    sentence = f"{name or self.alone}: a sparse matrix of shape {tensor.shape}, too large: not read"
                    self.say("recurrent" if len(set(tensor.shape)) == 1 else name, sentence)
                    return
            case _:
                pass
        take(len(name) + COST_OF_NAME, "the names of its tensors")
        name = name or self.alone
        self.tensors[name if name not in self.tensors else f"{name}#{len(self.tensors)}"] = tensor

    def trace(self, name: str, call: Inert) -> None:
        """Say that a call holds a tensor and is not known."""
        if any(isinstance(argument, Storage) for argument in call.arguments):
            self.say(name, f"{name or self.alone}: made by {call.name:.200}, which is not known here: not read")
        elif any(isinstance(argument, StoredTensor) for argument in call.arguments):
            self.notes[
                f"made by {call.name:.200}, which is not known here: its tensors are read as they are stored"
            ] = None

    def say(self, name: str, sentence: str) -> None:
        """Record what was not read, by its name as something recurrent or as a remark."""
        sentences = self.unread if RECURRENT.search(name) else self.notes
        if len(sentences) < MAX_SENTENCES:
            sentences[sentence] = None


def _children(value: Inert | list[Any] | tuple[Any, ...]) -> Iterator[tuple[Any, Any]]:
    if not isinstance(value, Inert):
        yield from enumerate(value)
        return
    for index, (key, item) in enumerate(value.entries):
        yield index if key is None else key, item
    for state in value.state if isinstance(value.state, tuple) else (value.state,):
        yield None, state
    for argument in value.arguments:
        # Python 2 writes an ordered dictionary as a call with a list of pairs.
        if value.name == "collections.OrderedDict" and isinstance(argument, list):
            yield from ((pair[0], pair[1]) for pair in argument if isinstance(pair, list | tuple) and len(pair) == 2)
        else:
            yield None, argument


def _name_leak(state: Any) -> None:
    """Call the leaking rate of a reservoir so; reservoirpy calls it lr."""
    for part in [state, *(item for key, item in state.entries if key == "_hypers")] if isinstance(state, Inert) else []:
        if isinstance(part, Inert):
            part.entries = [("leak" if key == "lr" else key, item) for key, item in part.entries]


def _matters(key: Any, child: Any, name: str) -> bool:
    if isinstance(child, StoredTensor):
        return True
    if isinstance(child, Inert):
        return bool(child.name or child.entries or child.state)
    if isinstance(child, list | tuple):
        return len(child) > 0
    return isinstance(key, str) and _says_how(key, child, name)


def _says_how(key: str, child: Any, name: str) -> bool:
    """Whether a text or a number says how a recurrent layer works."""
    if isinstance(child, str | bool):
        return key in _SWITCHES and len(str(child)) < MAX_NAME
    number = isinstance(child, float) or (isinstance(child, int) and child.bit_length() < 64)
    return number and key in _NUMBERS and "param_groups" not in name


def _join(name: str, key: Any) -> str:
    if key is None or (isinstance(key, str) and key in _TRANSPARENT):
        return name
    part = str(key) if isinstance(key, str | int) and not (isinstance(key, int) and key.bit_length() > 63) else "?"
    part = part.encode("utf-8", "replace").decode()  # half of a surrogate pair cannot be printed
    return f"{name}.{part}" if name else part
