"""Finding the recurrent tensors of a module."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.recurrence import GATES as CELL_GATES
from unitcircle.recurrence import Cell

GATES = {"lstm": CELL_GATES[Cell.LSTM], "gru": CELL_GATES[Cell.GRU], "rnn": ("h",)}
"""Kind of module → its gates in the order of torch's stacks."""

_RECURRENT_NAME = re.compile(
    r"(?:^|[._])(?:h2h|hh|w_?hh|w_?rec|recurrent|hidden_?(?:2|to)_?hidden)(?:$|[._])", re.IGNORECASE
)


@dataclass(frozen=True)
class RecurrentTensors:
    """The tensors of one layer and direction.

    Attributes
    ----------
    name
        Qualified name of the recurrent weight.
    kind
        ``"lstm"``, ``"gru"`` or ``"rnn"``.
    recurrent
        ``(k·n, n)``; with a projection ``(k·n, p)``.
    input
        ``(k·n, m)``, or None.
    biases
        The bias vectors ``(k·n,)`` that torch adds: none, one or two.
    projection
        ``weight_hr`` ``(p, n)``, or None.
    """

    name: str
    kind: str
    recurrent: torch.Tensor
    input: torch.Tensor | None
    biases: tuple[torch.Tensor, ...]
    projection: torch.Tensor | None = None

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates in the order of the stack."""
        return GATES[self.kind]

    @property
    def has_bias(self) -> bool:
        """Whether it has bias vectors."""
        return bool(self.biases)

    def blocks(self, tensor: torch.Tensor, /) -> dict[str, torch.Tensor]:
        """Return the gate blocks of one of its tensors as views."""
        return dict(zip(self.gates, tensor.chunk(len(self.gates)), strict=True))


def recurrent_tensors(module: nn.Module, linear: Collection[str] = ()) -> Iterator[RecurrentTensors]:
    """Yield every recurrent layer of a module, each shared tensor once.

    Parameters
    ----------
    module
        Any module; nn.RNN, nn.GRU, nn.LSTM and their cells are found at any depth.
    linear
        Qualified names, or last parts of names, of square ``nn.Linear`` modules that are recurrent.

    Yields
    ------
    RecurrentTensors
        In the order of ``named_modules``; layer by layer, forward before reverse.

    Raises
    ------
    UnknownNameError
        A name in ``linear`` that no Linear has.
    ArgumentError
        A Linear that is named is not square.
    """
    seen: set[int] = set()
    unused = set(linear)
    for path, part in module.named_modules():
        prefix = f"{path}." if path else ""
        found: Iterator[RecurrentTensors] = iter(())
        if isinstance(part, nn.RNNBase):
            found = _layers(prefix, part)
        elif isinstance(part, nn.RNNCellBase):
            found = iter([_cell(prefix, part)])
        elif isinstance(part, nn.Linear) and (named := {path, path.rpartition(".")[2]} & set(linear)):
            unused -= named
            found = iter([_linear(prefix, part)])
        for tensors in found:
            if id(tensors.recurrent) not in seen:
                seen.add(id(tensors.recurrent))
                yield tensors
    if unused:
        names = [path for path, part in module.named_modules() if isinstance(part, nn.Linear)]
        raise UnknownNameError("linear", sorted(unused)[0], names)


def suspects(module: nn.Module, linear: Collection[str] = ()) -> list[str]:
    """Return square Linear modules whose name says that they are recurrent and that nobody named."""
    return [
        path
        for path, part in module.named_modules()
        if isinstance(part, nn.Linear)
        and part.in_features == part.out_features
        and _RECURRENT_NAME.search(path)
        and not {path, path.rpartition(".")[2]} & set(linear)
    ]


def _kind(module: nn.Module) -> str:
    kinds = {"lstm": (nn.LSTM, nn.LSTMCell), "gru": (nn.GRU, nn.GRUCell)}
    return next((kind for kind, classes in kinds.items() if isinstance(module, classes)), "rnn")


def _layers(prefix: str, module: nn.RNNBase) -> Iterator[RecurrentTensors]:
    for layer in range(module.num_layers):
        for direction in ("", "_reverse")[: 1 + module.bidirectional]:
            suffix = f"_l{layer}{direction}"
            biases = [getattr(module, f"bias_{kind}{suffix}") for kind in ("ih", "hh")] if module.bias else []
            yield RecurrentTensors(
                f"{prefix}weight_hh{suffix}",
                _kind(module),
                getattr(module, f"weight_hh{suffix}"),
                getattr(module, f"weight_ih{suffix}"),
                tuple(biases),
                getattr(module, f"weight_hr{suffix}", None),
            )


def _cell(prefix: str, module: nn.RNNCellBase) -> RecurrentTensors:
    biases = (module.bias_ih, module.bias_hh) if module.bias else ()
    return RecurrentTensors(f"{prefix}weight_hh", _kind(module), module.weight_hh, module.weight_ih, biases)


def _linear(prefix: str, module: nn.Linear) -> RecurrentTensors:
    if module.in_features != module.out_features:
        arrived = f"{prefix}weight with shape {tuple(module.weight.shape)}"
        raise ArgumentError("linear", "must name square Linear modules", arrived)
    bias = cast("torch.Tensor | None", module.bias)
    biases = () if bias is None else (bias,)
    return RecurrentTensors(f"{prefix}weight", "rnn", module.weight, None, biases)
