"""Where in the program each operation of a run stands: the loops around it, and their iterations."""

from __future__ import annotations

import dis
import sys
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import count
from types import CodeType, FrameType
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

INITIAL = {"zeros", "zeros_like", "new_zeros", "randn", "randn_like"}
"""Functions that make initial states, by name: the gradient there is measured too."""
FACTORIES = {"zeros", "ones", "randn", "rand", "eye", "linspace", "full"}
"""Functions that make tensors in the default precision, by name."""

_frame: Callable[[int], FrameType] = vars(sys)["_getframe"]  # no public name
_sequence_number: Callable[[], int] = vars(torch)["_C"]._autograd._get_sequence_nr
"""Returns the number that the next node of the autograd graph gets."""


_DROPOUT = {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"}


class Loop(NamedTuple):
    """One iteration of one execution of a loop."""

    execution: int
    iteration: int


class ProgramLoops(TorchFunctionMode):
    """Records, while a model runs, the loops of the Python program around every operation.

    An operation stands in a loop if its instruction, or the call that leads to it, is between the head of the loop and
    its jump back. An iteration ends where a frame executes an instruction that is not after its last one.

    Attributes
    ----------
    paths
        Operation → the loops around it, outermost first.
    positions
        Operation → a number that is the same for operations at the same place of the program.
    notes
        How the run differs from one in training, by the operations that were called.
    """

    def __init__(self, *, differentiable: bool, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        self.paths: list[tuple[Loop, ...]] = []
        self.positions: list[int] = []
        self._ends: list[int] = []
        self._stack: list[_Call] = []
        self._executions = count()
        self.differentiable = differentiable
        self.notes: tuple[str, ...] = ()
        self._dtype = dtype
        self._root: FrameType | None = None

    def __enter__(self) -> ProgramLoops:
        self._root = _frame(1)  # the calls between here and an operation
        super().__enter__()
        return self

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self._see()
        self._root, self._stack = None, []  # frames keep every local variable alive

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run one operation and record where it stands."""
        self._see()
        self._record(_frame(1))
        name, kwargs = getattr(func, "__name__", ""), dict(kwargs or {})
        if self._dtype is not None and name in FACTORIES and "dtype" not in kwargs:
            made = func(*args, **kwargs) if name == "full" else None
            kwargs |= {"dtype": self._dtype} if made is None or made.is_floating_point() else {}
        if name in _DROPOUT and not self.notes and _is_off(*args, **kwargs):
            self.notes = (f"dropout is off while measured: a call of torch.nn.functional.{name}",)
        result = func(*args, **kwargs)
        if name in INITIAL and self.differentiable:
            result = _with_gradient(result)
        self._ends.append(_sequence_number())
        return result

    def operation(self, sequence_number: int, /) -> int:
        """Return the operation that made a node of the autograd graph, −1 if it was made after the run."""
        operation = bisect_right(self._ends, sequence_number)
        return operation if operation < len(self._ends) else -1

    def _see(self) -> None:
        """Count what was made unseen since the last operation, by a custom function, as a part of it."""
        if self._ends:
            self._ends[-1] = _sequence_number()

    def _record(self, frame: FrameType | None) -> None:
        known = {id(call.frame): depth for depth, call in enumerate(self._stack)}
        new: list[FrameType] = []
        while frame is not None and frame is not self._root and id(frame) not in known:
            new.append(frame)
            frame = frame.f_back
        # What calls a known frame still waits for it.
        shared = known.get(id(frame), -1) + 1
        del self._stack[shared:]
        if shared:
            self._stack[-1].move(self._executions)
        for one in reversed(new):
            self._stack.append(_Call(one, self._stack[-1] if self._stack else None))
            self._stack[-1].move(self._executions)
        self.paths.append(self._stack[-1].path if self._stack else ())
        self.positions.append(self._stack[-1].place if self._stack else 0)


class _Call:
    """A call that is being executed: its instruction, and the loops around it, with those of its callers."""

    def __init__(self, frame: FrameType, caller: _Call | None) -> None:
        self.frame = frame
        self.position = -1
        self.loops: dict[tuple[int, int], Loop] = {}
        self.path: tuple[Loop, ...] = ()
        self.place = 0
        self._above = () if caller is None else caller.path
        self._from = 0 if caller is None else caller.place

    def move(self, executions: count[int], /) -> None:
        """Go to the instruction that the call executes now."""
        # Outside of loops a call that runs several calls at one instruction is one: functools.reduce, map.
        position, code = self.frame.f_lasti, self.frame.f_code
        around = [ends for ends in _loops_of(code) if ends[0] <= position <= ends[1]] or [(position, position)]
        repeated = None
        if position <= self.position:
            repeated = next((ends for ends in reversed(around) if ends in self.loops), None)
        loops: dict[tuple[int, int], Loop] = {}
        for ends in around:
            loop = self.loops.get(ends)
            if loop is None:
                loop = Loop(next(executions), 0)
            elif ends == repeated:
                loop = Loop(loop.execution, loop.iteration + 1)
            loops[ends] = loop
        self.position, self.loops = position, loops
        self.path = (*self._above, *loops.values())
        self.place = hash((self._from, id(code), position))


@lru_cache(maxsize=4096)
def _loops_of(code: CodeType) -> tuple[tuple[int, int], ...]:
    """Return the first and the last instruction of every loop of a function, outer loops first."""
    instructions = list(dis.get_instructions(code))
    exits = {one.offset: cast("int", one.argval) for one in instructions if one.opname.startswith("FOR_ITER")}
    ends: dict[int, int] = {}
    for one in instructions:
        if "JUMP" in one.opname and isinstance(one.argval, int) and one.argval <= one.offset:
            # The jump of an exception handler back into its loop stands behind everything: a for says where it ends.
            end = exits[one.argval] - 2 if one.argval in exits else one.offset
            ends[one.argval] = max(ends.get(one.argval, 0), end)
    return tuple(sorted(ends.items(), key=lambda loop: loop[0] - loop[1]))


def _is_off(_input: Any, p: float = 0.5, training: bool = True, *_rest: Any, **_options: Any) -> bool:
    """Return whether a call of a function of dropout does nothing because the model is in evaluation mode."""
    return p > 0 and not training


def _with_gradient(result: Tensor) -> Tensor:
    """Return a tensor that a model made with a record of its gradient; a copy, since a leaf may not be written to."""
    if result.requires_grad or not torch.is_grad_enabled():
        return result
    return result.requires_grad_().clone() if result.is_floating_point() or result.is_complex() else result
