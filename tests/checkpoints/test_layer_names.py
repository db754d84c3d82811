"""Names of layers are those of modules, without what wraps them; what wraps a layer does not hide it."""

import pytest
from tests.checkpoints.test_assembly import assembled, stored


@pytest.mark.parametrize(
    ("tensor", "name"),
    [
        ("module.encoder.weight_hh_l0", "encoder"),
        ("_orig_mod.encoder.weight_hh_l0", "encoder"),
        ("module._orig_mod.encoder.weight_hh_l0", "encoder"),
        ("_fsdp_wrapped_module.net._fsdp_wrapped_module.encoder.weight_hh_l0", "net.encoder"),
        ("net._checkpoint_wrapped_module.encoder.weight_hh_l0", "net.encoder"),
        ("state_dict.model.encoder.weight_hh_l0", "encoder"),
        ("state_dict.model._orig_mod.rnn.weight_hh_l0", "rnn"),
        ("params/encoder/recurrent_kernel", "encoder"),
        ("model.weight_hh_l0", "model"),
        ("weight_hh_l0", "rnn"),
        ("ltc_layers.0.W_hh.weight", "ltc_layers.0"),
        ("encoder.layers.0.W_hh.weight", "encoder.layers.0"),
        ("state_dict.W_hh.weight", "state_dict"),
        ("W_hh.weight", "hh"),
        ("W_rec", "W_rec"),
        ("enc_w_hh", "enc"),
    ],
)
def test_the_name_of_a_layer(tensor, name):
    (layer,), _ = assembled({tensor: stored(4, 4)})
    assert layer.name == name


def test_two_layers_whose_names_differ_in_what_wraps_them_keep_it():
    layers, _ = assembled({"model.rnn.weight_hh": stored(4, 4), "ema.model.rnn.weight_hh": stored(4, 4),
                           "rnn.weight_hh": stored(4, 4)})  # fmt: skip
    assert [layer.name for layer in layers] == ["model.rnn", "ema.model.rnn", "rnn"]
    layers, _ = assembled({"model.rnn.weight_hh": stored(4, 4), "module.rnn.weight_hh": stored(4, 4)})
    assert [layer.name for layer in layers] == ["rnn", "module.rnn"]


def test_the_moments_of_an_optimizer_are_one_entry():
    tensors = {f"optimizer_states.0.state.{k}.exp_avg": stored(4, 4) for k in range(40)}
    layers, coverage = assembled(tensors | {"state_dict.rnn.weight_hh": stored(4, 4)})
    assert [layer.name for layer in layers] == ["rnn"]
    (entry,) = coverage.skipped
    assert entry.reason == "state of an optimizer, by its name, as 39 more"
    assert coverage.other == 39


def test_what_stands_beside_a_layer_and_was_not_used_is_named():
    tensors = {"cell.weight_hh": stored(16, 4), "cell.weight_ih": stored(16, 3), "cell.b_z": stored(16)}
    tensors |= {"cell.weight_ch": stored(16, 2), "cell.h0": stored(4), "fc.weight": stored(2, 4), "fc.bias": stored(4)}
    _, coverage = assembled(tensors)
    assert coverage.notes == ("layer cell: b_z (16), weight_ch (16, 2) were not used",)


def test_numbers_in_names_count_as_numbers_where_a_file_is_sorted_by_the_alphabet():
    names = [f"blocks.{k}.weight_hh_l0" for k in range(12)]
    layers, _ = assembled({name: stored(3, 3) for name in sorted(names)})
    assert [layer.name for layer in layers] == [f"blocks.{k}" for k in range(12)]
    backwards, _ = assembled({name: stored(3, 3) for name in names[::-1]})  # an order that says something is kept
    assert [layer.name for layer in backwards] == [f"blocks.{k}" for k in reversed(range(12))]
