"""What a fresh linear recurrence remembers: the classes of transformers, made tiny, saved, read and judged.

Run as ``python examples/linear_recurrences.py > docs/results/linear-recurrences.md`` (needs transformers and torch).
Every class is built from its configuration with the sizes below, initialized by itself and saved by
``save_pretrained``; what the file holds is read as any file is. λ at rest is compared with the model's own step: its
mixer takes one token of zeros from two states, and the difference of what it makes of them is the Jacobian.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import inspect
import io
import json
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import torch
import transformers

import unitcircle as uc

SMALL = {"vocab_size": 64, "hidden_size": 64, "num_hidden_layers": 2, "intermediate_size": 64, "pad_token_id": 0}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64}
MAMBA2 = {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_d_state": 8}
LAYERS = {"layer_types": ["linear_attention", "full_attention"]}
DELTA = {
    "linear_num_value_heads": 8, "linear_num_key_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
} | LAYERS  # fmt: skip
EXPERTS = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16, "head_dim": 8}
LATENT = {"kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8, "v_head_dim": 8}
MODELS = {
    "mamba": {},
    "falcon_mamba": {},
    "mamba2": {"num_heads": 8, "head_dim": 16, "state_size": 8, "n_groups": 1},
    "jamba": HEADS | {"num_experts": 2, "num_experts_per_tok": 1, "attn_layer_period": 2, "attn_layer_offset": 1},
    "zamba": HEADS | {"n_mamba_heads": 2, "num_hidden_layers": 3, "layers_block_type": ["mamba", "hybrid", "hybrid"]},
    "zamba2": HEADS | {"n_mamba_heads": 8, "mamba_d_state": 8, "layers_block_type": ["mamba", "hybrid"]},
    "bamba": HEADS | MAMBA2 | {"attn_layer_indices": [1]},
    "falcon_h1": HEADS | MAMBA2 | {"mamba_d_ssm": 128},
    "granitemoehybrid": HEADS | MAMBA2 | {
        "num_local_experts": 2, "num_experts_per_tok": 1, "layer_types": ["mamba", "attention"],
    },
    "nemotron_h": HEADS | {"mamba_num_heads": 8, "mamba_head_dim": 16, "ssm_state_size": 8, "n_groups": 1},
    "olmo_hybrid": HEADS | DELTA,
    "qwen3_next": HEADS | DELTA | EXPERTS | {"shared_expert_intermediate_size": 16},
    "qwen3_5_text": HEADS | DELTA | {"head_dim": 16},
    "qwen3_5_moe_text": HEADS | DELTA | EXPERTS | {"shared_expert_intermediate_size": 16},
    "qwen4_exp_text": HEADS | DELTA | EXPERTS | {
        "shared_expert_intermediate_size": 16, "layer_types": ["linear_attention"] * 2, "ngram_vocab_size_base": 64,
    },
    "lara_mini": HEADS | DELTA | EXPERTS | {"shared_expert_intermediate_size": 16},
    "kimi_linear": HEADS | EXPERTS | LATENT | {"linear_num_heads": 4, "linear_head_dim": 8},
    "bailing_hybrid": HEADS | EXPERTS | {"n_group": 1, "topk_group": 1},
    "glm5_next_text": HEADS | EXPERTS | LATENT | DELTA | {
        "num_key_value_heads": 4, "qk_rope_head_dim": 0, "linear_num_heads": 4, "linear_head_dim": 8,
    },
    "minimax": HEADS | {"num_local_experts": 2, "num_experts_per_tok": 1, "head_dim": 16, **LAYERS},
    "recurrent_gemma": {"num_attention_heads": 4, "lru_width": 64},
    "rwkv": {"attention_hidden_size": 64},
    "xlstm": {"num_heads": 4},
}  # fmt: skip


def tokens(value: float) -> str:
    if not np.isfinite(value):
        return "forever"
    return f"{value:,.0f}" if 10 <= value < 1e7 else f"{value:.2g}"


def built(name: str) -> torch.nn.Module:
    """Return a tiny model of a class, initialized by itself with seed 0."""
    torch.manual_seed(0)
    return transformers.AutoModel.from_config(transformers.CONFIG_MAPPING[name](**SMALL | MODELS[name])).eval()


def at_rest(model: torch.nn.Module) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return λ at rest and the Jacobian of the model's own step at zero gate input, for each linear recurrence.

    In Mamba the gate comes after the convolution, whose bias is made zero.
    """
    for name, values in model.named_parameters():
        if name.endswith("conv1d.bias"):
            values.data.zero_()
    layers = [layer for layer in uc.read(model.state_dict()) if layer.linear is not None]
    return [(layer.diagonal, own_step(model, layer.source.tensors[0])) for layer in layers]


def mixer_of(model: torch.nn.Module, tensor: str) -> torch.nn.Module:
    """Return the module that takes a token and a state and holds a tensor."""
    path = tensor.rpartition(".")[0]
    while not {"cache", "state", "position_ids"} & {*signature(model.get_submodule(path))}:
        path = path.rpartition(".")[0]
    return model.get_submodule(path)


@torch.no_grad()
def own_step(model: torch.nn.Module, tensor: str) -> np.ndarray:
    """Return (S'(S) − S'(0)) / S entry by entry, of the mixer that holds a tensor, for one token of zeros."""
    mixer = mixer_of(model, tensor)
    if "recurrent_states" in vars(mixer):  # RG-LRU
        width = len(mixer.recurrent_param)
        states = []
        for mixer.recurrent_states in (torch.ones(1, width), torch.zeros(1, width)):
            mixer(torch.zeros(1, 1, width), torch.tensor([[5]]))
            states.append(mixer.recurrent_states.double())
        return (states[0] - states[1]).numpy()
    x = torch.zeros(1, 1, model.config.hidden_size)
    if "state" in signature(mixer):
        return _with_state(model, mixer, x)
    if "position_embeddings" in signature(mixer):  # MiniMax, with a cache of its own
        cache = type(
            "Cache",
            (),
            {
                "get_linear_cache": lambda self, _: self.state,
                "set_linear_cache": lambda self, _, state: setattr(self, "state", state),
            },
        )()
        cache.state = torch.ones(1, mixer.num_attention_heads, mixer.head_dim, mixer.head_dim)
        mixer(x, None, None, cache=cache)
        return cache.state.double().numpy()
    cache = transformers.DynamicCache(config=model.config)
    mixer(x, cache=cache)
    layer, states = cache.layers[mixer.layer_idx], []
    start = torch.rand_like(layer.recurrent_states[0]) + 1
    for state in (start, torch.zeros_like(start)):
        layer.recurrent_states[0].copy_(state)
        for memory in layer.conv_states.values():
            if memory is not None:
                memory.zero_()
        mixer(x, cache=cache)
        states.append(layer.recurrent_states[0].double().clone())
    return ((states[0] - states[1]) / start).numpy()


def _with_state(model: torch.nn.Module, mixer: torch.nn.Module, x: torch.Tensor) -> np.ndarray:
    """Return the Jacobian of a mixer whose state comes with the logarithm of a scale: RWKV-4 and mLSTM."""
    if hasattr(mixer, "time_decay"):
        width, layers = len(mixer.time_decay), model.config.num_hidden_layers
        state = [torch.zeros(1, width, layers) for _ in range(5)]
        state[2] += 1
        _, state = mixer(x, state=state, use_cache=True)
        return (state[2] * torch.exp(state[4]))[..., mixer.layer_id].double().numpy()
    _, empty = mixer(x, None)
    state = tuple(torch.zeros_like(part) for part in empty)
    state[0].fill_(1)
    _, (matrix, _, scale) = mixer(x, state)
    return (matrix * torch.exp(scale)[..., None]).double().numpy()


def signature(module: torch.nn.Module) -> list[str]:
    return list(inspect.signature(module.forward).parameters)


def apart(ours: np.ndarray, measured: np.ndarray) -> float:
    """Return the largest distance from an entry of either set to the nearest of the other."""
    sets = [np.unique(np.asarray(values, dtype=float)) for values in (ours, measured)]
    distances = [_nearest(one, other).max() for one, other in (sets, sets[::-1])]
    return float(max(distances))


def _nearest(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    place = np.searchsorted(others, points)
    below, above = (others[np.clip(place - shift, 0, len(others) - 1)] for shift in (1, 0))
    return np.minimum(np.abs(points - below), np.abs(points - above))


def survey(name: str) -> str:
    """Return the row of one class."""
    try:
        model = built(name)
    except Exception as error:  # a class may refuse sizes in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:90]
        return f"| {name} | not built: {reason} | | | | | | |"
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        diagnosis = uc.diagnose(folder, select=["UC105", "UC114", "UC116", "UC118"])
    linear = [layer.layer.linear for layer in diagnosis.layers if layer.layer.linear is not None]
    if not linear:
        unread = "; ".join(diagnosis.coverage.unread) if diagnosis.coverage else ""
        return f"| {name} | not read: {unread[:90] or 'no linear recurrence'} | | | | | | |"
    memory = np.concatenate([layer.memory.ravel() for layer in linear])
    codes = Counter(finding.code for finding in diagnosis.findings)
    found = ", ".join(sorted(codes)) or "none"
    what = next((finding.message.partition(";")[0] for finding in diagnosis.findings), "")
    live = next(layer for layer in uc.read(model.state_dict()) if layer.linear is not None).linear
    family = linear[0].family.name
    cells = (
        family if live.family is linear[0].family else f"{family} (as saved; the model: {live.family.name})",
        linear[0].size,
        tokens(np.median(memory)),
        tokens(memory.min()),
        tokens(memory.max()),
        f"{max(apart(*pair) for pair in at_rest(model)):.0e}",
    )
    return f"| {name} | {' | '.join(cells)} | {found}{': ' + what if what else ''} |"


def layer_of_fla(name: str, shapes: dict[str, list[int]]) -> str:
    """Return the row of a layer of flash-linear-attention, given by the names and shapes of its parameters."""
    found = uc.read({f"layers.0.attn.{leaf}": np.full(shape, 0.5, np.float32) for leaf, shape in shapes.items()})
    if found:
        (layer,) = found
        return (
            f"| {name} | {layer.linear.family.name} | {layer.linear.size} | {', '.join(layer.linear.names.values())} |"
        )
    (sentence,) = found.coverage.unread or ["not told apart from softmax attention by its names"]
    return f"| {name} | {sentence.partition('looks ')[2] or sentence} | | |"


HEAD = """# What fresh linear recurrences remember

Printed by `python examples/linear_recurrences.py` on {date} with transformers {version}: every
class is built with two layers (Zamba: three) and a hidden size of 64, initialized by itself with seed 0, saved by
`save_pretrained`, and read from the file. Memory is at rest, with every input-dependent pre-activation 0: the number of
tokens after which 1/e of a write is left, over all heads and channels. Training changes these values; a model that
starts with a short memory can learn a long one, and one that starts with a long memory need not keep it. The column
λ is the largest difference between λ at rest and the Jacobian of the model's own step (its mixer, one token of zeros,
in float32), over all heads, channels and layers. The last column holds the findings about the decay.

| class | family | units | median (tokens) | shortest | longest | λ | findings |
|---|---|---|---|---|---|---|---|"""
FOOT = """
The classes whose `dt_bias` is 1 in all heads fill it so in their own initialization, which `from_config` shows; a
published checkpoint was trained from whatever its authors used. UC114 says which parameter is not spread as the authors
of the family spread it; `unitcircle rule UC114` says why this matters."""

FLA = Path(__file__).with_name("fla_layers.json")
HEAD_FLA = """
## Layers of flash-linear-attention

The names and shapes of the parameters of the recurrent layers of flash-linear-attention 0.6.0 (its own classes, built
small), and what they are read as. A layer that is recognised and not read is named, and the exit status is 3. λ at rest
of every family is tested against one step of its recurrence written token by token (`tests/recurrence/test_linear.py`),
and against the own step of the classes that run on a CPU ([the table](fla-steps.md)); SRU, ConvLSTM, the GRU of
Dreamer, CfC and LTC against the step of their packages ([the table](cell-steps.md)).
A RetNet whose norm is not fused, and Based and linear attention without a learned feature map whose keys are as wide as
their values, have the names and shapes of softmax attention: a file does not tell them apart, and nothing is said,
unless a `config.json` beside it does (`model_type`); of a live model the class is named.

| class | read as | units | from |
|---|---|---|---|"""


def main() -> None:
    transformers.logging.set_verbosity_error()
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        rows = [survey(name) for name in MODELS]
    print(HEAD.format(date=dt.datetime.now(dt.UTC).date(), version=transformers.__version__))
    print("\n".join(rows))
    print(FOOT)
    print(HEAD_FLA)
    print("\n".join(layer_of_fla(*item) for item in json.loads(FLA.read_text(encoding="utf-8")).items()))


if __name__ == "__main__":
    main()
