"""What it costs to measure the memory of linear recurrences on a batch: a share of one forward pass."""

import warnings

import torch
import transformers

from benchmarks._row import Row, least_time
from unitcircle.dynamics import token_memory

MOST = 1.2
TOKENS, SEQUENCES = 512, 2
COMMON = {"vocab_size": 256, "hidden_size": 512, "num_hidden_layers": 2, "intermediate_size": 2048, "pad_token_id": 0}
MODELS = {
    "mamba": {},
    "mamba2": {"num_heads": 16, "head_dim": 64, "state_size": 64, "n_groups": 1},
    "qwen3_next": {
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "layer_types": ["linear_attention", "linear_attention"],
        "linear_num_value_heads": 8,
        "linear_num_key_heads": 8,
        "linear_key_head_dim": 64,
        "linear_value_head_dim": 64,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 512,
        "shared_expert_intermediate_size": 512,
    },
    "olmo_hybrid": {
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "layer_types": ["linear_attention", "full_attention"],
        "linear_num_value_heads": 8,
        "linear_num_key_heads": 8,
        "linear_key_head_dim": 64,
        "linear_value_head_dim": 64,
    },
}
"""Classes of transformers whose layers have the proportions of models in use."""


def _row(name):
    torch.manual_seed(0)
    model = transformers.AutoModel.from_config(transformers.CONFIG_MAPPING[name](**COMMON | MODELS[name])).eval()
    batch = {"input_ids": torch.randint(0, 255, (SEQUENCES, TOKENS))}

    def forward():
        with torch.no_grad():
            model(**batch, use_cache=False)

    alone, ours = least_time(3, forward, lambda: token_memory(model, batch))
    return Row(
        f"token_memory: {name}, hidden size 512, {SEQUENCES} x {TOKENS} tokens; {ours / alone:.3g} passes, goal {MOST}",
        f"{MOST} forward passes of the class (float32), from one",
        "token_memory",
        MOST * alone,
        ours,
        1,
    )


def rows():
    """Goal of issue 20 on cost: the pass itself, and a fifth of it."""
    transformers.logging.set_verbosity_error()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield from (_row(name) for name in MODELS)
