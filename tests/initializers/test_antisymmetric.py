import numpy as np
import pytest

from unitcircle import initializers as uci


@pytest.mark.parametrize(("step", "damping", "std"), [(0.01, 0.01, 1.0), (0.1, 0.0, 2.0), (1.0, 0.5, 0.3)])
def test_eigenvalues_are_those_of_the_flow(step, damping, std):
    n = 40
    z = np.random.default_rng(0).standard_normal((n, n))
    W = uci.Antisymmetric(step=step, damping=damping, std=std)(z)
    M = z * std / np.sqrt(n)
    frequencies = np.linalg.eigvalsh(1j * (M - M.T))
    expected = np.sort_complex(1 - step * damping - 1j * step * frequencies)
    found = np.linalg.eigvals(W)
    np.testing.assert_allclose(np.sort(found.imag), np.sort(expected.imag), rtol=0, atol=20 * n * 2**-52)
    np.testing.assert_allclose(found.real, 1 - step * damping, rtol=0, atol=20 * n * 2**-52)


def test_frequencies_stay_below_the_edge():
    # i(M − Mᵀ) is a Wigner matrix of entries of variance 2 s²/n: its edge is at 2√2 s, to O(n^(-2/3)).
    W = uci.Antisymmetric(step=1, damping=0, std=1).sample(400, rng=0)
    assert abs(np.linalg.eigvals(W).imag.max() / (2 * np.sqrt(2)) - 1) < 2 * 400 ** (-2 / 3)


def test_the_certificate_sees_a_symmetric_part():
    init = uci.Antisymmetric()
    W = init.sample(10, rng=0)
    W[0, 1] += 1e-6
    assert not init.certificate(W).holds
