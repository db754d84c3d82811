"""Gradient flossing in JAX: torch's value and gradient on the same net, exact values, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from unitcircle.errors import ArgumentError, NotFiniteError
from unitcircle.jax import gradient_flossing, lyapunov_exponents
from unitcircle.torch import gradient_flossing as torch_flossing

EPS = 2.0**-52
T, M, N = 13, 3, 6
RNG = np.random.default_rng(0)
W, U = 0.6 * RNG.standard_normal((N, N)), RNG.standard_normal((N, M))
XS, H = RNG.standard_normal((T, 2, M)), RNG.standard_normal((2, N))


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def penalty(W, xs, h, **options):
    def step(x, state):
        # A gate, and a state of two parts.
        h, c = state
        c = c / 2 + jnp.tanh(U @ x + W @ h)
        return jnp.tanh(c) + h / 4, c

    return gradient_flossing(step, xs, (h, h), **options)


def torch_penalty(W, xs, h, **options):
    def step(x, state):
        h, c = state
        c = c / 2 + torch.tanh(x @ torch.from_numpy(U).T + h @ W.T)
        return torch.tanh(c) + h / 4, c

    return torch_flossing(step, xs, (h, h), **options)


OPTIONS = [{"k": 4, "every": 3, "burn_in": 2}, {"k": 2 * N}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_value_and_gradient_are_those_of_torch(options):
    def batch(W):
        return jax.vmap(lambda xs, h: penalty(W, xs, h, **options), (1, 0))(jnp.asarray(XS), jnp.asarray(H)).mean()

    value, gradient = jax.jit(jax.value_and_grad(batch))(jnp.asarray(W))
    weight = torch.from_numpy(W).requires_grad_()
    twin = torch_penalty(weight, torch.from_numpy(XS), torch.from_numpy(H), **options)
    twin.backward()
    expected = weight.grad.numpy()
    slack = 10 * T * N * EPS
    assert float(value) == pytest.approx(twin.item(), rel=slack)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=slack * np.abs(expected).max())


def test_all_exponents_are_those_that_are_measured():
    W, h = jnp.asarray(2 * fixed_orthogonal()), jnp.ones(N) / N
    step = jax.jit(lambda x, h: jnp.tanh(W @ h))
    measured = lyapunov_exponents(step, T, h, burn_in=3).exponents
    assert float(gradient_flossing(step, T, h, burn_in=3)) == pytest.approx(
        float((measured**2).mean()), rel=100 * T * N * EPS
    )


def fixed_orthogonal():
    return np.linalg.qr(RNG.standard_normal((N, N)))[0]


def test_the_gradient_of_a_linear_net_is_exact():
    Q, h = jnp.asarray(fixed_orthogonal()), jnp.ones(N)
    value, slope = jax.value_and_grad(lambda g: gradient_flossing(lambda x, h: g * Q @ h, T, h, k=3, every=4))(1.7)
    assert float(value) == pytest.approx(np.log(1.7) ** 2, rel=100 * N * EPS)
    assert float(slope) == pytest.approx(2 * np.log(1.7) / 1.7, rel=100 * N * EPS)


def of(W, steps=5, **options):
    return gradient_flossing(lambda x, h: W @ h, steps, jnp.ones(N), **options)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: of(jnp.ones((N, N)), k=2), ArgumentError, "k must count directions that every step keeps; got an exp"),
        (lambda: jax.grad(lambda W: of(W, k=2))(jnp.ones((N, N))), ArgumentError, "k must count directions"),
        (lambda: of(jnp.diag(10.0 ** -jnp.arange(N)), every=5), ArgumentError, "every=1"),
        (lambda: of(1e200 * jnp.eye(N)), NotFiniteError, "the trajectory must be finite"),
        (lambda: of(jnp.eye(N), k=N + 1), ArgumentError, "k must be between 1"),
        (lambda: of(jnp.eye(N), burn_in=5), ArgumentError, "burn_in must leave"),
        (lambda: of(jnp.eye(N), every=0), ArgumentError, "every must be a whole number"),
    ],
)
def test_what_has_no_penalty_is_refused(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_under_jit_a_lost_direction_is_infinite_and_a_lost_trajectory_nan():
    assert jax.jit(lambda W: of(W, k=2))(jnp.ones((N, N))) == np.inf
    assert np.isnan(jax.jit(of)(1e200 * jnp.eye(N)))
