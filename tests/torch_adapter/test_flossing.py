"""Gradient flossing: exact exponents, finite differences, the measurement of Lyapunov exponents, and what it does."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call

from unitcircle.dynamics import lyapunov_exponents
from unitcircle.errors import ArgumentError, NotFiniteError, ShapeError
from unitcircle.torch import fill_, gradient_flossing

EPS = 2.0**-52
T, M, N, B = 13, 3, 6, 2
CELLS = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}


def normal(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def start(cell):
    h = normal(B, N, seed=1)
    return (h, normal(B, N, seed=2)) if isinstance(cell, nn.LSTMCell) else h


@pytest.fixture(params=CELLS)
def cell(request):
    cell = CELLS[request.param](M, N).double()
    for seed, parameter in enumerate(cell.parameters()):
        nn.init.normal_(parameter, std=0.6, generator=torch.Generator().manual_seed(seed))
    return cell


def linear(W):
    return lambda x, h: h @ W.T


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_exponents_of_a_linear_net_are_log_moduli(k):
    moduli = np.array([1.3, 0.9, 0.5, 0.2])
    # An upper triangle with the smallest eigenvalue first: the first columns of I span what is not leading.
    W = torch.from_numpy(np.diag(moduli[::-1]) + np.triu(np.ones((4, 4)), 1)).requires_grad_()
    steps = 200 if k < 4 else 400
    found = gradient_flossing(linear(W), steps, torch.ones(1, 4).double() * 1e-30, k=k, burn_in=steps // 2)
    expected = np.mean(np.log(moduli[:k]) ** 2)
    if k < 4:
        # The directions settle as (0.9/1.3)^100 and (0.5/0.9)^100.
        assert found.item() == pytest.approx(expected, rel=(0.9 / 1.3) ** 100 + 100 * EPS * steps)
    else:
        assert gradient_flossing(linear(torch.diag(torch.from_numpy(moduli))), 9, torch.ones(1, 4).double()).item() == (
            pytest.approx(expected, rel=20 * EPS)
        )


def test_the_gradient_of_a_linear_net_is_exact():
    # λ = log g for every direction of g Q: d(log² g)/dg = 2 (log g)/g.
    Q = fill_(torch.empty(N, N, dtype=torch.float64), "orthogonal", rng=0)
    gain = torch.tensor(1.7, dtype=torch.float64, requires_grad=True)
    penalty = gradient_flossing(linear(gain * Q), T, normal(B, N), k=3, every=4, burn_in=2)
    assert penalty.item() == pytest.approx(np.log(1.7) ** 2, rel=100 * N * EPS)
    penalty.backward()
    assert gain.grad.item() == pytest.approx(2 * np.log(1.7) / 1.7, rel=100 * N * EPS)


@pytest.mark.parametrize("every", [1, 3])
def test_the_gradient_is_that_of_finite_differences(cell, every):
    parameters = {name: parameter.detach() for name, parameter in cell.named_parameters()}
    direction = {name: normal(*parameter.shape, seed=4) / (4 * N) for name, parameter in parameters.items()}
    inputs, state = normal(T, B, M, seed=3), start(cell)

    def penalty(t):
        moved = {name: parameter + t * direction[name] for name, parameter in parameters.items()}

        def step(x, s):
            return functional_call(cell, moved, (x, s))

        return gradient_flossing(step, inputs, state, k=3, every=every, burn_in=2)

    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(penalty(t), t)
    # A difference of fourth order: its rounding, EPS/size, is larger than its remainder, size⁴.
    size = EPS ** (1 / 4)
    far_left, left, right, far_right = (penalty(m * size).item() for m in (-2, -1, 1, 2))
    difference = (8 * (right - left) - (far_right - far_left)) / (12 * size)
    assert slope.item() == pytest.approx(difference, abs=100 * EPS ** (3 / 4))


def test_all_exponents_are_those_that_are_measured(cell):
    inputs = normal(T, B, M, seed=3)
    module = {nn.RNNCell: nn.RNN, nn.GRUCell: nn.GRU, nn.LSTMCell: nn.LSTM}[type(cell)](M, N).double()
    with torch.no_grad():
        for ours, theirs in zip(module.parameters(), cell.parameters(), strict=True):
            ours.copy_(theirs)
    state = start(cell)
    initial = tuple(part[None] for part in state) if isinstance(state, tuple) else state[None]
    measured = lyapunov_exponents(module, inputs, initial=initial, burn_in=3).exponents
    for every in (1, 2, 5):
        found = gradient_flossing(cell, inputs, state, every=every, burn_in=3)
        # A product of 5 Jacobians is conditioned as the ratio of its directions.
        spread = np.exp(every * np.ptp(measured))
        assert found.item() == pytest.approx((measured**2).mean(), rel=10 * T * N * EPS * spread)


def test_layers_over_sequences_have_their_states():
    lstm = nn.LSTM(M, N, num_layers=2).double()
    inputs, zero = normal(T, B, M), torch.zeros(2, B, N).double()
    found = gradient_flossing(lambda x, s: lstm(x[None], s)[1], inputs, (zero, zero), every=1)
    measured = lyapunov_exponents(lstm, inputs).exponents
    assert found.item() == pytest.approx((measured**2).mean(), rel=1000 * T * N * EPS)
    found.backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in lstm.parameters())


def flossed(J, k, steps, *, rate, length, batch):
    """Return the leading exponents of tanh(J h) before and after flossing, on other, longer trajectories."""
    J = J.clone().requires_grad_()

    def step(x, h):
        return torch.tanh(h @ J.T)

    def exponents():
        with torch.no_grad():
            return lyapunov_exponents(step, 400, initial=normal(len(J)), k=6, burn_in=100).exponents[0]

    before, optimizer = exponents(), torch.optim.Adam([J])
    for i in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - i / steps)
        optimizer.zero_grad()
        gradient_flossing(step, length, normal(batch, len(J), seed=5 + i), k=k, burn_in=10).backward()
        nn.utils.clip_grad_norm_([J], 0.1)
        optimizer.step()
    return before, exponents()


def test_flossing_brings_a_chaotic_net_to_the_edge():
    J = 2 * normal(40, 40) / 40**0.5
    before, after = flossed(J, 1, 80, rate=4e-3, length=40, batch=4)
    assert before[0] > 0.1  # 0.11 nats per step
    assert abs(after[0]) < before[0] / 4


def test_flossing_brings_k_exponents_of_a_quiet_net_to_zero_and_leaves_the_others():
    J = normal(32, 32) / 2 / 32**0.5
    before, after = flossed(J, 4, 60, rate=0.02, length=20, batch=2)
    assert before[0] < -0.5
    assert np.abs(after[:4]).max() < 0.1
    assert after[4] < -0.5


def test_half_precision_is_factored_in_single():
    cell = nn.RNNCell(M, N)
    inputs, h = normal(T, B, M).float(), normal(B, N).float()
    expected = gradient_flossing(cell, inputs, h, k=2).item()
    found = gradient_flossing(cell.bfloat16(), inputs.bfloat16(), h.bfloat16(), k=2)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected, rel=20 * 2**-8)


RANK_ONE = torch.ones(N, N).double() / N


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gradient_flossing(linear(RANK_ONE), 5, normal(B, N), k=2), ArgumentError, "k must count directions"),
        (
            lambda: gradient_flossing(linear(torch.diag(torch.tensor([1.0, 1e-4]).double())), 9, normal(1, 2), every=6),
            ArgumentError,
            "an exponent of −∞. Ask for fewer exponents, or factor more often",
        ),
        (lambda: gradient_flossing(linear(0 * RANK_ONE), 5, normal(B, N), k=1), ArgumentError, "k must count"),
        (lambda: gradient_flossing(lambda x, h: h**2, 50, 9 * normal(B, N)), NotFiniteError, "trajectory must be fin"),
        (lambda: gradient_flossing(linear(RANK_ONE), 5, normal(B, N), k=N + 1), ArgumentError, "between 1 and the sta"),
        (lambda: gradient_flossing(linear(RANK_ONE), 5, normal(B, N), k=0), ArgumentError, "between 1 and the state"),
        (lambda: gradient_flossing(linear(RANK_ONE), 5, normal(B, N), burn_in=5), ArgumentError, "at least one of the"),
        (lambda: gradient_flossing(linear(RANK_ONE), 5, normal(B, N), every=0), ArgumentError, "every must be a whole"),
        (lambda: gradient_flossing(linear(RANK_ONE), 0, normal(B, N)), ArgumentError, "inputs must"),
        (lambda: gradient_flossing(linear(RANK_ONE), normal(0, B, M), normal(B, N)), ArgumentError, "inputs must"),
        (lambda: gradient_flossing(linear(RANK_ONE), 5, normal(N)), ShapeError, "state must be"),
        (lambda: gradient_flossing(linear(RANK_ONE), 5, (normal(1, N), normal(2, N))), ShapeError, "with one batch"),
        (lambda: gradient_flossing(lambda x, h: h[:, 1:], 5, normal(B, N)), ArgumentError, "step must return a state"),
    ],
)
def test_what_has_no_penalty_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()
