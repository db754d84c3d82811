"""Tensors that belong together by their names: a recurrent weight with its input weight and biases."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Match:
    """A recurrent weight and the names of what belongs to it, where the file has it."""

    family: Family
    prefix: str
    recurrent: str
    inputs: str | None
    bias: str | None
    recurrent_bias: str | None = None
    inner_bias: str | None = None
    projection: str | None = None
    layer: int = 0
    reverse: bool = False

    @property
    def biases(self) -> tuple[str | None, str | None]:
        """The names of both biases."""
        return self.bias, self.recurrent_bias

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of its tensors, the recurrent weight first, without the bias inside a reset product."""
        names = (self.recurrent, self.inputs, self.bias, self.recurrent_bias, self.projection)
        return tuple(name for name in names if name)


@dataclass(frozen=True)
class Family:
    """A naming convention: the parts of a name that change between the tensors of one layer."""

    recurrent: str
    inputs: tuple[str, ...]
    bias: tuple[str, ...] = ()
    recurrent_bias: tuple[str, ...] = ()
    projection: tuple[str, ...] = ()
    suffix: str = r"(?:_?\d{1,4})?(?:\.weight|:0)?"
    inner_bias: tuple[str, ...] = ()  # Of a GRU, inside the reset product
    by_hand: bool = True  # Whether authors of their own cells use it, and not a framework
    needs_input: bool = False  # Whether the name alone says too little
    leaky: bool = False  # Whether the cell has a leak, which mostly stands in the code
    reservoir: bool = False
    evidence: str = ""  # A pattern of what else must stand in the prefix, or behind it
    textbook: bool = False  # Whether the cell mostly has none
    state_on_columns: bool = False  # Whether the recurrent weight acts on columns though the input weight acts on rows

    def match(self, name: str, present: Container[str], /) -> Match | None:
        """Return the layer whose recurrent weight has a name, or None where the name is of another convention."""
        if self.recurrent not in name:
            return None
        pattern = rf"(?P<prefix>(?:.*[./_])?){re.escape(self.recurrent)}(?P<end>{self.suffix})"
        match = re.fullmatch(pattern, name, re.DOTALL)
        if match is None:
            return None
        prefix, end = match["prefix"], match["end"]
        ending = re.sub(r"\.weight$", ".bias", end)
        number = re.match(r"_?l?(\d{1,6})(?!\d)", end)

        bias, recurrent_bias = (self.inputs, (self.recurrent,)) if ending != end else (self.bias, self.recurrent_bias)

        def sibling(candidates: tuple[str, ...], end: str = end) -> str | None:
            names = (f"{prefix}{candidate}{end}" for candidate in candidates)
            return next((candidate for candidate in names if candidate in present and candidate != name), None)

        return Match(
            self,
            prefix,
            name,
            sibling(self.inputs),
            sibling(bias, ending),
            sibling(recurrent_bias, ending),
            sibling(self.inner_bias),
            sibling(self.projection),
            layer=int(number[1]) if number else 0,
            reverse=end.endswith("_reverse"),
        )


_RESERVOIR = (
    r"(?i:(?:^|[._/])(?:leak\w*|alpha|lr|sr|rho|spectral_radius|sparsity|density|w_?(?:fb|back|feedback))$"
    r"|esn|echo|reservoir|(?:^|[._/])res[._/]|rnn|recurr|cell)"
)
_NUMBER = r"(?:_?\d{1,4})?(?::0)?"
_BIASES = ("bias", "b", "bias_i", "bias_x")

gated_families = (
    Family("weight_hh", ("weight_ih",), ("bias_ih", *_BIASES), ("bias_hh", "bias_h"), ("weight_hr",),
           r"(?:_l\d+)?(?:_reverse)?", ("bias_n",), by_hand=False),
    Family("h2h_weight", ("i2h_weight",), ("i2h_bias",), ("h2h_bias",), suffix="", by_hand=False),  # MXNet
    Family("w_hh", ("w_ih", "w_xh", "w_hx"), ("b_ih", "b_h", *_BIASES), ("b_hh",), suffix=_NUMBER),
    Family("W_hh", ("W_ih", "W_xh", "W_hx"), ("b_ih", "b_h", "b_hx", *_BIASES), ("b_hh",), suffix=_NUMBER),
)  # fmt: skip
"""Names of torch, whose stacks have torch's order of gates."""

keras_family = Family("recurrent_kernel", ("kernel",), ("bias",), suffix=r"(?::0)?", by_hand=False)
"""Names of Keras, whose kernels act on rows."""

plain_families = (
    Family("h2h.weight", ("input2h.weight",), ("input2h.bias",), ("h2h.bias",), needs_input=True, leaky=True),
    Family("h2h.weight", ("i2h.weight", "x2h.weight"), ("i2h.bias", "x2h.bias"), ("h2h.bias",)),
    Family("hh.weight", ("ih.weight", "xh.weight"), ("ih.bias", "xh.bias"), ("hh.bias",)),
    Family("recurrent.weight", ("input.weight", "in.weight"), ("input.bias", "in.bias"), ("recurrent.bias",)),
    Family("rec.weight", ("inp.weight", "in.weight"), ("inp.bias", "in.bias"), ("rec.bias",), leaky=True),
    Family("W_rec", ("W_in",), ("b_rec",), leaky=True),
    Family("w_rec", ("w_in",), ("b_rec",), leaky=True),
    Family("wrec", ("wi", "win"), ("brec", "b"), leaky=True, state_on_columns=True),
    Family("Wrec", ("Win",), ("brec", "b"), leaky=True),
    Family("weight_rec", ("weight_in",), ("bias_rec", "bias"), leaky=True),
    Family("recurrent_weight", ("input_weight",), ("bias",)),
    Family("hidden_weight", ("input_weight",), ("bias",), needs_input=True),
    Family("weight_hidden", ("weight_input",), ("bias",), needs_input=True),
    Family("weight_h", ("weight_x", "weight_i"), ("bias",), needs_input=True),
    Family("W_hidden", ("W_input", "W_in"), ("b_hidden", "b", "bias"), needs_input=True),
    Family("hidden_to_hidden", ("input_to_hidden",)),
    Family("h_to_h", ("x_to_h", "i_to_h")),
    Family("recurrent_weights", ("input_weights", "weights"), ("bias", "biases")),
    Family("hidden2hidden", ("input2hidden", "in2hidden")),
    Family("Whh", ("Wxh", "Wih"), ("bh", "b"), textbook=True),
    Family("Wh", ("Wx",), ("bh", "b"), needs_input=True, textbook=True),
    Family("W_h", ("W_x", "W_i"), ("b_h", "b"), needs_input=True, textbook=True),
    Family("w_h", ("w_x", "w_i"), ("b_h", "b"), needs_input=True, textbook=True),
    Family("W_res", ("W_in",), ("bias",), leaky=True, reservoir=True),
    Family("w_res", ("w_in",), ("bias",), leaky=True, reservoir=True),
    Family("Wres", ("Win",), ("bias",), leaky=True, reservoir=True),
    Family("W_reservoir", ("W_input", "W_in"), ("bias",), leaky=True, reservoir=True),
    Family("reservoir_weights", ("input_weights",), ("bias",), leaky=True, reservoir=True),
    Family("A", ("Win", "W_in"), ("bias",), needs_input=True, leaky=True, reservoir=True),
    Family("W", ("Win",), ("bias", "b"), needs_input=True, leaky=True, reservoir=True),
    Family("W", ("W_in",), ("bias", "b"), needs_input=True, leaky=True, reservoir=True, evidence=_RESERVOIR),
    Family("w", ("w_in",), ("bias", "w_bias"), needs_input=True, leaky=True, reservoir=True, evidence=_RESERVOIR),
)  # fmt: skip
"""Names that people give the one matrix of a plain cell they wrote themselves."""
_PLAIN = re.compile(
    rf"(?:^|[./_])(?:{'|'.join(re.escape(one) for one in {family.recurrent: None for family in plain_families})})"
    rf"{Family.suffix}\Z"
)
_LONGEST_PLAIN = max(len(family.recurrent) for family in plain_families) + 16


def plain_families_of(name: str, /) -> Sequence[Family]:
    """Return the plain families that a name may be of: there are many to be tried, and most names are of none."""
    if _PLAIN.search(name, max(len(name) - _LONGEST_PLAIN, 0)) is None:
        return ()
    return [family for family in plain_families if family.recurrent in name]
