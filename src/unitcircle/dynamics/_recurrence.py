"""The common interface of all measurements: a step over the full state as one vector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.func import jacrev, vjp, vmap

from unitcircle._keywords import right_keywords
from unitcircle.dynamics._row_pushes import RowPushes
from unitcircle.errors import ArgumentError, NotFiniteError, ShapeError


class Linearization(ABC):
    """The Jacobians ``J_t = ∂s_{t+1}/∂s_t`` along a trajectory, applied or formed on demand."""

    def __init__(self, steps: int, batch: int, state_size: int) -> None:
        self.steps = steps
        self.batch = batch
        self.state_size = state_size

    @abstractmethod
    def push(self, t: int, Q: Tensor, /) -> Tensor:
        """Return ``J_t Q`` for tangents ``(B, N, k)``, without forming ``J_t``."""

    def pull(self, t: int, Y: Tensor, /) -> Tensor:
        """Return ``J_tᵀ Y`` for cotangents ``(B, N, k)``."""
        return self.dense(t, t + 1)[0].transpose(-1, -2) @ Y

    @abstractmethod
    def dense(self, start: int, stop: int, /) -> Tensor:
        """Return the Jacobians of some steps as matrices ``(stop - start, B, N, N)``."""

    def row_pushes(self) -> RowPushes | None:
        """Return the Jacobians as NumPy applies them to rows; None where it has no form of them."""
        return None

    def log_determinant(self) -> Tensor:
        """Return log|det J_t| ``(T, B)``."""
        chunk = self.chunk
        parts = [self._slogdet(t, min(t + chunk, self.steps)) for t in range(0, self.steps, chunk)]
        return torch.cat(parts)

    def _slogdet(self, start: int, stop: int) -> Tensor:
        return torch.linalg.slogdet(self.dense(start, stop)).logabsdet

    @property
    def chunk(self) -> int:
        """Number of dense Jacobians formed at a time: at most 32 MiB in double precision."""
        return max(1, 2**22 // (self.batch * self.state_size**2))


class Recurrence(ABC):
    """A recurrence ``s_{t+1} = F(x_t, s_t)`` over the full state as one real vector.

    The full state is everything one step passes to the next: of an LSTM ``(h, c)``, of a stack the states of all its
    layers, in the order of torch's own state tensors. Vectors are batched: ``s`` is ``(B, N)``, ``x`` ``(B, m)``.

    Attributes
    ----------
    name
        Name of the module or function.
    state_size
        N, the number of real entries of the state.
    dtype, device
        Precision and device of the computation.
    """

    name: str
    state_size: int
    dtype: torch.dtype
    device: torch.device

    @abstractmethod
    def step(self, x: Tensor | None, state: Tensor, /) -> Tensor:
        """Return the next state ``(B, N)``.

        Parameters
        ----------
        x
            The input of this step ``(B, m)``, or None for an autonomous recurrence.
        state
            ``(B, N)``.

        Returns
        -------
        Tensor
            ``(B, N)``.
        """

    @abstractmethod
    def ravel(self, state: Any, /) -> Tensor:
        """Return a state in the module's own structure as vectors ``(B, N)``."""

    @abstractmethod
    def unravel(self, state: Tensor, /) -> Any:
        """Return vectors ``(B, N)`` in the module's own structure: ``(h, c)`` for an LSTM."""

    @abstractmethod
    def sequence(self, inputs: Any, /) -> Tensor | int:
        """Return inputs in the module's own layout as ``(T, B, ...)``, or the number of steps without input."""

    @abstractmethod
    def initial(self, batch: int, state: Any = None, /) -> Tensor:
        """Return the initial state ``(B, N)``: zero, or a state in the module's own structure."""

    @property
    def parts(self) -> dict[str, slice]:
        """Where the named parts of the state are in the vector, such as ``{"h": ..., "c": ...}``."""
        return {"state": slice(0, self.state_size)}

    def as_found(self) -> AbstractContextManager[Any]:
        """Return a context manager that restores training mode and random state on exit."""
        return nullcontext()

    def jacobian(self, x: Tensor | None, state: Tensor, /) -> Tensor:
        """Return ``∂F/∂s`` at a state.

        Parameters
        ----------
        x
            ``(B, m)``, or None.
        state
            ``(B, N)``.

        Returns
        -------
        Tensor
            ``(B, N, N)``, rows are entries of the next state.
        """
        with torch.no_grad():
            return self.linearize(None if x is None else x.unsqueeze(0), state.unsqueeze(0)).dense(0, 1)[0]

    def linearize(self, xs: Tensor | None, states: Tensor, /) -> Linearization:
        """Return the Jacobians at ``(x_t, s_t)``: inputs ``(T, B, m)`` and states ``(T, B, N)``."""
        return FunctionalLinearization(self, xs, states)

    @right_keywords
    def trajectory(self, inputs: Any, /, *, initial: Any = None) -> tuple[Tensor | None, Tensor]:
        """Run the recurrence without recording gradients.

        Parameters
        ----------
        inputs
            In the module's own layout, or a number of steps to run without input (with input 0).
        initial
            The initial state in the module's own structure; zero where None.

        Returns
        -------
        tuple
            Inputs ``(T, B, m)`` (None for an autonomous recurrence) and states ``(T + 1, B, N)``, the initial one
            first.

        Raises
        ------
        ArgumentError
            The inputs hold no step.
        ShapeError
            Inputs and initial state differ in batch size.
        NotFiniteError
            A state of the trajectory is NaN or infinite.
        """
        xs = self.sequence(inputs)
        steps = xs if isinstance(xs, int) else len(xs)
        if steps < 1:
            raise ArgumentError("inputs", "must hold at least one step", f"{steps}")
        state = self.initial(1 if isinstance(xs, int) else xs.shape[1], initial)
        if not len(state):
            raise ShapeError("initial", "must hold at least one state", "none")
        if not isinstance(xs, int) and len(state) != xs.shape[1]:
            if xs.shape[1] != 1:
                raise ShapeError("initial", f"must hold {xs.shape[1]} states, as inputs do", f"{len(state)}")
            xs = xs.expand(-1, len(state), *xs.shape[2:])
        states = self.run(xs, state.unsqueeze(0))[:, 0]
        # The sum is finite where the states are, unless it overflows.
        if not bool(torch.isfinite(states.sum())) and not bool(torch.isfinite(states).all()):
            step = int(torch.nonzero(~torch.isfinite(states).flatten(1).all(1))[0])
            raise NotFiniteError("the trajectory", "must be finite", f"a NaN or an infinity at step {step}")
        return None if isinstance(xs, int) else xs, states

    def run(self, xs: Tensor | int, start: Tensor, /) -> Tensor:
        """Return the states ``(T + 1, R, B, N)`` from R initial states ``(R, B, N)`` for each of B inputs.

        Parameters
        ----------
        xs
            Inputs ``(T, B, m)``, or the number of steps of an autonomous recurrence.
        start
            ``(R, B, N)``.

        Returns
        -------
        Tensor
            States, the initial ones first.
        """
        copies = len(start)
        with torch.no_grad():
            if isinstance(xs, int):
                drives: Any = [None] * xs
            else:
                drives = xs if copies == 1 else xs.repeat(1, copies, *[1] * (xs.ndim - 2))
            return self._run(drives, start.flatten(0, 1)).unflatten(1, start.shape[:2])

    def _run(self, xs: Any, state: Tensor) -> Tensor:
        states = [state]
        for x in xs:
            states.append(self.step(x, states[-1]))
        return torch.stack(states)


class FunctionalLinearization(Linearization):
    """Jacobians of any recurrence, by differentiation of its step (``torch.func``)."""

    # In reverse mode throughout: some kernels lack forward mode, and torch takes seconds to load it.

    def __init__(self, recurrence: Recurrence, xs: Tensor | None, states: Tensor) -> None:
        super().__init__(len(states), states.shape[1], states.shape[2])
        self._recurrence = recurrence
        self._xs = xs
        self._states = states

    def _step(self, x: Tensor | None, state: Tensor) -> Tensor:
        return self._recurrence.step(None if x is None else x.unsqueeze(0), state.unsqueeze(0)).squeeze(0)

    def push(self, t: int, Q: Tensor, /) -> Tensor:
        def push_sample(x: Tensor | None, state: Tensor, tangents: Tensor) -> Tensor:
            # u -> Jᵀu is linear: the transpose of its derivative, at any u, is J.
            reverse: Any = vjp(lambda s: self._step(x, s), state)
            value, pull = reverse
            forward: Any = vjp(lambda u: pull(u)[0], torch.zeros_like(value))
            push = forward[1]
            return vmap(lambda q: push(q)[0], in_dims=1, out_dims=1)(tangents)

        x = None if self._xs is None else self._xs[t]
        dims = (None if x is None else 0, 0, 0)
        return vmap(push_sample, in_dims=dims, randomness="different")(x, self._states[t], Q)

    def dense(self, start: int, stop: int, /) -> Tensor:
        x = None if self._xs is None else self._xs[start:stop].flatten(0, 1)
        states = self._states[start:stop].flatten(0, 1)
        J = vmap(
            jacrev(self._step, argnums=1),
            in_dims=(None if x is None else 0, 0),
            randomness="different",
        )(x, states)
        return J.reshape(stop - start, self.batch, self.state_size, self.state_size)
