import ctypes

import numpy as np
import pytest
from scipy import stats

from unitcircle.ensembles import SpectralRadius, _hessenberg
from unitcircle.ensembles._hessenberg import gaussian_radii

EPS = np.finfo(float).eps
SIGNIFICANCE = 1e-3


def matrices(n, packed):
    columns = packed[:, : n * (n + _hessenberg.PADDING)].reshape(len(packed), n, -1)[:, :, :n]
    return np.triu(columns.transpose(0, 2, 1), -1)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 90, 160])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_radii_are_those_of_the_hessenberg_matrices(n, dtype):
    packed = _hessenberg._draw_hessenberg(n, 4, np.random.default_rng(5), dtype)
    expected = abs(np.linalg.eigvals(matrices(n, packed).astype(float))).max(-1)
    radii = gaussian_radii(n, 4, np.random.default_rng(5), dtype)
    if n > _hessenberg.DOUBLE_SHIFT_UP_TO:
        # Drawn one by one, in another order.
        packed = [
            _hessenberg._draw_hessenberg(n, 1, rng, dtype) for rng in [np.random.default_rng(5)] for _ in range(4)
        ]
        expected = abs(np.linalg.eigvals(np.concatenate([matrices(n, p) for p in packed]).astype(float))).max(-1)
    np.testing.assert_allclose(radii, expected, rtol=50 * n * np.finfo(dtype).eps)


@pytest.mark.parametrize(("n", "draws"), [(2, 20_000), (10, 5000), (40, 800), (160, 40)])
def test_radii_follow_the_exact_law(n, draws):
    radii = gaussian_radii(n, draws, np.random.default_rng(n), np.float64)
    assert stats.kstest(radii, SpectralRadius(n).cdf).pvalue > SIGNIFICANCE


def test_a_matrix_that_does_not_converge_is_the_only_one_lost(monkeypatch):
    n, draws = 3, 5
    expected = gaussian_radii(n, draws, np.random.default_rng(0), np.float64)
    routine = _hessenberg._routine("dlahqr")

    def fails_once(*addresses):
        routine(*addresses)
        size = ctypes.c_int.from_address(addresses[2]).value
        if size == draws * n:
            # The second eigenvalue of the third matrix (the eighth of all) was not found: all before are undone.
            real = np.ctypeslib.as_array((ctypes.c_double * size).from_address(addresses[7]))
            real[:8] = np.nan
            ctypes.c_int.from_address(addresses[13]).value = 8
        else:
            ctypes.c_int.from_address(addresses[13]).value = 0

    monkeypatch.setattr(_hessenberg, "_routine", lambda name: fails_once)
    packed = _hessenberg._draw_hessenberg(n, draws, np.random.default_rng(0), np.float64)
    radii = _hessenberg._double_shift(n, packed, "d")
    assert np.isnan(radii[2])
    np.testing.assert_array_equal(radii[3:], expected[3:])
    # What LAPACK left of the first two is quasi-triangular already, with the same eigenvalues.
    assert np.isfinite(radii[:2]).all()


def test_a_large_matrix_that_does_not_converge_is_not_a_number(monkeypatch):
    def fails(*addresses):
        ctypes.c_int.from_address(addresses[13]).value = 1

    monkeypatch.setattr(_hessenberg, "_routine", lambda name: fails)
    assert np.isnan(gaussian_radii(160, 1, np.random.default_rng(0), np.float64)).all()
