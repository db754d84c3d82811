"""Layers from names: every convention that is known, every impostor with its reason, and a person's choice."""

import numpy as np
import pytest

from unitcircle.checkpoints import Coverage, Entry
from unitcircle.checkpoints._assembly import assemble
from unitcircle.checkpoints._choice import Choice
from unitcircle.checkpoints._tensor import StoredTensor

RNG = np.random.default_rng(3)


def stored(*shape, dtype="float32", values=None):
    array = RNG.standard_normal(shape).astype(dtype) if values is None else values
    return StoredTensor(array.shape, array.dtype.name, lambda: array)


def assembled(tensors, *, names=(), layout=None, **options):
    chosen = Choice(tuple(names), layout).layers(tensors, file="f")
    layers, coverage = assemble(tensors, file="f", chosen=chosen, **options)
    names = {entry.name for entry in (*coverage.analysed, *coverage.skipped)}
    assert len(names) + coverage.other == len(tensors), "every tensor is accounted for once"
    return layers, coverage


def test_torch_names():
    layers, coverage = assembled(
        {
            "enc.weight_hh_l0": stored(16, 4),
            "enc.weight_ih_l0": stored(16, 3),
            "enc.bias_hh_l0": stored(16),
            "enc.weight_hh_l0_reverse": stored(16, 4),
            "cell.weight_hh": stored(12, 4),
            "weight_hh_l1": stored(4, 4),
        }
    )
    assert [(layer.name, layer.cell, layer.layer, layer.direction) for layer in layers] == [
        ("enc", "lstm", 0, "forward"),
        ("enc", "lstm", 0, "reverse"),
        ("cell", "gru", 0, "forward"),
        ("rnn", "rnn_tanh", 1, "forward"),
    ]
    assert layers[0].source.tensors == ("enc.weight_hh_l0", "enc.weight_ih_l0", "enc.bias_hh_l0")
    assert layers[0].source.layout == "torch"
    assert coverage.notes == ("plain cells whose file does not name the activation are taken as tanh",)


def test_the_mode_of_a_module_names_the_activation():
    (layer,), coverage = assembled({"a.weight_hh_l0": stored(4, 4)}, texts={"a.mode": "RNN_RELU"})
    assert layer.cell == "rnn_relu"
    assert not coverage.notes
    (layer,), _ = assembled({"a.weight_hh": stored(4, 4)}, texts={"a.nonlinearity": "tanh"})
    assert layer.cell == "rnn_tanh"


def test_keras_names():
    kernel = stored(4, 16)
    (layer, plain), _ = assembled(
        {
            "lstm/recurrent_kernel:0": kernel,
            "lstm/kernel:0": stored(3, 16),
            "lstm/bias:0": stored(16),
            "rnn/recurrent_kernel": stored(4, 4),
        }
    )
    assert (layer.name, layer.cell, layer.input_size, plain.cell) == ("lstm", "lstm", 3, "rnn_tanh")
    np.testing.assert_array_equal(layer.gates["f"], kernel.load()[:, 4:8].T)


@pytest.mark.parametrize("dot", [".", "/"])
def test_flax_names(dot):
    tensors = {f"p{dot}cell{dot}h{gate}{dot}kernel": stored(4, 4) for gate in "rzn"}
    tensors |= {f"p{dot}cell{dot}i{gate}{dot}kernel": stored(3, 4) for gate in "rzn"}
    (layer,), coverage = assembled(tensors)
    assert (layer.name, layer.cell, layer.source.layout) == (f"p{dot}cell", "gru", "flax")
    np.testing.assert_array_equal(layer.gates["z"], tensors[f"p{dot}cell{dot}hz{dot}kernel"].load().T)
    assert len(coverage.analysed) == 6
    fused, _ = assembled({"dense_h/kernel": stored(4, 16), "dense_i/kernel": stored(3, 16)})
    assert fused[0].cell == "lstm"
    nnx = {f"cell{dot}{name}{dot}kernel": stored(4, 4) for name in ("hi", "hf", "hg", "ho", "ii", "if_", "ig", "io")}
    (layer,), coverage = assembled(nnx)
    np.testing.assert_array_equal(layer.inputs["f"], nnx[f"cell{dot}if_{dot}kernel"].load().T)
    assert len(coverage.analysed) == 8


@pytest.mark.parametrize(
    ("names", "cell"),
    [
        (("lru.nu_log", "lru.theta_log"), "diagonal"),
        (("log_A_real", "A_imag", "log_dt"), "diagonal"),
        (("ssm.Lambda_re", "ssm.Lambda_im", "ssm.log_step"), "diagonal"),
        (("mixer.A_log", "mixer.dt_proj.bias"), "diagonal"),
        (("mixer.A_log", "mixer.dt_bias"), "diagonal"),
    ],
)
def test_diagonal_names(names, cell):
    wide = names[0] == "log_A_real"
    tensors = {name: stored(*((3, 2) if wide and name != "log_dt" else (3,))) for name in names}
    (layer,), _ = assembled(tensors)
    assert (layer.cell, layer.source.tensors) == (cell, names)
    assert layer.hidden_size == (6 if wide else 3)
    assert np.all(np.abs(layer.diagonal) < 1) or names[0].endswith("re")


def test_low_rank_names():
    (layer,), _ = assembled({"net.m": stored(10, 2), "net.n": stored(10, 2), "net.wo": stored(10, 1)})
    assert (layer.cell, layer.hidden_size) == ("low_rank_rnn", 10)
    nothing, _ = assembled({"m": stored(3), "n": stored(3)})
    assert nothing == []


@pytest.mark.parametrize("name", ["h2h.weight", "recurrent.weight", "Whh", "encoder.W_hh.weight"])
def test_hand_written_names(name):
    weight = stored(4, 4)
    (layer,), coverage = assembled({name: weight})
    assert (layer.cell, layer.source.layout, layer.unknown) == ("rnn_tanh", "columns?", frozenset())
    np.testing.assert_array_equal(layer.gates["h"], weight.load())
    assert len(coverage.notes) == 3
    assert "hand-written plain cells whose file holds no leak are taken without one" in coverage.notes


@pytest.mark.parametrize("name", ["net/W_rec", "wrec", "net.rec.weight", "W_res"])
def test_the_leak_of_a_cell_that_mostly_has_one_is_unknown(name):
    (layer,), coverage = assembled({name: stored(4, 4)})
    assert (layer.cell, layer.unknown) == ("leaky_rnn", {"leak"})
    assert len(coverage.notes) == 2


def test_the_input_weight_tells_the_side_of_a_hand_written_cell():
    columns, rows = stored(4, 4), stored(4, 4)
    layers, _ = assembled(
        {
            "a.W_rec": columns,
            "a.W_in": stored(4, 3),
            "b.W_rec": rows,
            "b.W_in": stored(3, 4),
            "c.W_rec": stored(4, 4),
            "c.W_in": stored(5, 3),
            "c.b_rec": stored(5),
            "b.b_rec": stored(4),
        }
    )
    assert [layer.source.layout for layer in layers] == ["columns", "rows", "columns?"]
    np.testing.assert_array_equal(layers[1].gates["h"], rows.load().T)
    assert [layer.input_size for layer in layers] == [3, 3, None]
    assert layers[2].source.tensors == ("c.W_rec",)
    assert layers[1].source.tensors == ("b.W_rec", "b.W_in", "b.b_rec")


@pytest.mark.parametrize(
    ("name", "reason", "undecided"),
    [
        ("block.attn.weight", "an attention matrix", False),
        ("layer.q_proj.weight", "an attention matrix", False),
        ("rec_mask", "a mask", False),
        ("dale", "a matrix of signs", False),
        ("attention.query.weight", "an attention matrix", False),
        ("block.query_key_value.weight", "an attention matrix", False),
        ("mlp_extractor.value_net.0.weight", "a feed-forward or readout", False),
        ("value_head.0.weight", "a feed-forward or readout", False),
        ("wo", "a feed-forward or readout", False),
        ("fc2.weight", "a feed-forward or readout", False),
        ("conv1.weight", "a convolution", False),
        ("char_embedding", "an embedding", False),
        ("optimizer.state.0.exp_avg", "state of an optimizer", False),
        ("W_rec/Adam_1", "state of an optimizer", False),
        ("A", "square, but its name does not say", True),
    ],
)
def test_impostors_are_skipped_with_a_reason(name, reason, undecided):
    layers, coverage = assembled(
        {name: stored(4, 4), "bias": stored(4), "w3": stored(4, 4, 3), "ids": stored(4, 4, dtype="int64")}
    )
    assert layers == []
    (entry,) = coverage.skipped
    assert entry.reason.startswith(reason)
    assert entry.undecided is undecided
    assert coverage.other == 3


def test_a_stack_in_unknown_order_is_left_to_a_person():
    tensors = {"rnn.h2h.weight": stored(16, 4), "opt.m": stored(3), "mlp.up": stored(16, 4), "hh": stored(9, 4)}
    layers, coverage = assembled(tensors)
    assert layers == []
    assert [entry.name for entry in coverage.skipped] == ["rnn.h2h.weight"]
    assert not coverage.undecided, "the sentence has a better hint"
    assert "a stack of 4 square blocks" in coverage.skipped[0].reason
    (sentence,) = coverage.unread
    assert sentence.startswith("rnn looks like a hand-written gated cell (rnn.h2h.weight is a stack of 4 square blocks")
    assert sentence.endswith("--tensor recurrent=rnn.h2h.weight --layout ifgo, with its gates in their order")
    (layer,), coverage = assembled(tensors, names=["rnn.h2h.weight"], layout="torch")
    assert layer.cell == "lstm"
    assert not coverage.undecided


@pytest.mark.parametrize("blocks", [2, 3, 4])
@pytest.mark.parametrize("transposed", [False, True])
def test_a_stack_of_square_blocks_is_left_to_a_person(blocks, transposed):
    # Two blocks are those of a minimal gated unit.
    shape = (5, 5 * blocks) if transposed else (5 * blocks, 5)
    layers, coverage = assembled({"cell.weight": stored(*shape), "up.weight": stored(*shape)})
    assert layers == []
    (entry,) = coverage.undecided
    assert entry.name == "cell.weight"
    assert entry.reason == f"a stack of {blocks} square blocks whose order the file does not tell"
    assert coverage.other == 1


def test_a_choice_goes_before_what_the_name_says():
    (layer,), _ = assembled({"weight_hh": stored(4, 4)}, names=["weight_hh"], layout="keras:rnn_relu")
    assert layer.source.layout == "keras"


@pytest.mark.parametrize(
    "tensors",
    [
        {"weight_hh": stored(8, 4)},
        {"recurrent_kernel": stored(4, 8)},
        {"weight_hh": stored(16, 4), "weight_ih": stored(12, 3)},
        {"hi/kernel": stored(4, 4)},
        {"A_log": stored(3, 2), "dt_bias": stored(2)},
    ],
)
def test_a_name_that_promises_what_the_shape_does_not_keep(tensors):
    layers, coverage = assembled(tensors)
    assert layers == []
    assert coverage.skipped[0].reason.startswith("named as a recurrent weight, but:")
    assert coverage.skipped[0].undecided


def test_coverages_add_up():
    one = Coverage(analysed=(Entry("a", (2, 2), "l"),), notes=("same",), other=1)
    two = Coverage(skipped=(Entry("b", (3, 3), "mask"),), notes=("same",), other=2)
    both = Coverage.merged([one, two])
    assert (len(both.analysed), len(both.skipped), both.notes, both.other) == (1, 1, ("same",), 3)
    assert str(both) == "analysed 1 tensors, skipped 1, other 3\nskipped b (3, 3): mask\nsame"
