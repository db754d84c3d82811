"""Initialization of a module, gate block by gate block."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from unitcircle import initializers
from unitcircle._filling import Filling, PerGate, Spec, biases_of
from unitcircle._renamed import renamed_arguments
from unitcircle.errors import ArgumentError
from unitcircle.initializers import Chrono, Filled, ForgetBias, Initializer, Orthogonal, require
from unitcircle.torch._fill import draw, gaussian
from unitcircle.torch._modules import RecurrentTensors, recurrent_tensors, suspects
from unitcircle.torch._random import Rng, generator_of


@dataclass(frozen=True)
class Initialization(initializers.Initialization):
    """The result of :func:`initialize_`.

    Attributes
    ----------
    filled
        Every block that was filled, with its certificate.
    deferred
        Tensors on the meta device, which have no values yet: call again after ``module.to_empty(...)``.
    suspects
        Square Linear modules that look recurrent by their names; they were not changed. Pass those that are
        recurrent in ``linear=``.
    """

    deferred: tuple[str, ...] = ()
    suspects: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [str(filled) for filled in self.filled]
        lines += [f"{name}: deferred, it is on the meta device" for name in self.deferred]
        lines += [f"{name}: not changed; if it is recurrent, pass linear=[{name!r}]" for name in self.suspects]
        return "\n".join(lines)


@renamed_arguments(generator="rng")
@torch.no_grad()
def initialize_(
    module: nn.Module,
    /,
    *,
    recurrent: PerGate = None,
    input: PerGate = None,  # noqa: A002  (the name of the weight)
    bias: Spec | None = None,
    linear: Collection[str] = (),
    rng: Rng = None,
) -> Initialization:
    r"""Initialize every recurrent layer of a module, gate block by gate block, in place.

    Every layer and direction of nn.RNN, nn.GRU and nn.LSTM, their cells, and the Linear modules you name, at any
    depth; a shared module is filled once. A weight is stored ``(k·n, n)``; each of its k blocks gets its own draw.

    With a projection (``proj_size=p``) the state fed back has p entries. The initializer gives R (p × p), which
    acts on that state: W_hr gets orthonormal rows and W_hh = W_hrᵀ R, so that the effective recurrence W_hh W_hr
    has the eigenvalues of R and n − p zeros.

    Parameters
    ----------
    module
        Any module.
    recurrent, input
        Specification of the recurrent and the input weights: one for all gates, or a mapping from gates (``"*"`` for
        the others) such as ``{"g": "eigen", "*": "orthogonal"}``. None leaves them as they are.
    bias
        ``forget_bias``, ``chrono``, ``zeros`` or ``constant``. torch adds two bias vectors; the initializer gives
        their *sum*. Gates that a forget bias does not set get zero. None leaves the biases as they are.
    linear
        Names of square Linear modules in your own code that are recurrent: ``["h2h"]``.
    rng
        Seed, ``torch.Generator`` or ``numpy.random.Generator``; a fresh seed by default. torch's global random state
        is not touched.

    Returns
    -------
    Initialization
        Every filled block with its initializer and certificate; the deferred tensors; the Linear modules that look
        recurrent but were not named.

    Raises
    ------
    CertificateError
        A block does not have the property its initializer promises.
    ArgumentError
        No initializer, or no recurrent layer; a complex initializer for real weights; a recurrent weight that is
        parametrized, because writing to it would have no effect.
    UnknownNameError
        A gate or Linear module that does not exist.

    Examples
    --------
    >>> lstm = nn.LSTM(8, 16)
    >>> result = initialize_(lstm, recurrent="orthogonal", bias="forget_bias", rng=0)
    >>> print(result.filled[1])
    weight_hh_l0[f] = orthogonal(gain=1.0): every singular value is 1: holds (residual ..., tolerance ...)
    >>> (lstm.bias_ih_l0 + lstm.bias_hh_l0)[16:32].unique().tolist()
    [1.0]
    """
    filling = Filling.parse(recurrent, input, bias)
    layers = list(recurrent_tensors(module, linear))
    unnamed = tuple(suspects(module, linear))
    if not layers:
        remedy = f"Name recurrent Linear modules: linear={list(unnamed)}." if unnamed else ""
        raise ArgumentError("module", "must hold a recurrent layer", type(module).__name__, remedy)
    for tensors in layers:
        if not isinstance(tensors.recurrent, nn.Parameter):
            rule = "must be initialized before its recurrent weight is parametrized"
            raise ArgumentError("module", rule, f"{tensors.name}, which is computed from other parameters")
    filling.check(layers)
    generator = generator_of(rng)
    filled: list[Filled] = []
    deferred: list[str] = []
    for tensors in layers:
        if tensors.recurrent.is_meta:
            bias_name = next(iter(tensors.biases), None)
            specs = {tensors.name: recurrent, tensors.names.get("weight_ih"): input, bias_name: bias}
            deferred += [name for name, spec in specs.items() if name is not None and spec is not None]
            continue
        filled += _fill_weights(tensors, filling, generator)
        if filling.bias is not None and filling.fills_bias(tensors):
            filled.append(_fill_bias(tensors, filling.bias, generator))
    return Initialization(require(filled), tuple(deferred), unnamed)


def _fill_weights(tensors: RecurrentTensors, filling: Filling, generator: torch.Generator) -> Iterator[Filled]:
    projection = tensors.projection
    if projection is not None and filling.recurrent:
        projection.copy_(draw(Orthogonal(), tuple(projection.shape), projection, generator))
        yield Filled(tensors.names["weight_hr"], "", Orthogonal(), Orthogonal().certificate(projection))
    blocks = tensors.blocks(tensors.recurrent)
    for gate, init in filling.by_gate(filling.recurrent, blocks).items():
        block = blocks[gate]
        fed_back = block.shape[-1]
        weight = draw(init, (fed_back, fed_back), block, generator)
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
    blocks = tensors.blocks(tensors.input)
    for gate, init in filling.by_gate(filling.input, blocks).items():
        blocks[gate].copy_(draw(init, tuple(blocks[gate].shape), blocks[gate], generator))
        yield Filled(tensors.names["weight_ih"], gate, init, init.certificate(blocks[gate]))


def _fill_bias(tensors: RecurrentTensors, init: Initializer, generator: torch.Generator) -> Filled:
    for vector in tensors.biases.values():
        vector.zero_()
    name, vector = next(iter(tensors.biases.items()))
    blocks = tensors.blocks(vector)
    like = blocks[tensors.keeping]
    # Zeros and constants draw nothing, so that the weights after them are those of the same seed without a bias.
    random = isinstance(init, Chrono | ForgetBias)
    z = gaussian(tuple(like.shape), like, generator) if random else torch.zeros_like(like)
    for gate, value in biases_of(init, z, blocks, keeping=tensors.keeping).items():
        blocks[gate].copy_(value)
    return Filled(name, tensors.keeping, init, init.certificate(like))
