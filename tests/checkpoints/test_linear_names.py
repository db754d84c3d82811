"""Linear recurrences by the names of hubs, flash-linear-attention, the authors' code and GGUF."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from tests.checkpoints.test_assembly import assembled, stored

FLA = Path(__file__).parents[2] / "examples" / "fla_layers.json"
EPS32 = float(np.finfo(np.float32).eps)

H, K, C = 4, 3, 6
DELTA = {"q_conv1d.weight": (6, 1, 4), "b_proj.weight": (H, 8)}
NAMES = {
    # Hugging Face transformers
    "hf mamba": ("Mamba", "6 channels x 2", {"A_log": (C, 2), "dt_proj.bias": (C,)}),
    "hf zamba": ("Zamba", "2 heads x 6", {"A_log": (2, 3, 2), "dt_proj_bias": (2, 3)}),
    "hf mamba2": ("Mamba-2", "4 heads", {"A_log": (H,), "dt_bias": (H,), "in_proj.weight": (9, 8), "D": (H,)}),
    "hf qwen3_next": ("Gated DeltaNet", "4 heads", {"A_log": (H,), "dt_bias": (H,), "in_proj_ba.weight": (8, 8)}),
    "hf qwen3_5": ("Gated DeltaNet", "4 heads", {"A_log": (H,), "dt_bias": (H,), "in_proj_b.weight": (4, 8)}),
    "hf kimi_linear": ("KDA", "4 heads x 3", {"A_log": (1, 1, H, 1), "dt_bias": (H * K,)}),
    "kda of fla models": ("KDA", "4 heads x 3", {"A_log": (H,), "dt_bias": (H * K,)}),
    "hf minimax": ("lightning attention", "4 heads", {"slope_rate": (H, 1, 1)}),
    "hf recurrent_gemma": ("RG-LRU", "6 channels", {"recurrent_param": (C,), "recurrent_gate_bias": (2, 3)}),
    "hf rwkv": ("RWKV-4", "6 channels", {"time_decay": (C,), "time_first": (C,)}),
    "hf xlstm": ("mLSTM, capped", "4 heads", {"fgate_preact.bias": (H,), "igate_preact.bias": (H,)}),
    # flash-linear-attention
    "fla gated_deltanet": ("Gated DeltaNet", "4 heads", {"A_log": (H,), "dt_bias": (H,), **DELTA}),
    "fla gated_deltaproduct": ("Gated DeltaProduct", "4 heads",
                               {"A_log": (H,), "dt_bias": (H,), "b_proj.weight": (2 * H, 8)}),
    "fla delta_net": ("DeltaNet", "4 heads", DELTA),
    "fla kda": ("KDA", "4 heads x 3", {"A_log": (H,), "dt_bias": (H * K,), "f_proj.0.weight": (3, 8), **DELTA}),
    "fla kda, bounded": ("KDA, bounded", "4 heads x 3", {"dt_bias": (H * K,), "f_proj.0.weight": (3, 8), **DELTA}),
    "fla mamba2": ("Mamba-2", "4 heads", {"A_log": (H,), "dt_bias": (H,), "conv1d.weight": (6, 1, 4)}),
    "fla gla": ("GLA", "6 channels", {"gk_proj.1.weight": (6, 16), "gk_proj.1.bias": (C,)}),
    "fla rwkv6": ("RWKV-6", "6 channels", {"w_proj.lora.2.bias": (C,), "bonus": (2, 3)}),
    "fla rwkv6 of 0.6": ("RWKV-6", "6 channels", {"w_proj.linear.lora.2.bias": (C,), "bonus": (2, 3)}),
    "fla simple_gla": ("simple GLA", "4 heads", {"gk_proj.bias": (H,), "gk_proj.weight": (H, 8),
                                                 "g_norm_swish_gate.weight": (8,)}),
    "fla mesa_net": ("MesaNet", "4 heads", {"a_proj.bias": (H,), "lambda_params": (8,), **DELTA}),
    "fla rodimus": ("Rodimus", "6 channels", {"g_gate_proj.bias": (C,), "tau_gate_proj.bias": (C,)}),
    "fla multiscale_retention": ("RetNet", "4 heads", {"g_norm_swish_gate.weight": (8,), "g_proj.weight": (32, 8),
                                                       "v_proj.weight": (32, 8)}),
    "fla mom": ("Gated DeltaNet", "4 heads", {"A_log": (H,), "dt_bias": (H,), "b_proj.0.weight": (H, 8)}),
    "lara_mini as saved": ("Gated DeltaNet", "4 heads", {"A_log": (H,), "dt_bias": (H,), "in_proj.weight": (9, 8),
                                                         "out_norm.weight": (3,)}),
    "fla rwkv7": ("RWKV-7", "6 channels", {"w_lora.lora.2.bias": (C,), "k_k": (C,), "k_a": (C,), "r_k": (2, 3)}),
    "fla hgrn": ("HGRN", "6 channels", {"f_proj.weight": (C, 8), "i_proj.weight": (C, 8), "g_norm.weight": (C,)}),
    # the authors' code
    "rwkv-5": ("RWKV-5", "4 heads x 3", {"time_decay": (H, K), "time_faaaa": (H, K)}),
    "rwkv-6": ("RWKV-6", "6 channels", {"time_decay": (1, 1, C), "time_decay_w1": (8, 2), "time_faaaa": (2, 3)}),
    "rwkv-7": ("RWKV-7", "6 channels", {"w0": (1, 1, C), "w2": (2, C), "k_k": (1, 1, C), "k_a": (1, 1, C)}),
    "griffin": ("RG-LRU", "6 channels", {"a_param": (C,), "a_gate.b": (2, 3), "a_gate.w": (2, 3, 3)}),
    "nx-ai xlstm": ("mLSTM", "4 heads", {"fgate.bias": (H,), "igate.bias": (H,), "fgate.weight": (H, 8)}),
    "mamba-3": ("Mamba-3", "4 heads", {"dt_bias": (H,), "in_proj.weight": (9, 8), "B_bias": (H, 1, 2)}),
    "mingru": ("minGRU", "6 channels", {"to_hidden_and_gate.weight": (2 * C, 8)}),
    "minlstm": ("minLSTM", "6 channels", {"to_hidden_and_f_i_gate.weight": (3 * C, 8)}),
    "mingru of two weights": ("minGRU", "6 channels", {"lin_z.weight": (C, 8), "lin_h.weight": (C, 8)}),
    "mingru with biases": ("minGRU", "6 channels", {"linear_z.weight": (C, 8), "linear_z.bias": (C,),
                                                    "linear_h.weight": (C, 8), "linear_h.bias": (C,)}),
    "minlstm of three weights": ("minLSTM", "6 channels", {"lin_f.weight": (C, 8), "lin_i.weight": (C, 8),
                                                           "lin_h.weight": (C, 8)}),
    "minlstm with biases": ("minLSTM", "6 channels", {"lin_f.bias": (C,), "lin_i.bias": (C,), "lin_h.weight": (C, 8)}),
    "s4d": ("S4D", "6 channels x 2", {"log_A_real": (C, 2), "A_imag": (C, 2), "log_dt": (C,)}),
    "s4d of the full code": ("S4D", "6 channels x 2", {"A_real": (1, 2), "A_imag": (1, 2), "inv_dt": (C, 1)}),
    "s5": ("S5", "6 modes", {"Lambda_re": (C,), "Lambda_im": (C,), "log_step": (C, 1)}),
    "s5-pytorch": ("S5", "6 modes", {"Lambda": (C, 2), "log_step": (C, 1)}),
    "lru": ("LRU", "6 channels", {"nu_log": (C,), "theta_log": (C,), "B_re": (C, 2), "B_im": (C, 2)}),
    "lost names": ("Mamba-2/GDN", "4 heads", {"A_log": (H,), "dt_bias": (H,)}),
    "griffin in flax": ("RG-LRU", "6 channels", {"a_param": (C,), "a_gate/b": (2, 3), "a_gate/w": (2, 3, 3)}),
    # GGUF, as llama.cpp names them
    "gguf rwkv6": ("RWKV-6", "6 channels", {"time_mix_decay.weight": (C,), "time_mix_decay_w1.weight": (8, 2)}),
    "gguf rwkv7": ("RWKV-7", "6 channels", {"time_mix_w0.weight": (C,), "time_mix_k_k.weight": (C,)}),
}  # fmt: skip


def module(parts, prefix="model.layers.0.attn."):
    rng = np.random.default_rng(3)
    return {f"{prefix}{leaf}": stored(values=-rng.uniform(0.5, 3, shape)) for leaf, shape in parts.items()}


@pytest.mark.parametrize("case", NAMES)
def test_the_names_of_every_code_base(case):
    family, size, parts = NAMES[case]
    (layer,), coverage = assembled(module(parts))
    assert (layer.linear.family.name, layer.linear.size) == (family, size)
    assert np.isfinite(layer.diagonal).all()
    assert not coverage.unread
    assert layer.name == "layers.0.attn"
    assert all(name.startswith("model.layers.0.attn.") for name in layer.source.tensors)


def test_both_directions_of_vision_mamba_are_read():
    parts = {"A_log": (C, 2), "dt_proj.bias": (C,), "A_b_log": (C, 2), "dt_proj_b.bias": (C,)}
    layers, coverage = assembled(module(parts))
    assert {layer.label: layer.source.tensors[0] for layer in layers} == {
        "layers.0.attn": "model.layers.0.attn.A_log",
        "layers.0.attn l0 reverse": "model.layers.0.attn.A_b_log",
    }
    assert not coverage.unread


READ = {
    "Comba": "Gated DeltaNet", "DeltaNet": "DeltaNet", "GatedDeltaNet": "Gated DeltaNet", "GatedDeltaNet2": "KDA",
    "GatedDeltaProduct": "Gated DeltaProduct", "GatedLinearAttention": "GLA", "HGRNAttention": "HGRN",
    "HGRN2Attention": "HGRN", "KimiDeltaAttention": "KDA", "LogLinearMamba2": "Mamba-2", "Mamba": "Mamba",
    "Mamba2": "Mamba-2", "Mamba3": "Mamba-3", "MesaNet": "MesaNet", "MomAttention": "Gated DeltaNet",
    "MultiScaleRetention": "RetNet", "PrecondGatedDeltaNet": "Gated DeltaNet", "PrecondKDA": "KDA",
    "RWKV6Attention": "RWKV-6", "RWKV7Attention": "RWKV-7", "RodimusAttention": "Rodimus",
    "SimpleGatedLinearAttention": "simple GLA",
}  # fmt: skip
"""Class of flash-linear-attention 0.6.0 → the family that its own parameters are read as."""


@pytest.mark.parametrize("name", json.loads(FLA.read_text(encoding="utf-8")))
def test_every_layer_of_fla_is_read_or_named(name):
    shapes = json.loads(FLA.read_text(encoding="utf-8"))[name]
    tensors = {f"model.layers.0.attn.{leaf}": stored(values=np.full(shape, 0.5)) for leaf, shape in shapes.items()}
    layers, coverage = assembled(tensors)
    assert [layer.linear.family.name for layer in layers] == ([READ[name]] if name in READ else [])
    assert len(coverage.unread) == (name not in READ)


def test_half_of_an_attention_with_a_gate_is_no_recurrence():
    for parts in (
        {"b_proj.weight": (4, 8), "b_proj.bias": (4,), "q_proj.weight": (8, 8)},  # DeltaFormer
        {"q_proj.weight": (8, 8), "k_proj.weight": (8, 8), "v_proj.weight": (8, 8)},
        {"f_proj.weight": (4, 8), "f_proj.bias": (4,), "q_proj.weight": (8, 8), "v_proj.weight": (8, 8)},
        {"q_proj.weight": (8, 8), "k_proj.weight": (2, 8), "v_proj.weight": (2, 8), "o_proj.weight": (8, 8)},  # grouped
        {"d_proj.weight": (4, 8), "in_proj.weight": (8, 8), "out_proj.weight": (8, 8)},
    ):
        layers, coverage = assembled(module(parts))
        assert not layers
        assert not coverage.unread


QKV = dict.fromkeys(("q_proj.weight", "k_proj.weight", "v_proj.weight", "o_proj.weight"), (8, 8))


@pytest.mark.parametrize(("parts", "word"), [
    (QKV | {"g_proj.weight": (8, 8), "g_proj.bias": (8,)}, "Wall"),
    (QKV | {"f_proj.weight": (4, 8), "f_proj.bias": (4,)}, "FoX"),
    (QKV | {"b_proj.weight": (4, 8), "b_proj.bias": (4,)}, "no known family"),  # DeltaFormer
    (QKV | {"m_proj.weight": (4, 8)}, "no known family"),
    (QKV | {"forget_gate.weight": (4, 8)}, "no known family"),
    (QKV | {"log_decay": (4,)}, "no known family"),
    (QKV | {"q_proj.weight": (24, 8), "k_proj.weight": (24, 8)}, "keys are wider or narrower than its values (Based)"),
    (QKV | {"q_proj.weight": (4, 8), "k_proj.weight": (4, 8)}, "keys are wider or narrower than its values (Based)"),
    ({"qkv_proj.weight": (24, 8), "out_proj.weight": (8, 8), "decay": (4,)}, "no known family"),
    ({"to_q.weight": (8, 8), "to_k.weight": (8, 8), "to_v.weight": (8, 8), "decay_proj.weight": (4, 8)},
     "no known family"),
    ({"in_proj.weight": (16, 8), "out_proj.weight": (8, 8), "dt_bias": (8,)}, "no known family"),
    ({"query.kernel": (8, 8), "key.kernel": (8, 8), "value.kernel": (8, 8), "decay_rate": (8,)}, "no known family"),
])  # fmt: skip
def test_what_has_projections_and_a_decay_is_named_though_its_family_is_not_known(parts, word):
    layers, coverage = assembled(module(parts))
    assert not layers
    (sentence,) = coverage.unread
    assert word in sentence
    assert sentence.endswith("not read")


def test_gates_and_norms_of_ordinary_attention_are_no_decay():
    for more in ({}, {"g_proj.weight": (4, 8)}, {"q_norm.weight": (8,), "k_norm.weight": (8,)},
                 {"r_proj.weight": (8, 8)},
                 {"gate_proj.weight": (8, 8)}, {"q_a_proj.weight": (4, 8), "kv_b_proj.weight": (8, 4)},
                 {"lambda_q1": (4,), "lambda_k1": (4,)}, {"gamma": (8,)}):  # fmt: skip
        layers, coverage = assembled(module(QKV | more))
        assert not layers
        assert not coverage.unread


def test_half_a_module_is_named_and_not_read():
    for parts in ({"A_log": (H,)}, {"A_log": (H,), "dt_bias": (H - 1,)}, {"recurrent_param": (C,), "a_gate.w": (2, 3)}):
        layers, coverage = assembled(module(parts))
        assert not layers
        assert len(coverage.unread) == 1


def test_what_only_has_such_names_is_no_recurrence():
    for parts in ({"w0": (C,), "w1": (C, C)}, {"b_proj.weight": (4, 8)}, {"Lambda": (C, C), "log_step": (C,)},
                  {"fgate.bias": (4,)}, {"dt_bias": (4,)}):  # fmt: skip
        assert not assembled(module(parts))[0]


def test_the_lower_bounds_of_hgrn_belong_to_the_layers_in_order():
    parts = {"f_proj.weight": (C, 8), "i_proj.weight": (C, 8), "g_norm.weight": (C,)}
    tensors = module(parts) | module(parts, "model.layers.1.attn.")
    tensors["model.lower_bounds"] = stored(values=np.stack([np.zeros(C), np.full(C, math.log(3))]))
    layers, _ = assembled(tensors)
    # softmax over layers: 1/4 and 3/4; bounds 0 and 3/4; at rest l + (1 − l)/2.
    np.testing.assert_allclose([layer.diagonal[0] for layer in layers], [0.5, 0.875], rtol=EPS32)


def test_a_bounded_gate_starts_with_a_log_of_zero():
    tensors = module({"dt_bias": (H * K,)}) | {"model.layers.0.attn.A_log": stored(values=np.zeros(H))}
    (layer,), coverage = assembled(tensors)
    assert layer.linear.family.name == "KDA, bounded"
    assert coverage.notes == ("the file does not say whether the gate of KDA is bounded: read as KDA, bounded",)


def test_the_gates_of_bailing_and_glm_are_bounded_and_that_of_kimi_is_not():
    for shape, family in (((H,), "KDA, bounded"), ((1, 1, H, 1), "KDA")):
        parts = {"A_log": shape, "dt_bias": (H * K,), "f_a_proj.weight": (3, 8)}
        (layer,), coverage = assembled(module(parts, "model.layers.0.self_attn.forget_gate."))
        assert layer.linear.family.name == family
        assert not coverage.unread


def test_the_input_weight_of_an_lru_is_normalized():
    B, gamma = np.array([[1.0, 2.0]]), np.log([0.5])
    tensors = {"lru.nu_log": stored(values=np.zeros(1)), "lru.theta_log": stored(values=np.zeros(1)),
               "lru.gamma_log": stored(values=gamma), "lru.B_re": stored(values=B),
               "lru.B_im": stored(values=-B)}  # fmt: skip
    (layer,), coverage = assembled(tensors)
    np.testing.assert_allclose(layer.inputs["h"], [[0.5 - 0.5j, 1 - 1j]], rtol=EPS32)
    assert len(coverage.analysed) == 5
