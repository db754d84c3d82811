"""Initialization that knows the gates."""

from __future__ import annotations

__all__ = ["Filled", "Initialization", "initialize_"]

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from unitcircle.errors import ArgumentError, CertificateError, UnknownNameError
from unitcircle.initializers import Certificate, Chrono, Constant, ForgetBias, Initializer, Orthogonal, Zeros, parse
from unitcircle.torch._fill import Generator, blocks_of, draw, stream
from unitcircle.torch._modules import GATES, RecurrentTensors, recurrent_tensors, suspects

Spec = Initializer | str
PerGate = Spec | Mapping[str, Spec] | None
GATE_BIAS = (Chrono, ForgetBias)


@dataclass(frozen=True)
class Filled:
    """One block that was filled.

    Attributes
    ----------
    tensor
        Qualified name of the tensor.
    gate
        The gate, or empty for a whole tensor.
    init
        What was asked.
    certificate
        What was measured on the stored numbers.
    """

    tensor: str
    gate: str
    init: Initializer
    certificate: Certificate

    def __str__(self) -> str:
        place = f"{self.tensor}[{self.gate}]" if self.gate else self.tensor
        return f"{place} = {self.init}: {self.certificate}"


@dataclass(frozen=True)
class Initialization:
    """What :func:`initialize_` did.

    Attributes
    ----------
    filled
        Every block that was filled, with its certificate.
    deferred
        Tensors on the meta device, which have no numbers yet: call again after ``module.to_empty(...)``.
    suspects
        Square Linear modules whose name says that they are recurrent; they were left as they are. Pass those that
        are in ``linear=``.
    """

    filled: tuple[Filled, ...]
    deferred: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [str(filled) for filled in self.filled]
        lines += [f"{name}: deferred, it is on the meta device" for name in self.deferred]
        lines += [f"{name}: left alone; if it is recurrent, pass linear=[{name!r}]" for name in self.suspects]
        return "\n".join(lines)


@torch.no_grad()
def initialize_(
    module: nn.Module,
    /,
    *,
    recurrent: PerGate = None,
    input: PerGate = None,  # noqa: A002  (the name of the thing)
    bias: Spec | None = None,
    linear: Collection[str] = (),
    generator: Generator = None,
) -> Initialization:
    r"""Initialize every recurrent layer of a module, gate block by gate block, in place.

    Every layer and direction of nn.RNN, nn.GRU and nn.LSTM, their cells, and the Linear modules you name, at any
    depth, shared ones once. A weight is stored ``(k·n, n)``; each of its k blocks gets a draw of its own.

    With a projection (``proj_size=p``) the state fed back has p entries. The recurrence asked for, R (p × p), is put
    where that state lives: W_hr gets orthonormal rows and W_hh = W_hrᵀ R, so that the effective recurrence W_hh W_hr
    has the eigenvalues of R and n − p zeros.

    Parameters
    ----------
    module
        Any module.
    recurrent, input
        Specification of the recurrent and the input weights: one for all gates, or a mapping from gates (``"*"`` for
        the others) such as ``{"g": "eigen", "*": "orthogonal"}``. None leaves them as they are.
    bias
        ``forget_bias``, ``chrono``, ``zeros`` or ``constant``. torch adds two bias vectors; their *sum* is what is
        asked. Gates a forget bias does not decide get zero. None leaves the biases as they are.
    linear
        Names of square Linear modules in your own code that are recurrent: ``["h2h"]``.
    generator
        A generator or a seed; a fresh one by default. torch's global random state is never touched.

    Returns
    -------
    Initialization
        For each block what was asked and how far it is from it; what was deferred; what looks recurrent but was not
        named.

    Raises
    ------
    CertificateError
        A block does not have the property its initializer promises.
    ArgumentError
        Nothing to do, or nothing to do it to; a complex initializer for real weights; a recurrent weight that is
        parametrized, for writing to it would do nothing.
    UnknownNameError
        A gate or Linear module that does not exist.

    Examples
    --------
    >>> lstm = nn.LSTM(8, 16)
    >>> done = initialize_(lstm, recurrent="orthogonal", bias="forget_bias", generator=0)
    >>> print(done.filled[1])
    weight_hh_l0[f] = orthogonal(gain=1.0): every singular value is 1: holds (residual ..., tolerance ...)
    >>> (lstm.bias_ih_l0 + lstm.bias_hh_l0)[16:32].unique().tolist()
    [1.0]
    """
    if recurrent is None and input is None and bias is None:
        raise ArgumentError("initialize_", "must be told what to fill", "neither recurrent, input nor bias")
    found = list(recurrent_tensors(module, linear))
    left = tuple(suspects(module, linear))
    if not found:
        remedy = f"Name recurrent Linear modules: linear={list(left)}." if left else ""
        raise ArgumentError("module", "must hold a recurrent layer", type(module).__name__, remedy)
    for tensors in found:
        if not isinstance(tensors.recurrent, nn.Parameter):
            rule = "must be initialized before its recurrent weight is parametrized"
            raise ArgumentError("module", rule, f"{tensors.name}, which is computed from other parameters")
    if bias is not None:
        _check_bias(parse(bias), found)
    for spec in (recurrent, input):
        _check_gates(spec, {gate for tensors in found for gate in tensors.gates})
    source = stream(generator)
    filled: list[Filled] = []
    deferred: list[str] = []
    for tensors in found:
        if tensors.recurrent.is_meta:
            asked = {"weight_hh": recurrent, "weight_ih": input, "bias_ih": bias}
            names = [tensors.name.replace("weight_hh", kind) for kind, spec in asked.items() if spec is not None]
            deferred += dict.fromkeys(names)
            continue
        filled += _fill_weights(tensors, recurrent, input, source)
        if bias is not None:
            filled += _fill_bias(tensors, parse(bias), source)
    broken = [block for block in filled if not block.certificate.holds]
    if broken:
        raise CertificateError("\n".join(map(str, broken)))
    return Initialization(tuple(filled), tuple(deferred), left)


def _check_gates(spec: PerGate, known: set[str]) -> None:
    if isinstance(spec, Mapping):
        every = {gate for gates in GATES.values() for gate in gates} | {"*"}
        for gate in spec:
            if gate not in known | {"*"}:
                raise UnknownNameError("gate", gate, known | {"*"} if gate not in every else known)


def _check_bias(init: Initializer, found: Sequence[RecurrentTensors]) -> None:
    if not isinstance(init, (*GATE_BIAS, Zeros, Constant)):
        raise ArgumentError("bias", "must be forget_bias, chrono, zeros or constant", str(init))
    if not any(_takes_bias(tensors, init) for tensors in found):
        arrived = "layers without biases" if any(t.kind != "rnn" for t in found) else "plain layers without gates"
        raise ArgumentError("bias", f"must be one that the layers have: {init.name}", arrived)


def _takes_bias(tensors: RecurrentTensors, init: Initializer) -> bool:
    return bool(tensors.biases) and not (isinstance(init, GATE_BIAS) and tensors.kind == "rnn")


def _of_gate(spec: PerGate, gate: str) -> Initializer | None:
    if isinstance(spec, Mapping):
        spec = spec.get(gate, spec.get("*"))
    return None if spec is None else parse(spec)


def _fill_weights(
    tensors: RecurrentTensors, recurrent: PerGate, into: PerGate, source: torch.Generator
) -> Iterator[Filled]:
    projection = tensors.projection
    if projection is not None and recurrent is not None:
        projection.copy_(draw(Orthogonal(), tuple(projection.shape), projection, source))
        name = tensors.name.replace("weight_hh", "weight_hr")
        yield Filled(name, "", Orthogonal(), Orthogonal().certificate(projection))
    for gate, block in zip(tensors.gates, blocks_of(tensors.recurrent, len(tensors.gates)), strict=True):
        init = _of_gate(recurrent, gate)
        if init is None:
            continue
        fed_back = block.shape[-1]
        weight = draw(init, (fed_back, fed_back), block, source)
        if projection is None:
            block.copy_(weight)
            yield Filled(tensors.name, gate, init, init.certificate(block))
        else:
            block.copy_(projection.to(weight.dtype).T @ weight)
            product = projection.to(weight.dtype) @ block.to(weight.dtype)
            # In the stored type, whose rounding both factors carry.
            yield Filled(tensors.name, gate, init, init.certificate(product.to(block.dtype)))
    if tensors.input is None:
        return
    name = tensors.name.replace("weight_hh", "weight_ih")
    for gate, block in zip(tensors.gates, blocks_of(tensors.input, len(tensors.gates)), strict=True):
        init = _of_gate(into, gate)
        if init is not None:
            block.copy_(draw(init, tuple(block.shape), block, source))
            yield Filled(name, gate, init, init.certificate(block))


def _fill_bias(tensors: RecurrentTensors, init: Initializer, source: torch.Generator) -> Iterator[Filled]:
    if not _takes_bias(tensors, init):
        return
    for vector in tensors.biases:
        vector.zero_()
    first = tensors.biases[0]
    blocks = dict(zip(tensors.gates, blocks_of(first, len(tensors.gates)), strict=True))
    n = len(first) // len(blocks)
    if isinstance(init, GATE_BIAS):
        z = torch.randn(n, generator=source, device=source.device).to(first.device)
        decided = init.gates(z, cell=tensors.kind)
    else:
        decided = {gate: torch.full((n,), getattr(init, "value", 0.0), device=first.device) for gate in blocks}
    name = tensors.name.replace("weight_hh", "bias_ih") if "weight_hh" in tensors.name else f"{tensors.name[:-6]}bias"
    for gate, value in decided.items():
        blocks[gate].copy_(value)
    keeping = {"lstm": "f", "gru": "z"}.get(tensors.kind, "h")
    yield Filled(name, keeping, init, init.certificate(blocks[keeping]))
