"""Which tensors of a file were read, which were not, and why."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from unitcircle._printable import printable, sentence

UNKNOWN_EQUATION = "of a recurrent cell whose equation is not in the file"
"""The reason for a tensor whose cell nobody can name by a layout."""


@dataclass(frozen=True)
class Entry:
    """One tensor of a file.

    Attributes
    ----------
    name
        Its name in the file.
    shape
        Its shape.
    reason
        Why it was skipped, as the rest of a sentence: "moment of an optimizer"; for one that was analysed, the
        layer it went into.
    undecided
        Whether a person should decide: it might be a recurrent weight, and the file does not say.

    Examples
    --------
    >>> Entry("exp_avg", (64, 64), "moment of an optimizer").undecided
    False
    """

    name: str
    shape: tuple[int, ...]
    reason: str
    undecided: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", sentence(self.reason))


@dataclass(frozen=True)
class Coverage:
    """The tensors of a file that were analysed, and those that were skipped, with the reason.

    Attributes
    ----------
    analysed
        The tensors that went into a layer.
    skipped
        The tensors that did not, but that might be taken for recurrent weights, each with the reason.
    notes
        Remarks about the whole file: "no recurrent node; looks like an unrolled LSTM".
    unread
        What looks recurrent and was not read, one sentence each: "this looks like RWKV-7 (w0, w1, w2, k_k): not read".
    other
        Number of further tensors, which cannot be recurrent weights: vectors, convolutions, embeddings.
    in_memory
        Whether the tensors were arrays in memory, whose reader is told what they are by ``tensors=`` and ``layout=``,
        and not by the options ``--tensor`` and ``--layout``.

    Examples
    --------
    >>> print(Coverage(skipped=(Entry("exp_avg", (64, 64), "moment of an optimizer"),), other=2))
    analysed 0 tensors, skipped 1, other 2
    skipped exp_avg (64, 64): moment of an optimizer
    """

    analysed: tuple[Entry, ...] = ()
    skipped: tuple[Entry, ...] = ()
    notes: tuple[str, ...] = ()
    other: int = 0
    unread: tuple[str, ...] = ()
    in_memory: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        texts = [as_keywords(text) for text in self.unread] if self.in_memory else self.unread
        object.__setattr__(self, "notes", tuple(map(sentence, self.notes)))
        object.__setattr__(self, "unread", tuple(map(sentence, texts)))

    @property
    def undecided(self) -> tuple[Entry, ...]:
        """The skipped tensors that a person should decide about."""
        return tuple(entry for entry in self.skipped if entry.undecided)

    def __str__(self) -> str:
        return "\n".join([*self.unread, *self.lines])

    @property
    def lines(self) -> list[str]:
        """What became of the tensors, a line each, without the sentences of ``unread``."""
        lines = [f"analysed {len(self.analysed)} tensors, skipped {len(self.skipped)}, other {self.other}"]
        lines += [f"skipped {entry.name} {_shape(entry.shape)}: {entry.reason}" for entry in self.skipped]
        return [*map(printable, lines), *self.notes, *map(printable, self._hints())]

    def _hints(self) -> list[str]:
        """Return how a person says that an undecided tensor is recurrent, where that leads to its cell."""
        hints: list[str] = []
        said = " ".join(self.unread)
        named = [one for one in self.undecided if _can_be_named(one) and f"recurrent={one.name}" not in said]
        for stacked, layout in ((False, "torch:CELL|keras:CELL"), (True, "ORDER, that of its gates: ifgo, zrn, ...")):
            entries = [one for one in named if (len({*one.shape}) > 1) is stacked]
            if entries:
                first = f"--tensor recurrent={entries[0].name},input=NAME,bias=NAME --layout {layout}"
                first = as_keywords(first) if self.in_memory else first
                hints.append(f"cannot tell whether {len(entries)} of them are recurrent; if one is: {first}")
        return hints

    @staticmethod
    def merged(parts: Iterable[Coverage], /) -> Coverage:
        """Return the coverage of several files, or parts of one, as one."""
        parts = tuple(parts)
        return Coverage(
            analysed=tuple(entry for part in parts for entry in part.analysed),
            skipped=tuple(entry for part in parts for entry in part.skipped),
            notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
            other=sum(part.other for part in parts),
            unread=tuple(dict.fromkeys(text for part in parts for text in part.unread)),
            in_memory=any(part.in_memory for part in parts),
        )


def as_keywords(text: str, /) -> str:
    """Return a text with Python's keywords in place of the options that say what is recurrent."""

    def keywords(match: re.Match[str]) -> str:
        roles = [role.partition("=") for role in match[1].split(",")]
        names = ", ".join(f'"{role}": {name if name == "NAME" else json.dumps(name)}' for role, _, name in roles)
        return f'tensors={{{names}}}, layout="{match[2]}"'

    return re.sub(r"--tensor (\S+) --layout ([^\s,;]+)", keywords, text)


def _can_be_named(entry: Entry) -> bool:
    """Return whether a person can say what the tensor is: a square matrix, or the stack of a GRU or an LSTM."""
    short, long = min(entry.shape, default=0), max(entry.shape, default=0)
    blocks = long / short if len(entry.shape) == 2 and short else 0
    return blocks in {1, 3, 4} and entry.reason != UNKNOWN_EQUATION


def _shape(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ")"
