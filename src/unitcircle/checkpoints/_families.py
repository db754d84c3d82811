"""Tensors that belong together by their names: a recurrent weight with its input weight and biases."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass


@dataclass(frozen=True)
class Match:
    """A recurrent weight and the names of what belongs to it, where the file has it."""

    prefix: str
    recurrent: str
    inputs: str | None
    bias: str | None
    recurrent_bias: str | None = None
    projection: str | None = None
    layer: int = 0
    reverse: bool = False

    @property
    def biases(self) -> tuple[str | None, str | None]:
        """The names of both biases."""
        return self.bias, self.recurrent_bias

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of all its tensors, the recurrent weight first."""
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
    suffix: str = ""

    def match(self, name: str, present: Container[str], /) -> Match | None:
        """Return the layer whose recurrent weight has a name, or None where the name is of another convention."""
        pattern = rf"(?P<prefix>(?:.*[./_])?){re.escape(self.recurrent)}(?P<end>{self.suffix})"
        match = re.fullmatch(pattern, name, re.DOTALL)
        if match is None:
            return None
        prefix, end = match["prefix"], match["end"]
        number = re.search(r"_l(\d{1,6})", end)

        def sibling(candidates: tuple[str, ...]) -> str | None:
            names = (f"{prefix}{candidate}{end}" for candidate in candidates)
            return next((candidate for candidate in names if candidate in present and candidate != name), None)

        return Match(
            prefix,
            name,
            sibling(self.inputs),
            sibling(self.bias),
            sibling(self.recurrent_bias),
            sibling(self.projection),
            layer=int(number[1]) if number else 0,
            reverse=end.endswith("_reverse"),
        )


gated_families = (
    Family("weight_hh", ("weight_ih",), ("bias_ih",), ("bias_hh",), ("weight_hr",), r"(?:_l\d+)?(?:_reverse)?"),
    Family("w_hh", ("w_ih",), ("b_ih",), ("b_hh",)),
    Family("W_hh", ("W_ih", "W_xh", "W_hx"), ("b_ih", "b_h", "b_hx"), ("b_hh",)),
)
"""Names of torch, whose stacks have torch's order of gates."""

keras_family = Family("recurrent_kernel", ("kernel",), ("bias",), suffix=r"(?::0)?")
"""Names of Keras, whose kernels act on rows."""

plain_families = (
    Family("h2h.weight", ("i2h.weight", "input2h.weight"), ("i2h.bias", "input2h.bias"), ("h2h.bias",)),
    Family("hh.weight", ("ih.weight", "xh.weight"), ("ih.bias", "xh.bias"), ("hh.bias",)),
    Family("recurrent.weight", ("input.weight", "in.weight"), ("input.bias", "in.bias"), ("recurrent.bias",)),
    Family("rec.weight", ("inp.weight", "in.weight"), ("inp.bias", "in.bias"), ("rec.bias",)),
    Family("W_rec", ("W_in",), ("b_rec",)),
    Family("w_rec", ("w_in",), ("b_rec",)),
    Family("wrec", ("wi", "win"), ("brec", "b")),
    Family("Wrec", ("Win",), ("brec", "b")),
    Family("weight_rec", ("weight_in",), ("bias_rec", "bias")),
    Family("recurrent_weight", ("input_weight",), ("bias",)),
    Family("recurrent_weights", ("input_weights",), ("bias", "biases")),
    Family("Whh", ("Wxh", "Wih"), ("bh",)),
    Family("W_res", ("W_in",), ("bias",)),
)  # fmt: skip
"""Names that people give the one matrix of a plain cell they wrote themselves."""
