"""Singular values of long products against 60-digit arithmetic, and their mean in closed form."""

import numpy as np
import pytest
import torch
from tests.oracles.dynamics_products import log_singular_values
from torch import nn

from unitcircle._graded_products import _split
from unitcircle.dynamics import as_recurrence, jacobian_spectrum, mean_log_singular_value

EPS = np.finfo(float).eps
ACCURACY = EPS**0.5


def jacobians(model, inputs):
    recurrence = as_recurrence(model)
    xs, states = recurrence.trajectory(inputs)
    return recurrence.linearize(xs, states[:-1]).dense(0, len(states) - 1).numpy()


@pytest.mark.parametrize("make", [lambda: nn.RNN(2, 5), lambda: nn.GRU(2, 5), lambda: nn.LSTM(2, 3)])
def test_small_singular_values_are_found_beside_large_ones(make):
    torch.manual_seed(2)
    model, inputs = make(), torch.randn(12, 2, 2)
    result = jacobian_spectrum(model, inputs)
    J = jacobians(model, inputs)
    for b in range(2):
        assert np.abs(result.log_singular_values[b] - log_singular_values(J[:, b])).max() <= 12 * ACCURACY
    assert result.sum_residual.max() <= 12 * ACCURACY
    assert result.steps == 12


def test_short_products_agree_with_a_plain_svd():
    torch.manual_seed(3)
    model, inputs = nn.RNN(2, 12), torch.randn(2, 1, 2)
    with torch.no_grad():
        nn.init.orthogonal_(model.weight_hh_l0)
    J = jacobians(model, inputs)[:, 0]
    plain = np.log(np.linalg.svd(J[1] @ J[0], compute_uv=False))
    assert np.abs(jacobian_spectrum(model, inputs).log_singular_values[0] - plain).max() <= 64 * 12 * EPS


def test_ranges_beyond_double_precision():
    W = torch.diag(torch.tensor([1.0, 1e-1, 1e-3, 1e-6], dtype=torch.float64))
    rotation = torch.linalg.qr(torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).double())[0]
    W = rotation @ W @ rotation.T
    result = jacobian_spectrum(lambda x, h: W @ h, 500, initial=torch.ones(4, dtype=torch.float64))
    assert np.abs(result.log_singular_values[0] / np.log(10) + [0, 500, 1500, 3000]).max() <= 500 * 1e6 * EPS
    assert result.effective_rank[0] == pytest.approx(1.0, abs=4 * EPS)
    assert result.largest[0] == result.log_singular_values[0, 0]
    assert result.median[0] / np.log(10) == pytest.approx(-1000, abs=500 * 1e6 * EPS)


def test_blocks_are_cut_at_the_widest_gap():
    blocks = [block.tolist() for block in _split(np.array([0.0, -500.0, -1300.0, -np.inf]), np.arange(4))]
    assert sorted(blocks) == [[0, 1], [2], [3]]


def test_rank_deficiency_is_minus_infinity():
    torch.manual_seed(5)
    model, inputs = nn.RNN(2, 8, nonlinearity="relu"), torch.randn(6, 1, 2)
    result = jacobian_spectrum(model, inputs)
    exact = log_singular_values(jacobians(model, inputs)[:, 0])
    kept = exact > exact[0] - 50
    assert 0 < kept.sum() < 8
    assert np.abs(result.log_singular_values[0, kept] - exact[kept]).max() <= 12 * ACCURACY
    assert np.isneginf(result.log_singular_values[0, ~kept]).all()
    assert result.sum_residual[0] == 0


def test_a_map_to_zero_has_no_singular_value():
    result = jacobian_spectrum(lambda x, h: 0.0 * h, 5, initial=torch.ones(3, dtype=torch.float64))
    assert np.isneginf(result.log_singular_values).all()
    assert (result.effective_rank == 0).all()


def test_isometry_has_full_effective_rank():
    Q = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0)).double())[0]
    result = jacobian_spectrum(lambda x, h: Q @ h, 100, initial=torch.ones(6, dtype=torch.float64))
    assert np.abs(result.log_singular_values).max() <= 600 * EPS
    assert result.effective_rank[0] == pytest.approx(6, abs=600 * EPS)


@pytest.mark.parametrize("make", [lambda: nn.RNN(2, 6, 2), lambda: nn.GRU(2, 6), lambda: nn.LSTM(2, 4)])
def test_mean_log_singular_value_needs_no_singular_value(make):
    torch.manual_seed(6)
    model, inputs = make(), torch.randn(10, 3, 2)
    spectrum = jacobian_spectrum(model, inputs)
    mean = mean_log_singular_value(model, inputs)
    assert mean.shape == (3,)
    assert np.abs(mean - spectrum.log_singular_values.mean(-1)).max() <= 10 * ACCURACY
    assert np.array_equal(mean, spectrum.mean)


def test_mean_log_singular_value_of_a_plain_recurrence_is_the_issues_formula():
    torch.manual_seed(7)
    model, inputs = nn.RNN(2, 6).double(), torch.randn(10, 1, 2, dtype=torch.float64)
    h = model(inputs)[0][:, 0]
    W = model.weight_hh_l0
    formula = 10 * torch.linalg.slogdet(W).logabsdet / 6 + torch.log(1 - h**2).mean(-1).sum()
    assert mean_log_singular_value(model, inputs)[0] == pytest.approx(formula.item(), abs=640 * EPS)


@pytest.mark.parametrize("module", [nn.RNN(2, 4), nn.GRU(2, 4), nn.LSTM(2, 4), nn.LSTM(2, 4, proj_size=2)])
def test_transposed_products_are_those_of_the_dense_jacobians(module):
    torch.manual_seed(0)
    recurrence = as_recurrence(module)
    xs, states = recurrence.trajectory(torch.randn(5, 3, 2))
    linearization = recurrence.linearize(xs, states[:-1])
    Y = torch.randn(3, recurrence.state_size, 3, dtype=torch.float64)
    for t, J in enumerate(linearization.dense(0, 5)):
        error = (linearization.pull(t, Y) - J.transpose(-1, -2) @ Y).abs().max()
        assert error <= 8 * recurrence.state_size * EPS * Y.abs().max()


def test_the_spectrum_of_the_output_is_that_of_its_rows():
    torch.manual_seed(0)
    n, steps = 6, 12
    module, x = nn.LSTM(2, n), torch.randn(steps, 2, 2)
    recurrence = as_recurrence(module)
    xs, states = recurrence.trajectory(x)
    product = torch.eye(2 * n, dtype=torch.float64)
    for J in recurrence.linearize(xs, states[:-1]).dense(0, steps):
        product = J @ product
    reference = torch.linalg.svdvals(product[:, :n]).numpy()
    measured = jacobian_spectrum(module, x, of_output=True)
    assert measured.log_singular_values.shape == (2, n)
    # The product itself loses what is smaller than its largest singular value times eps.
    error = abs(np.exp(measured.log_singular_values) - reference)
    assert (error <= 64 * steps * n * EPS * reference[:, :1]).all()
    assert np.isnan(measured.log_determinant).all()
