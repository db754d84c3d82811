import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.oracles.givens import product_of_rotations
from tests.oracles.haar import haar_rotation_by_qr

from unitcircle import initializers as uci
from unitcircle.errors import ShapeError
from unitcircle.initializers._givens import TILE, givens_chain

EPS = 2.0**-52
LEVEL = 1e-3  # significance of every test of a law here; the seeds are fixed


def eigenphases(W):
    return np.angle(np.linalg.eigvals(W))


@pytest.mark.parametrize("n", [2, 3, TILE - 1, TILE, TILE + 1, 2 * TILE, 2 * TILE + 7])
def test_tiles_give_the_product_of_dense_rotations(n):
    angles = np.random.default_rng(n).uniform(-np.pi, np.pi, n - 1)
    np.testing.assert_allclose(
        givens_chain(np.cos(angles), np.sin(angles)), product_of_rotations(angles), rtol=0, atol=n * EPS
    )


@given(st.lists(st.floats(-np.pi, np.pi), min_size=1, max_size=12), st.floats(0.1, 2))
def test_any_angles_give_the_product_of_dense_rotations(angles, modulus):
    n = len(angles) + 1
    W = uci.Eigen(modulus=modulus, angles=angles).sample(n)
    np.testing.assert_allclose(W, modulus * product_of_rotations(angles), rtol=0, atol=2 * n * EPS)


ANGLES = ["haar", "uniform", 0.1, np.pi / 4, np.pi / 2, 2.0, np.pi, 1e-8, tuple(np.linspace(-3, 3, 255))]


@pytest.mark.parametrize("modulus", [0.95, 1.0, 1.2])
@pytest.mark.parametrize("angles", ANGLES, ids=str)
def test_every_angle_choice_keeps_the_modulus(angles, modulus):
    n = 256
    W = uci.Eigen(modulus=modulus, angles=angles).sample(n, rng=0)
    tolerance = 10 * n * EPS
    assert np.linalg.norm(W.T @ W - modulus**2 * np.eye(n), 2) <= tolerance
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(W)), modulus, rtol=tolerance)
    assert np.linalg.slogdet(W / modulus) == pytest.approx((1.0, 0.0), abs=tolerance)
    assert not np.tril(W, -2).any()


@pytest.mark.parametrize("angles", ["haar", "uniform", 0.1])
def test_a_large_weight_neither_underflows_nor_drifts(angles):
    n = 2048
    z = torch.randn(n, n, generator=torch.Generator().manual_seed(0))
    W = uci.Eigen(modulus=1.0, angles=angles)(z)
    assert torch.isfinite(W).all()
    # Columns, rather than the whole Gram matrix: every one is a unit vector.
    assert (torch.linalg.vector_norm(W.double(), dim=0) - 1).abs().max() <= 10 * n * 2**-23
    assert (torch.linalg.vector_norm(W.double(), dim=1) - 1).abs().max() <= 10 * n * 2**-23


@pytest.mark.slow
def test_the_largest_size_of_the_issue():
    n = 8192
    z = torch.randn(n, n, generator=torch.Generator().manual_seed(0))
    W = uci.Eigen(modulus=0.95)(z)
    x = torch.randn(n, 1, generator=torch.Generator().manual_seed(1))
    growth = torch.linalg.vector_norm(W @ x) / torch.linalg.vector_norm(x)
    assert abs(float(growth) / 0.95 - 1) <= 10 * np.sqrt(n) * 2**-23


@pytest.mark.parametrize("n", [50, 51, 400])
@pytest.mark.parametrize("angle", [0.3, np.pi / 4, 1.2])
def test_phases_of_a_constant_angle(n, angle):
    phases = eigenphases(uci.Eigen(angles=angle).sample(n))
    assert np.abs(phases).max() <= 2 * angle + 10 * n * EPS
    # φ = 2 arcsin(sin θ cos k), k uniform on (0, π): deterministic, so the distance to the law is at most 1/n.
    law = lambda phase: 1 - np.arccos(np.clip(np.sin(phase / 2) / np.sin(angle), -1, 1)) / np.pi  # noqa: E731
    assert stats.kstest(phases, law).statistic <= 1 / n


@pytest.mark.parametrize("n", [2, 7, 64])
def test_right_angles_space_the_phases_equally(n):
    eigenvalues = np.linalg.eigvals(uci.Eigen(modulus=1.0, angles=np.pi / 2).sample(n))
    np.testing.assert_allclose(eigenvalues**n, (-1.0) ** (n - 1), rtol=0, atol=10 * n * n * EPS)
    gaps = np.diff(np.sort(np.angle(eigenvalues) % (2 * np.pi)))
    np.testing.assert_allclose(gaps, 2 * np.pi / n, rtol=0, atol=10 * n * EPS)


@pytest.mark.parametrize("n", [5, 16])
def test_haar_angles_have_the_eigenvalue_law_of_haar_rotations(n):
    rng = np.random.default_rng(n)
    draws = 1500
    ours = uci.Eigen(modulus=1.0, angles="haar").sample(n, rng=rng, size=draws)
    theirs = haar_rotation_by_qr(rng.standard_normal((draws, n, n)))
    assert np.linalg.det(theirs).min() > 0

    def ordered(W):
        """The ⌊n/2⌋ phases in [0, π] of each rotation; an odd one has the eigenvalue 1 besides."""
        return np.sort(np.abs(eigenphases(W)), axis=-1)[:, n % 2 :: 2]

    ours_phases, theirs_phases = ordered(ours), ordered(theirs)
    statistics = {
        "trace": (np.trace(ours, axis1=1, axis2=2), np.trace(theirs, axis1=1, axis2=2)),
        "trace of square": (np.trace(ours @ ours, axis1=1, axis2=2), np.trace(theirs @ theirs, axis1=1, axis2=2)),
        "smallest phase": (ours_phases[:, 0], theirs_phases[:, 0]),
        "largest phase": (ours_phases[:, -1], theirs_phases[:, -1]),
        "middle spacing": tuple(
            phases[:, phases.shape[1] // 2] - phases[:, phases.shape[1] // 2 - 1]
            for phases in (ours_phases, theirs_phases)
        ),
    }
    for what, (a, b) in statistics.items():
        assert stats.ks_2samp(a, b).pvalue > LEVEL, what


def gap_ratio(W):
    """The mean ratio of neighbouring gaps between the phases in (0, π): 0.386 if independent, 0.60 for Haar."""
    phases = np.sort(eigenphases(W))
    gaps = np.diff(phases[phases > 1e-9])
    return np.mean(np.minimum(gaps[1:], gaps[:-1]) / np.maximum(gaps[1:], gaps[:-1]))


def test_neighbouring_phases_repel_for_haar_angles_only():
    n, draws = 128, 12
    ratios = {
        angles: [gap_ratio(W) for W in uci.Eigen(angles=angles).sample(n, rng=0, size=draws)]
        for angles in ("haar", "uniform")
    }
    # A ratio has standard deviation below 0.3: five standard errors of the mean over draws·n/2 ratios.
    margin = 5 * 0.3 / np.sqrt(draws * n / 2)
    assert abs(np.mean(ratios["haar"]) - 0.60) <= margin
    assert abs(np.mean(ratios["uniform"]) - 0.386) <= margin


def test_haar_modes_are_spread_and_uniform_ones_localised():
    def participation(W):
        vectors = np.linalg.eig(W)[1]
        return np.median(1 / (np.abs(vectors) ** 4).sum(axis=0))

    assert participation(uci.Eigen(angles="haar").sample(256, rng=0)) > 256 / 4
    assert participation(uci.Eigen(angles="uniform").sample(256, rng=0)) < 10


def test_haar_cosines_are_first_coordinates_of_unit_vectors():
    # W[0, 0] = m c_1, c_1 the first coordinate of a unit vector in n dimensions.
    W = uci.Eigen(modulus=1.0).sample(6, rng=0, size=2000)
    assert stats.kstest((1 + W[:, 0, 0]) / 2, stats.beta(2.5, 2.5).cdf).pvalue > LEVEL


def test_zero_numbers_mean_no_rotation():
    np.testing.assert_array_equal(uci.Eigen(modulus=1.0)(np.zeros((4, 4))), np.eye(4))


def test_the_number_of_angles_must_fit():
    with pytest.raises(ShapeError, match="must be 3 × 3 for these angles; got n = 4"):
        uci.Eigen(angles=[1.0, 2.0]).sample(4)
    np.testing.assert_array_equal(uci.Eigen(angles=[]).sample(1), [[0.95]])


def test_one_unit_is_the_modulus():
    np.testing.assert_array_equal(uci.Eigen(modulus=0.5).sample(1, size=2), np.full((2, 1, 1), 0.5))


def test_the_certificate_sees_what_is_not_hessenberg():
    W = uci.Orthogonal(gain=0.95).sample(16, rng=0)
    assert not uci.Eigen().certificate(W).holds
    assert not uci.Eigen(modulus=0.9).certificate(uci.Eigen().sample(16, rng=0)).holds
