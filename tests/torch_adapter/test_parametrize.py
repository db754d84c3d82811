"""Weights in free parameters: nnRNN's Schur form, scoRNN's Cayley transform, and one map a step."""

import io

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from unitcircle import initializers as uci
from unitcircle.errors import ArgumentError, ShapeError, UnknownNameError
from unitcircle.torch import fill_, initialize_, parametrize_orthogonal, parametrize_schur

EPS = 2.0**-52
N = 8


def linear(W):
    module = nn.Linear(len(W), len(W), bias=False, dtype=torch.float64)
    with torch.no_grad():
        module.weight.copy_(torch.as_tensor(W))
    return module


def haar(n, seed=0):
    return uci.Orthogonal().sample(n, rng=seed)


def side_by_side(moduli, phases, last):
    """Return rotations times moduli as diagonal blocks, and a last entry."""
    n = 2 * len(moduli) + 1
    W = np.diag([0.0] * (n - 1) + [last])
    for i, (m, t) in enumerate(zip(moduli, phases, strict=True)):
        W[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[m * np.cos(t), -m * np.sin(t)], [m * np.sin(t), m * np.cos(t)]]
    return W


def parameters_of(module):
    """Return P's parameters, γ, θ and T."""
    held = module.parametrizations.weight
    return [getattr(held, f"original{i}") for i in range(4)]


HARD = {
    "one unit": np.array([[-0.7]]),
    "two real": np.array([[2.0, 1.0], [0.0, -3.0]]),
    "odd": np.random.default_rng(0).standard_normal((7, 7)),
    "symmetric": np.add.outer(np.arange(9.0), np.arange(9.0)) ** 0.5,
    "delay line": uci.Chain(gain=1.02).sample(N, rng=0),
    "identity": np.eye(N),
    "zero": np.zeros((N, N)),
    "rank one": np.ones((N, N)),
    "real before complex": np.diag([0.5, 0, 0, 1, 1, 0.2])
    + np.diag([1.0, -1, 1, 1, 1], 1)
    + np.diag([0, 1.0, 0, 0, 0], -1),
    "orthogonal": haar(N),
    "gaussian": uci.Gaussian(radius=1.0).sample(40, rng=0),
}


@pytest.mark.parametrize("W", HARD.values(), ids=HARD)
def test_every_weight_has_its_schur_form(W):
    module = parametrize_schur(linear(W), "weight")
    found = module.weight.detach().numpy()
    assert np.abs(found - W).max() <= 20 * len(W) * EPS * np.linalg.norm(W, 2)
    # Assigned once more, by the map itself.
    with torch.no_grad():
        module.weight = torch.from_numpy(W.T.copy())
    assert np.abs(module.weight.detach().numpy() - W.T).max() <= 20 * len(W) * EPS * np.linalg.norm(W, 2)


def test_multiple_eigenvalues_have_a_schur_form():
    # Jordan blocks in a random basis: of 1000 such weights LAPACK cannot order the form of two, here of one in 40.
    rng = np.random.default_rng(0)
    for _ in range(40):
        n = rng.integers(3, 12)
        J = np.diag(rng.choice([0.5, 0.5, 1.0], n)) + np.diag(rng.choice([0.0, 1.0], n - 1), 1)
        Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
        W = Q @ J @ Q.T
        module = linear(np.zeros((n, n)))
        parametrize_schur(module, "weight")
        with torch.no_grad():
            module.weight = torch.from_numpy(W)
        assert np.abs(module.weight.detach().numpy() - W).max() <= 20 * n * EPS * np.linalg.norm(W, 2)


def test_the_form_is_its_equation():
    module = parametrize_schur(linear(haar(5)), "weight")
    rng = np.random.default_rng(0)
    values = [torch.from_numpy(rng.standard_normal(tuple(p.shape))) for p in parameters_of(module)]
    with torch.no_grad():
        for parameter, value in zip(parameters_of(module), values, strict=True):
            parameter.copy_(value)
        P = module.parametrizations.weight[0].bases[0](values[0]).numpy()
    moduli, phases, upper = (value.numpy() for value in values[1:])
    rotations = side_by_side(moduli[0, :2], phases[0], moduli[0, 2])
    np.testing.assert_allclose(P.T @ P, np.eye(5), atol=20 * EPS)
    expected = P @ (rotations + np.triu(upper, 1)) @ P.T
    np.testing.assert_allclose(module.weight.detach().numpy(), expected, atol=50 * EPS * np.abs(expected).max())


def test_a_normal_weight_shows_its_moduli_and_phases():
    phases, moduli = np.array([0.3, 1.1, 2.9]), np.array([0.5, 1.0, 1.2])
    blocks = side_by_side(moduli, phases, -0.4)
    Q = haar(7)
    module = parametrize_schur(linear(Q @ blocks @ Q.T), "weight")
    _, radii, angles, upper = (parameter.detach().numpy() for parameter in parameters_of(module))
    slack = 100 * 7 * EPS
    assert radii[0, 3] == pytest.approx(-0.4, abs=slack)
    order = np.argsort(radii[0, :3])
    np.testing.assert_allclose(radii[0, order], moduli, atol=slack)
    np.testing.assert_allclose(np.abs(angles[0, order]), phases, atol=slack)
    np.testing.assert_allclose(np.triu(upper, 1), 0, atol=slack)


def test_a_schur_form_trains_in_every_part_and_keeps_its_basis():
    lstm = nn.LSTM(3, N)
    initialize_(lstm, recurrent="block_rotation", rng=0)
    before = lstm.weight_hh_l0.detach().clone()
    parametrize_schur(lstm)
    assert (lstm.weight_hh_l0 - before).abs().max() <= 20 * N * 2**-23
    held = lstm.parametrizations.weight_hh_l0
    assert held.original1.shape == (4, N // 2)
    torch.testing.assert_close(held.original1.detach(), torch.ones(4, N // 2), rtol=0, atol=20 * N * 2**-23)
    optimizer = torch.optim.SGD(lstm.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        penalty = (held.original1 - 1).square().sum() + held.original3.square().sum()
        (lstm(torch.ones(4, 2, 3))[0].square().sum() + penalty).backward()
        assert all(getattr(held, f"original{i}").grad.abs().sum() > 0 for i in range(4))
        optimizer.step()
    for base, free in zip(held[0].bases, held.original0.chunk(4), strict=True):
        P = base(free).detach()
        assert (P.T @ P - torch.eye(N)).abs().max() <= 100 * N * 2**-23


@pytest.mark.parametrize("negative", [0, 1, 3, N])
def test_the_scaled_cayley_transform_finds_its_signs(negative):
    # The law of its authors: A of blocks with tan(t/2), t uniform in (0, π/2), and some entries -1 in D.
    W = uci.BlockRotation(phases="cayley").sample(N, rng=1)
    W[:, N - negative :] *= -1
    module = parametrize_orthogonal(linear(W), "weight", orthogonal_map="scaled_cayley")
    block = module.parametrizations.weight[0].blocks[0]
    assert block.signs.tolist() == [1.0] * (N - negative) + [-1.0] * negative
    free = module.parametrizations.weight.original.detach().numpy()
    A = np.triu(free, 1) - np.triu(free, 1).T
    expected = np.linalg.inv(np.eye(N) + A) @ (np.eye(N) - A) @ np.diag(block.signs.numpy())
    np.testing.assert_allclose(module.weight.detach().numpy(), expected, atol=20 * N * EPS)
    np.testing.assert_allclose(expected, W, atol=20 * N * EPS)
    angles = np.arctan(np.abs(np.diagonal(A, 1)[::2])) * 2
    np.testing.assert_allclose(angles, np.arccos(np.abs(np.diagonal(W)[::2])), atol=20 * N * EPS)


@pytest.mark.parametrize("n", [1, 5, 60])
@pytest.mark.parametrize("seed", range(4))
def test_every_orthogonal_weight_is_a_scaled_cayley_transform(n, seed):
    # Of both determinants, with eigenvalues -1 too, where the plain transform does not exist.
    for W in (haar(n, seed), -np.eye(n), np.eye(n)[::-1].copy(), np.diag(np.sign(haar(n, seed)[0]))):
        module = parametrize_orthogonal(linear(W), "weight", orthogonal_map="scaled_cayley")
        assert np.abs(module.weight.detach().numpy() - W).max() <= 20 * n * EPS
        assert module.parametrizations.weight.original.abs().max() <= n


def test_a_scaled_cayley_weight_trains_orthogonal_and_its_signs_are_saved():
    rnn = nn.RNN(3, N)
    initialize_(rnn, recurrent="orthogonal", rng=0)
    parametrize_orthogonal(rnn, orthogonal_map="scaled_cayley", gain=0.9)
    optimizer = torch.optim.SGD(rnn.parameters(), lr=0.5)
    for _ in range(5):
        optimizer.zero_grad()
        rnn(torch.ones(4, 3))[0].square().sum().backward()
        optimizer.step()
    W = rnn.weight_hh_l0.detach()
    assert (W.T @ W / 0.81 - torch.eye(N)).abs().max() <= 100 * N * 2**-23
    saved = io.BytesIO()
    torch.save(rnn.state_dict(), saved)
    saved.seek(0)
    twin = parametrize_orthogonal(nn.RNN(3, N), orthogonal_map="scaled_cayley")
    twin.load_state_dict(torch.load(saved))
    assert torch.equal(twin.weight_hh_l0, rnn.weight_hh_l0)


@pytest.mark.parametrize("spec", ["block_rotation", "block_rotation(phases=cayley)", "orthogonal"])
def test_the_laws_of_the_authors_are_written_through_every_map(spec):
    for parametrized in (
        parametrize_orthogonal(nn.GRU(3, N)),
        parametrize_orthogonal(nn.GRU(3, N), orthogonal_map="scaled_cayley"),
        parametrize_schur(nn.GRU(3, N)),
    ):
        done = initialize_(parametrized, recurrent=spec, rng=0)
        assert all(block.certificate.holds for block in done.filled)
        plain = nn.GRU(3, N)
        initialize_(plain, recurrent=spec, rng=0)
        assert (parametrized.weight_hh_l0 - plain.weight_hh_l0).abs().max() <= 20 * N * 2**-23


def count_of_maps(module, name, run):
    """Return how often the map of a weight is computed, the loss and the gradient of its parameters."""
    calls = []
    held = module.get_submodule(f"parametrizations.{name}")
    hook = held[0].register_forward_hook(lambda *_: calls.append(1))
    module.zero_grad()
    loss = run()
    loss.backward()
    hook.remove()
    return len(calls), loss.item(), held.original.grad.clone()


@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "scaled_cayley"])
def test_a_cached_map_is_computed_once_a_step(orthogonal_map):
    cell = parametrize_orthogonal(nn.RNNCell(3, N).double(), "weight_hh", orthogonal_map=orthogonal_map)
    steps = 12

    def run():
        h = torch.zeros(2, N, dtype=torch.float64)
        for _ in range(steps):
            h = cell(torch.ones(2, 3, dtype=torch.float64), h)
        return h.square().sum()

    count, loss, gradient = count_of_maps(cell, "weight_hh", run)
    with parametrize.cached():
        once, same_loss, same_gradient = count_of_maps(cell, "weight_hh", run)
    assert (count, once) == (steps, 1)
    assert same_loss == loss
    torch.testing.assert_close(same_gradient, gradient, rtol=0, atol=20 * N * steps * EPS)


def test_a_fused_layer_computes_its_map_four_times_or_once():
    lstm = parametrize_orthogonal(nn.LSTM(3, N))

    def run():
        return lstm(torch.ones(5, 2, 3))[0].square().sum()

    count, _, _ = count_of_maps(lstm, "weight_hh_l0", run)
    with parametrize.cached():
        once, _, _ = count_of_maps(lstm, "weight_hh_l0", run)
    assert (count, once) == (4, 1)


def test_what_cannot_be_parametrized_is_refused():
    with pytest.raises(UnknownNameError, match="orthogonal_map must be one of cayley, householder, matrix_exp"):
        parametrize_orthogonal(nn.RNN(3, N), orthogonal_map="cayly")
    with pytest.raises(ShapeError, match="square"):
        parametrize_schur(nn.LSTM(3, N, proj_size=2))
    with pytest.raises(UnknownNameError, match="weight_hh_l0"):
        parametrize_schur(nn.LSTM(3, N), "weight_hh_l3")
    module = parametrize_orthogonal(nn.RNN(3, N), orthogonal_map="scaled_cayley")
    with pytest.raises(ArgumentError, match="cannot produce such a weight"):
        initialize_(module, recurrent="gaussian")
    assert fill_(torch.empty(N, N), "orthogonal", rng=0).shape == (N, N)
