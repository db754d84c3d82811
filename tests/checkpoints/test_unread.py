"""Families that are recognised and not read: one sentence each, and no sentence for what is not recurrent."""

import time

import numpy as np
import pytest
from tests.checkpoints.test_assembly import assembled, stored

FAMILIES = {
    "RWKV-7": ["blocks.0.att." + leaf for leaf in ("k_k", "k_a", "r_k", "receptance.weight")],
    "RG-LRU": ["model.0.temporal_block.rg_lru.recurrent_param", "model.0.temporal_block.rg_lru.input_gate_weight"],
    "RG-LRU (Griffin)": ["b.recurrent_block.rg_lru.a_param", "b.recurrent_block.rg_lru.a_gate.w"],
    "xLSTM (mLSTM)": ["blocks.0.mlstm_cell.igate.weight", "blocks.0.mlstm_cell.fgate.weight"],
    "xLSTM (sLSTM)": ["b.slstm_cell._recurrent_kernel_", "b.slstm_cell._bias_"],  # of sizes that do not fit
    "xLSTM (sLSTM) ": ["b.1.sLSTM_cell.R_z.weight", "b.1.sLSTM_cell.W_z.weight"],
    "(Dreamer's RSSM)": ["dyn.dyngru.kernel", "dyn.dyngru.bias"],
    "(ABC)": ["l.0.attn." + leaf + "_proj.weight" for leaf in "qkvso"],
    "SRU": ["rnn_lst.0.weight", "rnn_lst.0.weight_c", "rnn_lst.0.bias"],
    "QRNN": ["qrnn.layers.0.linear.weight", "qrnn.layers.0.linear.bias"],
    "RG-LRU (Griffin) ": ["blocks.0/rg_lru/a_param", "blocks.0/rg_lru/input_gate/w"],
    "RG-LRU (Griffin)  ": ["layers.0.rglru.Lambda", "layers.0.rglru.W_a.weight", "layers.0.rglru.W_x.weight"],
    "Mamba  ": ["layers.0.mamba.A_log.0", "layers.0.mamba.dt_proj.0.bias", "layers.0.mamba.D.0"],  # Hymba
    "Mamba   ": ["blocks.0.op.A_logs", "blocks.0.op.dt_projs_bias", "blocks.0.op.Ds"],  # VMamba
    "(MiniMax) ": [
        "self_attn.qkv_proj.weight",
        "self_attn.out_proj.weight",
        "self_attn.output_gate.weight",
        "self_attn.norm.weight",
    ],
    "(TransNormer)": ["token_mixer.qkvu_proj.weight", "token_mixer.out_proj.weight"],
    "(Bailing)": ["attention.query_key_value.weight", "attention.g_proj.weight", "attention.g_norm.weight"],
    "MEGA": ["ema_gate.damping_factor", "ema_gate.decay_factor", "ema_gate.ema_expansion_matrix"],
    "MEGA ": ["move.delta", "move.alpha", "move.beta", "move.gamma", "move.omega"],
    "GateLoop": ["layers.0.0.to_qkva.0.weight", "layers.0.0.to_out.weight"],
    "(Titans)": ["mem.to_adaptive_step.0.weight", "mem.to_decay_factor.0.weight", "mem.to_queries.weight"],
    "(LTC)": ["rnn.rnn_cell.gleak", "rnn.rnn_cell.vleak", "rnn.rnn_cell.cm", "rnn.rnn_cell.w", "rnn.rnn_cell.erev"],
    "(CfC)": ["rnn_cell.ff1.weight", "rnn_cell.ff2.weight", "rnn_cell.time_a.weight", "rnn_cell.time_b.weight"],
    "(LTC) ": ["rnn/ltc_cell/" + leaf + ":0" for leaf in ("gleak", "vleak", "cm", "sigma", "mu", "w", "erev")],
    "(CfC) ": ["rnn/cfc_cell/" + leaf for leaf in ("ff1_weight:0", "ff2_weight:0", "time_a/kernel:0", "time_b/bias:0")],
    "(CfC)  ": ["rnn/cfc_cell/" + leaf for leaf in ("backbone0/kernel", "ff1/kernel", "ff2/kernel", "time_a/kernel")],
    "(CfC)   ": ["rnn/cfc_cell/" + leaf for leaf in ("ff1_weight", "ff1_bias", "w_tau", "A")],  # its pure mode
    "RetNet": ["layers.0.retention.q_proj.weight", "layers.0.retention.g_proj.weight"],
    "(GLA)": ["layers.0.attn.gk_proj.0.weight", "layers.0.attn.gk_proj.1.weight"],
    "(KDA)": ["l.0.attn.A_log", "l.0.attn.f_a_proj.weight", "l.0.attn.b_proj.weight"],
    "S4": ["l.0.ssm.Lambda_re", "l.0.ssm.Lambda_im", "l.0.ssm.log_step", "l.0.ssm.P"],
    "S4 ": ["l.0.kernel.inv_A_real", "l.0.kernel.A_imag", "l.0.kernel.inv_dt", "l.0.kernel.P", "l.0.kernel.B"],
    "S4  ": ["l.0.kernel." + leaf for leaf in ("w", "p", "q", "B", "C", "log_dt")],
    "S4 with a dense matrix": ["l.0.s4." + leaf for leaf in ("log_dt", "A", "B", "C", "D")],
    "or LSSL": ["l.0.layer." + leaf for leaf in ("dt", "A", "B", "C", "D")],
    "(DSS)": ["l.0.kernel." + leaf for leaf in ("Lambda", "W", "log_dt")],
    "Hyena": ["b.0.mixer.filter_fn.implicit_filter.0.weight"],
    "(LMU)": ["lmu.e_x", "lmu.e_h", "lmu.W_m", "lmu.A"],
    "GRU-D": ["gamma_x_l.weight", "gamma_h_l.weight"],
    "phased LSTM": ["cell.tau", "cell.phase", "cell.ratio_on"],
    "GRU with a layer normalization": ["rssm.cell.GRU_linear.weight", "rssm.cell.GRU_norm.weight"],
    "multiplicative LSTM": ["rnn_mlstm_mlstm_" + leaf for leaf in ("wx:0", "wh:0", "wmx:0", "wmh:0", "b:0")],
    "cuDNN kernel of TensorFlow": ["rnn/cudnn_lstm/opaque_kernel"],
    "minimal gated unit": ["cell.U_f", "cell.W_f", "cell.U_h", "cell.W_h"],
    "EA-LSTM ": ["model.dynamic_gates.weight_hh", "model.dynamic_gates.weight_ih", "model.dynamic_gates.bias"],
    "EA-LSTM": ["lstm.weight_hh", "lstm.weight_ih", "lstm.weight_sh"],
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_gives_one_sentence(family):
    names = FAMILIES[family]
    layers, coverage = assembled(
        {name: stored(6, 18) if "weight" in name.rpartition(".")[2] else stored(6) for name in names}
    )
    assert not layers
    (sentence,) = coverage.unread
    assert family.strip() in sentence
    assert sentence.endswith(": not read")


def test_many_layers_of_a_family_give_one_sentence():
    tensors = {f"blocks.{k}.att.{leaf}": stored(4) for k in range(24) for leaf in ("k_k", "k_a", "r_k")}
    _, coverage = assembled(tensors)
    assert coverage.unread == ("blocks.0.att and 23 more look like RWKV-7 (k_k, k_a, r_k): not read",)


@pytest.mark.parametrize(
    "names",
    [
        {"cell_list.0.conv_gates.weight": (8, 7, 3, 3), "cell_list.0.conv_can.weight": (4, 7, 3, 3)},
        {"update_block.gru.convz1.weight": (8, 12, 1, 5), "update_block.gru.convr1.weight": (8, 12, 1, 5)},
        {"convlstm.Whf.weight": (8, 8, 3, 3), "convlstm.Wxf.weight": (8, 4, 3, 3)},
        {"cells.0.reset_gate.weight": (4, 7, 3, 3), "cells.0.update_gate.weight": (4, 7, 3, 3)},
        {"c.conv_x2h.weight": (12, 3, 3, 3), "c.conv_h2h.weight": (12, 4, 3, 3)},
        {"decode4.gru.ih.0.weight": (8, 8, 3, 3), "decode4.gru.hh.0.weight": (4, 8, 3, 3)},
        {"c.Wz.weight": (4, 3, 3, 3), "c.Uz.weight": (4, 4, 3, 3), "c.W.weight": (4, 3, 3, 3)},
        {"rnn1.gates.weight": (8, 7, 3, 3), "rnn1.candidate.weight": (4, 7, 3, 3)},
        {"conv_gru2d/kernel:0": (3, 3, 3, 12), "conv_gru2d/recurrent_kernel:0": (3, 3, 4, 12)},
    ],
)
def test_convolutional_cells(names):
    _, coverage = assembled({name: stored(*shape) for name, shape in names.items()})
    (sentence,) = coverage.unread
    assert "convolutional LSTM or GRU" in sentence


@pytest.mark.parametrize(
    "name", ["encoder.lstm.core.block", "decoder.gru_cell.kernels", "custom_lstm.parameters", "net.bigru.W"]
)
def test_a_module_named_as_a_cell_of_which_nothing_was_made_is_said(name):
    _, coverage = assembled({name: stored(8, 8)})
    (sentence,) = coverage.unread
    assert "by its name like" in sentence
    _, coverage = assembled({name: stored(8, 8), name.rpartition(".")[0] + ".weight_hh": stored(8, 8)})
    assert not coverage.unread


def test_a_square_matrix_of_a_family_that_is_not_read_is_not_offered_as_a_recurrent_weight():
    tensors = {f"blocks.0.att.{leaf}": stored(4) for leaf in ("k_k", "k_a", "r_k")}
    _, coverage = assembled(tensors | {"blocks.0.att.receptance.weight": stored(4, 4), "other": stored(4, 4)})
    assert [entry.name for entry in coverage.undecided] == ["other"]


def test_a_part_of_a_module_that_was_read_is_no_further_cell():
    tensors = {"convlstm.conv1.weight": stored(64, 32, 3, 3), "convlstm.lstm.weight_hh_l0": stored(16, 4)}
    tensors |= {"rnn.linear.weight": stored(4, 6), "rnn.layer_norm.weight": stored(4), "rnn.weight_hh": stored(4, 4)}
    tensors |= {"lstm.embedding.weight": stored(30, 8), "lstm.fc.weight": stored(8, 8)}
    layers, coverage = assembled(tensors)
    assert len(layers) == 2
    assert not coverage.unread


@pytest.mark.parametrize(
    "names",
    [
        ["cnn.conv1.weight", "cnn.bn1.weight", "cnn.bn1.bias", "fc.weight"],
        ["transformer.h.0.attn.q_proj.weight", "transformer.h.0.mlp.up.weight", "transformer.h.0.ln_1.weight"],
        ["moe.gates.weight", "experts.0.weight", "experts.1.weight"],
        ["i2h.weight", "h.bias"],
        ["encoder.w0", "encoder.w1", "encoder.w2"],
        ["mu", "sigma", "w"],
        ["layers.0.weight", "layers.0.bias", "embed.weight"],
        ["learning_structure.weight", "grudge.weight", "crnn_head.weight"],
    ],
)
def test_what_is_not_recurrent_gives_no_sentence(names):
    _, coverage = assembled({name: stored(8, 8) for name in names})
    assert not coverage.unread


def test_the_names_of_a_large_model_are_looked_through_quickly():
    one = stored(4, 4)
    tensors = {f"model.layers.{k}.mlp.experts.{e}.{part}_proj.weight": one for k in range(48) for e in range(50)
               for part in ("gate", "up", "down")}  # fmt: skip
    tensors |= {f"model.layers.{k}.linear_attn.{leaf}": stored(4) for k in range(48) for leaf in ("A_log", "dt_bias")}
    start = time.process_time()
    layers, coverage = assembled(tensors)
    assert time.process_time() - start < 30  # 2 s on an idle machine
    assert len(layers) == 48
    assert not coverage.unread


def test_a_vector_of_recurrent_weights_without_the_rest_is_named():
    _, coverage = assembled({"cell.weight_hh": stored(values=np.ones(8))})
    (sentence,) = coverage.unread
    assert "IndRNN" in sentence
