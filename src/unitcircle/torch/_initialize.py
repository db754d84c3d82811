"""Initialization of a module, gate block by gate block."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import nn

from unitcircle import initializers
from unitcircle._filling import Decay, Filling, PerGate, Spec, biases_of, decay_fills
from unitcircle._keywords import right_keywords
from unitcircle._renamed import renamed_arguments
from unitcircle.checkpoints import config_of
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.initializers import Filled, GateBias, Initializer, Orthogonal, require
from unitcircle.recurrence import lru_gamma_log
from unitcircle.torch._computed_weights import (
    is_computed,
    require_writable,
    restored_on_error,
    write_weight,
)
from unitcircle.torch._fill import draw, fill_block, gaussian
from unitcircle.torch._modules import RecurrentTensors, recurrent_tensors, suspects
from unitcircle.torch._random import Rng, generator_of

_OTHER_DOORS = {
    "keras": "Call unitcircle.keras.initialize_.",
    "flax": "Call unitcircle.jax.initialize_ for an nnx module, unitcircle.jax.initialize for the variables of others.",
    "equinox": "Call unitcircle.jax.initialize.",
}
"""Package of a model of another framework → how it is initialized."""


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
@right_keywords
@torch.no_grad()
def initialize_(
    module: nn.Module,
    /,
    *,
    recurrent: PerGate = None,
    input: PerGate = None,  # noqa: A002  (the name of the weight)
    bias: Spec | None = None,
    decay: Decay | None = None,
    linear: Collection[str] = (),
    only: Collection[str] = (),
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
        ``forget_bias``, ``chrono``, ``uniform_gate``, ``zeros`` or ``constant``. torch adds two bias
        vectors; the initializer gives their *sum*. Gates that a gate bias does not set get zero. None leaves the biases
        as they are.
    decay
        Laws of the parameters of the decay of linear recurrences (Mamba, Gated DeltaNet, RWKV, LRU, S4D, ... under the
        names of transformers, flash-linear-attention and their authors): ``"authors"``, or a mapping of parameters to
        laws, ``{"dt_bias": "step(low=0.0001, high=0.01)"}``, and no others. γ of an LRU follows its ν. None leaves them
        as they are.
    linear
        Names of what is recurrent in your own code: modules with a square weight, ``["h2h"]``, and square parameters,
        ``["cell.W"]``.
    only
        Names of the recurrent weights whose layers are filled: ``["rnn.weight_hh_l1"]``; all layers by default.
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
        No initializer, or no recurrent layer; a complex initializer for real weights; a tensor to fill that the module
        computes from other parameters by a map that has no ``right_inverse``, or cannot produce such a weight.
    UnknownNameError
        A gate, a Linear module or a recurrent weight that does not exist.

    Examples
    --------
    >>> lstm = nn.LSTM(8, 16)
    >>> result = initialize_(lstm, recurrent="orthogonal", bias="forget_bias", rng=0)
    >>> print(result.filled[1])
    weight_hh_l0[f] = orthogonal(gain=1.0): every singular value is 1: holds (residual ..., tolerance ...)
    >>> (lstm.bias_ih_l0 + lstm.bias_hh_l0)[16:32].unique().tolist()
    [1.0]
    """
    _require_module(module)
    generator = generator_of(rng)
    decays: list[Filled] = []
    if decay is not None:
        decays = list(_fill_decays(module, decay, generator))
        if recurrent is None and input is None and bias is None:
            return Initialization(require(decays))
    filling = Filling.parse(recurrent, input, bias)
    layers = list(recurrent_tensors(module, linear))
    if only:
        found = {tensors.name: tensors for tensors in layers}
        if unknown := sorted(set(only) - found.keys()):
            raise UnknownNameError("only", unknown[0], found)
        layers = [tensors for name, tensors in found.items() if name in only]
    unnamed = tuple(suspects(module, linear))
    if not layers:
        remedy = f"Name recurrent Linear modules: linear={list(unnamed)}." if unnamed else ""
        raise ArgumentError("module", "must hold a recurrent layer", type(module).__name__, remedy)
    filling.check(layers)
    computed = False
    for tensors in layers:
        for role, leaf in _written(tensors, filling).items():
            part = module.get_submodule(tensors.path)
            require_writable(part, leaf, tensors.names[role])
            computed |= is_computed(part, leaf)
    filled = decays
    deferred: list[str] = []
    with restored_on_error(module) if computed else nullcontext():
        for tensors in layers:
            if tensors.recurrent.is_meta:
                bias_name = next(iter(tensors.biases), None)
                specs = {tensors.name: recurrent, tensors.names.get("weight_ih"): input, bias_name: bias}
                deferred += [name for name, spec in specs.items() if name is not None and spec is not None]
                continue
            filled += _fill(module.get_submodule(tensors.path), tensors, filling, generator)
    return Initialization(require(filled), tuple(deferred), unnamed)


def _fill(
    module: nn.Module, tensors: RecurrentTensors, filling: Filling, generator: torch.Generator
) -> Iterator[Filled]:
    """Fill the tensors of one layer, and certify what the module then holds."""
    leaves = _written(tensors, filling)
    # A computed tensor is filled as a copy, which is then written through the map that computes it.
    stored = {
        role: tensor.clone() if role in leaves and is_computed(module, leaves[role]) else tensor
        for role, tensor in tensors.stored.items()
    }
    draft = replace(tensors, stored=stored)
    filled = [*_fill_weights(draft, filling, generator)]
    if filling.bias is not None and filling.fills_bias(tensors):
        filled.append(_fill_bias(draft, filling.bias, generator))
    for role, leaf in leaves.items():
        stored[role] = write_weight(module, leaf, stored[role], tensors.names[role])
    for role, gate, init in filled:
        yield Filled(tensors.names[role], gate, init, init.certificate(_block(draft, role, gate)))


def _fill_decays(module: nn.Module, decay: Decay, generator: torch.Generator) -> Iterator[Filled]:
    """Fill the parameters of the decay of linear recurrences."""
    tensors = {name: value for name, value in module.state_dict().items() if isinstance(value, torch.Tensor)}
    for fill in decay_fills(tensors, decay, config_of(module)):
        tensor = tensors[fill.tensor]
        part = None if fill.places is None else torch.as_tensor(fill.places, device=tensor.device)
        values = fill.law.shaped(gaussian(tuple((tensor if part is None else part).shape), tensor, generator))
        if part is None:
            tensor.copy_(values)
        else:
            tensor.put_(part, values.to(tensor.dtype))
        if fill.gamma:
            tensors[fill.gamma].copy_(lru_gamma_log(tensor))
        yield Filled(fill.tensor, "", fill.law, fill.law.certificate_of(tensor if part is None else tensor.take(part)))


def _written(tensors: RecurrentTensors, filling: Filling) -> dict[str, str]:
    """Return role → name in its module, of the tensors that will be written."""
    roles = {"weight_hh", "weight_hr"} if filling.recurrent else set[str]()
    roles |= {"weight_ih"} if filling.input else set()
    roles |= {"bias_ih", "bias_hh"} if filling.bias is not None and filling.fills_bias(tensors) else set()
    return {role: tensors.names[role].rpartition(".")[2] for role in tensors.stored if role in roles}


def _block(tensors: RecurrentTensors, role: str, gate: str) -> torch.Tensor:
    """Return what an initializer has made: a block, or of a projected layer the product that acts on its state."""
    tensor = tensors.stored[role]
    block = tensors.blocks(tensor)[gate] if gate else tensor
    if role != "weight_hh" or tensors.projection is None:
        return block
    # In the stored type, whose rounding both factors carry.
    wide = torch.promote_types(block.dtype, torch.float32)
    return (tensors.projection.to(wide) @ block.to(wide)).to(block.dtype)


_Fill = tuple[str, str, Initializer]
"""Role of a tensor, gate, and what fills it."""


def _fill_weights(tensors: RecurrentTensors, filling: Filling, generator: torch.Generator) -> Iterator[_Fill]:
    projection = tensors.projection
    if projection is not None and filling.recurrent:
        projection.copy_(draw(Orthogonal(), tuple(projection.shape), projection, generator))
        yield "weight_hr", "", Orthogonal()
    blocks = tensors.blocks(tensors.recurrent)
    for gate, init in filling.by_gate(filling.recurrent, blocks).items():
        block = blocks[gate]
        fed_back = block.shape[-1]
        if projection is None:
            fill_block(block, init, generator)
        else:
            weight = draw(init, (fed_back, fed_back), block, generator)
            block.copy_(projection.to(weight.dtype).T @ weight)
        yield "weight_hh", gate, init
    if tensors.input is None:
        return
    blocks = tensors.blocks(tensors.input)
    for gate, init in filling.by_gate(filling.input, blocks).items():
        fill_block(blocks[gate], init, generator)
        yield "weight_ih", gate, init


def _fill_bias(tensors: RecurrentTensors, init: Initializer, generator: torch.Generator) -> _Fill:
    for vector in tensors.biases.values():
        vector.zero_()
    role = "bias_ih" if "bias_ih" in tensors.stored else "bias_hh"
    blocks = tensors.blocks(tensors.stored[role])
    like = blocks[tensors.keeping]
    # Zeros and constants draw nothing, so that the weights after them are those of the same seed without a bias.
    random = isinstance(init, GateBias)
    z = gaussian(tuple(like.shape), like, generator) if random else torch.zeros_like(like)
    for gate, value in biases_of(init, z, blocks, keeping=tensors.keeping).items():
        blocks[gate].copy_(value)
    return role, tensors.keeping, init


def _require_module(module: object) -> None:
    """Refuse what is no module of torch's own: with the backend torch a model of Keras is one, in Keras's layout."""
    packages = {kind.__module__.split(".")[0] for kind in type(module).__mro__}
    if isinstance(module, nn.Module) and "keras" not in packages:
        return
    remedy = next((door for package, door in _OTHER_DOORS.items() if package in packages), "")
    raise ArgumentError("module", "must be a torch.nn.Module", type(module).__name__, remedy)
