"""Recurrences of step functions, and of modules with ``forward(x, state)``, over any pytree of tensors."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils import _pytree as pytree

from unitcircle.dynamics._recurrence import Recurrence
from unitcircle.dynamics._restoration import evaluation_flags, evaluation_mode
from unitcircle.dynamics._unrolling import unrolled
from unitcircle.errors import ArgumentError, DtypeError, ShapeError
from unitcircle.torch import dense

StepFunction = Callable[[Any, Any], Any]


class FunctionRecurrence(Recurrence):
    """A function ``step(x_t, state)``, to ``state`` or ``(output, state)``, as a recurrence over vectors."""

    def __init__(self, function: StepFunction, state: Any, *, batched: bool | None) -> None:
        leaves, self._structure = pytree.tree_flatten(state)
        tensors = [dense(leaf, argument="state") for leaf in leaves]
        if not tensors or not all(t.is_floating_point() or t.is_complex() for t in tensors):
            dtypes = ", ".join(str(t.dtype) for t in tensors) or "no tensor"
            raise DtypeError("state", "must hold floating-point or complex tensors", dtypes)
        self.batched = all(t.ndim > 1 for t in tensors) if batched is None else batched
        drop = int(self.batched)
        self._shapes = [t.shape[drop:] for t in tensors]
        self._dtypes = [t.dtype for t in tensors]
        self._widths = [t[:1].numel() if drop else t.numel() for t in tensors]
        self._widths = [w * (1 + t.is_complex()) for w, t in zip(self._widths, tensors, strict=True)]
        self.state_size = sum(self._widths)
        self.dtype, self.device = tensors[0].real.dtype, tensors[0].device
        self.name = getattr(function, "__name__", type(function).__name__)
        self._function = function
        self._example = pytree.tree_map(lambda leaf: dense(leaf, argument="state").detach().clone(), state)

    def ravel(self, state: Any, /) -> Tensor:
        return self._ravel(state, self.batched)

    def _ravel(self, state: Any, batched: bool) -> Tensor:
        leaves, structure = pytree.tree_flatten(state)
        if structure != self._structure:
            raise ShapeError("state", f"must have the structure {self._structure}", f"{structure}")
        vectors: list[Tensor] = []
        for leaf, shape, width in zip(leaves, self._shapes, self._widths, strict=True):
            tensor = dense(leaf, argument="state")
            # Compared with its axes: a leaf of shape (1,) in place of () would broadcast in every later step.
            if tensor.shape[int(batched) :] != shape:
                raise ShapeError("state", f"must have a leaf of shape {tuple(shape)}", f"{tuple(tensor.shape)}")
            tensor = torch.stack([tensor.real, tensor.imag], -1) if tensor.is_complex() else tensor
            vectors.append(tensor.reshape(-1, width).to(self.dtype))
        return torch.cat(vectors, -1)

    def unravel(self, state: Tensor, /) -> Any:
        leaves: list[Tensor] = []
        for piece, shape, dtype in zip(torch.split(state, self._widths, -1), self._shapes, self._dtypes, strict=True):
            if dtype.is_complex:
                leaves.append(torch.complex(*piece.reshape(len(state), *shape, 2).unbind(-1)).to(dtype))
            else:
                leaves.append(piece.reshape(len(state), *shape).to(dtype))
        return pytree.tree_unflatten(leaves, self._structure)

    def _call(self, x: Any, state: Any) -> Any:
        return self._function(x, state)

    def _next(self, x: Any, state: Any) -> Any:
        result = self._call(x, state)
        if pytree.tree_structure(result) == self._structure:
            return result
        pair = isinstance(result, tuple | list) and len(result) == 2  # (output, state), as torch's layers return
        if pair and pytree.tree_structure(result[1]) == self._structure:
            return result[1]
        raise ShapeError(
            "step",
            f"must return a state of structure {self._structure}, or (output, state)",
            f"{pytree.tree_structure(result)}",
        )

    def step(self, x: Tensor | None, state: Tensor, /) -> Tensor:
        if self.batched:
            return self._ravel(self._next(x, self.unravel(state)), True)

        def step_sample(x_t: Tensor | None, s: Tensor) -> Tensor:
            sample = pytree.tree_map(lambda leaf: leaf.squeeze(0), self.unravel(s.unsqueeze(0)))
            return self._ravel(self._next(x_t, sample), False).squeeze(0)

        if len(state) == 1:  # as vmap would, without its overhead
            return step_sample(None if x is None else x[0], state[0]).unsqueeze(0)
        return vmap(step_sample, in_dims=(None if x is None else 0, 0), randomness="different")(x, state)

    def sequence(self, inputs: Any, /) -> Tensor | int:
        if isinstance(inputs, int):
            return inputs
        xs = dense(inputs, argument="inputs").detach().to(self.device)
        if xs.is_floating_point():
            xs = xs.to(self.dtype)
        return xs if self.batched else xs.unsqueeze(1)

    def initial(self, batch: int, state: Any = None, /) -> Tensor:
        start = self.ravel(self._example if state is None else state).detach().to(self.device, copy=True)
        return start.expand(batch, -1) if len(start) == 1 else start


class ModuleRecurrence(FunctionRecurrence):
    """A module with ``forward(x, state)``, called with a copy of its parameters in the precision asked for."""

    def __init__(self, module: nn.Module, state: Any, *, batched: bool | None, dtype: torch.dtype | None) -> None:
        def take(tensor: Tensor) -> Tensor:
            precision = dtype if tensor.is_floating_point() and dtype is not None else tensor.dtype
            return tensor.detach().to(precision, copy=True)

        def leaf(value: Any) -> Tensor:
            tensor = dense(value, argument="state")
            if dtype is None:
                return tensor
            if tensor.is_complex():
                return tensor.to(torch.complex128) if dtype == torch.float64 else tensor
            return tensor.to(dtype)

        super().__init__(module, pytree.tree_map(leaf, state), batched=batched)
        self.name = type(module).__name__
        self._module = module
        self._tensors = {name: take(tensor) for name, tensor in (*module.named_parameters(), *module.named_buffers())}

    def as_found(self) -> AbstractContextManager[Any]:
        return evaluation_mode(self._module)

    @contextmanager
    def _plain(self) -> Generator[None]:
        with evaluation_flags(self._module), unrolled(self._module):
            yield

    def _call(self, x: Any, state: Any) -> Any:
        try:
            with self._plain():
                return functional_call(self._module, self._tensors, (x, state))
        except RuntimeError as error:
            if "dtype" not in str(error):
                raise
            remedy = "It creates tensors in another precision: pass dtype=None to measure it in its own precision."
            raise ArgumentError("module", "must compute in the precision of its input", str(error), remedy) from error
