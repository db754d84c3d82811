"""Which module of a model a batch does not fit, and what that module takes, from the error of a run."""

from __future__ import annotations

import dis
import linecache
import re
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

INTEGERS = (torch.int32, torch.int64)
LONGEST_LINE = 80
"""Characters of a line of code that are passed on."""
FEW = 8
"""Entries of a vector of integers, and keys, that are named."""


class Misfit(NamedTuple):
    """What a module takes, what reached it, and what to do."""

    rule: str
    arrived: str
    remedy: str


def misfit(error: BaseException, /) -> Misfit | None:
    """Return the innermost module whose input is not what it takes; None where each got what it takes."""
    calls = list(_calls(error))
    for module, value in reversed(calls):
        if isinstance(value, Tensor) and (found := _taken(module, value)) is not None:
            takes, remedy = found
            dtype = str(value.dtype).removeprefix("torch.")
            return Misfit(
                f"must be what {_name(module, calls[0][0])} takes, {takes}",
                f"{dtype} of shape {tuple(value.shape)} there",
                remedy,
            )
    return None


def own_code(error: BaseException, /) -> Misfit | None:
    """Return the line of the model's own code that a batch does not fit; None where that code itself refuses it."""
    frames = list(_frames(error))
    own = [trace for trace in frames if not _is_of_a_library(trace.tb_frame)]
    inside = [module for trace in own if (module := _owner(trace.tb_frame)) is not None]
    if not inside or (own[-1] is frames[-1] and _raises(own[-1])):
        return None
    frame, line = own[-1].tb_frame, own[-1].tb_lineno
    code, arrived = _line(own[-1])
    where = f"{_name(inside[-1], inside[0])}, {frame.f_code.co_name}, line {line}"
    return Misfit(
        f"must fit the code of {where}{code}",
        arrived or "tensors that do not fit there",
        f"The {type(error).__name__} of that line is the cause of this error.",
    )


def in_loss(error: BaseException, /) -> Misfit | None:
    """Return the line of a person's loss that fails; None where none of its own code was running."""
    frames = list(_frames(error))
    own = [trace for trace in frames if not _is_of_a_library(trace.tb_frame)]
    if not own:
        return None
    owner = _owner(own[-1].tb_frame)
    name = own[-1].tb_frame.f_code.co_name
    where = f"{f'{type(owner).__name__}.' if owner is not None else ''}{name}, line {own[-1].tb_lineno}"
    if own[-1] is frames[-1] and _raises(own[-1]):
        return Misfit("must be computable from output and target", f"{type(error).__name__} in {where}: {error}", "")
    code, arrived = _line(own[-1])
    cause = f"The {type(error).__name__} of that line is the cause of this error."
    return Misfit(f"must be computable in {where}{code}", arrived or "values that do not fit there", cause)


def _line(trace: TracebackType) -> tuple[str, str]:
    """Return the code of a line as a clause, and what the variables in it hold."""
    frame, line = trace.tb_frame, trace.tb_lineno
    source = linecache.getline(frame.f_code.co_filename, line, frame.f_globals).strip()
    names = dict.fromkeys(re.findall(r"\w+", source))
    held = ", ".join(text for name in names if name != "self" and (text := _held(name, frame.f_locals.get(name))))
    return f", `{textwrap.shorten(source, LONGEST_LINE)}`" if source else "", held


def _held(name: str, value: Any) -> str:
    """Return what a variable holds, as a clause; empty where that says nothing of a batch."""
    if isinstance(value, Tensor):
        few = value.ndim == 1 and len(value) <= FEW and not value.is_floating_point() and not value.is_complex()
        values = f", {value.tolist()}" if few else ""
        return f"{name} of shape {tuple(value.shape)}{values}"
    if isinstance(value, Mapping):
        return f"{name} with the keys {', '.join(map(repr, list(value)[:FEW]))}"
    if isinstance(value, nn.Module) or callable(value) or not hasattr(value, "__dict__") or isinstance(value, type):
        return ""
    return f"{name}, a {type(value).__name__} with {', '.join(list(vars(value))[:FEW]) or 'nothing'}"


def place(error: BaseException, /) -> str:
    """Return where in the code of a model an error was raised, as a clause; empty where that is not known."""
    found = ""
    for trace in _frames(error):
        frame = trace.tb_frame
        if not _is_of_a_library(frame) and (module := _owner(frame)) is not None:
            found = f" in {type(module).__name__}.{frame.f_code.co_name}, line {trace.tb_lineno}"
    return found


def _is_of_a_library(frame: FrameType) -> bool:
    """Return whether a frame runs code of torch, of this package or of another installed one."""
    name, file = str(frame.f_globals.get("__name__", "")), Path(frame.f_code.co_filename)
    return name.startswith(("torch.", "unitcircle.")) or "site-packages" in file.parts


def _raises(trace: TracebackType) -> bool:
    """Return whether a line raised its error itself, by ``raise`` or ``assert``, and no function that it calls."""
    code = trace.tb_frame.f_code.co_code
    return dis.opname[code[trace.tb_lasti]] in {"RAISE_VARARGS", "RERAISE"}


def _owner(frame: FrameType) -> nn.Module | None:
    """Return the module whose method a frame runs, or that a function runs which stands for one."""
    first = frame.f_locals.get(next(iter(frame.f_code.co_varnames), ""))
    owner = first if isinstance(first, nn.Module) else frame.f_locals.get("module")
    return owner if isinstance(owner, nn.Module) else None


def _frames(error: BaseException) -> Iterator[TracebackType]:
    trace = error.__traceback__
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _calls(error: BaseException) -> Iterator[tuple[nn.Module, Any]]:
    """Yield the modules whose forward functions were running, with their first arguments, outermost first."""
    for frame in (trace.tb_frame for trace in _frames(error)):
        code, module = frame.f_code, _owner(frame)
        if code.co_name != "forward" or module is None or type(module).__name__.startswith("_"):
            continue
        arguments = [frame.f_locals.get(name) for name in code.co_varnames[: code.co_argcount]]
        yield module, next((value for value in arguments if value is not module), None)


def _name(module: nn.Module, root: nn.Module) -> str:
    path = next((path for path, part in root.named_modules() if part is module), "")
    return f"{path} ({type(module).__name__})" if path else type(module).__name__


def _taken(module: nn.Module, value: Tensor) -> tuple[str, str] | None:
    """Return what a module of torch takes and a remedy, where a tensor is not that."""
    floats = value.is_floating_point() or value.is_complex()
    match module:
        case nn.Embedding():
            numbers = module.num_embeddings
            if value.dtype not in INTEGERS:
                return f"integers from 0 to {numbers - 1}", "Pass tokens, of torch.long."
            if value.numel() and not 0 <= int(value.min()) <= int(value.max()) < numbers:
                range_ = f"they are from {int(value.min())} to {int(value.max())}"
                return f"integers from 0 to {numbers - 1}", f"Clean the tokens ({range_}), or use a larger embedding."
            return None
        case nn.RNNBase():
            axes = "(B, T, {})" if module.batch_first else "(T, B, {})"
            fits = value.ndim in {2, 3} and value.shape[-1] == module.input_size
            takes = axes.format(module.input_size)
        case nn.RNNCellBase():
            fits = value.ndim in {1, 2} and value.shape[-1] == module.input_size
            takes = f"(B, {module.input_size})"
        case nn.Linear():
            fits = value.ndim > 0 and value.shape[-1] == module.in_features
            takes = f"(..., {module.in_features})"
        case nn.LayerNorm():
            own = tuple(module.normalized_shape)
            fits = tuple(value.shape[-len(own) :]) == own
            takes = f"(..., {', '.join(map(str, own))})"
        case nn.Conv1d() | nn.Conv2d() | nn.Conv3d():
            space = len(module.kernel_size)
            fits = value.ndim in {space + 1, space + 2} and value.shape[-space - 1] == module.in_channels
            takes = f"(B, {', '.join([str(module.in_channels), *['T', 'height', 'width'][:space]])})"
        case nn.BatchNorm1d():
            fits = value.ndim in {2, 3} and value.shape[1] == module.num_features
            takes = f"(B, {module.num_features}) or (B, {module.num_features}, T)"
        case _:
            return None
    real = isinstance(module, nn.RNNBase | nn.RNNCellBase) or not any(p.is_complex() for p in module.parameters())
    wrongs = (
        (
            real and value.is_complex(),
            "real numbers",
            "Pass real and imaginary parts as features: torch.view_as_real(x).",
        ),
        (not fits, "numbers", "Arrange its axes, or give the module that size."),
        (value.layout != torch.strided, "dense numbers", f"Convert the batch, which is {value.layout}: x.to_dense()."),
        (not floats, "floating-point numbers", "Convert the batch: x.float()."),
    )
    return next(((f"{what} of shape {takes}", remedy) for wrong, what, remedy in wrongs if wrong), None)
