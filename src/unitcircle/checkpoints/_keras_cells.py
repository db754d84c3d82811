"""Recurrent cells in Keras files that are none of Keras' own three: where they are and what they look like."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

STANDARD_LEAVES = frozenset({"kernel", "recurrent_kernel", "bias"})
_OF_KERAS = re.compile(r"(simple_rnn|gru|lstm)_cell(_\d+)?")
_LAYER = re.compile(r"(simple_rnn|gru|lstm)(_\d+)?")
_CONTAINER = re.compile(r"cell|cells|stacked_rnn_cells(_\d+)?")
_KERAS_1 = re.compile(r".+_([WUb])(?:_([ifcozrh]))?")
_CELL = re.compile(r"(.+_)?cell(_\d+)?")
_RNN = re.compile(r"rnn(_\d+)?")
_RANDOM = re.compile(r"(^|/)(seed_generator|random_generator)(_\d+)?(/|$)")
_FAMILIES = (
    (r"cf_?c(_|$)", "a CfC"),
    (r"gru_?ode|ode_?gru", "a GRU-ODE"),
    (r"ct_?rnn", "a CT-RNN"),
    (r"ct_?gru", "a CT-GRU"),
    (r"(^|_)ode(_|$|cell|rnn|lstm)", "an ODE cell"),
    (r"(^|_)ltc|liquid", "an LTC"),
    (r"(^|_)lmu", "an LMU"),
    (r"phased_?lstm", "a phased LSTM"),
    (r"leaky_?(rnn|esn)|(^|_)esn(_|$)", "a leaky or echo-state cell"),
    (r"peephole", "a peephole LSTM"),
    (r"conv_?lstm|conv_?gru", "a convolutional cell"),
    (r"ind_?rnn", "an IndRNN"),
    (r"(^|_)mgu(_|$)|minimal_?(gated|gru)", "a minimal gated unit"),
)
"""Words in the name of a cell or of its class -> its family."""
_OF_NCPS = (
    ", since weights alone, or those of another library, do not say how its arrays enter its equation; "
    "a whole model of ncps.keras does"
)
_SHOWN = 8


@dataclass
class CustomCell:
    """A cell whose equation only its program knows, and the arrays below it."""

    place: str  # Names of its layer and itself, joined by slashes
    kind: str = ""  # Name of its class where the configuration has it
    arrays: dict[str, str] = field(default_factory=dict[str, str])  # Their names below it -> in the file
    reason: str = ""  # Why it is not read, where its class is known

    @property
    def sentence(self) -> str:
        """What it looks like, for the coverage."""
        shown = ", ".join(list(self.arrays)[:_SHOWN])
        more = f", {len(self.arrays) - _SHOWN} more" if len(self.arrays) > _SHOWN else ""
        family = family_of(f"{self.place}/{self.kind}")
        words = f", {family} by its name" if family else ""
        words += f", of the class {self.kind}" if self.kind else ""
        missing = f" ({self.reason})" if self.reason else _OF_NCPS if family in {"a CfC", "an LTC"} else ""
        return f"{self.place} looks like a recurrent cell of its own{words} ({shown}{more}): not read{missing}"


def family_of(name: str, /) -> str:
    """Return the family that the names of a cell, its layer and its class say it is of; empty where they say none."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    words = [part for part in snake.split("/") if part]
    found = (family for part in reversed(words) for pattern, family in _FAMILIES if re.search(pattern, part))
    return next(found, "")


def parts_of(path: str, /) -> list[str]:
    """Return the names in the path of a group, without "layers" and without what repeats."""
    parts = [part for part in path.split("/") if part != "layers"]
    parts = [part for part, before in zip(parts, [None, *parts], strict=False) if part != before]
    # Keras 3 writes layer/model/layer/cell into HDF5, Keras 2 layer/layer/cell.
    return parts[2:] if parts[2:3] == parts[:1] else parts


def homes(groups: Iterable[str], /) -> frozenset[str]:
    """Return the places, at any depth, below which there is a cell that may be one of Keras' own."""
    found: set[str] = set()
    for path in groups:
        parts = parts_of(path)
        if any(_OF_KERAS.fullmatch(part) or _LAYER.fullmatch(part) for part in parts[1:]):
            found |= {"/".join(parts[:count]) for count in range(1, len(parts) + 1)}
    return frozenset(found)


def custom_cell(path: str, leaves: Iterable[str], below: Sequence[str], known: Container[str], /) -> str:
    """Return the place of the cell that a group belongs to, by names alone; empty where it may be one of Keras' own."""
    # below: paths of the groups below it; known: places that hold a cell of Keras.
    parts = parts_of(path)
    last = parts[-1] if parts else ""
    if _OF_KERAS.fullmatch(last) and STANDARD_LEAVES.issuperset(leaves):
        return ""  # the hidden cell of an LMU is one of Keras' own, whatever is around it
    for place, part in enumerate(parts):
        if place and _CELL.fullmatch(part) and not _CONTAINER.fullmatch(part) and not _OF_KERAS.fullmatch(part):
            return "/".join(parts[: place + 1])
        if _RNN.fullmatch(part) and parts[place + 1 :] and (here := "/".join(parts[: place + 1])) not in known:
            return "/".join(parts[: place + 2]) if family_of(parts[place + 1]) else here
    names = set(leaves)
    numbered = all(name.isdigit() for name in names)
    if "recurrent_kernel" not in names and not (numbered and last == "cell"):
        return ""
    strange = len(names) > len(STANDARD_LEAVES) if numbered else bool(names - STANDARD_LEAVES)
    subgroups = any(not _RANDOM.search(one) for one in below)
    return "/".join(parts) if strange or subgroups or family_of("/".join(parts)) else ""


def inside(cells: Container[str], path: str, known: Container[str], /) -> str:
    """Return the innermost of some cells that a group is below; empty where it is, or holds, a cell of Keras."""
    parts = parts_of(path)
    if "/".join(parts) in known:
        return ""
    above = ("/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))
    return next((place for place in above if place in cells), "")


def keras_1_stacks(leaves: Iterable[str], /) -> tuple[str, dict[str, list[str]]]:
    """Return the gates of a layer of Keras 1, and the leaves of W, U and b in their order; empty for other groups."""
    # "lstm_1_U_f", or "simplernn_1_U": one array for every gate.
    found = {match.groups(): leaf for leaf in leaves if (match := _KERAS_1.fullmatch(leaf)) is not None}
    for gates in (("i", "f", "c", "o"), ("z", "r", "h"), (None,)):
        stacks = {part: [found[part, gate] for gate in gates if (part, gate) in found] for part in "WUb"}
        if len(found) == 3 * len(gates) == sum(map(len, stacks.values())):
            return "".join(gate or "h" for gate in gates), stacks
    return "", {}


def is_of_keras(path: str, /) -> bool:
    """Whether a group has the name that Keras gives one of its own cells."""
    return _OF_KERAS.fullmatch(path.rpartition("/")[2]) is not None


def relative_leaves(place: str, path: str, leaves: Mapping[str, str], /) -> dict[str, str]:
    """Return the names of the arrays of a group below the cell that it belongs to -> in the file."""
    below = "/".join(parts_of(path)).removeprefix(place).strip("/")
    return {f"{below}/{leaf}" if below else leaf: array for leaf, array in leaves.items()}


def sounds_recurrent(name: str, /) -> bool:
    """Whether the name of a layer says that it is recurrent."""
    return bool(family_of(name) or re.search(r"rnn|lstm|gru|recurrent|(^|_)cell", name.lower()))
