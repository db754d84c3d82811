"""λ at rest against the own step of the layers of flash-linear-attention, its real classes run on a CPU.

Run as ``python examples/fla_steps.py > docs/results/fla-steps.md`` in an environment with torch, transformers,
flash-linear-attention, fla-core, einops and triton (a minute or two). The kernels of the library run in triton's
interpreter; of several configurations the first is taken, since nothing can be timed there. Every layer is built small
and initialized by itself with seed 0; its state dict is read as any file is. Its own forward then takes one token of
zeros from two states, all ones and all zeros, and the difference of what it makes of them is the Jacobian: all keys
are zero, and no term of a delta rule is left.
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
    "mamba3.Mamba3": {},
    "mesa_net.MesaNet": HEADS,
    "multiscale_retention.MultiScaleRetention": RECURRENT,
    "precond_gated_deltanet.PrecondGatedDeltaNet": HEADS | RECURRENT,
    "precond_kda.PrecondKDA": HEADS | RECURRENT,
    "rodimus.RodimusAttention": {"mode": "fused_recurrent"},
    "rwkv6.RWKV6Attention": RECURRENT,
    "rwkv7.RWKV7Attention": {"head_dim": 8, "mode": "fused_recurrent", "num_hidden_layers": 2},
    "simple_gla.SimpleGatedLinearAttention": RECURRENT,
}
HEAD = """# λ at rest of flash-linear-attention's own layers

Printed by `python examples/fla_steps.py` on {date} with flash-linear-attention {fla} and torch {torch}: the real
classes, built small, their kernels run on a CPU by triton's interpreter. λ at rest is read from the names and shapes of
the state dict; the last column is its largest distance from the Jacobian of the layer's own step (float32).

| class | read as | units | distance |
|---|---|---|---|"""


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
    held["recurrent_state"] = tuple(filled) if many else filled[0]
    layer(token, past_key_values=cache, use_cache=True)
    states = cache.layers[0].state["recurrent_state"]
    return (states[0] if many else states).double()


def row(path: str) -> str:
    name = path.rpartition(".")[2]
    try:
        layer = built(path)
        (read,) = uc.read({f"layers.0.attn.{leaf}": values for leaf, values in layer.state_dict().items()})
        measured = (stepped(layer, 1.0) - stepped(layer, 0.0)).numpy()
    except Exception as error:  # a class may refuse a CPU in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:90]
        return f"| {name} | not run: {reason} | | |"
    distance = apart(np.real(read.diagonal), measured)
    return f"| {name} | {read.linear.family.name} | {read.linear.size} | {distance:.0e} |"


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
