"""Lyapunov exponents against exact values, naive products, and mean-field theory."""

import copy
import itertools

import numpy as np
import pytest
import torch
from tests.oracles.dynamics_mean_field import leading_exponent
from tests.oracles.dynamics_products import autograd_jacobians, exponents, torch_step
from torch import nn

from unitcircle.dynamics import as_recurrence, lyapunov_exponents
from unitcircle.errors import ArgumentError

EPS = np.finfo(float).eps
# Each diagonal entry of R keeps half the digits of double precision; means over blocks keep more.
ACCURACY = EPS**0.5
TEN_DECIMALS = 0.5e-10
"""Rounding of reference numbers that are written with ten decimals."""


def tanh_cell(W):
    cell = nn.RNNCell(1, len(W), bias=False).double()
    with torch.no_grad():
        cell.weight_hh.copy_(torch.as_tensor(W))
        cell.weight_ih.zero_()
    return cell


def gaussian(g, n=100):
    stream = np.random.RandomState(0)
    return g * stream.randn(n, n) / np.sqrt(n), stream.randn(n)


def of_matrices(matrices):
    """A linear recurrence that multiplies by a given matrix each step."""
    n = matrices.shape[-1]
    start = torch.zeros(n, dtype=torch.float64)
    return lambda **options: lyapunov_exponents(lambda J, s: J @ s, matrices, initial=start, **options)


DRIVEN = {
    "rnn": lambda: nn.RNN(3, 8),
    "rnn stack": lambda: nn.RNN(3, 5, 2),
    "gru": lambda: nn.GRU(3, 8),
    "gru stack": lambda: nn.GRU(3, 5, 2, batch_first=True),
    "lstm": lambda: nn.LSTM(3, 8),
    "lstm stack": lambda: nn.LSTM(3, 4, 2),
    "lstm projected": lambda: nn.LSTM(3, 6, proj_size=4),
}


@pytest.mark.parametrize("name", DRIVEN)
def test_driven_layers_agree_with_autograd_and_qr_at_every_step(name):
    torch.manual_seed(3)
    module = DRIVEN[name]()
    inputs = torch.randn(60, 2, 3)
    ours = lyapunov_exponents(module, inputs.transpose(0, 1) if module.batch_first else inputs)
    n = as_recurrence(module).state_size
    for b in range(2):
        jacobians = autograd_jacobians(
            torch_step(copy.deepcopy(module).double()), inputs[:, b].double(), torch.zeros(n, dtype=torch.float64)
        )
        assert np.abs(ours.exponents[b] - exponents(jacobians)).max() <= ACCURACY
    assert ours.sum_residual.max() <= ACCURACY


def test_leading_exponents_without_jacobians_are_those_of_the_full_spectrum():
    torch.manual_seed(4)
    for module in (nn.RNN(2, 12), nn.GRU(2, 12), nn.LSTM(2, 6)):
        inputs = torch.randn(80, 3, 2)
        full = lyapunov_exponents(module, inputs)
        leading = lyapunov_exponents(module, inputs, k=3)
        assert leading.exponents.shape == (3, 3)
        # Gram-Schmidt takes the columns of Q0 in order: over a finite time they need not come out by size.
        for b in range(3):
            assert np.abs(full.exponents[b] - leading.exponents[b][:, None]).min(-1).max() <= ACCURACY
        assert np.isnan(leading.log_determinant).all()
        assert np.isnan(leading.sum_residual).all()


def test_products_of_gaussian_matrices_newman():
    n = 100
    z = torch.randn(220, n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / n**0.5
    result = of_matrices(z)(burn_in=20)
    exact = {0: -0.005016666, 49: -0.3465402663, 99: -2.9377665157}
    for i, value in exact.items():
        # Two-sided at 4 standard errors of 19 degrees of freedom: a false alarm in 1 of 1300.
        assert abs(result.exponents[0, i] - value) <= 4 * result.stderr[0, i]
    assert abs(result.exponents.sum() + 51.2193040867) <= 4 * np.sqrt((result.stderr**2).sum())
    assert result.sum_residual[0] <= 100 * ACCURACY


@pytest.mark.parametrize(
    ("step", "start", "exact", "steps"),
    [
        ([[2.0, 1.0], [1.0, 1.0]], [0.3, 0.7], [0.9624236501, -0.9624236501], 60),
        ([[0.9, 10.0], [0.0, 0.8]], [0.0, 0.0], [-0.105360516, -0.223143551], 400),
    ],
)
def test_linear_maps(step, start, exact, steps):
    W = torch.tensor(step, dtype=torch.float64)
    result = lyapunov_exponents(
        lambda x, s: (W @ s) % 1.0, steps, initial=torch.tensor(start).double(), burn_in=steps // 2
    )
    # What is left of Q0 = I after the burn-in shrinks as the ratio of the eigenvalues; the table has ten digits.
    ratio = np.exp(-(exact[0] - exact[1]) * steps / 2)
    assert np.abs(result.exponents[0] - exact).max() <= 40 * ratio + 2e-9
    assert result.converged.all()


def test_logistic_map():
    result = lyapunov_exponents(lambda x, s: 4 * s * (1 - s), 4000, initial=torch.tensor([0.3], dtype=torch.float64))
    assert abs(result.exponents[0, 0] - np.log(2)) <= 4 * result.stderr[0, 0]
    assert result.entropy_rate[0] == result.exponents[0, 0]
    assert result.kaplan_yorke_dimension[0] == 1.0


def henon(x, s):
    return torch.stack([1 - 1.4 * s[0] ** 2 + s[1], 0.3 * s[0]])


def test_henon_attractor():
    start = torch.tensor([0.1, 0.1], dtype=torch.float64)
    result = lyapunov_exponents(henon, 6000, initial=start, burn_in=100)
    assert abs(result.exponents[0, 0] - 0.4192068) <= 4 * result.stderr[0, 0]
    assert abs(result.exponents.sum() - np.log(0.3)) <= ACCURACY
    slope = 1 / np.log(0.3) ** 2 * abs(np.log(0.3)) / result.exponents[0, 1] ** 2 * np.log(0.3) ** 2
    assert abs(result.kaplan_yorke_dimension[0] - 1.25826) <= 4 * slope * result.stderr[0, 0]
    assert result.stderr[0, 0] < 0.01


def test_henon_fixed_point():
    start = torch.tensor([0.6313544770895047, 0.18940634312685142], dtype=torch.float64)
    # A trajectory would leave the unstable point by rounding: the exponents are those of its Jacobian as a linear map.
    J = as_recurrence(henon, state=start).jacobian(None, start[None])[0]
    result = lyapunov_exponents(lambda x, s: J @ s, 200, initial=0 * start, burn_in=50)
    assert np.abs(result.exponents[0] - [0.6542706144, -1.8582434187]).max() <= TEN_DECIMALS + 4 * EPS


@pytest.mark.parametrize(("g", "top"), [(0.5, -0.6714304859), (0.9, -0.0836438210)])
def test_autonomous_tanh_network_below_gain_1_has_the_exponents_of_its_weight(g, top):
    W, _ = gaussian(g)
    exact = np.log(np.sort(np.abs(np.linalg.eigvals(W)))[::-1])
    assert exact[0] == pytest.approx(top, abs=TEN_DECIMALS + 100 * EPS)
    result = lyapunov_exponents(tanh_cell(W), 1500, k=2, burn_in=700)
    # A complex pair turns its plane for ever: the time average of its two rates has an error of order 1/T.
    assert np.abs(result.exponents[0].mean() - exact[0]) <= 4 * result.stderr[0].max() + 1 / 800


def test_autonomous_tanh_network_has_the_whole_spectrum_of_its_weight():
    W, _ = gaussian(0.5)
    result = lyapunov_exponents(tanh_cell(W), 300, burn_in=100)
    assert result.exponents[0].sum() == pytest.approx(-123.7089290415, abs=TEN_DECIMALS + ACCURACY / 2)
    assert result.exponents[0, -1] == pytest.approx(-3.8067259718, abs=4 * result.stderr[0, -1] + 1 / 200)
    assert result.sum_residual[0] <= 100 * ACCURACY


@pytest.mark.parametrize(
    ("g", "top", "error"), [(1.5, 0.03800, 0.00049), (2.0, 0.13500, 0.00058), (4.0, 0.39574, 0.00081)]
)
def test_chaotic_tanh_network(g, top, error):
    W, h0 = gaussian(g)
    result = lyapunov_exponents(tanh_cell(W), 2500, k=1, burn_in=500, initial=h0[None])
    assert abs(result.exponents[0, 0] - top) <= 4 * np.hypot(result.stderr[0, 0], error)
    assert result.exponents[0, 0] > 0


@pytest.mark.parametrize(
    ("g", "value"),
    [
        (1.2, 0.0164762596),
        (1.5, 0.0652172119),
        (2.0, 0.1547242298),
        (3.0, 0.3102493151),
        (4.0, 0.4328778558),
        (5.0, 0.5324279416),
    ],
)
def test_mean_field_oracle(g, value):
    assert leading_exponent(g) == pytest.approx(value, abs=TEN_DECIMALS + 1e4 * EPS)


@pytest.mark.parametrize("g", [1.5, 3.0, 5.0])
def test_chaotic_networks_of_several_draws_approach_the_mean_field(g):
    leading = []
    n = 400
    for seed in range(4):
        stream = np.random.default_rng(seed)
        W, h0 = g * stream.standard_normal((n, n)) / np.sqrt(n), stream.standard_normal((1, n))
        leading.append(lyapunov_exponents(tanh_cell(W), 400, k=1, burn_in=100, initial=h0).exponents[0, 0])
    # Finite networks fall short of the limit by a term of order 1/n (0.027 at n = 100, g = 1.5).
    error = 6 * np.std(leading, ddof=1) / 2 + 4 / n
    assert abs(np.mean(leading) - leading_exponent(g)) <= error


def test_zero_weight_lstm_has_the_exponents_of_its_forget_gate():
    module = nn.LSTM(3, 4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.bias_ih_l0[4:8] = 1.0
    result = lyapunov_exponents(module, torch.zeros(30, 2, 3))
    expected = [-0.3132616875182228] * 4 + [-np.inf] * 4
    assert np.isneginf(result.exponents[:, 4:]).all()
    assert result.exponents[:, :4] == pytest.approx(expected[0], abs=16 * EPS)
    assert result.converged.all()
    assert (result.sum_residual == 0).all()
    assert (result.kaplan_yorke_dimension == 0).all()


@pytest.mark.parametrize("k", [1, 3])
def test_a_few_exponents_are_the_leading_ones_even_where_the_first_units_are_dead(k):
    # The first columns of I are h, which an LSTM without recurrent weights forgets at once; c keeps σ(1).
    lstm = torch.nn.LSTM(2, 4)
    with torch.no_grad():
        for parameter in lstm.parameters():
            parameter.zero_()
        lstm.bias_ih_l0[4:8] = 1.0
    result = lyapunov_exponents(lstm, torch.zeros(50, 1, 2), k=k, burn_in=10)
    np.testing.assert_allclose(result.exponents, -0.3132616875182228, rtol=0, atol=16 * EPS)


def test_zero_weight_gru_has_the_exponents_of_its_update_gate():
    module = nn.GRU(3, 4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.bias_ih_l0[4:8] = 1.0
    result = lyapunov_exponents(module, torch.zeros(30, 3))
    assert result.exponents.shape == (1, 4)
    assert result.exponents == pytest.approx(-0.3132616875182228, abs=16 * EPS)


def test_lost_directions_are_minus_infinity_not_rounding():
    rank = 3
    torch.manual_seed(0)
    matrices = torch.randn(40, 6, rank).double() @ torch.randn(40, rank, 6).double()
    result = of_matrices(matrices)()
    assert np.isneginf(result.exponents[0, rank:]).all()
    assert np.isfinite(result.exponents[0, :rank]).all()


def test_orthogonal_weights_keep_everything():
    torch.manual_seed(1)
    Q = torch.linalg.qr(torch.randn(20, 20).double())[0]
    result = lyapunov_exponents(lambda x, s: Q @ s, 200, initial=torch.ones(20, dtype=torch.float64))
    assert np.abs(result.exponents).max() <= 20 * EPS
    # An isometry never needs to be re-orthonormalised: only the twenty blocks ask for it.
    assert result.factorizations <= 40


def test_a_transient_is_not_converged_and_a_short_run_says_so():
    decaying = torch.linspace(0.5, 1.5, 200, dtype=torch.float64).reshape(-1, 1, 1)
    result = of_matrices(decaying)()
    assert not result.converged.any()
    assert "NOT CONVERGED" in str(result)
    single = of_matrices(torch.ones(1, 1, 1, dtype=torch.float64))()
    assert np.isnan(single.stderr).all()
    assert not single.converged.any()


def test_standard_error_covers_the_truth():
    # log|x| of a normal x has mean -(γ + log 2)/2 and variance π²/8.
    z = torch.randn(2000, 1, 1, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    result = of_matrices(z)()
    truth = -(np.euler_gamma + np.log(2)) / 2
    assert abs(result.exponents[0, 0] - truth) <= 4 * result.stderr[0, 0]
    assert result.stderr[0, 0] == pytest.approx(np.pi / np.sqrt(8 * 2000), rel=0.5)


@pytest.mark.parametrize(("rates", "stderr"), [([1.0, 3.0], 1.0), ([0.0, 3.0, 6.0], 3**0.5)])
def test_standard_error_of_few_blocks_is_exact(rates, stderr):
    # One block a step: the standard deviation with divisor b - 1, over the square root of b.
    result = of_matrices(torch.tensor(rates, dtype=torch.float64).exp().reshape(-1, 1, 1))()
    assert result.exponents[0, 0] == pytest.approx(np.mean(rates), abs=16 * EPS)
    assert result.stderr[0, 0] == pytest.approx(stderr, abs=32 * EPS)


def test_standard_error_weights_blocks_by_their_length():
    # 30 steps make 20 blocks of one or two steps each.
    rates = np.random.default_rng(0).standard_normal(30)
    edges = np.linspace(0, 30, 21).round().astype(int)
    lengths, means = np.diff(edges), np.array([rates[a:b].mean() for a, b in itertools.pairwise(edges)])
    variance = np.sum(lengths / 30 * (means - rates.mean()) ** 2)
    result = of_matrices(torch.from_numpy(np.exp(rates)).reshape(-1, 1, 1))()
    assert set(lengths) == {1, 2}
    assert result.stderr[0, 0] == pytest.approx(np.sqrt(variance / (20 - 1)), abs=64 * EPS)


def test_dimension_and_entropy_know_when_they_do_not_know():
    growing = torch.diag(torch.tensor([2.0, 1.5, 0.1], dtype=torch.float64)).expand(30, 3, 3)
    full, one, two = (of_matrices(growing)(k=k) for k in (None, 1, 2))
    # Each of the 30 steps rounds once; Σ of all exponents is rounding of their size.
    assert full.kaplan_yorke_dimension[0] == pytest.approx(2 + np.log(3) / np.log(10), abs=30 * 3 * EPS)
    assert full.entropy_rate[0] == pytest.approx(np.log(3), abs=30 * 3 * EPS)
    assert np.isnan(one.kaplan_yorke_dimension[0])
    assert np.isnan(two.kaplan_yorke_dimension[0])
    assert np.isnan(one.entropy_rate[0])
    assert np.isnan(two.entropy_rate[0])
    assert "converged" in str(full)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"k": 0}, "k must"), ({"k": 9}, "k must"), ({"burn_in": 5}, "burn_in"), ({"burn_in": -1}, "burn_in")],
)
def test_misuse_is_refused_in_words(options, words):
    with pytest.raises(ArgumentError, match=words):
        lyapunov_exponents(nn.RNN(2, 4), torch.zeros(5, 1, 2), **options)
