"""Reparametrized weights: the file gives the weight that the module computes."""

import numpy as np
import pytest
from tests.checkpoints.test_assembly import assembled, stored

from unitcircle.checkpoints import read

EPS32 = float(np.finfo(np.float32).eps)

torch = pytest.importorskip("torch")
nn = torch.nn
adapter = pytest.importorskip("unitcircle.torch")


def model():
    torch.manual_seed(3)
    return nn.LSTM(3, 5)


def saved(module, path):
    file = path / "model.pt"
    torch.save(module.state_dict(), file)
    return read(file)


def stack(layer):
    return np.concatenate([layer.gates[gate] for gate in "ifgo"])


def perturbed(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module


def check(module, path, notes=0):
    layers = saved(module, path)
    (layer,) = layers
    weight = module.weight_hh_l0.detach().numpy()
    # torch computes it in single precision: 14 eps of an orthogonal factor measured.
    np.testing.assert_allclose(stack(layer), weight, rtol=0, atol=32 * EPS32)
    assert set(layer.inputs) == {"i", "f", "g", "o"}
    assert not layers.coverage.unread
    assert len(layers.coverage.notes) == notes
    return layer


def test_weight_norm(tmp_path):
    lstm = nn.utils.parametrizations.weight_norm(model(), "weight_hh_l0")
    lstm.parametrizations.weight_hh_l0.original0.data.mul_(1.5)
    layer = check(lstm, tmp_path)
    assert layer.source.tensors[:2] == (
        "parametrizations.weight_hh_l0.original1",
        "parametrizations.weight_hh_l0.original0",
    )


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_the_older_weight_norm(tmp_path):
    check(nn.utils.weight_norm(model(), "weight_hh_l0"), tmp_path)


def test_spectral_norm(tmp_path):
    lstm = nn.utils.parametrizations.spectral_norm(model(), "weight_hh_l0")
    check(lstm.eval(), tmp_path)


def test_the_older_spectral_norm(tmp_path):
    lstm = nn.utils.spectral_norm(model(), "weight_hh_l0").eval()
    with torch.no_grad():
        lstm(torch.zeros(1, 1, 3))
    check(lstm, tmp_path)


def test_pruning(tmp_path):
    from torch.nn.utils import prune

    lstm = prune.random_unstructured(model(), "weight_hh_l0", amount=0.4)
    layer = check(lstm, tmp_path)
    assert (stack(layer) == 0).mean() == pytest.approx(0.4)


def test_orthogonal_blocks(tmp_path):
    from unitcircle.torch import parametrize_orthogonal

    lstm = perturbed(parametrize_orthogonal(model(), gain=0.9))
    layer = check(lstm, tmp_path, notes=1)
    np.testing.assert_allclose(np.linalg.svd(layer.gates["f"])[1], 0.9, rtol=16 * EPS32)


@pytest.mark.parametrize("cell", [nn.RNN, nn.LSTM])
@pytest.mark.parametrize("n", [4, 5])
@pytest.mark.parametrize("orthogonal_map", [None, "scaled_cayley"])
@pytest.mark.parametrize("form", ["parametrize_orthogonal", "parametrize_schur"])
def test_every_parametrization_of_this_package(tmp_path, cell, n, orthogonal_map, form):
    torch.manual_seed(n)
    rnn = getattr(adapter, form)(cell(3, n), orthogonal_map=orthogonal_map)
    layers = saved(perturbed(rnn), tmp_path)
    weight = rnn.weight_hh_l0.detach().numpy()
    np.testing.assert_allclose(np.concatenate([*layers[0].gates.values()]), weight, rtol=0, atol=64 * EPS32)
    assert not layers.coverage.unread
    assumed = [note for note in layers.coverage.notes if "torch's default map" in note]
    assert bool(assumed) is (orthogonal_map is None)


def test_two_factors_are_no_weight_norm(tmp_path):
    class LowRank(nn.Module):
        def forward(self, A, B):
            return A @ B

        def right_inverse(self, W):
            return W[:, :2], W[:2]

    rnn = nn.RNN(3, 6)
    nn.utils.parametrize.register_parametrization(rnn, "weight_hh_l0", LowRank())
    layers = saved(rnn, tmp_path)
    assert not tuple(layers)
    assert "weight_hh_l0 is stored in a parametrization that is not known" in layers.coverage.unread[0]


def test_an_orthogonal_stack_and_an_orthogonal_matrix(tmp_path):
    check(perturbed(nn.utils.parametrizations.orthogonal(model(), "weight_hh_l0")), tmp_path, notes=1)
    cell = perturbed(nn.utils.parametrizations.orthogonal(nn.RNN(3, 5), "weight_hh_l0"))
    (layer,) = saved(cell, tmp_path)
    np.testing.assert_allclose(layer.gates["h"], cell.weight_hh_l0.detach().numpy(), rtol=0, atol=32 * EPS32)


def test_a_parametrized_module_of_a_cell(tmp_path):
    cell = nn.ModuleDict({"h2h": nn.Linear(5, 5), "i2h": nn.Linear(3, 5)})
    nn.utils.parametrizations.weight_norm(cell["h2h"])
    (layer,) = saved(cell, tmp_path)
    np.testing.assert_allclose(layer.gates["h"], cell["h2h"].weight.detach().numpy(), rtol=0, atol=4 * EPS32)
    assert layer.biases


def test_a_parametrization_that_is_not_known_is_said(tmp_path):
    class Symmetric(nn.Module):
        def forward(self, X):
            return X.triu() + X.triu(1).T

    rnn = nn.RNN(3, 5)
    nn.utils.parametrize.register_parametrization(rnn, "weight_hh_l0", Symmetric())
    layers = saved(rnn, tmp_path)
    assert not len(layers)
    assert "weight_hh_l0 is stored in a parametrization that is not known" in layers.coverage.unread[0]


@pytest.mark.parametrize(
    ("raw", "place"),
    [("rnns.0.module.weight_hh_l0_raw", "rnns.0.module."), ("rnns.0.weight_hh_l0_raw", "rnns.0.module."),
     ("rnn.weight_hh_l0_raw", "rnn.")],
)  # fmt: skip
def test_weight_drop_keeps_the_raw_weight(raw, place):
    weight = stored(16, 4)
    tensors = {raw: weight, f"{place}weight_ih_l0": stored(16, 3), f"{place}bias_ih_l0": stored(16)}
    if raw.startswith("rnns.0.weight"):
        tensors[f"{place}weight_hh_l0"] = stored(16, 4)  # a copy with units dropped
    (layer,), _ = assembled(tensors)
    np.testing.assert_array_equal(stack(layer), weight.load())
    assert (layer.source.tensors[0], layer.input_size, len(layer.biases)) == (raw, 3, 4)


def test_parts_that_do_not_fit_are_said_and_not_read():
    tensors = {"a.parametrizations.weight_hh.original0": stored(7, 1),
               "a.parametrizations.weight_hh.original1": stored(16, 4)}  # fmt: skip
    layers, coverage = assembled(tensors)
    assert not layers
    assert "must be stored in parts that fit together" in coverage.unread[0]


def test_letters_v_and_g_of_an_attention_are_no_weight_norm():
    layers, coverage = assembled({"a.W_v": stored(4, 4), "a.W_g": stored(4, 4)})
    assert not layers
    assert [entry.name for entry in coverage.skipped] == ["a.W_v", "a.W_g"]
