"""Whether a layer was trained: initializers of every framework are recognised, and training is seen."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import unitcircle as uc
from unitcircle import initializers
from unitcircle.diagnosis import diagnose
from unitcircle.diagnosis._training import orthogonality_defect
from unitcircle.recurrence import Cell, from_diagonal, from_keras, from_torch

SHARED = Path(__file__).parents[2].parent / "shared" / "checkpoints"
"""Real trained files, where they are there."""


def judged(layer):
    (examined,) = diagnose([layer], select=["UC105"]).layers
    return examined.training


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
@pytest.mark.parametrize("n", [8, 32])
def test_torchs_default_is_seen_as_initialized(kind, n):
    # 20 seeds: a test at the level 1/1000 refuses one of them with probability 2 %; these seeds are fixed.
    for seed in range(20):
        torch.manual_seed(seed)
        (layer,) = uc.torch.to_layers(kind(5, n))
        assert judged(layer).trained is False, judged(layer)


@pytest.mark.parametrize(
    "recurrent", ["orthogonal", "identity", "xavier_uniform", "kaiming_normal", "eigen", "gaussian(std=0.1)"]
)
@pytest.mark.parametrize("bias", ["forget_bias", "chrono(max_steps=50)", "zeros"])
def test_our_own_initializers_are_seen_as_initialized(recurrent, bias):
    lstm = nn.LSTM(5, 24)
    uc.torch.initialize_(lstm, recurrent=recurrent, bias=bias, rng=0)
    (layer,) = uc.torch.to_layers(lstm)
    assert judged(layer).trained is False, judged(layer)


def test_a_cell_written_by_hand_of_linear_modules_is_seen_as_initialized():
    torch.manual_seed(0)
    reads, feeds = nn.Linear(3, 24), nn.Linear(24, 24)
    layer = from_torch(
        feeds.weight.detach(),
        cell=Cell.RNN_TANH,
        weight_ih=reads.weight.detach(),
        bias_ih=reads.bias.detach(),  # U(±1/√3), beyond the ±1/√24 of a recurrent layer
        bias_hh=feeds.bias.detach(),
    )
    assert judged(layer).trained is False, judged(layer)


def test_the_default_of_keras_and_a_truncated_gaussian_are_seen_as_initialized():
    rng = np.random.default_rng(0)
    stack = initializers.Orthogonal()(rng.standard_normal((16, 64)))
    bias = np.repeat([0.0, 1.0, 0.0, 0.0], 16)
    evidence = judged(from_keras(stack, cell="lstm", bias=bias))
    assert str(evidence).startswith("as initialized: the recurrent weights are orthogonal as a stack")
    z = rng.standard_normal(4 * 64 * 64 * 2)
    cut = 0.1 * z[np.abs(z) < 2][: 4 * 64 * 64].reshape(256, 64)
    assert judged(from_torch(cut, cell="lstm", bias_ih=np.zeros(256))).trained is False


def test_a_few_hundred_steps_of_training_are_seen():
    torch.manual_seed(0)
    model = nn.GRU(4, 16, batch_first=True)
    readout = nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*model.parameters(), *readout.parameters()], lr=1e-2)
    for _ in range(150):
        x = torch.randn(16, 10, 4)
        loss = (readout(model(x)[0])[..., 0] - x.cumsum(1)[..., 0]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    (layer,) = uc.torch.to_layers(model)
    assert judged(layer).trained is True
    assert "the biases of gate" in judged(layer).reason


def test_weights_alone_show_training_where_biases_do_not():
    # A heavy tail: entries of a trained weight are neither uniform nor Gaussian.
    rng = np.random.default_rng(0)
    W = 0.1 * rng.standard_t(2, (32, 32))
    evidence = judged(from_torch(W, cell=Cell.RNN_TANH))
    assert evidence.trained is True
    assert str(evidence) == "trained: the recurrent weights follow the law of no initializer"


@pytest.mark.parametrize(
    ("name", "trained", "reason"),
    [
        ("sparse(density=0.05)", None, "Gaussian where they are not 0"),
        ("chain", False, "of one value, or 0"),
        ("low_rank(rank=2)", None, "of low rank, which training may have kept"),
        ("normalized_positive_definite", None, "symmetric, which training may have kept"),
    ],
)
def test_a_structured_draw_is_not_called_trained(name, trained, reason):
    W = initializers.parse(name).sample(96, rng=0)
    evidence = judged(from_torch(W if isinstance(W, np.ndarray) else W.toarray(), cell=Cell.RNN_TANH))
    assert evidence.trained is trained
    assert reason in evidence.reason


def test_a_pruned_trained_weight_is_seen_as_trained():
    # Of Gaussian weights the largest half: a gap is where a drawn sparse weight has its most likely values.
    W = np.random.default_rng(0).standard_normal((32, 32))
    evidence = judged(from_torch(np.where(np.abs(W) > 0.7, W, 0), cell=Cell.RNN_TANH))
    assert evidence.trained is True


def test_of_two_laws_that_fit_the_likelier_is_named():
    # 64 Gaussian entries a gate may pass as uniform up to their largest.
    W = np.random.default_rng(3).standard_normal((32, 8))
    assert "Gaussian" in judged(from_torch(W, cell="lstm", bias_ih=np.zeros(32))).reason


def test_what_cannot_be_decided_is_said():
    gaussian = np.random.default_rng(0).standard_normal((32, 32))
    for layer in (
        from_torch(gaussian, cell=Cell.RNN_TANH),
        from_torch(gaussian[:4, :4], cell=Cell.RNN_TANH),
        from_diagonal([0.5, 0.9]),
    ):
        assert judged(layer).trained is None
        assert str(judged(layer)).startswith("trained or not cannot be told")


def test_the_state_of_an_optimizer_decides_what_the_weights_do_not(tmp_path):
    gaussian = torch.randn(32, 32)
    path = tmp_path / "checkpoint.pt"
    content = {"cell.weight_hh": gaussian, "optimizer.cell.weight_hh.exp_avg": torch.ones(32, 32)}
    torch.save(content, path)
    diagnosis = diagnose(str(path))
    assert diagnosis.examination.trained(diagnosis.layers[0]) is True
    assert "trained: the file holds the state of an optimizer" in str(diagnosis)


@pytest.mark.parametrize("name", sorted(path.name for path in SHARED.glob("*") if path.suffix != ".md"))
def test_every_real_trained_file_is_seen_as_trained_and_has_no_finding(name):
    diagnosis = diagnose(SHARED / name)
    assert {diagnosis.examination.trained(layer) for layer in diagnosis.layers} == {True}
    assert diagnosis.findings == ()


@pytest.mark.parametrize("scale", [1e300, 1e-300, 1.0])
def test_the_defect_of_an_orthogonal_matrix_is_that_of_any_multiple(scale):
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((40, 40)))[0]
    assert orthogonality_defect(scale * Q) < 1e-12
    skewed = Q + 0.1 * np.eye(40)
    assert orthogonality_defect(scale * skewed) == pytest.approx(orthogonality_defect(skewed))
