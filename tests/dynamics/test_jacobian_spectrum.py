"""Singular values of long products against 60-digit arithmetic, and their mean in closed form."""

import mpmath
import numpy as np
import pytest
import torch
from tests.oracles.dynamics_products import log_singular_values
from torch import nn

from unitcircle import _graded_products
from unitcircle._graded_products import _cuts, log_singular_values_of
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
    assert _cuts(np.array([0.0, -500.0, -1300.0])) == [2, 3]
    assert _cuts(np.array([0.0, -500.0])) == [2]


def lstm_jacobians(module, x):
    """The Jacobians of a torch LSTM from the zero state, its equations written out with mpmath."""
    n = module.hidden_size
    W, U = (mpmath.matrix(weight.tolist()) for weight in (module.weight_hh_l0, module.weight_ih_l0))
    b = mpmath.matrix((module.bias_ih_l0 + module.bias_hh_l0).tolist())
    h, c = mpmath.zeros(n, 1), mpmath.zeros(n, 1)
    for inputs in x.tolist():
        pre, J = W * h + U * mpmath.matrix(inputs) + b, mpmath.zeros(2 * n)
        for k in range(n):
            i, f, o = (1 / (1 + mpmath.exp(-pre[gate * n + k])) for gate in (0, 1, 3))
            g, before = mpmath.tanh(pre[2 * n + k]), c[k]
            c[k] = f * before + i * g
            squashed = mpmath.tanh(c[k])
            slope = o * (1 - squashed**2)
            for j in range(n):
                of_input = i * (1 - i) * g * W[k, j] + i * (1 - g**2) * W[2 * n + k, j]
                J[n + k, j] = of_input + f * (1 - f) * before * W[n + k, j]
                J[k, j] = slope * J[n + k, j] + o * (1 - o) * squashed * W[3 * n + k, j]
            J[n + k, n + k], J[k, n + k] = f, slope * f
            h[k] = o * squashed
        yield J


@pytest.mark.parametrize("bias", [False, True])
def test_an_lstm_that_starts_from_zero_without_bias_has_half_of_its_rank(bias):
    # h is then a multiple of c after the first step, so that the product has rank n of 2 n, exactly.
    torch.manual_seed(4)
    n, steps = 3, 40
    module = nn.LSTM(1, n, bias=True).double()
    with torch.no_grad():
        for gate in module.weight_hh_l0.chunk(4):
            nn.init.orthogonal_(gate)
        if not bias:
            module.bias_ih_l0.zero_()
            module.bias_hh_l0.zero_()
    x = torch.cat([torch.zeros(1, 1), torch.rand(12, 1), torch.zeros(steps - 13, 1)]).double()
    with mpmath.workdps(150):
        product = mpmath.eye(2 * n)
        for J in lstm_jacobians(module, x):
            product = J * product
        exact = [float(mpmath.log(value)) for value in mpmath.svd_r(product, compute_uv=False)]
    result = jacobian_spectrum(module, x)
    kept = 2 * n if bias else n
    found = result.log_singular_values[0]
    assert np.abs(found[:kept] - exact[:kept]).max() <= steps * ACCURACY
    assert np.isneginf(found[kept:]).all()
    assert np.isneginf(result.median[0]) == (not bias)


def test_sequences_of_a_batch_lose_what_they_lose():
    torch.manual_seed(4)
    module = nn.LSTM(1, 3)
    nn.init.zeros_(module.bias_ih_l0)
    nn.init.zeros_(module.bias_hh_l0)
    state = torch.stack([torch.zeros(3), torch.rand(3)])[None]
    x = torch.cat([torch.zeros(1, 2, 1), torch.rand(19, 2, 1)])
    together = jacobian_spectrum(module, x, initial=(state, state)).log_singular_values
    assert np.isneginf(together).sum(1).tolist() == [3, 0]
    for b in range(2):
        alone = jacobian_spectrum(module, x[:, b : b + 1], initial=(state[:, b : b + 1],) * 2).log_singular_values
        assert np.array_equal(np.isinf(alone[0]), np.isinf(together[b]))
        kept = np.isfinite(alone[0])
        assert np.abs(alone[0, kept] - together[b, kept]).max() <= 20 * ACCURACY


def test_rows_of_very_different_size_lose_nothing():
    # As of saturated units, whose derivatives are many decades smaller than those of the others.
    rng = np.random.default_rng(0)
    matrices = [10.0 ** rng.uniform(-20, 0, (5, 1)) * rng.standard_normal((5, 5)) for _ in range(12)]
    with mpmath.workdps(500):
        product = mpmath.eye(5)
        for matrix in matrices:
            product = mpmath.matrix(matrix.tolist()) * product
        exact = [float(mpmath.log(value)) for value in mpmath.svd_r(product, compute_uv=False)]
    assert np.abs(log_singular_values_of(matrices, np.eye(5)) - exact).max() <= 12 * ACCURACY


@pytest.mark.parametrize("decades", [-5, 5])
def test_products_beyond_the_exponents_of_doubles_keep_their_digits(decades):
    values = log_singular_values_of([np.diag([1.0, 2.0]) * 10.0**decades] * 200, np.eye(2))
    exact = 200 * (np.log([2.0, 1.0]) + decades * np.log(10))
    assert np.abs(values - exact).max() <= 200 * 64 * EPS * abs(decades)


def test_columns_of_one_factor_may_span_all_exponents_of_doubles():
    # The condition number does not see the sizes of columns, so that 64 matrices are multiplied at a time.
    values = log_singular_values_of([np.diag([1.0, 1e-3])] * 400, np.eye(2))
    assert np.abs(values - [0, -1200 * np.log(10)]).max() <= 400 * 64 * EPS


def transient(rng):
    # What the first half of the steps makes large, the second half makes small.
    sizes = [10.0 ** (sign * np.arange(6)) for sign in (1, -1)]
    return [np.diag(sizes[t // 20]) @ (np.eye(6) + 1e-8 * rng.standard_normal((6, 6))) for t in range(40)]


def test_products_that_are_not_graded_are_passed_again(monkeypatch):
    matrices = transient(np.random.default_rng(0))
    values = log_singular_values_of(matrices, np.eye(6))
    with mpmath.workdps(300):
        product = mpmath.eye(6)
        for matrix in matrices:
            product = mpmath.matrix(matrix.tolist()) * product
        exact = [float(mpmath.log(value)) for value in mpmath.svd_r(product, compute_uv=False)]
    assert np.abs(values - exact).max() <= 40 * ACCURACY
    # What has not converged is not told as if it had.
    monkeypatch.setattr(_graded_products, "_PASSES", 1)
    assert np.isnan(log_singular_values_of(matrices, np.eye(6))).all()


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
