"""What it costs to measure the memory of linear recurrences on a batch: a share of one forward pass."""

import warnings

import torch
import transformers
from torch import nn
from torch.nn import functional

from benchmarks._row import Row, least_time
from unitcircle.dynamics import token_memory

MOST = 1.2
TOKENS, SEQUENCES = 512, 2
RWKV_7 = "RWKV-7 of two blocks"
"""No class of transformers, and the kernels of fla need a GPU: its blocks, and its recurrence token by token."""
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
    "kimi_linear": {
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
        "layer_types": ["linear_attention", "linear_attention"],
        "linear_num_heads": 8,
        "linear_head_dim": 64,
        "q_lora_rank": None,
        "kv_lora_rank": 64,
        "qk_nope_head_dim": 32,
        "qk_rope_head_dim": 32,
        "v_head_dim": 64,
        "num_experts": 4,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 512,
    },
}
"""Classes of transformers whose layers have the proportions of models in use."""


def chunk_rwkv7(r, w, k, v, a, b):
    """Return what RWKV-7 reads of its state, S' = S diag(e^w) + S a bᵀ + v kᵀ, token by token."""
    state, out = r.new_zeros(*r.shape[:1], r.shape[2], v.shape[-1], k.shape[-1]), []
    for t in range(r.shape[1]):
        along = state @ a[:, t, :, :, None]
        state = state * w[:, t, :, None].exp() + along * b[:, t, :, None] + v[:, t, :, :, None] * k[:, t, :, None]
        out.append((state @ r[:, t, :, :, None])[..., 0])
    return torch.stack(out, 1), state


class RWKV7Attention(nn.Module):
    """Time mixing of RWKV-7 with the names of flash-linear-attention, and its recurrence in torch."""

    def __init__(self, size, head=64, rank=64):
        super().__init__()
        self.head = head
        self.k_k, self.k_a = (nn.Parameter(torch.ones(size)) for _ in range(2))
        self.r_k = nn.Parameter(torch.zeros(size // head, head))
        self.mix = nn.Parameter(torch.rand(6, size))
        self.r_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(size, size, bias=False) for _ in range(4))
        self.w_lora, self.a_lora, self.g_lora = (_Low(size, rank, bias) for bias in (True, True, False))
        self.g_norm = nn.GroupNorm(size // head, size)

    def forward(self, x):
        """Return the output of a batch ``(sequences, tokens, size)``."""
        before = torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], 1) - x
        r, w, k, v, a, g = (x + before * mix for mix in self.mix)
        w = -0.606531 * self.w_lora(w, torch.tanh).sigmoid()
        r, k, v, a, g = self.r_proj(r), self.k_proj(k), self.v_proj(v), self.a_lora(a).sigmoid(), self.g_lora(g)
        along = functional.normalize((k * self.k_k).unflatten(-1, (-1, self.head)), dim=-1)
        k = k * (1 + (a - 1) * self.k_a)
        r, w, k, v, a = (part.unflatten(-1, (-1, self.head)) for part in (r, w, k, v, a))
        read, _ = chunk_rwkv7(r, w, k, v, -along, along * a)
        out = self.g_norm(read.flatten(2).flatten(0, 1)).view_as(x)
        out = out + ((r * k * self.r_k).sum(-1, keepdim=True) * v).flatten(2)
        return self.o_proj(out * g.sigmoid())


class _Low(nn.Module):
    """A product of two thin matrices, under the names of flash-linear-attention."""

    def __init__(self, size, rank, bias):
        super().__init__()
        self.lora = nn.Sequential(nn.Linear(size, rank, bias=False), nn.Identity(), nn.Linear(rank, size, bias=bias))

    def forward(self, x, function=lambda x: x):
        return self.lora[2](function(self.lora[0](x)))


class _Block(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.attn, self.norms = RWKV7Attention(size), nn.ModuleList(nn.LayerNorm(size) for _ in range(2))
        self.ffn = nn.Sequential(
            nn.Linear(size, 4 * size, bias=False), nn.ReLU(), nn.Linear(4 * size, size, bias=False)
        )

    def forward(self, x):
        x = x + self.attn(self.norms[0](x))
        return x + self.ffn(self.norms[1](x))


def _of_transformers(name):
    model = transformers.AutoModel.from_config(transformers.CONFIG_MAPPING[name](**COMMON | MODELS[name])).eval()
    batch = {"input_ids": torch.randint(0, 255, (SEQUENCES, TOKENS))}
    return model, batch, lambda: model(**batch, use_cache=False)


def _of_rwkv_7():
    model = nn.Sequential(_Block(512), _Block(512)).eval()
    batch = torch.randn(SEQUENCES, TOKENS, 512)
    return model, batch, lambda: model(batch)


def _row(name):
    torch.manual_seed(0)
    model, batch, run = _of_rwkv_7() if name == RWKV_7 else _of_transformers(name)

    def forward():
        with torch.no_grad():
            run()

    (layer, *_), unread = token_memory(model, batch)
    assert layer.steps == TOKENS
    assert not unread
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
        yield from (_row(name) for name in (*MODELS, RWKV_7))
