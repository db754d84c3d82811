"""Stacks whose framework is told by their names: TensorFlow 1, Haiku, Sonnet, Chainer, and the Theano GRU of dl4mt.

======================================  =============================  ========  ===========================
names                                   acts on                        order     in code
======================================  =============================  ========  ===========================
``basic_lstm_cell/kernel``              rows ``[x, h]``                i g f o   adds 1 to the forget gate
``gru_cell/gates/kernel, candidate``    rows ``[x, h]``, ``[x, r h]``  r z; n    reset before the product
``basic_rnn_cell/kernel``               rows ``[x, h]``                h         tanh
``lstm/linear/w`` (Haiku)               rows ``[x, h]``                i g f o   adds 1 to the forget gate
``lstm/w_gates`` (Sonnet 1)             rows ``[x, h]``                i g f o   adds 1 to the forget gate
``lstm/w_i, w_h, b`` (Sonnet 2)         rows                           i f g o   the 1 is in the bias
``gru/w_i, w_h, b`` (Haiku, Sonnet 2)   rows                           z r n     z replaces the state
``vanilla_rnn/linear, linear_1``        rows                           h         ReLU
``lateral/W, upward/W`` (Chainer)       columns, gates interleaved     g i f o
``U, Ux, W, Wx, b, bx`` (dl4mt)         rows                           r z; n    reset after the product
======================================  =============================  ========  ===========================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from unitcircle.checkpoints._gate_blocks import layer_of_blocks, split_rows, vector
from unitcircle.checkpoints._inventory import Inventory
from unitcircle.recurrence import Cell, RecurrentLayer

Maker = Callable[[Inventory, Mapping[str, str]], RecurrentLayer | None]
"""What makes a layer from part → name, where ``"prefix"`` and ``"end"`` are the texts around them."""


def framework_layer(work: Inventory, name: str, /) -> RecurrentLayer | None:
    """Return the layer whose first stack a tensor is, by the names of a framework."""
    if not work.is_matrix(name) or _LAST.search(name, max(len(name) - _LONGEST_LAST, 0)) is None:
        return None
    for pattern, siblings, make in _CONVENTIONS:
        match = pattern.fullmatch(name)
        if match is None:
            continue
        texts = {key: text or "" for key, text in match.groupdict().items()}
        names = {"": name, "prefix": texts["prefix"]}
        for part, forms in siblings.items():
            there = [full for form in forms.split() if (full := form.format(**texts)) in work.free]
            names |= dict.fromkeys([part], there[0]) if there else {}
        layer = make(work, names)
        if layer is not None:
            return layer
    return None


def _joint(
    work: Inventory, names: Mapping[str, str], order: str, *, added: float, layout: str
) -> RecurrentLayer | None:
    """Return an LSTM or tanh cell whose one kernel ``(m + n, k n)`` acts on rows ``[x, h]``."""
    rows, columns = work.shape(names[""])
    n = columns // len(order)
    if columns % len(order) or rows <= n:
        return None
    cell = Cell.LSTM if len(order) == 4 else Cell.RNN_TANH
    blocks = split_rows(work.load(names[""]).T, order)
    bias = vector(work, names.get("bias"), columns)
    biases = {} if bias is None else split_rows(bias, order)
    name = work.layer_name(names["prefix"], cell)
    if added and biases:
        biases["f"] = biases["f"].astype(np.float64) + added
        work.notes[f"layer {name}: the {added:g} that {layout} adds to the forget gate in code is included"] = None
    options: dict[str, Any] = {}
    used = [names[""], *([names["bias"]] if biases else [])]
    if cell is Cell.LSTM:
        peepholes = {gate: vector(work, names.get(f"p{gate}"), n) for gate in "ifo"}
        options["peepholes"] = {gate: weight for gate, weight in peepholes.items() if weight is not None}
        used += [names[f"p{gate}"] for gate in options["peepholes"]]
    return layer_of_blocks(
        cell,
        {gate: block[:, rows - n :] for gate, block in blocks.items()},
        {gate: block[:, : rows - n] for gate, block in blocks.items()},
        biases,
        name=name,
        source=work.source(used, layout),
        **options,
    )


def _tensorflow_lstm(work: Inventory, names: Mapping[str, str]) -> RecurrentLayer | None:
    if "keras" in names:
        return None
    if "projection" in names:
        work.unread[f"{names['prefix']} is an LSTM of TensorFlow 1 with a projection: not read"] = None
        return None
    return _joint(work, names, "igfo", added=1.0, layout="tensorflow")


def _tensorflow_rnn(work: Inventory, names: Mapping[str, str]) -> RecurrentLayer | None:
    return _joint(work, names, "h", added=0.0, layout="tensorflow")


def _haiku_lstm(work: Inventory, names: Mapping[str, str]) -> RecurrentLayer | None:
    return _joint(work, names, "igfo", added=1.0, layout="haiku")


def _sonnet_lstm(work: Inventory, names: Mapping[str, str]) -> RecurrentLayer | None:
    return _joint(work, names, "igfo", added=1.0, layout="sonnet")


def _tensorflow_gru(work: Inventory, names: Mapping[str, str]) -> RecurrentLayer | None:
    """Return ``h' = z h + (1 - z) tanh([x, r h] K)``."""
    rows, columns = work.shape(names[""])
    n = columns // 2
    if columns % 2 or rows <= n or "candidate" not in names or work.shape(names["candidate"]) != (rows, n):
        return None
    blocks = split_rows(work.load(names[""]).T, "rz") | {"n": work.load(names["candidate"]).T}
    vectors = vector(work, names.get("bias"), columns), vector(work, names.get("candidate_bias"), n)
    biases = {} if vectors[0] is None or vectors[1] is None else split_rows(vectors[0], "rz") | {"n": vectors[1]}
    used = [names[""], names["candidate"], *([names["bias"], names["candidate_bias"]] if biases else [])]
    return layer_of_blocks(
        Cell.GRU,
        {gate: block[:, rows - n :] for gate, block in blocks.items()},
        {gate: block[:, : rows - n] for gate, block in blocks.items()},
        biases,
        name=work.layer_name(names["prefix"], Cell.GRU),
        source=work.source(used, "tensorflow"),
    )


def _two_stacks(work: Inventory, names: Mapping[str, str]) -> RecurrentLayer | None:
    """Return the cell of ``w_h (n, k n)``, ``w_i (m, k n)`` and ``b`` that Sonnet 2 and Haiku write."""
    n, columns = work.shape(names[""])
    kinds = {4 * n: (Cell.LSTM, "ifgo"), 3 * n: (Cell.GRU, "zrn")}
    if columns not in kinds or "w_i" not in names or not work.is_matrix(names["w_i"]):
        return None
    cell, order = kinds[columns]
    if work.shape(names["w_i"])[1] != columns or cell.value not in names["prefix"].lower():
        return None
    bias = vector(work, names.get("b"), columns)
    recurrent, inputs = (split_rows(work.load(names[part]).T, order) for part in ("", "w_i"))
    biases = {} if bias is None else split_rows(bias, order)
    if cell is Cell.GRU:  # h' = (1 - z) h + z n, and 1 - sigmoid(a) = sigmoid(-a)
        for blocks in (recurrent, inputs, biases):
            if blocks:
                blocks["z"] = -blocks["z"]
    used = [names[""], names["w_i"], *([names["b"]] if biases else [])]
    name = work.layer_name(names["prefix"], cell)
    return layer_of_blocks(cell, recurrent, inputs, biases, name=name, source=work.source(used, "haiku"))


def _haiku_rnn(work: Inventory, names: Mapping[str, str]) -> RecurrentLayer | None:
    n = work.shape(names[""])[0]
    if work.shape(names[""]) != (n, n) or "input" not in names or work.shape(names["input"])[1:] != (n,):
        return None
    vectors = {key: value for key in ("b", "b_h") if (value := vector(work, names.get(key), n)) is not None}
    bias = {"h": np.asarray(list(vectors.values()), dtype=np.float64).sum(axis=0)} if vectors else {}
    used = [names[""], names["input"], *(names[key] for key in vectors)]
    return layer_of_blocks(
        Cell.RNN_RELU,
        {"h": work.load(names[""]).T},
        {"h": work.load(names["input"]).T},
        bias,
        name=work.layer_name(names["prefix"], Cell.RNN_RELU),
        source=work.source(used, "haiku"),
    )


def _chainer_lstm(work: Inventory, names: Mapping[str, str]) -> RecurrentLayer | None:
    """Return an LSTM whose stacks hold the four gates of one unit behind each other."""
    rows, n = work.shape(names[""])
    if rows != 4 * n or "upward" not in names or work.shape(names["upward"])[:1] != (rows,):
        return None

    def blocks(array: np.ndarray) -> dict[str, np.ndarray]:
        return {gate: array[place::4] for place, gate in enumerate("gifo")}

    bias = vector(work, names.get("bias"), rows)
    used = [names[""], names["upward"], *([names["bias"]] if bias is not None else [])]
    return layer_of_blocks(
        Cell.LSTM,
        blocks(work.load(names[""])),
        blocks(work.load(names["upward"])),
        {} if bias is None else blocks(bias),
        name=work.layer_name(names["prefix"], Cell.LSTM),
        source=work.source(used, "chainer"),
    )


def _theano_gru(work: Inventory, names: Mapping[str, str]) -> RecurrentLayer | None:
    """Return ``h' = z h + (1 - z) tanh(r (Ux h) + Wx x + bx)``."""
    n = work.shape(names[""])[0]
    parts = ("U", "Wx", "W")
    if work.shape(names[""]) != (n, n) or any(not work.is_matrix(names.get(part, "")) for part in parts):
        return None
    m = work.shape(names["W"])[0]
    if [work.shape(names[part]) for part in parts] != [(n, 2 * n), (m, n), (m, 2 * n)]:
        return None
    U, Wx, W = (work.load(names[part]).T for part in parts)
    outer, inner = vector(work, names.get("b"), 2 * n), vector(work, names.get("bx"), n)
    biases = {} if outer is None or inner is None else split_rows(outer, "rz") | {"n": inner}
    used = [names[part] for part in ("", *parts)] + ([names["b"], names["bx"]] if biases else [])
    return layer_of_blocks(
        Cell.GRU,
        split_rows(U, "rz") | {"n": work.load(names[""]).T},
        split_rows(W, "rz") | {"n": Wx},
        biases,
        reset_after=True,
        name=work.layer_name(names["prefix"], Cell.GRU),
        source=work.source(used, "theano"),
    )


def _convention(pattern: str, make: Maker, **siblings: str) -> tuple[re.Pattern[str], dict[str, str], Maker]:
    return re.compile(rf"(?P<prefix>(?:.*[./])?{pattern}", re.DOTALL), siblings, make


_LAST = re.compile(r"(?:^|[./_])(?:kernel|weights|Matrix|w|w_gates|w_h|W|Ux)(?::0)?\Z")
"""What the names of all conventions end with."""
_LONGEST_LAST = 16
_CONVENTIONS = (
    _convention(
        r"(?:basic_)?lstm_cell(?:_\d+)?(?P<sep>[./]))(?:kernel|weights)(?P<end>(?::0)?)",
        _tensorflow_lstm,
        keras="{prefix}recurrent_kernel{end}",
        bias="{prefix}bias{end} {prefix}biases{end}",
        projection="{prefix}projection{sep}kernel{end}",
        pi="{prefix}w_i_diag{end}",
        pf="{prefix}w_f_diag{end}",
        po="{prefix}w_o_diag{end}",
    ),
    _convention(
        r"(?:Basic)?LSTMCell(?:_\d+)?/)Linear/Matrix(?P<end>(?::0)?)",
        _tensorflow_lstm,
        bias="{prefix}Linear/Bias{end}",
    ),
    _convention(
        r"basic_rnn_cell(?:_\d+)?(?P<sep>[./]))kernel(?P<end>(?::0)?)", _tensorflow_rnn, bias="{prefix}bias{end}"
    ),
    _convention(
        r"gru_cell(?:_\d+)?(?P<sep>[./]))gates[./]kernel(?P<end>(?::0)?)",
        _tensorflow_gru,
        candidate="{prefix}candidate{sep}kernel{end}",
        bias="{prefix}gates{sep}bias{end}",
        candidate_bias="{prefix}candidate{sep}bias{end}",
    ),
    _convention(r"\w*lstm\w*(?P<sep>[./])(?:~[./])?)linear[./]w", _haiku_lstm, bias="{prefix}linear{sep}b"),
    _convention(r"\w*lstm\w*(?P<sep>[./]))w_gates(?P<end>(?::0)?)", _sonnet_lstm, bias="{prefix}b_gates{end}"),
    _convention(r"[^./]*(?P<sep>[./]))w_h(?P<end>(?::0)?)", _two_stacks, w_i="{prefix}w_i{end}", b="{prefix}b{end}"),
    _convention(
        r"vanilla_rnn(?:_\d+)?(?P<sep>[./])(?:~[./])?)linear_1[./]w",
        _haiku_rnn,
        input="{prefix}linear{sep}w",
        b="{prefix}linear{sep}b",
        b_h="{prefix}linear_1{sep}b",
    ),
    _convention(
        r"(?P<sep>))lateral(?P<dot>[./])W", _chainer_lstm, upward="{prefix}upward{dot}W", bias="{prefix}upward{dot}b"
    ),
    _convention(
        r"(?:[^./]*_)?)Ux",
        _theano_gru,
        **{part: f"{{prefix}}{part}" for part in ("U", "Wx", "W", "b", "bx")},
    ),
)
