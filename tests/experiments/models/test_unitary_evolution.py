"""The uRNN: its weight against the product of dense factors, and what it keeps."""

import numpy as np
import pytest
import torch
from tests.experiments.models.cases import parameters_of, random_loss, sequences
from tests.oracles.unitary_evolution import product_of_factors

from unitcircle.experiments.models import UnitaryEvolution

EPS = np.finfo(float).eps


@pytest.mark.parametrize("n", [1, 5, 16])
@pytest.mark.parametrize("seed", [0, 3])
def test_weight_is_the_product_of_its_factors(n, seed):
    cell = UnitaryEvolution(size=n, permutation=seed)
    values = parameters_of(cell, 2, 3)
    W = cell.recurrent_weights(values)["h"]
    order = np.random.default_rng(seed).permutation(n)
    for run in range(2):
        re1, im1, re2, im2 = values["reflections"][run].numpy()
        expected = product_of_factors(values["phases"][run].numpy(), [re1 + 1j * im1, re2 + 1j * im2], order)
        assert np.abs(W[run].numpy() - expected).max() <= 32 * n * EPS
        assert np.abs(W[run].numpy().conj().T @ W[run].numpy() - np.eye(n)).max() <= 32 * n * EPS


def test_recurrence_keeps_the_norm_without_bias_and_input():
    cell = UnitaryEvolution(size=9)
    values = parameters_of(cell, 2, 3)
    values["bias"].zero_()
    start = cell.initial(values, 4)
    hidden, _ = cell.scan(values, torch.zeros(2, 200, 4, 3, dtype=torch.float64), start)
    norms = hidden.norm(dim=-1)
    assert (norms / start[0].norm(dim=-1).unsqueeze(1) - 1).abs().max() <= 200 * 9 * EPS


def test_modrelu_keeps_the_phase_and_shortens_by_the_bias():
    cell = UnitaryEvolution(size=6)
    values = parameters_of(cell, 1, 2)
    x, start = sequences(1, 1, 5, 2)[:, 0], cell.initial(values, 5)
    values["bias"].zero_()
    z = torch.complex(*cell.step(values, x, start)[0].chunk(2, -1))
    values["bias"].fill_(-0.4)
    h = torch.complex(*cell.step(values, x, start)[0].chunk(2, -1))
    assert ((z.abs() < 0.4) == (h == 0)).all()
    alive = z.abs() >= 0.4
    assert alive.any()
    assert torch.allclose(h[alive].abs(), z[alive].abs() - 0.4, atol=64 * EPS)
    assert torch.allclose((h[alive] / z[alive]).imag, torch.zeros(()).double(), atol=64 * EPS)


def test_reads_out_real_and_imaginary_parts():
    cell = UnitaryEvolution(size=6)
    values = parameters_of(cell, 2, 3)
    assert cell.features == 12
    assert cell.forward(values, sequences(2, 4, 3, 3)).shape == (2, 4, 3, 12)
    assert sum(np.prod(p.shape) for name, p in cell.parameters(3).items() if name != "input") == (7 + 1 + 2) * 6


def test_gradient_at_zero_is_zero_and_not_nan():
    cell = UnitaryEvolution(size=5)
    values = {key: v.requires_grad_() for key, v in parameters_of(cell, 2, 3).items()}
    with torch.no_grad():
        values["start"].zero_()
        values["bias"].fill_(9.0)
    x = torch.zeros(2, 4, 3, 3, dtype=torch.float64)
    found = torch.autograd.grad(random_loss([cell.forward(values, x)]), list(values.values()))
    states = cell.unrolled(values, x)
    expected = torch.stack([state[0] for state in states[1:]], 1)
    wanted = torch.autograd.grad(random_loss([expected]), list(values.values()))
    for a, b in zip(found, wanted, strict=True):
        assert torch.equal(a, b)
        assert not a.any()
