import numpy as np

from unitcircle import initializers as uci


def test_eigenvalues_are_those_of_the_definition():
    n = 100
    R = np.random.default_rng(0).standard_normal((n, n))
    W = uci.NormalizedPositiveDefinite()(R)
    expected = 1 + np.linalg.svd(R, compute_uv=False) ** 2 / n
    np.testing.assert_allclose(np.linalg.eigvalsh(W), np.sort(expected / expected.max()), rtol=0, atol=10 * n * 2**-52)


def test_a_large_weight_has_eigenvalues_from_a_fifth_to_one():
    # RᵀR/n has the Marchenko-Pastur law on [0, 4]: 1/5 at the lower edge, to O(n^(-2/3)).
    eigenvalues = np.linalg.eigvalsh(uci.NormalizedPositiveDefinite().sample(400, rng=0))
    assert abs(eigenvalues[0] - 0.2) < 400 ** (-2 / 3)
    assert abs(eigenvalues[-1] - 1) <= 400 * 2**-52


def test_the_certificate_sees_asymmetry_and_indefiniteness():
    init = uci.NormalizedPositiveDefinite()
    assert not init.certificate([[1.0, 0.1], [0.0, 0.5]]).holds
    assert not init.certificate([[1.0, 0.0], [0.0, -0.5]]).holds
    assert init.certificate([[1.0, 0.0], [0.0, 0.5]]).holds
