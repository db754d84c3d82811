"""The recurrent tensors of a module."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import nn
from torch.nn.utils.parametrize import type_before_parametrizations

from unitcircle._array import dtype_name, to_numpy
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.recurrence import Cell, Direction, RecurrentLayer, Source, from_torch, layer_label

ROLES = ("weight_hh", "weight_ih", "bias_ih", "bias_hh", "weight_hr")
"""torch's names of the tensors of one layer and direction."""

_FORWARDS = {kind.forward for kind in (nn.RNN, nn.GRU, nn.LSTM, nn.RNNCell, nn.GRUCell, nn.LSTMCell)}
_NAMED = "must name modules with a square weight, or square parameters"
_RECURRENT_NAME = re.compile(
    r"(?:^|[._])(?:h2h|hh|w_?hh|w_?rec|recurrent|hidden_?(?:2|to)_?hidden)(?:$|[._])", re.IGNORECASE
)


@dataclass(frozen=True, eq=False)
class RecurrentTensors:
    """The tensors of one layer and direction.

    Attributes
    ----------
    path
        Qualified name of the module; empty for the model itself.
    module
        The class of the module, without its parametrizations: ``"LSTM"``.
    cell
        The equation.
    stored
        Name in torch → tensor, those that the module has: ``weight_hh`` ``(k·n, n)``, with a projection ``(k·n, p)``;
        ``weight_ih`` ``(k·n, m)``; ``bias_ih`` and ``bias_hh`` ``(k·n,)``, which torch adds; ``weight_hr`` ``(p, n)``.
    names
        The same names → qualified names: ``"rnn.weight_hh_l1_reverse"``.
    key
        Its name in measurements of a running model: ``"rnn.l1_reverse"``; of a cell its path.
    layer
        Its place in a stack, from 0.
    direction
        ``"forward"`` or ``"reverse"`` in time.
    own_forward
        Whether the module computes another step than torch's cell.
    """

    path: str
    module: str
    cell: Cell
    stored: Mapping[str, torch.Tensor]
    names: Mapping[str, str]
    key: str
    layer: int = 0
    direction: Direction = "forward"
    own_forward: bool = False

    @classmethod
    def of(cls, module: nn.Module, path: str = "", /) -> Iterator[Self]:
        """Yield the layers of one nn.RNN, GRU, LSTM or Cell; none of any other module.

        Parameters
        ----------
        module
            The module. Its submodules are not searched.
        path
            Its qualified name.

        Yields
        ------
        RecurrentTensors
            Layer by layer, forward before reverse. A parametrized weight is the one computed now.
        """
        kind = type_before_parametrizations(module).__name__
        own = has_own_forward(module)
        if isinstance(module, nn.RNNBase):
            ways: tuple[Direction, ...] = ("forward", "reverse") if module.bidirectional else ("forward",)
            for layer in range(module.num_layers):
                for direction in ways:
                    suffix = f"l{layer}{'_reverse' * (direction == 'reverse')}"
                    stored, names = _tensors_of(module, path, f"_{suffix}")
                    key = f"{path}.{suffix}".lstrip(".")
                    yield cls(path, kind, _cell(module), stored, names, key, layer, direction, own)
        elif isinstance(module, nn.RNNCellBase):
            yield cls(path, kind, _cell(module), *_tensors_of(module, path, ""), path or kind, own_forward=own)

    @classmethod
    def of_square(cls, module: nn.Module, path: str = "", /) -> Self | None:
        """Return the plain layer whose recurrent weight is the square ``weight`` of a module; None if it has none.

        Parameters
        ----------
        module
            An nn.Linear, or a module that holds ``weight`` and ``bias`` as one does.
        path
            Its qualified name.

        Returns
        -------
        RecurrentTensors or None
            A tanh cell, because the activation after a Linear module is unknown.
        """
        weight, bias = (getattr(module, name, None) for name in ("weight", "bias"))
        if not isinstance(weight, torch.Tensor) or weight.ndim != 2 or weight.shape[0] != weight.shape[1]:
            return None
        stored, names = {"weight_hh": weight}, {"weight_hh": f"{path}.weight".lstrip(".")}
        if isinstance(bias, torch.Tensor) and bias.shape == weight.shape[:1]:
            stored["bias_hh"], names["bias_hh"] = bias, f"{path}.bias".lstrip(".")
        name = type_before_parametrizations(module).__name__
        return cls(path, name, Cell.RNN_TANH, stored, names, path or name)

    @property
    def name(self) -> str:
        """Qualified name of the recurrent weight."""
        return self.names["weight_hh"]

    @property
    def kind(self) -> str:
        """``"lstm"``, ``"gru"`` or ``"rnn"``."""
        return str(self.cell) if self.cell.gated else "rnn"

    @property
    def gates(self) -> tuple[str, ...]:
        """The gates in the order of the stack."""
        return self.cell.stack("torch")

    @property
    def keeping(self) -> str:
        """The gate that keeps the state; the only one of a plain cell."""
        return self.cell.keeping

    @property
    def recurrent(self) -> torch.Tensor:
        """The recurrent weight ``(k·n, n)``; with a projection ``(k·n, p)``."""
        return self.stored["weight_hh"]

    @property
    def input(self) -> torch.Tensor | None:
        """The input weight ``(k·n, m)``, or None."""
        return self.stored.get("weight_ih")

    @property
    def projection(self) -> torch.Tensor | None:
        """``weight_hr`` ``(p, n)``, or None."""
        return self.stored.get("weight_hr")

    @property
    def biases(self) -> dict[str, torch.Tensor]:
        """Qualified name → bias vector ``(k·n,)``; torch adds them: none, one or two, the input's first."""
        return {self.names[role]: self.stored[role] for role in ("bias_ih", "bias_hh") if role in self.stored}

    @property
    def has_bias(self) -> bool:
        """Whether it has bias vectors."""
        return bool(self.biases)

    @property
    def label(self) -> str:
        """The name in a diagnosis: ``"rnn l1 reverse"``."""
        return layer_label(self._layer_name, self.layer, self.direction)

    @property
    def _layer_name(self) -> str:
        return self.path or self.module.lower()

    def blocks(self, tensor: torch.Tensor, /) -> dict[str, torch.Tensor]:
        """Return the gate blocks of one of its tensors as views."""
        return dict(zip(self.gates, tensor.chunk(len(self.gates)), strict=True))

    def as_layer(self) -> RecurrentLayer:
        """Return the layer in our convention, on the CPU.

        Returns
        -------
        RecurrentLayer
            Named by :attr:`path`. Its blocks are views of the module's tensors on the CPU.

        Raises
        ------
        ArgumentError
            The tensors are on the meta device and have no values.
        """
        if self.recurrent.is_meta:
            remedy = "Call module.to_empty(device=...) and load or initialize its weights first."
            raise ArgumentError("model", "must have weights", f"{self.name} on the meta device", remedy)
        arrays = {role: to_numpy(tensor, argument=self.names[role]) for role, tensor in self.stored.items()}
        layer = from_torch(
            arrays.pop("weight_hh"),
            cell=self.cell,
            name=self._layer_name,
            layer=self.layer,
            direction=self.direction,
            source=Source(tensors=tuple(self.names.values()), layout="torch", dtype=dtype_name(self.recurrent)),
            **arrays,
        )
        return replace(layer, unknown=frozenset({"step"})) if self.own_forward else layer


def has_own_forward(module: nn.Module, /) -> bool:
    """Whether a subclass or an instance of torch's recurrent layers and cells replaces torch's ``forward``.

    Parameters
    ----------
    module
        Any module.

    Returns
    -------
    bool
        False for any module that is none of these layers and cells, and for those whose ``forward`` is torch's.

    Examples
    --------
    >>> has_own_forward(torch.nn.LSTM(2, 3))
    False
    """
    if not isinstance(module, (nn.RNNBase, nn.RNNCellBase)):
        return False
    forward = module.__dict__.get("forward")
    function = type(module).forward if forward is None else getattr(forward, "__func__", forward)
    return function not in _FORWARDS


def _cell(module: nn.RNNBase | nn.RNNCellBase) -> Cell:
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        return Cell.LSTM
    return Cell.GRU if isinstance(module, nn.GRU | nn.GRUCell) else Cell.plain(str(module.nonlinearity))


def _tensors_of(
    module: nn.RNNBase | nn.RNNCellBase, path: str, suffix: str
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return role → tensor, and role → qualified name."""
    stored = {role: getattr(module, role + suffix, None) for role in ROLES}
    tensors = {role: tensor for role, tensor in stored.items() if isinstance(tensor, torch.Tensor)}
    return tensors, {role: f"{path}.{role}{suffix}".lstrip(".") for role in tensors}


def recurrent_tensors(module: nn.Module, linear: Collection[str] = ()) -> Iterator[RecurrentTensors]:
    """Yield every recurrent layer of a module, each shared tensor once.

    Parameters
    ----------
    module
        Any module; nn.RNN, nn.GRU, nn.LSTM and their cells are found at any depth.
    linear
        Qualified names, or last parts of names, of what else is recurrent: modules with a square weight, such as
        ``nn.Linear``, and square parameters and buffers.

    Yields
    ------
    RecurrentTensors
        In the order of ``named_modules``; layer by layer, forward before reverse.

    Raises
    ------
    UnknownNameError
        A name in ``linear`` that no module and no tensor has.
    ArgumentError
        A named weight is not square.

    Examples
    --------
    >>> [found.name for found in recurrent_tensors(torch.nn.GRU(2, 3))]
    ['weight_hh_l0']
    """
    # The tensors are kept alive: the id of a computed weight that was freed may be given to the next one.
    seen: dict[int, torch.Tensor] = {}
    unused = set(linear)
    for path, part in module.named_modules():
        named = [(path, None), *((f"{path}.{leaf}".lstrip("."), leaf) for leaf in _held(part))]
        if "parametrizations" in path.split("."):  # what a weight is computed from is no weight
            named = []
        layers = list(RecurrentTensors.of(part, path))
        for name, leaf in named:
            last = {name.rpartition(".")[2]} - {"weight", "bias"}
            if name and (matches := ({name} | last) & set(linear)):
                unused -= matches
                layers.append(_square(part, path, name, leaf))
        for tensors in layers:
            if id(tensors.recurrent) not in seen:
                seen[id(tensors.recurrent)] = tensors.recurrent
                yield tensors
    if unused:
        raise UnknownNameError("linear", sorted(unused)[0], _square_names(module))


def _held(module: nn.Module) -> list[str]:
    """Return the names of the tensors that a module itself holds, or computes from others by a parametrization."""
    computed: Iterable[str] = getattr(module, "parametrizations", None) or ()
    own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    return [*(name for name, _ in own), *computed]


def _square(module: nn.Module, path: str, name: str, leaf: str | None) -> RecurrentTensors:
    """Return the plain layer of a named module, or of its tensor ``leaf``, whose weight must be square."""
    weight = getattr(module, leaf or "weight", None)
    shown = f"{name}.weight" if leaf is None else name
    if not isinstance(weight, torch.Tensor):
        raise ArgumentError("linear", _NAMED, f"{name}, which has no weight")
    if weight.ndim != 2 or weight.shape[0] != weight.shape[1] or not weight.is_floating_point():
        remedy = "Of a weight on [x, h], or of a stack of gates, initialize the block of the state yourself."
        raise ArgumentError("linear", _NAMED, f"{shown} with shape {tuple(weight.shape)}", remedy)
    if leaf is None and (layer := RecurrentTensors.of_square(module, path)) is not None:
        return layer
    return RecurrentTensors(path, "Parameter", Cell.RNN_TANH, {"weight_hh": weight}, {"weight_hh": name}, name)


def _square_names(module: nn.Module) -> list[str]:
    """Return what ``linear=`` may name: Linear modules, and square parameters that no module of torch holds."""
    names = [path for path, part in module.named_modules() if isinstance(part, nn.Linear)]
    owned = {f"{path}." for path in names}
    square = [name for name, p in module.named_parameters() if p.ndim == 2 and p.shape[0] == p.shape[1]]
    return [*names, *(name for name in square if not any(name.startswith(path) for path in owned))]


def suspects(module: nn.Module, linear: Collection[str] = ()) -> list[str]:
    """Return the square Linear modules that look recurrent by their names and are not in ``linear``.

    Returns
    -------
    list[str]
        Their qualified names.

    Examples
    --------
    >>> cell = torch.nn.ModuleDict({"hidden_to_hidden": torch.nn.Linear(4, 4)})
    >>> suspects(cell)
    ['hidden_to_hidden']
    """
    return [
        path
        for path, part in module.named_modules()
        if isinstance(part, nn.Linear)
        and part.in_features == part.out_features
        and _RECURRENT_NAME.search(path)
        and not {path, path.rpartition(".")[2]} & set(linear)
    ]
