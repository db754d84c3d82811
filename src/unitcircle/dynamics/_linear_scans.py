"""The transitions that a model hands to its own scans: what its layers do to their state, token by token."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

Arguments = Mapping[str, Any]
SAMPLE = 100_000
"""Decays from which quantiles are taken."""
_NOTHING = -800.0
"""log of a share that is 0 in double precision."""


@dataclass(frozen=True, eq=False)
class Transitions:
    """The transitions ``A_t = diag(exp(log_decay_t)) + left_t right_tᵀ`` of a layer along a batch.

    ``log_decay`` is ``(batch, T, heads, entries)``, of one entry where all of a head decay alike; ``left`` and
    ``right`` are ``(1, T, heads, entries)``, of the first sequence, or None without a delta rule. Where it holds the
    slowest entry of each head alone, ``sample`` holds some of all entries, of any shape.
    """

    log_decay: Tensor
    left: Tensor | None = None
    right: Tensor | None = None
    sample: Tensor | None = None


def _selective_scan(given: Arguments) -> Transitions:
    """Mamba: Δ ``(batch, channels, T)`` and A ``(channels, modes)``; its slowest mode is the same at every token."""
    _, step, A, *_ = given.values()
    bias = given.get("delta_bias")
    step = step.double() if bias is None else step.double() + bias.double()[:, None]
    step = functional.softplus(step) if given.get("delta_softplus") else step
    step, A = step.transpose(1, 2)[..., None], A.double()
    some = step[:, :: max(1, step.numel() * A.shape[-1] // SAMPLE)]
    return Transitions(step * A.amax(-1, keepdim=True), sample=some * A)


def _chunk_scan(given: Arguments) -> Transitions:
    """Mamba-2: Δ ``(batch, T, heads)`` and A ``(heads,)``."""
    _, step, A, *_ = given.values()
    bias = given.get("dt_bias")
    step = step.double() if bias is None else step.double() + bias.double()
    step = functional.softplus(step) if given.get("dt_softplus") else step
    low, high = given.get("dt_limit") or (0.0, float("inf"))
    return Transitions((step.clamp(low, high) * A.double())[..., None])


def _delta_rule(given: Arguments) -> Transitions:
    """S' = (I − β k kᵀ) diag(α) S, with the decay as its logarithm g, or as what the kernel makes it from."""
    key = given["key" if "key" in given else "k"][:1].double()
    beta, g = given["beta"].double(), given.get("g")
    if given.get("use_qk_l2norm_in_kernel"):
        key = key * torch.rsqrt((key * key).sum(-1, keepdim=True) + 1e-6)
    if given.get("use_beta_sigmoid_in_kernel"):
        beta = beta.sigmoid()
    g = torch.zeros_like(beta) if g is None else g.double()
    if given.get("use_gate_in_kernel"):
        rate = given["A_log"].double().flatten().exp()
        bias = given.get("dt_bias")
        g = g if bias is None else g + bias.double().view(g.shape[2:])
        g = -rate.view(-1, *(1,) * (g.ndim - 3)) * functional.softplus(g)
    key = key.repeat_interleave(beta.shape[2] // key.shape[2], 2)
    decay = g[..., None] if g.ndim < key.ndim else g
    return Transitions(decay, -beta[:1, ..., None] * key, decay[:1].exp() * key)


def _gated(given: Arguments) -> Transitions:
    """GLA and its kin: the logarithm of the gate, of each head or of each of its channels."""
    key, g = given["k"], given["g" if "g" in given else "gk"].double()
    return Transitions(g if g.ndim == key.ndim else g[..., None])


def _rwkv(given: Arguments) -> Transitions:
    """RWKV-6: log w; RWKV-7 also b aᵀ."""
    w = given["w"].double()
    return Transitions(w, given["b"][:1].double(), given["a"][:1].double()) if "a" in given else Transitions(w)


def _fused_rwkv_7(given: Arguments) -> Transitions:
    """RWKV-7 with its key k̂ and its rate a apart: diag(w) − (a k̂) k̂ᵀ."""
    key = given["kk"][:1].double()
    return Transitions(given["w"].double(), key * given["a"][:1].double(), -key)


def _rg_lru(given: Arguments) -> Transitions:
    """RG-LRU: a; what begins a document forgets all, but for the first token, before which there is nothing."""
    reset = given["reset"].clone()
    reset[:, 0] = False
    return Transitions(given["recurrent_gate"].double().log().masked_fill(reset, _NOTHING)[..., None])


def _mlstm(given: Arguments) -> Transitions:
    """MLSTM: the pre-activation of the forget gate, ``(batch, heads, T)``; S = exp(m) C, of which C is stored."""
    gate = given["f" if "f" in given else "fgate"]
    return Transitions(functional.logsigmoid(gate.double()).transpose(1, 2)[..., None])


Reader = Callable[[Arguments], Transitions]
_FUNCTIONS: Mapping[str, Reader] = {
    r"(?:mamba_)?selective_scan(?:_fn)?": _selective_scan,
    r"(?:mamba2?_)?chunk_scan(?:_combined)?": _chunk_scan,
    r"(?:torch_)?(?:chunk|recurrent|fused_recurrent)_(?:gated_)?delta_rule": _delta_rule,
    r"(?:chunk|recurrent|fused_recurrent)_(?:kda|kimi_delta_attention)": _delta_rule,
    r"(?:chunk|fused_chunk|recurrent|fused_recurrent)_(?:simple_)?gla": _gated,
    r"(?:chunk|recurrent|fused_recurrent)_rwkv[67]": _rwkv,
    r"fused_mul_recurrent_rwkv7": _fused_rwkv_7,
    r"_rnn_scan": _rg_lru,
}
"""Pattern of the name of a function, or of a method, → how its arguments are read."""
_MODULES: Mapping[str, Reader] = {r"(?:xLSTM|mLSTM)Backend": _mlstm}
"""Pattern of the name of a class of modules → how the arguments of its call are read."""
Record = Callable[[Transitions], None]


@contextmanager
def watched(
    mixers: Sequence[nn.Module], record: Callable[[int, Transitions], None], lengths: dict[int, int], /
) -> Generator[None]:
    """Report the transitions of every scan that runs inside one of the modules, with the number of the module.

    ``lengths`` gets the number of tokens that each module was called with.
    """
    running: list[int] = []  # Numbers of the mixers that are being computed
    inside: list[bool] = []  # Whether a scan is being computed, which may call another

    def entering(number: int) -> Callable[..., None]:
        def enter(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            running.append(number)
            inputs = [x for x in (*args, *kwargs.values()) if isinstance(x, Tensor) and x.ndim >= 2]
            if inputs:
                lengths[number] = inputs[0].shape[1]

        return enter

    def reading(function: Callable[..., Any], reader: Reader) -> Callable[..., Any]:
        parameters = inspect.signature(function)

        def call(*args: Any, **kwargs: Any) -> Any:
            if running and not inside:
                record(running[-1], _read(reader, parameters, args, kwargs))
            inside.append(True)
            try:
                return function(*args, **kwargs)
            finally:
                inside.pop()

        return call

    with ExitStack() as stack:
        for number, mixer in enumerate(mixers):
            before = mixer.register_forward_pre_hook(entering(number), with_kwargs=True)
            after = mixer.register_forward_hook(lambda *_: _pop(running), always_call=True)
            stack.callback(before.remove)
            stack.callback(after.remove)
            for part in mixer.modules():
                if reader := _reader_of(type(part).__name__, _MODULES):
                    _watch_module(stack, part, reader, lambda found: record(running[-1], found))
        for holder, name, function, reader in _functions(mixers):
            stack.callback(setattr, holder, name, function)
            setattr(holder, name, reading(function, reader))
        yield


def _pop(running: list[int]) -> None:
    running.pop()


def _watch_module(stack: ExitStack, part: nn.Module, reader: Reader, record: Record) -> None:
    parameters = inspect.signature(part.forward)

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        record(_read(reader, parameters, args, kwargs))

    stack.callback(part.register_forward_pre_hook(before, with_kwargs=True).remove)


def _read(
    reader: Reader, parameters: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Transitions:
    bound = parameters.bind(*args, **kwargs).arguments
    further = next((p.name for p in parameters.parameters.values() if p.kind is p.VAR_KEYWORD), "")
    with torch.no_grad():
        return reader({**bound, **bound.pop(further, {})})


def _functions(mixers: Sequence[nn.Module]) -> list[tuple[Any, str, Callable[..., Any], Reader]]:
    """Return the scans of the Python modules and the classes of the mixers: holder, name, function, reader."""
    classes = dict.fromkeys(type(part) for mixer in mixers for part in mixer.modules())
    holders = dict.fromkeys(sys.modules[cls.__module__] for cls in classes if cls.__module__ in sys.modules)
    found: list[tuple[Any, str, Callable[..., Any], Reader]] = []
    for holder in (*holders, *classes):
        for name, value in list(vars(holder).items()):
            reader = _reader_of(name, _FUNCTIONS)
            if reader is not None and callable(value) and not isinstance(value, type):
                found.append((holder, name, value, reader))
    return found


def _reader_of(name: str, table: Mapping[str, Reader]) -> Reader | None:
    return next((reader for pattern, reader in table.items() if re.fullmatch(pattern, name)), None)
