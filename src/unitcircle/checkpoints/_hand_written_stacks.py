"""Stacks of hand-written cells: that they are recurrent is plain, and the order of their gates is in the code alone."""

from __future__ import annotations

import re

from unitcircle.checkpoints._inventory import Inventory

_STACKS = (
    ("h2h", ("x2h", "i2h", "input2h"), False),
    ("hh", ("ih", "xh"), False),
    ("weight_hh", ("weight_ih",), False),
    ("W_hh", ("W_ih", "W_xh"), False),
    ("Whh", ("Wxh", "Wih"), False),
    ("recurrent", ("input",), True),
    ("recurrent_weights", ("input_weights",), False),
    ("recurrent_weight", ("input_weight",), False),
    ("Wh", ("Wx", "Wi"), True),
    ("W_h", ("W_x", "W_i"), True),
    ("w_h", ("w_x", "w_i"), True),
    ("weight_h", ("weight_x", "weight_i"), True),
    ("U", ("W",), True),
    ("R", ("W",), True),
)
"""Name of the recurrent stack, those of the input stack, and whether the recurrent name alone says too little."""
_JOINT = re.compile(r"(?:.*(?i:lstm|gru|rnn|cell).*[./_](?:all_)?|.*(?i:lstm|gru)_)gates(?:\.weight)?", re.DOTALL)
_END = re.compile(r"(?P<end>(?:_l?\d+)?(?:\.weight|:0)?)$")
_LONGEST_END = 32
_WHOLE = {3: "zrn", 4: "ifgo"}


def refuse_stack(work: Inventory, name: str, /) -> None:
    """Say of a tensor that it is the recurrent stack of a cell, and which option makes it readable."""
    if not work.is_matrix(name):
        return
    end = (match["end"] if (match := _END.search(name, max(len(name) - _LONGEST_END, 0))) else "") or ""
    stem = name[: len(name) - len(end)]
    low, high = sorted(work.shape(name))
    for recurrent, others, needs_input in _STACKS:
        if stem != recurrent and not stem.endswith((f".{recurrent}", f"/{recurrent}", f"_{recurrent}")):
            continue
        prefix = stem.removesuffix(recurrent)
        inputs = next((full for other in others if (full := f"{prefix}{other}{end}") in work.free), None)
        if low >= 2 and high in {2 * low, 3 * low, 4 * low} and (not needs_input or _fits(work, inputs, high)):
            reason = f"a stack of {high // low} square blocks whose order the file does not tell"
            place = prefix.rstrip("./_") or "the file"
            hint = _hint(work, name, inputs, end, high // low)
            work.unread[f"{place} looks like a hand-written gated cell ({name} is {reason}): not read{hint}"] = None
            work.skip(name, reason, undecided=False)
            return
    rows, columns = work.shape(name)
    joint = _JOINT.fullmatch(name) if name.endswith(("gates", "gates.weight")) else None
    tutorial = stem.endswith("i2h") and any(f"{stem[:-3]}{other}{end}" in work.free for other in ("i2o", "h2o"))
    if (joint and any(rows % k == 0 and rows // k >= 2 and columns > rows // k for k in (4, 3))) or (
        tutorial and 2 <= rows < columns
    ):
        reason = "the weight of a hand-written cell on state and input side by side, whose order the file does not tell"
        work.unread[f"{name} looks like {reason}: not read"] = None
        work.skip(name, reason, undecided=False)


def _fits(work: Inventory, inputs: str | None, high: int) -> bool:
    return inputs is not None and work.is_matrix(inputs) and high in work.shape(inputs)


def _hint(work: Inventory, name: str, inputs: str | None, end: str, blocks: int) -> str:
    if blocks not in _WHOLE:
        return ""
    roles = [f"recurrent={name}", *([f"input={inputs}"] if _fits(work, inputs, max(work.shape(name))) else [])]
    size = max(work.shape(name))
    stem = name[: len(name) - len(end)] if end else name
    prefix = stem[: max(stem.rfind("."), stem.rfind("/")) + 1]
    vectors = [f"{full[: -len('weight')]}bias" for full in (inputs, name) if full and full.endswith(".weight")]
    vectors = vectors or [f"{prefix}{leaf}" for leaf in ("bias", "b")]
    biases = [full for full in vectors if full in work.free and work.shape(full) == (size,)][:2]
    roles += [f"{role}={full}" for role, full in zip(("bias", "recurrent_bias"), biases, strict=False)]
    return f"; name it: --tensor {','.join(roles)} --layout {_WHOLE[blocks]}, with its gates in their order"
