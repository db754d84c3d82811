"""What a config.json beside the weights says of linear recurrences, and what is not taken from it."""

import json

import numpy as np
import pytest

import unitcircle as uc
from unitcircle.recurrence import from_linear

HEADS, KEYS = 4, 8
RNG = np.random.default_rng(20)
A_LOG = np.log(RNG.uniform(1, 16, HEADS)).astype(np.float32)
BIAS = RNG.uniform(-6, -3, HEADS * KEYS).astype(np.float32)
KDA = {
    "layers.0.A_log": A_LOG,
    "layers.0.dt_bias": BIAS,
    "layers.0.f_a_proj.weight": np.ones((4, 4), np.float32),
}
DELTA = {
    "layers.0.A_log": A_LOG,
    "layers.0.dt_bias": BIAS[:HEADS],
    "layers.0.b_proj.weight": np.ones((HEADS, 8), np.float32),
}


def read(folder, weights, config):
    np.savez(folder / "model.npz", **weights)
    (folder / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    return uc.read(folder / "model.npz")


@pytest.mark.parametrize(
    ("config", "family", "bound"),
    [
        ({}, "KDA", None),
        ({"kda_safe_gate": True}, "KDA, bounded", -5.0),
        ({"kda_safe_gate": True, "kda_lower_bound": -3.0}, "KDA, bounded", -3.0),
        ({"text_config": {"linear_attn_config": {"gate_lower_bound": -5.0}}}, "KDA, bounded", -5.0),
        ({"kda_safe_gate": False, "kda_lower_bound": -5.0}, "KDA", None),
        ({"linear_lower_bound": None}, "KDA", None),
    ],
)
def test_the_gate_of_kda(config, family, bound, tmp_path):
    (layer,) = found = read(tmp_path, KDA, config)
    assert layer.linear.family.name == family
    parameters = {"A_log": A_LOG, "dt_bias": BIAS}
    if bound is not None:
        parameters["gate_bound"] = np.array([bound])
        expected = np.exp(bound / (1 + np.exp(-np.exp(A_LOG.astype(float))[:, None] * BIAS.reshape(HEADS, KEYS))))
        np.testing.assert_allclose(layer.diagonal, expected.ravel(), rtol=1000 * 2.0**-52)
    np.testing.assert_array_equal(layer.diagonal, from_linear(family, parameters).diagonal)
    untold = [note for note in found.coverage.notes if note.startswith("the file does not say whether the gate")]
    assert bool(untold) == (not any("gate" in note and "config.json says" in note for note in found.coverage.notes))


def test_mamba_3_of_fla_has_the_softplus_that_its_authors_replaced(tmp_path):
    bias = np.linspace(-6, 1, HEADS).astype(np.float32)
    tensors = {"dt_bias": bias, "in_proj.weight": np.ones((9, 8)), "B_bias": np.ones((HEADS, 1, 2))}
    file = {f"layers.0.mixer.{name}": values for name, values in tensors.items()}
    step = np.logaddexp(bias.astype(float), 0)
    (layer,) = found = read(tmp_path, file, {"model_type": "other"})
    np.testing.assert_allclose(layer.diagonal, np.exp(-step), rtol=1000 * 2.0**-52)
    assert any("how Mamba-3 makes A" in note for note in found.coverage.notes)
    (layer,) = found = read(tmp_path, file, {"model_type": "mamba3"})
    np.testing.assert_allclose(layer.diagonal, 2**-step, rtol=1000 * 2.0**-52)  # softplus(0) = log 2
    assert not any("how Mamba-3 makes A" in note for note in found.coverage.notes)


@pytest.mark.parametrize("name", ["allow_neg_eigval", "linear_allow_neg_eigval"])
def test_a_doubled_beta(name, tmp_path):
    (layer,) = read(tmp_path, DELTA, {"model_type": "gated_deltanet", name: True})
    assert layer.linear.range == (-1.0, 1.0)
    assert (layer.linear.along_key == 0).all()
    (note,) = [f for f in uc.diagnose(tmp_path / "model.npz").findings if f.kind == "expressivity"]
    assert "parity is in its range" in note.why
    (plain,) = read(tmp_path, DELTA, {name: False})
    assert plain.linear.range == (0.0, 1.0)
    (given,) = uc.read(DELTA, config={name: True})
    assert given.linear.range == (-1.0, 1.0)
    (other,) = uc.read(tmp_path / "model.npz", config={name: True})
    assert other.linear.reflects


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, '{"allow_neg_eigval": "yes"}', "\x00", '{"a": 1e999}'])
def test_a_configuration_that_says_nothing_changes_nothing(text, tmp_path):
    (layer,) = read(tmp_path, DELTA, text)
    assert not layer.linear.reflects


def test_layers_with_the_names_of_softmax_attention_are_named_by_the_type_of_the_model(tmp_path):
    weights = {f"layers.0.attn.{name}_proj.weight": np.ones((8, 8), np.float32) for name in "qkvo"}
    based = read(tmp_path, weights, {"model_type": "based"})
    assert based.coverage.unread == ("config.json says that the layers are Based (model_type based): not read",)
    assert read(tmp_path, weights, {"model_type": "llama"}).coverage.unread == ()
