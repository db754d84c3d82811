import numpy as np
import pytest
from scipy import special, stats

from unitcircle.ensembles import Circular, Elliptic, TruncatedHaar
from unitcircle.errors import ArgumentError, ShapeError

EPS = np.finfo(float).eps
LAWS = [
    Circular(200, 0.07),
    Elliptic(200, 0.07, 0.6),
    Elliptic(200, 0.07, -0.6),
    TruncatedHaar(200, 800),
    TruncatedHaar(150, 200),
]


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_the_spectrum_fills_the_limit(law):
    rng = np.random.default_rng(1)
    distance = []
    for _ in range(3):
        x = np.sort(law.coordinate(law.values(law.draw_weight(rng))))
        distance.append(abs(law.cdf(x) - (np.arange(x.size) + 0.5) / x.size).max())
    # Eigenvalues repel: the distance falls like the width n^-1/2 of the edge, with a constant near one.
    assert np.mean(distance) < 1.3 / np.sqrt(law.n)
    assert law.cdf([-1.0, 0.0, law.edge, 2 * law.edge]).tolist() == pytest.approx([0, 0, 1, 1], abs=8 * EPS)
    # A wrong edge, by a tenth, is seen.
    assert abs(law.cdf(0.9 * x) - (np.arange(x.size) + 0.5) / x.size).max() > 2 / np.sqrt(law.n)


@pytest.mark.parametrize(
    "law", [Circular(40, 1.0), Elliptic(60, 2.0, 0.5), Elliptic(60, 2.0, -0.5), TruncatedHaar(20, 80)], ids=repr
)
def test_probability_of_an_outlier_against_drawn_weights(law):
    rng = np.random.default_rng(2)
    pvalues = law.largest.sf([law.coordinate(law.values(law.draw_weight(rng))).max() for _ in range(400)])
    # Stated: within 0.08 of the sampled probabilities; a standard error is 0.025 at most.
    for level in (0.01, 0.1, 0.5, 0.9):
        assert abs(np.mean(pvalues <= level) - level) < 0.08 + 3 * np.sqrt(level * (1 - level) / 400)
    assert np.mean(pvalues <= 0.01) <= stats.binom.isf(1e-3, 400, 0.01) / 400


def test_elliptic_without_correlation_is_the_closed_form_of_the_circle():
    # Λ/2 + Λ₁ of docs/theory/spectral-radius-law.md, at n = 100.
    x = np.array([0.2, 1.0, 2.5])
    r, z = 10 + x, np.sqrt(2) * x
    ierfc = np.exp(-z * z) / np.sqrt(np.pi) - z * special.erfc(z)
    real = ierfc / (2 * np.sqrt(np.pi)) + special.erfc(x) * (4 - special.erfc(x)) / 8
    expected = -np.expm1(-np.sqrt(50) * ierfc / 2 - real)
    np.testing.assert_allclose(Elliptic(100, 3.0, 0.0).largest.sf(3 * r), expected, rtol=1e4 * EPS)


def test_expected_real_eigenvalues_of_a_truncation():
    law = TruncatedHaar(6, 10)
    s = (np.arange(2000) + 0.5) / 2000
    expected = 2 * law._real_density(1 - s).mean()
    rng = np.random.default_rng(3)
    counts = [np.isreal(np.linalg.eigvals(law.draw_weight(rng))).sum() for _ in range(1500)]
    assert np.mean(counts) == pytest.approx(expected, abs=4 * np.std(counts) / np.sqrt(1500))


def test_one_entry_of_an_orthogonal_matrix_is_a_beta_variable():
    # w² ~ Beta(1/2, (m-1)/2); the complex part of the formula adds the pair that a single entry does not have.
    r = np.array([0.9, 0.95])
    law = TruncatedHaar(1, 8)
    real = stats.beta.sf(r**2, 0.5, 3.5)
    complex_pairs = 1 - np.sqrt(1 - stats.beta.sf(r**2, 1, 7))
    np.testing.assert_allclose(law.largest.sf(r), 1 - np.exp(-real) * (1 - complex_pairs), rtol=1e6 * EPS)


def test_fitted_laws_have_the_moments_of_the_weight():
    law = Elliptic(80, 0.3, 0.4)
    W = law.draw_weight(0)
    assert Circular.fitted(W).entry_std == pytest.approx(np.sqrt(np.mean(W * W)), rel=16 * EPS)
    fitted = Elliptic.fitted(W)
    # Standard errors: std/√(2 n²) and 1/√(n²/2).
    assert fitted.entry_std == pytest.approx(0.3, abs=4 * 0.3 / 113)
    assert fitted.correlation == pytest.approx(0.4, abs=4 / 56)


def test_misuse():
    with pytest.raises(ArgumentError, match="correlation must be"):
        Elliptic(3, 1.0, 1.0)
    with pytest.raises(ShapeError, match="m must be a whole number, at least 4"):
        TruncatedHaar(3, 3)
    with pytest.raises(ShapeError, match="W must be one weight"):
        Circular.values(np.zeros((2, 3, 3)))
