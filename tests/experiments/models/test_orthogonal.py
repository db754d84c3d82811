"""The orthogonal cell: what it starts from, and what training leaves alone."""

import pytest
import torch
from tests.experiments.models.cases import parameters_of, sequences

from unitcircle.experiments.models import Orthogonal, Tanh
from unitcircle.initializers import Orthogonal as Haar

N = 12
EPS = torch.finfo(torch.float64).eps


def started(cell, dtype=torch.float64):
    values = parameters_of(cell, 3, 2, dtype=dtype)
    values["recurrent"] = torch.as_tensor(Haar().sample(N, rng=0, size=3)).to(dtype)
    values["skew"] = torch.zeros_like(values["skew"])
    return values


@pytest.mark.parametrize("name", ["cayley", "expm"])
def test_starts_as_the_tanh_network_of_its_draw(name):
    cell = Orthogonal(size=N, map=name)
    values = started(cell)
    x = sequences(3, 20, 4, 2)
    plain = {key: v for key, v in values.items() if key != "skew"}
    assert torch.equal(cell.forward(values, x), Tanh(size=N).forward(plain, x))
    assert {key for key, p in cell.parameters(2).items() if not p.trainable} == {"recurrent"}


@pytest.mark.parametrize("name", ["cayley", "expm"])
@pytest.mark.parametrize("gain", [1.0, 1.1])
def test_training_keeps_the_singular_values(name, gain):
    cell = Orthogonal(size=N, map=name)
    values = started(cell)
    values["recurrent"] *= gain
    first = values["recurrent"].clone()
    values["skew"].requires_grad_()
    optimizer = torch.optim.SGD([values["skew"]], lr=0.5)
    x = sequences(3, 10, 8, 2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = (cell.forward(values, x)[:, -1] - 0.3).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    W = cell.recurrent_weights(values)["h"].detach()
    assert losses[-1] < 0.9 * losses[0]
    assert (W - first).abs().max() > 0.05
    eye = torch.eye(N, dtype=torch.float64)
    assert torch.linalg.matrix_norm(W.mT @ W - gain**2 * eye, 2).max() <= 32 * N * EPS
    assert torch.allclose(torch.linalg.det(W), torch.linalg.det(first), rtol=32 * N * EPS)


def test_maps_are_those_of_their_definition():
    A = 0.3 * sequences(1, 1, N, N)[0, 0]
    values = started(Orthogonal(size=N))
    values = {key: v[:1] for key, v in values.items()} | {"skew": A.unsqueeze(0)}
    values["recurrent"] = torch.eye(N, dtype=torch.float64).unsqueeze(0)
    S, eye = A - A.T, torch.eye(N, dtype=torch.float64)
    phases = torch.linalg.eigvals(S).imag.sort().values
    for name, expected in (("expm", phases), ("cayley", 2 * torch.atan(phases / 2))):
        W = Orthogonal(size=N, map=name).recurrent_weights(values)["h"][0]
        assert torch.allclose(torch.linalg.eigvals(W).angle().sort().values, expected, atol=64 * N * EPS)
        # Both are functions of S: they commute with it.
        assert torch.allclose(W @ S, S @ W, atol=64 * N * EPS)
        assert torch.linalg.det(W) > 0
    inverse = torch.linalg.inv(eye - S / 2)
    W = Orthogonal(size=N, map="cayley").recurrent_weights(values)["h"][0]
    assert torch.allclose(W, inverse @ (eye + S / 2), atol=64 * N * EPS)


def test_half_precision_is_computed_in_single():
    values = started(Orthogonal(size=N), torch.bfloat16)
    values["skew"] = sequences(1, 3, N, N, dtype=torch.bfloat16)[0] / N
    W = Orthogonal(size=N).recurrent_weights(values)["h"]
    assert W.dtype == torch.bfloat16
    # The draw and the result are each rounded once.
    error = W.float().mT @ W.float() - torch.eye(N)
    assert torch.linalg.matrix_norm(error, 2).max() <= 4 * N**0.5 * torch.finfo(torch.bfloat16).eps
