"""What a model of JAX is given on a batch: forms that training loops use are measured, others refused in our words."""

import collections
import math

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax import lax
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import unitcircle as uc
from unitcircle.errors import ArgumentError, DtypeError, NotFiniteError, ShapeError

B, T, M, N = 4, 5, 2, 3
RNG = np.random.default_rng(0)
PARAMS = {"U": RNG.standard_normal((M, N)), "W": RNG.standard_normal((N, N)) / 2}
X, Y = RNG.standard_normal((B, T, M)).astype(np.float32), np.arange(B) % 2


def states(params, xs):
    def step(h, x):
        return jnp.tanh(x @ params["U"] + h @ params["W"]), None

    return lax.scan(step, jnp.zeros((len(xs), N)), jnp.swapaxes(xs, 0, 1))[0]


def plain(params, xs):
    return states(params, xs)


def pair(params, xs):
    h = states(params, xs)
    return h, {"state": h}


def named(params, xs):
    return {"hidden": jnp.zeros(2), "logits": states(params, xs)}


def single(params, xs):
    return states(params, xs)[:, 0]


def reference(loss):
    """Return the mean over the sequences of log ‖∂L/∂h_t‖ by lag, by torch at states that are retained."""
    U, W, xs = (torch.tensor(value, dtype=torch.float64) for value in (PARAMS["U"], PARAMS["W"], X))
    hs = [torch.zeros(B, N, dtype=torch.float64, requires_grad=True)]
    for x in xs.unbind(1):
        hs.append(torch.tanh(x @ U + hs[-1] @ W))
    gradients = torch.autograd.grad(loss(hs[-1], torch.tensor(Y)), hs)
    return torch.stack(gradients).norm(dim=-1).log().mean(-1).flip(0).numpy()


def cross_entropy(h, y):
    return functional.cross_entropy(h, y)


def binary(h, y):
    return functional.binary_cross_entropy_with_logits(h[:, 0], y.double())


@pytest.mark.parametrize(
    ("model", "batch", "loss"),
    [
        (pair, (X.tolist(), Y.tolist()), cross_entropy),
        (named, DataLoader(TensorDataset(torch.tensor(X), torch.tensor(Y)), batch_size=B), cross_entropy),
        (single, collections.UserDict(xs=torch.tensor(X), labels=jnp.asarray(Y)), binary),
    ],
    ids=["lists, and a tuple", "loader, and a dictionary", "one output for two classes"],
)
def test_the_gradient_is_that_of_the_usual_loss(model, batch, loss):
    state = torch.get_rng_state()
    (layer,) = uc.diagnose(model, batch, params=PARAMS).layers
    np.testing.assert_allclose(layer.live.log_gradient, reference(loss), rtol=0, atol=1000 * np.finfo(float).eps)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    ("batch", "error", "words"),
    [
        (lambda: (X * math.nan, Y), NotFiniteError, r"NaN in the input \(40 of 40 entries\)"),
        (lambda: "a sentence", DtypeError, "must hold numbers; got 'a sentence'"),
        (lambda: np.array(["a"]), DtypeError, "dtype <U1"),
        (lambda: (X, jnp.asarray(Y + N)), ArgumentError, "classes below the 3 outputs; got class 4"),
        (lambda: (X[:0], Y[:0]), ShapeError, "at least one sequence"),
        (lambda: {"xs": [[1, 2], [3]]}, ArgumentError, "padded to one length"),
        (lambda: DataLoader(TensorDataset(torch.zeros(0, T, M))), ArgumentError, "an empty DataLoader"),
        (lambda: (X, Y.reshape(2, 2)), ArgumentError, "fits the output"),
        (lambda: (), ArgumentError, "got 0 items"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words_of_the_house(batch, error, words):
    with pytest.raises(error, match=words):
        uc.diagnose(plain, batch(), params=PARAMS)
