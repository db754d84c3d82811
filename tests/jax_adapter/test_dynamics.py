"""Measurements by scan: against torch's on the same weights, against exact values, and what they refuse."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen
from tests.oracles.dynamics_products import exponents as naive_exponents
from torch import nn

from unitcircle import dynamics
from unitcircle.errors import ArgumentError
from unitcircle.jax import (
    GradientFlow,
    eigenvalues_along,
    gradient_flow,
    initialize,
    jacobian,
    lyapunov_exponents,
    to_layers,
)

EPS = 2.0**-52
T, M, N = 40, 3, 6
CELLS = {"rnn": (linen.SimpleCell, nn.RNN), "gru": (linen.GRUCell, nn.GRU), "lstm": (linen.LSTMCell, nn.LSTM)}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def torch_twin(layer, make):
    """Return a torch module with the weights of a layer, one bias apart from the other as torch has them."""
    module = make(M, N).double()
    gates = layer.cell.gates
    zero = np.zeros(N)
    values = {
        "weight_hh_l0": [layer.gates[gate] for gate in gates],
        "weight_ih_l0": [layer.inputs[gate] for gate in gates],
        "bias_ih_l0": [layer.biases[gate] for gate in gates],
        "bias_hh_l0": [layer.recurrent_biases.get(gate, zero) for gate in gates],
    }
    with torch.no_grad():
        for name, blocks in values.items():
            getattr(module, name).copy_(torch.from_numpy(np.concatenate(blocks)))
    return module


@pytest.fixture(params=CELLS)
def twins(request):
    """A flax cell and a torch module with the same weights, biases included, and the same inputs."""
    make, torch_make = CELLS[request.param]
    cell = make(N, param_dtype="float64", bias_init=linen.initializers.normal(0.5))
    inputs = np.random.default_rng(1).standard_normal((T, M))
    start = jnp.zeros(N)
    carry = (start, start) if request.param == "lstm" else start
    variables, _ = initialize(cell.init(jax.random.key(0), carry, inputs[0]), recurrent="gaussian(radius=1.5)", key=2)
    [layer] = to_layers(variables)

    def step(x, state):
        # flax's carry is (c, h), torch's state (h, c): Q_0 = I depends on the order, and so do exponents of few steps.
        after, _ = cell.apply(variables, state[::-1] if isinstance(state, tuple) else state, x)
        return after[::-1] if isinstance(after, tuple) else after

    return step, carry, jnp.asarray(inputs), torch_twin(layer, torch_make), torch.from_numpy(inputs)[:, None]


def test_gradient_flow_agrees_with_torch(twins):
    step, carry, inputs, module, batch = twins
    v = np.random.default_rng(3).choice([-1.0, 1.0], N)
    flow = jax.jit(lambda xs: gradient_flow(step, xs, carry, loss=lambda s: v @ jax.tree.leaves(s)[0]))(inputs)
    # A step function and a Recurrence take the state as one vector, whose entries are independent coordinates.
    twin = dynamics.gradient_flow(
        dynamics.as_recurrence(module), batch, lambda state: torch.from_numpy(v) @ state[0, :N]
    )
    whole = dynamics.gradient_flow(module, batch, lambda output: torch.from_numpy(v) @ output[0][-1, 0])
    log_norms = twin.log_norms[:, 0, 0]
    assert flow.log_norms.shape == (T + 1,)
    # Both products of T Jacobians of N entries; each step loses a little more where the gradient turns.
    np.testing.assert_allclose(flow.log_norms, log_norms, rtol=0, atol=1e3 * T * N * EPS)
    if isinstance(carry, tuple):
        of_h, of_c = flow.parts
        np.testing.assert_allclose(of_h, whole.parts["h"][:, 0, 0], rtol=0, atol=1e3 * T * N * EPS)
        np.testing.assert_allclose(np.logaddexp(2 * of_h, 2 * of_c) / 2, log_norms, rtol=0, atol=1e3 * T * N * EPS)
    assert flow.growth_rate == pytest.approx(twin.growth_rate[0], abs=2e3 * N * EPS)
    assert flow.growth_rate_stderr == pytest.approx(twin.growth_rate_stderr[0], abs=2e3 * T * N * EPS)
    for factor in (0.1, 1e-9, 10.0):
        assert flow.horizon(factor) == twin.horizon(factor)[0]


def test_lyapunov_exponents_agree_with_torch_and_with_naive_products(twins):
    step, carry, inputs, module, batch = twins
    ours = jax.jit(lambda xs: lyapunov_exponents(step, xs, carry, burn_in=5))(inputs)
    twin = dynamics.lyapunov_exponents(module, batch, burn_in=5)
    size = ours.exponents.size
    # Between two factorizations torch's may keep half the digits.
    np.testing.assert_allclose(ours.exponents, twin.exponents[0], rtol=0, atol=EPS**0.5)
    assert ours.steps == twin.steps == T - 5
    np.testing.assert_allclose(ours.stderr, twin.stderr[0], rtol=0, atol=EPS**0.5)
    np.testing.assert_array_equal(ours.converged, twin.converged[0])
    once = jax.jit(lambda x, s: (step(x, s), jacobian(step, x, s)))
    jacobians, state = [], carry
    for x in inputs:
        state, J = once(x, state)
        jacobians.append(J)
    every_step = naive_exponents(np.stack(jacobians))
    whole = jax.jit(lambda xs: lyapunov_exponents(step, xs, carry).exponents)(inputs)
    np.testing.assert_allclose(whole, np.sort(every_step)[::-1], rtol=0, atol=1e4 * T * size * EPS)


def test_eigenvalues_along_agree_with_torch(twins):
    step, carry, inputs, module, batch = twins
    ours = jax.jit(lambda xs: eigenvalues_along(step, xs, carry, every=7))(inputs)
    twin = dynamics.eigenvalues_along(module, batch, every=7)
    np.testing.assert_array_equal(ours.at, twin.at)
    assert ours.jacobian.shape == twin.jacobian[:, 0].shape
    # Of ill-conditioned eigenvalues the power sums are compared, not the values.
    for power in (1, 2, 3):
        np.testing.assert_allclose(
            (np.asarray(ours.jacobian) ** power).sum(-1),
            (twin.jacobian[:, 0] ** power).sum(-1),
            rtol=0,
            atol=1e3 * N * EPS,
        )
    np.testing.assert_allclose(ours.radius, twin.radius[:, 0], rtol=5e6 * EPS)  # condition of the leading eigenvalue


def test_the_full_state_is_the_default_as_of_torchs_recurrence():
    W = np.random.default_rng(0).standard_normal((N, N))
    flow = gradient_flow(lambda x, h: jnp.tanh(W @ h), T, jnp.full(N, 0.1), key=5)
    v = jax.random.rademacher(jax.random.key(5), (N,), "float64")
    assert flow.log_norms[0] == pytest.approx(np.log(N) / 2, abs=4 * EPS)
    last = jax.grad(lambda h: v @ jax.lax.fori_loop(0, T, lambda _, h: jnp.tanh(W @ h), h))(jnp.full(N, 0.1))
    assert flow.log_norms[-1] == pytest.approx(np.log(np.linalg.norm(last)), abs=1e3 * T * N * EPS)


@pytest.mark.parametrize("gain", [1e-9, 1e9])
def test_norms_neither_underflow_nor_overflow(gain):
    flow = gradient_flow(lambda x, h: x * h + gain * (h - jax.lax.stop_gradient(h)), jnp.zeros((200, 1)), jnp.ones(3))
    # Each log-norm is a sum of up to 200 logarithms.
    rounding = 200 * abs(np.log(gain)) * EPS
    np.testing.assert_allclose(np.diff(flow.log_norms), np.log(gain), rtol=0, atol=rounding)
    assert flow.growth_rate == pytest.approx(np.log(gain), abs=rounding)
    assert flow.horizon(gain**1.5) == 2
    assert flow.horizon(1 / gain) == np.inf
    assert flow.steps == 200
    np.testing.assert_allclose(flow.norms[:2], np.exp(flow.log_norms[:2]), rtol=8 * EPS)
    result = lyapunov_exponents(lambda x, h: gain * (h - jax.lax.stop_gradient(h)), 200, jnp.ones(3))
    np.testing.assert_allclose(result.exponents, np.log(gain), rtol=0, atol=rounding)


def test_a_gradient_that_dies_is_minus_infinity():
    def step(t, h):
        return jnp.where(t == 3, 0.0, h)

    flow = gradient_flow(step, jnp.arange(6), jnp.ones(2))
    np.testing.assert_array_equal(np.isneginf(flow.log_norms), [False] * 3 + [True] * 4)
    assert flow.growth_rate == 0
    assert np.isnan(gradient_flow(lambda x, h: 0 * h, 3, jnp.ones(2)).growth_rate)


def test_the_horizon_is_a_lag_also_where_the_loss_reads_an_early_state():
    # A state with its value of step 10 of 20: lags 0 to 9 do not change the norm, the value decays before.
    def step(t, state):
        h, early = state
        h = 0.5 * h
        return h, jnp.where(t == 9, h, early)

    flow = gradient_flow(step, jnp.arange(20), (jnp.ones(3), jnp.zeros(3)), loss=lambda state: state[1].sum())
    assert flow.horizon(0.1) == 10 + np.ceil(np.log(0.1) / np.log(0.5))
    # NumPy's own curve with lags that the loss does not reach, as torch measures it.
    late = GradientFlow(jnp.concatenate([jnp.full(10, -jnp.inf), jnp.log(0.5) * jnp.arange(11)]), None)
    assert late.horizon(0.1) == 14
    assert late.horizon(1e-4) == np.inf


def test_a_trajectory_that_blows_up_is_a_value():
    def step(x, h):
        return 1e100 * h**2

    assert np.isnan(lyapunov_exponents(step, 9, jnp.ones(2)).exponents).all()
    assert not np.isfinite(gradient_flow(step, 9, jnp.ones(2)).log_norms[1:]).all()
    assert np.isnan(eigenvalues_along(step, 9, jnp.ones(2)).jacobian[-1]).all()


def test_exponents_of_a_linear_map_are_the_logarithms_of_the_moduli():
    moduli = np.array([1.2, 0.9, 0.5, 0.1])
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    W = basis @ np.diag(moduli) @ basis.T

    def measure(h, k):
        return lyapunov_exponents(lambda x, h: W @ h, 300, h, burn_in=100, k=k)

    measure = jax.jit(measure, static_argnums=1)
    result = measure(jnp.ones(4), None)
    # Burnt in for 100 steps, what is left of the start is (0.9/1.2)^200.
    rounding = 200 * 4 * EPS
    np.testing.assert_allclose(result.exponents, np.log(moduli), rtol=0, atol=rounding)
    assert (np.asarray(result.stderr) < rounding).all()
    assert np.asarray(result.converged).all()
    np.testing.assert_allclose(measure(jnp.ones(4), 2).exponents, np.log(moduli[:2]), rtol=0, atol=rounding)
    assert re.fullmatch(r"leading exponent \+0.1823 ± \S+ nats per step \(converged; 4 of 4, 200 steps\)", str(result))
    alone = lyapunov_exponents(lambda x, h: 0.5 * h, 1, jnp.ones(1))
    assert np.isnan(alone.stderr)
    assert "(NOT CONVERGED; 1 of 1, 1 steps)" in str(alone)


def test_dimension_and_entropy_are_those_of_torch_and_of_known_exponents():
    moduli = np.array([2.0, 1.5, 0.1])
    start = np.ones(3)
    for k in (None, 1, 2):
        result = jax.jit(lambda h, k=k: lyapunov_exponents(lambda x, h: moduli * h, 40, h, k=k))(jnp.asarray(start))
        twin = dynamics.lyapunov_exponents(
            lambda x, h: torch.from_numpy(moduli) * h, 40, initial=torch.from_numpy(start), k=k
        )
        assert result.state_size == twin.state_size == 3
        for name in ("kaplan_yorke_dimension", "entropy_rate"):
            value = getattr(result, name)
            assert isinstance(value, jax.Array)
            # Sums of exponents that both round once a step.
            np.testing.assert_allclose(value, getattr(twin, name)[0], rtol=0, atol=40 * 3 * EPS)
        if k is None:
            assert result.kaplan_yorke_dimension == pytest.approx(2 + np.log(3) / np.log(10), abs=40 * 3 * EPS)
            assert result.entropy_rate == pytest.approx(np.log(3), abs=40 * 3 * EPS)
        else:
            # All of them grow: more may follow.
            assert np.isnan(result.kaplan_yorke_dimension)
            assert np.isnan(result.entropy_rate)
    contracting = lyapunov_exponents(lambda x, h: 0.5 * h, 9, jnp.ones(2))
    assert (contracting.kaplan_yorke_dimension, contracting.entropy_rate) == (0, 0)
    expanding = lyapunov_exponents(lambda x, h: 2.0 * h, 9, jnp.ones(2))
    assert expanding.kaplan_yorke_dimension == 2
    assert expanding.entropy_rate == pytest.approx(2 * np.log(2), abs=9 * 2 * EPS)
    lost = lyapunov_exponents(lambda x, h: jnp.array([2.0, 0.0]) * h, 9, jnp.ones(2))
    assert lost.kaplan_yorke_dimension == 1
    assert np.isnan(lyapunov_exponents(lambda x, h: 1e100 * h**2, 9, jnp.ones(2)).kaplan_yorke_dimension)


def test_dimension_of_the_henon_attractor():
    def henon(x, s):
        return jnp.stack([1 - 1.4 * s[0] ** 2 + s[1], 0.3 * s[0]])

    starts = jnp.array([[0.1, 0.1], [0.2, 0.0]])
    result = jax.jit(jax.vmap(lambda s: lyapunov_exponents(henon, 6000, s, burn_in=100)))(starts)
    leading, error = np.asarray(result.exponents)[:, 0], np.asarray(result.stderr)[:, 0]
    # λ_1 + λ_2 = log 0.3, so that the dimension is 1 + λ_1 / (λ_1 - log 0.3), of slope -log 0.3 / λ_2².
    assert result.entropy_rate.shape == (2,)
    np.testing.assert_array_equal(result.entropy_rate, leading)
    slope = -np.log(0.3) / np.asarray(result.exponents)[:, 1] ** 2
    # Two-sided at 4 standard errors of 19 degrees of freedom: a false alarm in 1 of 1300.
    assert (np.abs(leading - 0.4192068) <= 4 * error).all()
    assert (np.abs(result.kaplan_yorke_dimension - 1.25826) <= 4 * slope * error).all()


def test_lost_directions():
    W = jnp.zeros((3, 3)).at[2, 2].set(0.5)
    everything = lyapunov_exponents(lambda x, h: W @ h, 20, jnp.ones(3)).exponents
    np.testing.assert_allclose(everything, [np.log(0.5), -np.inf, -np.inf], rtol=0, atol=20 * 3 * EPS)
    # The first column of I is lost although another direction lives.
    np.testing.assert_allclose(
        lyapunov_exponents(lambda x, h: W @ h, 20, jnp.ones(3), k=1).exponents, [np.log(0.5)], rtol=0.1
    )
    singular = jnp.ones((2, 2))
    result = lyapunov_exponents(lambda x, h: singular @ h * 0.5, 20, jnp.ones(2)).exponents
    np.testing.assert_allclose(result, [0, -np.inf], rtol=0, atol=0.05)


def test_they_are_mapped_over_a_batch():
    W = np.random.default_rng(0).standard_normal((N, N)) / np.sqrt(N)
    xs = jnp.asarray(np.random.default_rng(1).standard_normal((2, T, N)))

    def step(x, h):
        return jnp.tanh(W @ h + x)

    def measure(x):
        return gradient_flow(step, x, jnp.zeros(N)), lyapunov_exponents(step, x, jnp.zeros(N), k=2)

    flow, result = jax.jit(jax.vmap(measure))(xs)
    one = jax.jit(measure)
    for b in range(2):
        alone, exponents = one(xs[b])
        np.testing.assert_allclose(flow.log_norms[b], alone.log_norms, rtol=0, atol=1e3 * T * N * EPS)
        np.testing.assert_allclose(flow.growth_rate[b], alone.growth_rate, rtol=0, atol=2e3 * N * EPS)
        assert flow.horizon()[b] == alone.horizon()
        np.testing.assert_allclose(result.exponents[b], exponents.exponents, rtol=0, atol=1e4 * T * N * EPS)
    assert f"over {T} steps" in str(flow)


def test_exponents_that_do_not_settle_are_said_not_to():
    drive = jnp.linspace(-2.0, 2.0, 100)  # the growth rate itself drifts by 4 nats
    result = lyapunov_exponents(lambda x, h: jnp.exp(x) * h / jnp.linalg.norm(h), drive, jnp.ones(1))
    assert not np.asarray(lyapunov_exponents(lambda x, h: jnp.exp(x) * h, drive, jnp.ones(1)).converged).any()
    assert np.isneginf(np.asarray(result.exponents)).all()
    assert np.asarray(result.converged).all()


def test_single_precision_stays_single():
    with jax.enable_x64(False):
        flow = gradient_flow(lambda x, h: 0.5 * h, 4, jnp.ones(2))
        assert flow.log_norms.dtype == jnp.float32
        np.testing.assert_allclose(np.diff(flow.log_norms), np.log(0.5), rtol=0, atol=16 * 2.0**-23)


STATE = jnp.ones(2, "float32")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gradient_flow(lambda x, h: h, 0, STATE), "at least one"),
        (lambda: gradient_flow(lambda x, h: h, (jnp.ones(2), jnp.ones(3)), STATE), "same number of steps"),
        (lambda: gradient_flow(lambda x, h: (h, h), 3, STATE), r"lambda x, carry: cell\(carry, x\)\[0\]"),
        (lambda: gradient_flow(lambda x, h: h[:1], 3, STATE), "a state like the one it takes"),
        (lambda: gradient_flow(lambda x, h: h, 3, jnp.ones(2, int)), "floating-point arrays"),
        (lambda: gradient_flow(lambda x, h: h, 3, ()), "no array"),
        (lambda: gradient_flow(lambda x, h: h, 3, STATE, loss=lambda h: h), "scalar"),
        (lambda: lyapunov_exponents(lambda x, h: h, 3, STATE, k=3), "between 1 and the state's size 2"),
        (lambda: lyapunov_exponents(lambda x, h: h, 3, STATE, burn_in=3), "at least one of the 3 steps"),
        (lambda: eigenvalues_along(lambda x, h: h, 3, STATE, every=0), "at least 1"),
        (lambda: jacobian(lambda x, h: (h, h), None, STATE), "a state like the one it takes"),
    ],
)
def test_misuse_is_refused_in_words(call, words):
    with pytest.raises(ArgumentError, match=words):
        call()


def test_states_in_half_precision_are_measured():
    # Powers of two, which bfloat16 holds exactly: the step multiplies every length by 1/2.
    W = jnp.array([[0.0, -0.5], [0.5, 0.0]], jnp.bfloat16)
    result = lyapunov_exponents(lambda _x, h: W @ h, 50, jnp.ones(2, jnp.bfloat16))
    assert result.exponents.dtype == jnp.float32
    assert np.asarray(result.exponents) == pytest.approx([-np.log(2.0)] * 2, rel=4 * 2.0**-23, abs=0)
    along = eigenvalues_along(lambda _x, h: W @ h, 5, jnp.ones(2, jnp.bfloat16))
    assert np.asarray(along.radius) == pytest.approx([0.5] * 5, rel=8 * 2.0**-23, abs=0)


def test_a_complex_state_has_the_exponents_of_its_real_and_imaginary_parts():
    """As the state of an LRU: each |λ| twice, as torch measures it, and the norm of a complex gradient."""
    values = jnp.asarray([0.95, 0.9j, -0.5], dtype=complex)

    def step(x, h):
        return values * h + x[0]

    found = lyapunov_exponents(step, jnp.ones((100, 1)), jnp.zeros(3, complex))
    expected = np.log([0.95, 0.95, 0.9, 0.9, 0.5, 0.5])
    np.testing.assert_allclose(found.exponents, expected, atol=100 * np.finfo(np.float32).eps)
    at_zero = eigenvalues_along(step, jnp.ones((2, 1)), jnp.zeros(3, complex)).radius
    np.testing.assert_allclose(at_zero, 0.95, atol=10 * np.finfo(np.float32).eps)
    flow = gradient_flow(lambda x, h: 0.9j * h, 20, jnp.ones(2, complex))
    np.testing.assert_allclose(np.diff(flow.log_norms), np.log(0.9), atol=100 * np.finfo(np.float32).eps)
