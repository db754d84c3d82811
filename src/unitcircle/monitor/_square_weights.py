"""The square weights of a PyTorch module outside its recurrent layers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NoReturn, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.monitor._weights import spread

_EXCLUDED = (nn.RNNBase, nn.RNNCellBase, nn.Embedding, nn.EmbeddingBag, parametrize.ParametrizationList)
"""Modules whose tensors are watched gate by gate, are square by chance, or appear as the tensor they produce."""


@dataclass(frozen=True, eq=False)
class SquareWeight:
    """A square weight, and where to find its current value."""

    name: str  # Qualified name
    module: nn.Module  # Its owner ...
    attribute: str  # ... and its name there
    recurrent: bool = False  # Whether it is in ``names``

    @property
    def tensor(self) -> Tensor:
        """``(n, n)``, the result of the parametrization if there is one."""
        if not parametrize.is_parametrized(self.module, self.attribute):
            return getattr(self.module, self.attribute)
        # In training mode spectral_norm updates its vectors at every access; reading must not change the model.
        parametrization = _parametrizations(self.module)[self.attribute]
        training = parametrization.training
        try:
            parametrization.eval()
            return getattr(self.module, self.attribute)
        finally:
            parametrization.train(training)

    @property
    def trains(self) -> bool:
        """Whether it can change."""
        if parametrize.is_parametrized(self.module, self.attribute):
            parametrization = _parametrizations(self.module)[self.attribute]
            return any(parameter.requires_grad for parameter in parametrization.parameters())
        return self.tensor.requires_grad

    @property
    def names(self) -> set[str]:
        """Its names in ``names=``: its own, and for the weight of a Linear that of the module or its last part."""
        owner = self.name.rpartition(".")[0]
        return {self.name} | ({owner, owner.rpartition(".")[2]} if isinstance(self.module, nn.Linear) else set())


def square_weights(module: nn.Module, names: Collection[str], limit: int, /) -> list[SquareWeight]:
    """Return the square weights to watch: those in names, and an even selection of the others that train."""
    with torch.no_grad():
        candidates = list(_candidates(module))
        for name in names:
            if not any(name in weight.names for weight in candidates):
                _refuse(module, name, candidates)
        recurrent = [weight for weight in candidates if weight.names & set(names)]
        others = [weight for weight in candidates if weight not in recurrent and weight.trains]
        selection = [others[k] for k in spread([weight.tensor.numel() for weight in others], limit)]
    return [
        SquareWeight(weight.name, weight.module, weight.attribute, weight in recurrent)
        for weight in candidates
        if weight in recurrent or weight in selection
    ]


def _parametrizations(module: nn.Module) -> nn.ModuleDict:
    return cast("nn.ModuleDict", module.parametrizations)


def _candidates(module: nn.Module) -> Iterator[SquareWeight]:
    seen: set[int] = set()
    for path, part in module.named_modules():
        if isinstance(part, _EXCLUDED):
            continue
        attributes = [name for name, _ in part.named_parameters(recurse=False)]
        if parametrize.is_parametrized(part):
            attributes += _parametrizations(part)
        for attribute in attributes:
            weight = SquareWeight(f"{path}.{attribute}" if path else attribute, part, attribute)
            tensor = weight.tensor
            if tensor.ndim == 2 and tensor.shape[0] == tensor.shape[1] > 1 and tensor.is_floating_point():
                # A parametrized weight is a new tensor at each access, and cannot be shared.
                if id(tensor) in seen and isinstance(tensor, nn.Parameter):
                    continue
                seen.add(id(tensor))
                yield weight


def _refuse(module: nn.Module, name: str, candidates: list[SquareWeight]) -> NoReturn:
    shapes = {path: tuple(part.weight.shape) for path, part in module.named_modules() if isinstance(part, nn.Linear)}
    shapes |= {path: tuple(p.shape) for path, p in module.named_parameters()}
    if shape := shapes.get(name) or next((s for path, s in shapes.items() if path.rpartition(".")[2] == name), None):
        raise ArgumentError("names", "must name square weights (n, n), n > 1", f"{name!r} of shape {shape}")
    if not candidates:
        raise ArgumentError("names", "must be empty for a model without square weights", repr(name))
    choices = [w.name.removesuffix(".weight") if isinstance(w.module, nn.Linear) else w.name for w in candidates]
    raise UnknownNameError("names", name, choices)
