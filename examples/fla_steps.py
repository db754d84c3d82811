"""λ at rest against the own step of the layers of flash-linear-attention, its real classes run on a CPU.

Run as ``python examples/fla_steps.py > docs/results/fla-steps.md`` in an environment with torch, transformers,
flash-linear-attention, fla-core, einops and triton (a minute or two). The kernels of the library run in triton's
interpreter; of several configurations the first is taken, since nothing can be timed there. Every layer is built small
and initialized by itself with seed 0; its state dict is read as any file is, with the configuration of its model where
one is needed. Its own forward then takes one token of zeros from two states, all ones and all zeros, and the difference
of what it makes of them is the Jacobian: all keys are zero, and no term of a delta rule is left. Where its kernel does
not run on a CPU, the naive implementation of the library stands in for it, or the layer's own projection gives A and Δ,
of which the kernel's decay is exp(A Δ); the table says which.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import io
import os
import warnings
from importlib.metadata import version

os.environ["TRITON_INTERPRET"] = "1"

import numpy as np
import torch
from linear_recurrences import apart

import unitcircle as uc

HIDDEN = 32
HEADS = {"num_heads": 4, "head_dim": 8}
RECURRENT = {"num_heads": 4, "mode": "fused_recurrent"}
LAYERS = {
    "comba.Comba": HEADS | RECURRENT | {"expand_v": 1},
    "delta_net.DeltaNet": RECURRENT,
    "gated_deltanet.GatedDeltaNet": HEADS | RECURRENT | {"expand_v": 1},
    "gdn2.GatedDeltaNet2": HEADS | RECURRENT,
    "gated_deltaproduct.GatedDeltaProduct": HEADS | RECURRENT | {"expand_v": 1},
    "gla.GatedLinearAttention": RECURRENT,
    "hgrn.HGRNAttention": {"mode": "fused_recurrent"},
    "hgrn2.HGRN2Attention": {"expand_ratio": 8, "mode": "fused_recurrent"},
    "kda.KimiDeltaAttention": HEADS | RECURRENT,
    "log_linear_mamba2.LogLinearMamba2": {"num_heads": 4, "head_dim": 16, "state_size": 8, "n_groups": 1},
    "mamba.Mamba": {"state_size": 16, "intermediate_size": 64},
    "mamba2.Mamba2": {"num_heads": 4, "head_dim": 16, "state_size": 8, "n_groups": 1},
    "mamba3.Mamba3": {"head_dim": 16},
    "mesa_net.MesaNet": HEADS,
    "mom.MomAttention": HEADS | RECURRENT | {"expand_v": 1, "num_memories": 4, "topk": 4},
    "multiscale_retention.MultiScaleRetention": RECURRENT,
    "precond_gated_deltanet.PrecondGatedDeltaNet": HEADS | RECURRENT,
    "precond_kda.PrecondKDA": HEADS | RECURRENT,
    "rodimus.RodimusAttention": {"mode": "fused_recurrent"},
    "rwkv6.RWKV6Attention": RECURRENT,
    "rwkv7.RWKV7Attention": {"head_dim": 8, "mode": "fused_recurrent", "num_hidden_layers": 2},
    "simple_gla.SimpleGatedLinearAttention": RECURRENT,
}
CONFIGURATIONS = {"mamba3.Mamba3": {"model_type": "mamba3"}}
"""What the configuration of a model says beside its weights, where that is needed."""
KERNELS = "its kernels, interpreted"
HEAD = """# λ at rest of flash-linear-attention's own layers

Printed by `python examples/fla_steps.py` on {date} with flash-linear-attention {fla} and torch {torch}: the real
classes, built small. λ at rest is read from the names and shapes of the state dict; *step* says how the layer made its
own step on a CPU, and the last column is the largest distance of λ from its Jacobian (float32).

| class | read as | units | step | distance |
|---|---|---|---|---|"""


def built(path: str) -> torch.nn.Module:
    """Return a small layer, the biases of its convolution 0, so that a token of zeros is one to the recurrence."""
    module, _, name = path.rpartition(".")
    torch.manual_seed(0)
    layer = getattr(importlib.import_module(f"fla.layers.{module}"), name)
    made = layer(hidden_size=HIDDEN, layer_idx=0, **LAYERS[path]).eval()
    for leaf, values in made.named_parameters():
        if leaf.endswith(("conv1d.bias", "conv.bias")):
            values.data.zero_()
    return made


@torch.no_grad()
def stepped(layer: torch.nn.Module, value: float) -> torch.Tensor:
    """Return the state of a layer after one token of zeros, from a state of one value."""
    cache, token = importlib.import_module("fla.models.utils").Cache(), torch.zeros(1, 1, HIDDEN)
    layer(token, past_key_values=cache, use_cache=True)
    held = cache.layers[0].state
    states = held["recurrent_state"]
    many = isinstance(states, tuple | list)
    filled = [torch.full_like(state, value) for state in (states if many else [states])]
    held["recurrent_state"] = type(states)(filled) if many else filled[0]
    layer(token, past_key_values=cache, use_cache=True)
    states = cache.layers[0].state["recurrent_state"]
    return (states[0] if many else states).double()


def naive_mesa(layer: torch.nn.Module) -> torch.Tensor:
    """Return the Jacobian of a MesaNet, its two kernels replaced by the naive implementations of the library."""
    own, naive = (importlib.import_module(f"fla.{where}") for where in ("layers.mesa_net", "ops.mesa_net.naive"))

    def chunk(*, q, k, **given):
        rest = {name: given[name] for name in ("v", "g", "lamb", "beta", "h_kk_init", "h_kv_init")}
        return naive.naive_mesa_net_exact(own.l2_norm(q), own.l2_norm(k), **rest)

    own.chunk_mesa_net, own.mesa_net_decoding_one_step = chunk, naive.naive_mesa_net_decoding_one_step
    return stepped(layer, 1.0) - stepped(layer, 0.0)


@torch.no_grad()
def projected(layer: torch.nn.Module) -> torch.Tensor:
    """Return exp(A Δ) of a Mamba-3 of its own A and Δ for a token of zeros."""
    z, x, B, C, step, A, trap, angles = layer._project_and_split(torch.zeros(1, HIDDEN))
    steps, *_, rates, _ = layer._preprocess_step(A, step, B, C, x, z, trap, angles)
    return torch.exp(rates.double() * steps.double())


STEPS = {
    "mesa_net.MesaNet": (naive_mesa, "the naive implementation in fla"),
    "mamba3.Mamba3": (projected, "exp(A Δ) of its own A and Δ"),
}


def row(path: str) -> str:
    name = path.rpartition(".")[2]
    step, how = STEPS.get(path, (lambda layer: stepped(layer, 1.0) - stepped(layer, 0.0), KERNELS))
    try:
        layer = built(path)
        state = {f"layers.0.attn.{leaf}": values for leaf, values in layer.state_dict().items()}
        (read,) = uc.read(state, config=CONFIGURATIONS.get(path))
        measured = step(layer).numpy()
    except Exception as error:  # a class may refuse a CPU in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:90]
        return f"| {name} | not run: {reason} | | | |"
    distance = apart(np.real(read.diagonal), measured)
    return f"| {name} | {read.linear.family.name} | {read.linear.size} | {how} | {distance:.0e} |"


def main() -> None:
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        autotuner = importlib.import_module("triton.runtime.autotuner").Autotuner
        autotuner._bench = lambda *_, **__: [1.0, 1.0, 1.0]
        with contextlib.redirect_stdout(io.StringIO()):
            rows = [row(path) for path in LAYERS]
    versions = {"fla": version("flash-linear-attention"), "torch": torch.__version__}
    print(HEAD.format(date=dt.datetime.now(dt.UTC).date(), **versions))
    print("\n".join(rows))


if __name__ == "__main__":
    main()
