import tracemalloc

import numpy as np
import pytest
from tests.cases import CASES, grcar, haar_orthogonal
from tests.oracles import powers
from tests.printed import half_unit

from unitcircle.errors import ArgumentError, NotFiniteError, ShapeError
from unitcircle.spectra import pseudospectrum
from unitcircle.spectra._resolvent import POINTS, Resolvent

EPS = np.finfo(float).eps

# σ_min(zI − G) of Grcar(32), computed with 40 digits.
GRCAR_32 = {
    0: 0.951104993129,
    1: 0.12989198027,
    2: 0.00573877767235,
    3: 0.317471815287,
    -1: 1.45265813061,
    1 + 2j: 0.000845446393293,
    0.5 + 2.5j: 0.00294422490181,
}


def test_reference_values():
    result = pseudospectrum(grcar(32), np.array(list(GRCAR_32)))
    assert result.tolerance <= 4.1 * 32 * EPS * (np.linalg.norm(grcar(32)) + 3)
    # Twelve digits are known.
    np.testing.assert_allclose(
        result.smallest_singular_values, list(GRCAR_32.values()), rtol=half_unit(11), atol=result.tolerance
    )
    shift = pseudospectrum(np.eye(10, k=1), [0.5])
    np.testing.assert_allclose(
        shift.smallest_singular_values, [0.000732426939157], rtol=0, atol=half_unit(15) + shift.tolerance
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_labelled_matrices_against_an_svd_per_point(case):
    points = 5 if case.n > 100 else 15
    result = pseudospectrum(case.matrix, points)
    expected = powers.smallest_singular_values(case.matrix, result.grid).reshape(points, points)
    np.testing.assert_allclose(result.smallest_singular_values, expected, rtol=0, atol=result.tolerance)


def test_a_crowd_of_nearly_equal_singular_values():
    # Far from converging in any number of steps: two copies of a weight, 1e-9 apart, get an SVD instead.
    rng = np.random.default_rng(0)
    A = rng.standard_normal((10, 10))
    W = np.block([[A, np.zeros((10, 10))], [np.zeros((10, 10)), A + 1e-9 * rng.standard_normal((10, 10))]])
    near = haar_orthogonal(60, np.random.default_rng(0)) + 1e-4 * rng.standard_normal((60, 60))
    for weight in (W, near):
        result = pseudospectrum(weight, 9)
        expected = powers.smallest_singular_values(weight, result.grid).reshape(9, 9)
        np.testing.assert_allclose(result.smallest_singular_values, expected, rtol=0, atol=result.tolerance)


def test_pairs_that_pass_for_one_value_are_judged_by_their_residuals(monkeypatch):
    # A block and its copy, but for a part in 1e9: at every point σ_min has a neighbour that a gap does not show.
    rng = np.random.default_rng(1)
    A = rng.standard_normal((10, 10)) / 10**0.5
    zero = np.zeros_like(A)
    W = np.block([[A, zero], [zero, A + 1e-9 * rng.standard_normal((10, 10))]])
    z = rng.uniform(-2, 2, 600) + 1j * rng.uniform(-2, 2, 600)
    judged = []
    original = Resolvent._by_lanczos

    def by_lanczos(self, z, relative, *, by_gap):
        judged.append(by_gap)
        return original(self, z, relative, by_gap=by_gap)

    monkeypatch.setattr(Resolvent, "_by_lanczos", by_lanczos)
    result = pseudospectrum(W, z)
    exact = np.linalg.svd(z[:, None, None] * np.eye(20) - W, compute_uv=False)[:, -1]
    assert judged == [True, False]
    assert np.abs(result.smallest_singular_values - exact).max() <= 4 * result.tolerance
    # Without the comparison the error is far more.
    sigma, converged = original(Resolvent.of(W), z, 0.0, by_gap=True)
    assert np.abs(sigma - exact)[converged].max() > 100 * result.tolerance


def test_complex_weights_and_a_grid_without_symmetry():
    rng = np.random.default_rng(0)
    W = rng.standard_normal((20, 20)) + 1j * rng.standard_normal((20, 20))
    grid = rng.standard_normal((3, 40)) + 1j * rng.standard_normal((3, 40))
    for weight in (W, W.real):
        result = pseudospectrum(weight, grid)
        expected = powers.smallest_singular_values(weight, grid).reshape(3, 40)
        np.testing.assert_allclose(result.smallest_singular_values, expected, rtol=0, atol=result.tolerance)


def test_eigenvalues_and_points_singular_beyond_range():
    W = np.triu(np.ones((20, 20)), 1) + np.diag(np.arange(20.0))
    result = pseudospectrum(W, np.arange(20.0))
    assert np.all(result.smallest_singular_values <= result.tolerance)
    # ‖(zI − N)⁻¹‖ ~ |z|^-256 overflows; what is there is below rounding.
    shift = pseudospectrum(np.eye(256, k=1), [1e-2, 1e-3j, 1.5])
    assert np.all(shift.smallest_singular_values[:2] <= shift.tolerance)
    assert shift.smallest_singular_values[2] > 0.5
    with np.errstate(divide="raise"):
        assert np.isposinf(pseudospectrum([[0.5]], [0.5]).log10_resolvent_norm).all()


def test_the_result_says_who_is_inside():
    result = pseudospectrum(np.diag([1.0, -1.0]), [1.0, 1.25, 0.0])
    assert result.contains(0.3).tolist() == [True, True, False]
    np.testing.assert_allclose(result.log10_resolvent_norm[1:], [np.log10(4), 0], atol=4 * EPS)
    with pytest.raises(ArgumentError, match="epsilon must be finite and not negative"):
        result.contains(-1.0)


def test_progress_counts_the_points():
    seen = []
    pseudospectrum(grcar(13), 60 * 1j + np.arange(3000.0), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2048, 3000), (3000, 3000)]


def test_libraries(library):
    _, asarray = library
    W = asarray(np.array([[0.0, 1.0], [0.0, 0.0]], dtype=np.float32))
    result = pseudospectrum(W, 3)
    assert type(result.grid) is type(result.smallest_singular_values) is type(W)
    # zI − W = [[z, -1], [0, z]] at z = 1.15: σ_min = sqrt(z² + ½ − sqrt(z² + ¼)).
    z2 = 1.15**2
    expected = (z2 + 0.5 - (z2 + 0.25) ** 0.5) ** 0.5
    np.testing.assert_allclose(
        np.asarray(result.smallest_singular_values)[1, 2], expected, rtol=np.finfo(np.float32).eps
    )


def test_misuse():
    with pytest.raises(ShapeError, match="batch"):
        pseudospectrum(np.zeros((2, 3, 3)), [1.0])
    with pytest.raises(NotFiniteError, match="grid must be finite"):
        pseudospectrum(np.eye(2), [np.nan])
    with pytest.raises(ArgumentError, match="grid must be a whole number, at least 1"):
        pseudospectrum(np.eye(2), 0)
    assert pseudospectrum(np.eye(2), np.zeros((0,))).smallest_singular_values.shape == (0,)
    assert pseudospectrum(np.eye(2), 3.0).smallest_singular_values.tolist() == [2.0]


def test_a_number_of_points_is_that_of_a_side():
    assert pseudospectrum([[0.5]]).smallest_singular_values.shape == (100, 100)
    assert pseudospectrum([[0.5]], np.int64(3)).smallest_singular_values.shape == (3, 3)
    np.testing.assert_array_equal(pseudospectrum([[0.5]], 3).grid, pseudospectrum([[0.5]], np.int64(3)).grid)


def test_memory_holds_one_piece_of_the_points_and_a_few_numbers_for_each():
    n, side = 13, 72  # 2,592 points of the upper half plane, in two pieces
    W = np.random.default_rng(0).standard_normal((n, n)) / n**0.5
    tracemalloc.start()
    pseudospectrum(W, side)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * POINTS * n * 16 + 16 * side**2 * 16
