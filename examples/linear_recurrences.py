"""What a fresh linear recurrence remembers: the classes of transformers, made tiny, saved, read and judged.

Run as ``python examples/linear_recurrences.py > docs/results/linear-recurrences.md`` (needs transformers and torch).
Every class is built from its configuration with the sizes below, initialized by itself and saved by
``save_pretrained``; what the file holds is read as any file is.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import tempfile
import warnings
from collections import Counter

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
    "glm5_next_text": HEADS | EXPERTS | LATENT | DELTA | {"num_key_value_heads": 4, "qk_rope_head_dim": 0},
    "minimax": HEADS | {"num_local_experts": 2, "num_experts_per_tok": 1, "head_dim": 16, **LAYERS},
    "recurrent_gemma": {"num_attention_heads": 4, "lru_width": 64},
    "rwkv": {"attention_hidden_size": 64},
    "xlstm": {"num_heads": 4},
}  # fmt: skip


def tokens(value: float) -> str:
    return "forever" if not np.isfinite(value) else f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def survey(name: str, options: dict) -> str:
    """Return the row of one class."""
    torch.manual_seed(0)
    try:
        config = transformers.CONFIG_MAPPING[name](**SMALL | options)
        model = transformers.AutoModel.from_config(config)
    except Exception as error:  # a class may refuse sizes in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:90]
        return f"| {name} | not built: {reason} | | | | | |"
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        diagnosis = uc.diagnose(folder, select=["UC105", "UC114", "UC116", "UC118"])
    linear = [layer.layer.linear for layer in diagnosis.layers if layer.layer.linear is not None]
    if not linear:
        unread = "; ".join(diagnosis.coverage.unread) if diagnosis.coverage else ""
        return f"| {name} | not read: {unread[:90] or 'no linear recurrence'} | | | | | |"
    memory = np.concatenate([layer.memory.ravel() for layer in linear])
    codes = Counter(finding.code for finding in diagnosis.findings)
    found = ", ".join(sorted(codes)) or "none"
    what = next((finding.message.partition(";")[0] for finding in diagnosis.findings), "")
    cells = (
        linear[0].family.name,
        linear[0].size,
        tokens(np.median(memory)),
        tokens(memory.min()),
        tokens(memory.max()),
    )
    return f"| {name} | {' | '.join(cells)} | {found}{': ' + what if what else ''} |"


HEAD = """# What fresh linear recurrences remember

Printed by `python examples/linear_recurrences.py` on {date} with transformers {version}: every
class is built with two layers (Zamba: three) and a hidden size of 64, initialized by itself with seed 0, saved by
`save_pretrained`, and read from the file. Memory is at rest, with every input-dependent pre-activation 0: the number of
tokens after which 1/e of a write is left, over all heads and channels. Training changes these values; a model that
starts with a short memory can learn a long one, and one that starts with a long memory need not keep it. The last
column holds the findings about the decay.

| class | family | units | median (tokens) | shortest | longest | findings |
|---|---|---|---|---|---|---|"""
FOOT = """
The classes whose `dt_bias` is 1 in all heads fill it so in their own initialization, which `from_config` shows; a
published checkpoint was trained from whatever its authors used. UC114 says which parameter is not spread as the authors
of the family spread it; `unitcircle rule UC114` says why this matters."""


def main() -> None:
    transformers.logging.set_verbosity_error()
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        rows = [survey(name, options) for name, options in MODELS.items()]
    print(HEAD.format(date=dt.datetime.now(dt.UTC).date(), version=transformers.__version__))
    print("\n".join(rows))
    print(FOOT)


if __name__ == "__main__":
    main()
