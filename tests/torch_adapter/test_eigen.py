"""Eigen weights whose angles torch draws: the product of the rotations, and the law of the specification."""

import numpy as np
import pytest
import torch
from scipy import stats
from tests.oracles.givens import product_of_rotations

from unitcircle.initializers import Eigen
from unitcircle.torch import fill_
from unitcircle.torch._eigen import chain_

LEVEL = 1e-3  # of every test of a law here; the seeds are fixed


@pytest.mark.parametrize("n", [2, 3, 7, 8, 9, 16, 23])
def test_tiles_give_the_product_of_dense_rotations(n, monkeypatch):
    monkeypatch.setattr("unitcircle.torch._eigen.TILE", 8)
    angles = np.random.default_rng(n).uniform(-np.pi, np.pi, n - 1)
    out = torch.full((n, n), torch.nan, dtype=torch.float64)
    chain_(out, torch.from_numpy(np.cos(angles)), torch.from_numpy(np.sin(angles)), scale=0.9)
    np.testing.assert_allclose(out.numpy(), 0.9 * product_of_rotations(angles), rtol=0, atol=n * 2.0**-52)


@pytest.mark.parametrize("angles", ["haar", "uniform"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_angle_has_its_law(angles, dtype):
    # Row j + 1 of column j is m sin θ_j; of 300 weights of 6 units, the cosine is that of the first entry times signs.
    stack = fill_(torch.empty(300 * 6, 6, dtype=dtype), Eigen(modulus=0.5, angles=angles), gates=300, rng=1)
    sines = stack.view(300, 6, 6).diagonal(-1, 1, 2).double().numpy() / 0.5
    first = stack.view(300, 6, 6)[:, 0, 0].double().numpy() / 0.5
    for k in range(5):
        if angles == "haar":  # sin² of the angle of the first of d coordinates of a uniform unit vector
            law = stats.beta((5 - k) / 2, 0.5).cdf
            assert stats.kstest(sines[:, k] ** 2, law).pvalue > LEVEL
            assert (sines[:, k] >= 0).all()
        else:
            assert stats.kstest(np.arcsin(sines[:, k]), stats.uniform(-np.pi / 2, np.pi).cdf).pvalue > LEVEL
    assert stats.binomtest(int((first > 0).sum()), 300).pvalue > LEVEL
    assert np.abs(np.corrcoef(sines.T) - np.eye(5)).max() < 0.25  # independent: five standard errors are .29


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_block_of_a_larger_tensor_is_filled_and_certified(dtype):
    whole = torch.full((400, 210), 7.0, dtype=dtype)
    block = fill_(whole[100:300, 5:205], Eigen(modulus=0.95), rng=0)
    assert Eigen(modulus=0.95).certificate(block).holds
    assert (whole[:100] == 7).all()
    assert (whole[300:] == 7).all()
    assert (whole[:, :5] == 7).all()
    assert (whole[:, 205:] == 7).all()


def test_a_subclass_draws_by_its_own_rule():
    class Turned(Eigen):
        def _weight(self, z):
            return 0 * super()._weight(z)

    assert not fill_(torch.empty(5, 5), Turned(), rng=0).any()


def test_numbers_drawn_grow_with_the_units_and_not_with_the_entries():
    # From the same seed a generator that drew n² numbers for the first weight would not give this second one.
    generator, other = (torch.Generator().manual_seed(3) for _ in range(2))
    fill_(torch.empty(40, 40), Eigen(angles="uniform"), rng=generator)
    torch.empty(39).normal_(generator=other)
    torch.empty(39).normal_(generator=other)
    assert torch.equal(torch.rand(3, generator=generator), torch.rand(3, generator=other))
