"""Names of cells with one matrix for each gate: ``Wf Wi Wc Wo``, ``U_z W_z``, ``W_hf W_xf``, ``forget_gate.weight``."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass

from unitcircle.recurrence import Cell

Words = Mapping[str, tuple[str, ...]]

_LSTM_LETTERS: Words = {
    "f": ("f", "F"),
    "i": ("i", "I"),
    "o": ("o", "O"),
    "g": ("c", "C", "g", "G", "a", "z", "j", "u"),
}
_LSTM_UPDATE: Words = {"f": ("f",), "i": ("u",), "o": ("o",), "g": ("c", "C")}
_LSTM_WORDS: Words = {
    "f": ("forget", "forgetgate", "forget_gate"),
    "i": ("input", "ingate", "in", "input_gate"),
    "o": ("output", "outgate", "out", "output_gate"),
    "g": ("cell", "candidate", "cand", "cell_candidate", "candidate_cell", "candidate_cell_state", "cell_state_update",
          "cell_state", "cell_update", "update", "new", "memory", "modulation", "cell_gate"),
}  # fmt: skip
_GRU_LETTERS: Words = {"r": ("r", "R"), "z": ("z", "u", "Z"), "n": ("h", "n", "c", "g", "H", "hh")}
_GRU_WORDS: Words = {
    "r": ("reset", "resetgate", "reset_gate"),
    "z": ("update", "updategate", "update_gate"),
    "n": ("candidate", "cand", "new", "hidden", "out", "output", "state", "memory", "h", "hidden_update", "h_tilde"),
}
_LETTERS = (_LSTM_LETTERS, _LSTM_UPDATE, _GRU_LETTERS)
_WORDS = (_LSTM_WORDS, _GRU_WORDS)


@dataclass(frozen=True)
class _Convention:
    """How the names of one gate's tensors are made of the word for the gate; more than one way for some."""

    recurrent: str
    inputs: tuple[str, ...] = ()  # Empty: one matrix acts on state and input side by side
    bias: tuple[str, ...] = ()
    recurrent_bias: tuple[str, ...] = ()
    peephole: tuple[str, ...] = ()
    exchangeable: bool = False  # Authors also write it the other way round
    rows: bool = False  # Whether its matrices act on rows


_PAIRS = (
    _Convention("W_h{}", ("W_x{}", "W_i{}"), ("b_{}", "b_i{}", "b_x{}", "bias_{}"), ("b_h{}",), ("W_c{}",)),
    _Convention("Wh{}", ("Wx{}", "Wi{}"), ("b{}", "bi{}", "bx{}"), ("bh{}",), ("Wc{}",)),
    _Convention("weight_h{}", ("weight_x{}", "weight_i{}"), ("bias_{}", "bias_i{}", "bias_x{}"), ("bias_h{}",)),
    _Convention("W_{}h", ("W_{}x", "W_{}i"), ("b_{}",), ("b_{}h",), ("W_{}c",)),
    _Convention("W{}h", ("W{}x", "W{}i"), ("b{}",), ("b{}h",), ("W{}c",)),
    _Convention("U_{}", ("W_{}",), ("b_{}",), (), ("V_{}", "P_{}", "p_{}"), exchangeable=True),
    _Convention("U{}", ("W{}",), ("b{}",), (), ("V{}", "P{}", "p{}"), exchangeable=True),
    _Convention("R_{}", ("W_{}",), ("b_{}",), ("br_{}",), ("p_{}",)),
    _Convention("R{}", ("W{}",), ("b{}",), (), ("p{}",)),
    _Convention("W_hid_to_{}", ("W_in_to_{}",), ("b_{}",), (), ("W_cell_to_{}",), rows=True),  # Lasagne
    _Convention(
        "{}_gate.recurrent_weights",
        ("{}_gate.weights",),
        ("{}_gate.bias",),
        (),
        ("{}_gate.peephole_weights",),
        rows=True,
    ),  # madmom
    _Convention("h2{}", ("x2{}", "i2{}")),
    _Convention("{}_h", ("{}_x", "{}_i")),
    _Convention("{}_hidden", ("{}_input",)),
    _Convention("hidden_{}", ("input_{}",)),
    _Convention("h{}", ("x{}",)),  # With "i{}" they are flax' own
    *(_Convention(f"{word}_h{{}}", (f"{word}_x{{}}", f"{word}_i{{}}")) for word in ("lin", "linear", "fc")),
    *(_Convention(f"{of}.{{}}", into) for of, into in (("h2h", ("x2h.{}", "i2h.{}")), ("h", ("x.{}", "i.{}")))),
    _Convention("hidden.{}", ("input.{}",)),  # Dictionaries of modules
)
_JOINT = (
    _Convention("W_{}", (), ("b_{}", "bias_{}")),
    _Convention("W{}", (), ("b{}",)),
    _Convention("weight_{}", (), ("bias_{}",)),
    *(
        _Convention(form)
        for form in ("{}_gate", "gate_{}", "{}_linear", "linear_{}", "fc_{}", "{}_layer", "lin_{}", "{}")
    ),
)
_END = re.compile(r"(?P<end>(?:[._]?\d{1,4})?(?:\.weight|[./]kernel|:0)?)$")
_LONGEST_END = 16


@dataclass(frozen=True)
class GateNames:
    """The names of the tensors of one cell: gate → name."""

    prefix: str
    cell: Cell
    recurrent: Mapping[str, str]
    inputs: Mapping[str, str]
    biases: Mapping[str, tuple[str, ...]]
    peepholes: Mapping[str, str]
    joint: bool  # Whether `recurrent` acts on state and input side by side
    exchangeable: bool
    is_module: bool  # Whether each is the weight of a module of its own
    rows: bool  # Whether the convention's matrices act on rows


def _lower(convention: _Convention) -> _Convention:
    def each(forms: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(form.lower() for form in forms)

    c = convention
    spelled = (c.recurrent.lower(), each(c.inputs), each(c.bias), each(c.recurrent_bias), each(c.peephole))
    return _Convention(*spelled, exchangeable=c.exchangeable, rows=c.rows)


def _anchors() -> dict[str, list[tuple[_Convention, Words]]]:
    """Return the leaf names of forget and reset gates, by which a cell is found."""
    found: dict[str, list[tuple[_Convention, Words]]] = {}
    for convention in dict.fromkeys(form for c in (*_PAIRS, *_JOINT) for form in (c, _lower(c))):
        for words in (*_LETTERS, *_WORDS):
            if convention.recurrent == "{}" and words in _LETTERS:
                continue  # a tensor of the name f alone is no gate
            for word in words.get("f") or words["r"]:
                found.setdefault(convention.recurrent.format(word), []).append((convention, words))
    return found


_ANCHORS = _anchors()
_LONGEST_ANCHOR = max(map(len, _ANCHORS))


def gate_names(name: str, free: Container[str], /) -> Iterator[GateNames]:
    """Yield the cells whose forget or reset gate a name may be, and whose other gates are there too."""
    end = _END.search(name, max(len(name) - _LONGEST_END, 0))
    stem = name[: end.start()] if end else name
    first = max(len(stem) - _LONGEST_ANCHOR, 0)
    for start in (index for index in range(first, len(stem)) if not index or stem[index - 1] in "._/"):
        for convention, words in _ANCHORS.get(stem[start:], ()):
            found = _cell(name[:start], name[len(stem) :], convention, words, free)
            if found is not None:
                yield found


def _cell(prefix: str, end: str, convention: _Convention, words: Words, free: Container[str]) -> GateNames | None:
    gates = words.keys()

    def first(forms: tuple[str, ...], gate: str, word: str, tail: str) -> str | None:
        # A candidate is often named without the word "gate", and without what others have before or behind it.
        short = [form.replace("_gate", "") for form in forms] if gate in "gn" and len(word) > 3 else []
        bare = ["{}"] if short and forms == (convention.recurrent,) and tail else []
        names = (f"{prefix}{form.format(word)}{tail}" for form in (*forms, *short, *bare))
        return next((full for full in names if full in free), None)

    spoken: dict[str, str] = {}
    recurrent: dict[str, str] = {}
    for gate in gates:
        for word in words[gate]:
            full = first((convention.recurrent,), gate, word, end)
            if full is not None and full not in recurrent.values():
                spoken[gate], recurrent[gate] = word, full
                break
    if spoken.keys() != gates:
        return None
    inputs = {gate: full for gate in gates if (full := first(convention.inputs, gate, spoken[gate], end)) is not None}
    if convention.inputs and inputs.keys() != gates:
        return None
    module = end.endswith(("weight", "kernel"))
    biases: dict[str, tuple[str, ...]] = {}
    for gate in gates:
        if module:
            weights = (recurrent[gate], *((inputs[gate],) if inputs else ()))
            names = [re.sub(r"(weight|kernel)$", "bias", full) for full in weights]
        else:
            sides = (convention.bias, convention.recurrent_bias)
            names = [full for forms in sides if (full := first(forms, gate, spoken[gate], end)) is not None]
        biases[gate] = tuple(full for full in dict.fromkeys(names) if full in free)
    peepholes = {
        gate: full for gate in gates if (full := first(convention.peephole, gate, spoken[gate], end)) is not None
    }
    return GateNames(
        prefix,
        Cell.LSTM if "f" in gates else Cell.GRU,
        recurrent,
        inputs,
        biases,
        peepholes,
        joint=not convention.inputs,
        exchangeable=convention.exchangeable,
        is_module=module,
        rows=convention.rows,
    )
