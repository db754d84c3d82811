"""Cells that are not linear, and S4, by the names of their authors' code: read, or named where a part is missing."""

import numpy as np
import pytest
from tests.checkpoints.test_assembly import assembled, stored
from tests.recurrence.test_cells_at_rest import ltc_parameters

from unitcircle.recurrence import from_linear

RNG = np.random.default_rng(2)
H, U, C, N = 2, 3, 6, 4
EPS32 = float(np.finfo(np.float32).eps)


def tensors(parts, prefix="net.0.cell."):
    return {f"{prefix}{leaf}": stored(values=values) for leaf, values in parts.items()}


def uniform(*shape):
    return RNG.uniform(-0.5, 0.5, shape)


S4 = {"A_real": uniform(1, N), "A_imag": uniform(1, N), "P": uniform(1, 1, N, 2), "inv_dt": uniform(C, 1) - 3}
LTC = ltc_parameters(4, 2, RNG)
CFC = {f"{head}.{part}": uniform(U, 5) if part == "weight" else uniform(U)
       for head in ("ff1", "ff2", "time_a", "time_b") for part in ("weight", "bias")}  # fmt: skip
BACKBONE = {"backbone.0.weight": uniform(5, U + 2), "backbone.0.bias": uniform(5), "backbone.2.weight": uniform(5, 5),
            "backbone.2.bias": uniform(5)}  # fmt: skip
CASES = {
    "nx-ai slstm": ("sLSTM", "2 heads x 3", {"_recurrent_kernel_": uniform(H, U, 4 * U), "_bias_": uniform(4 * H * U)}),
    "s4": ("S4", "6 channels x 8", S4),
    "s4 of 2022": ("S4", "6 channels x 8", {"inv_w_real": uniform(1, N), "w_imag": uniform(1, N), "log_dt": uniform(C),
                                            "P": uniform(1, 1, N, 2), "B": uniform(1, 1, N, 2)}),
    "annotated s4": ("S4", "6 channels x 4", {"Lambda_re": uniform(N, C), "Lambda_im": uniform(N, C),
                                              "P": uniform(N, C) + 1j * uniform(N, C), "log_step": uniform(1, C)}),
    "s4d of 2022": ("S4D", "6 channels x 4", {"inv_A_real": uniform(C, N), "A_imag": uniform(C, N),
                                              "log_dt": uniform(C)}),
    "dreamerv3": ("RSSM", "6 channels", {"dyngru.kernel": uniform(2, 5, 9), "dyngru.bias": uniform(18)}),
    "dreamerv3-torch": ("RSSM", "6 channels", {"layers.GRU_linear.weight": uniform(18, 10),
                                               "layers.GRU_norm.bias": uniform(18)}),
    "dreamerv3-torch of 2023": ("RSSM", "6 channels", {"_layer.weight": uniform(18, 10), "_norm.weight": uniform(18),
                                                       "_norm.bias": uniform(18)}),
    "sheeprl": ("RSSM", "6 channels", {"rnn.linear.weight": uniform(18, 10), "rnn.layer_norm.weight": uniform(18),
                                       "rnn.layer_norm.bias": uniform(18)}),
    "convlstm": ("ConvLSTM", "6 channels", {"cell_list.0.conv.weight": uniform(24, 9, 3, 3),
                                            "cell_list.0.conv.bias": uniform(24)}),
    "convlstm without bias": ("ConvLSTM", "6 channels", {"cell_list.0.conv.weight": uniform(24, 9, 3, 3)}),
    "convlstm by gate": ("ConvLSTM", "6 channels", {"Whf.weight": uniform(6, 6, 3, 3), "Wxf.bias": uniform(6),
                                                    "Wxf.weight": uniform(6, 3, 3, 3)}),
    "sru": ("SRU", "6 channels", {"weight": uniform(4, 18), "weight_c": uniform(12), "bias": uniform(12)}),
    "indrnn": ("IndRNN", "6 channels", {"weight_hh": uniform(C), "weight_ih": uniform(C, 3), "bias_ih": uniform(C)}),
    "ltc": ("LTC", "4 modes", {"gleak": LTC["gleak"], **LTC, "input_w": uniform(2), "output_w": uniform(1)}),
    "cfc": ("CfC", "3 modes", CFC | BACKBONE),
    "pure cfc": ("CfC, pure", "3 modes", {"ff1.weight": uniform(U, 5), "ff1.bias": uniform(U), "A": uniform(1, U),
                                          "w_tau": uniform(1, U)} | BACKBONE),
    "wired cfc": ("CfC", "3 modes", CFC | {"sparsity_mask": np.ones((U, 5))}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_names_of_every_code_base(case):
    family, size, parts = CASES[case]
    (layer,), coverage = assembled(tensors(parts))
    assert (layer.linear.family.name, layer.linear.size) == (family, size)
    assert np.isfinite(layer.diagonal).all()
    assert not coverage.unread
    assert not coverage.undecided
    assert all(name.startswith("net.0.cell.") for name in layer.source.tensors)
    # What is not in a file is said.
    assumes = family in {"LTC", "CfC", "CfC, pure", "IndRNN"} or case in {"convlstm", "convlstm without bias"}
    assert bool(coverage.notes) == assumes


def test_the_layouts_of_both_backends_of_slstm_are_one():
    R, b = uniform(H, U, 4, U), uniform(H, 4, U)  # heads, in, gates i f z o, out
    layouts = [
        {"_recurrent_kernel_": R.transpose(0, 2, 3, 1).reshape(H, 4 * U, U), "_bias_": b.swapaxes(0, 1).ravel()},
        {"_recurrent_kernel_": R.reshape(H, U, 4 * U), "_bias_": b.ravel()},
        {"_recurrent_kernel_": R, "_bias_": b},
    ]
    expected = from_linear("sLSTM", {"fgate_bias": b[:, 1], "gate_biases": b[:, [0, 2, 3]],
                                     "recurrent_kernel": R.transpose(0, 2, 3, 1)})  # fmt: skip
    for layout in layouts:
        (layer,), _ = assembled(tensors(layout))
        found, wanted = (np.sort_complex(each.diagonal) for each in (layer, expected))
        np.testing.assert_allclose(found, wanted, rtol=1000 * EPS32)


def test_an_ltc_keeps_what_is_positive_behind_a_softplus_or_as_it_is():
    # ncps: the class LTC passes implicit_param_constraints=True to its rnn_cell, LTCCell alone does not.
    expected = {"rnn_cell": from_linear("LTC", LTC | {"implicit": np.ones(1)}), "alone": from_linear("LTC", LTC)}
    for place, wanted in expected.items():
        (layer,), coverage = assembled(tensors(LTC, f"net.{place}."))
        np.testing.assert_allclose(np.sort_complex(layer.diagonal), np.sort_complex(wanted.diagonal), rtol=1000 * EPS32)
        assert any(("softplus" in note) == (place == "rnn_cell") for note in coverage.notes if "solved" in note)


def test_the_update_gate_is_the_last_of_each_block():
    bias = np.arange(12.0).reshape(2, 3, 2)
    (layer,), _ = assembled(tensors({"dyngru.kernel": uniform(2, 5, 6), "dyngru.bias": bias.ravel()}))
    np.testing.assert_allclose(layer.diagonal, 1 / (1 + np.exp(bias[:, 2].ravel() - 1)), rtol=8 * EPS32)
    bias = np.arange(8.0)  # i f o g
    (layer,), _ = assembled(tensors({"cell_list.0.conv.weight": uniform(8, 5, 3, 3), "cell_list.0.conv.bias": bias}))
    np.testing.assert_allclose(layer.diagonal, 1 / (1 + np.exp(-bias[2:4])), rtol=8 * EPS32)


@pytest.mark.parametrize("case", ["s4", "ltc", "cfc", "sru", "nx-ai slstm", "annotated s4", "dreamerv3"])
def test_half_a_cell_is_named_and_not_read(case):
    _, _, parts = CASES[case]
    lost = {"s4": "inv_dt", "ltc": "erev", "cfc": "ff2.bias", "sru": "bias", "nx-ai slstm": "_bias_",
            "annotated s4": "log_step", "dreamerv3": "dyngru.bias"}[case]  # fmt: skip
    layers, coverage = assembled(tensors({leaf: value for leaf, value in parts.items() if leaf != lost}))
    assert not layers
    assert coverage.unread or coverage.undecided


def test_what_only_has_such_names_is_no_cell():
    for parts in (
        {"linear.weight": uniform(6, 6), "norm.bias": uniform(6)},
        {"conv.weight": uniform(8, 4, 3, 3), "conv.bias": uniform(8)},
        {"gates.weight": uniform(8, 6), "gates.bias": uniform(8)},
        {"A_real": uniform(4)},
        {"ff1.weight": uniform(6, 6), "ff1.bias": uniform(6), "ff2.weight": uniform(6, 6), "ff2.bias": uniform(6)},
    ):
        layers, _ = assembled(tensors(parts))
        assert not layers


def test_keras_convlstm():
    parts = {"kernel": uniform(3, 3, 2, 24), "recurrent_kernel": uniform(3, 3, 6, 24), "bias": uniform(24)}
    (layer,), coverage = assembled(tensors(parts, "conv_lstm2d/"))
    np.testing.assert_allclose(layer.diagonal, 1 / (1 + np.exp(-parts["bias"][6:12])), rtol=8 * EPS32)
    assert coverage.notes == ("the file does not say the recurrent activation of a ConvLSTM: taken as the sigmoid",)
