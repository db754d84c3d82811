from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases import CASES, grcar, haar_orthogonal, jordan
from tests.oracles import powers
from tests.printed import half_unit

from unitcircle.errors import ArgumentError, ShapeError, UnknownNameError
from unitcircle.spectra import matrix_power, power_norm, power_norms

EPS = np.finfo(float).eps


def gaussian(n, seed=0):
    return np.random.default_rng(seed).standard_normal((n, n)) / n**0.5


@pytest.mark.parametrize("norm", ["spectral", "frobenius"])
@pytest.mark.parametrize("case", [case for case in CASES if case.n < 100], ids=lambda case: case.name)
def test_labelled_matrices_against_one_product_per_step(case, norm):
    logs = power_norms(case.matrix, 64, norm=norm)
    expected = powers.power_norms(case.matrix, 64, 2 if norm == "spectral" else "fro")
    # Products lose n·eps of ‖W^s‖‖W^(t-s)‖ a step, which for a non-normal weight is more than ‖Wᵗ‖.
    assert np.array_equal(np.isneginf(logs), np.isneginf(expected))
    logs, expected = logs[np.isfinite(logs)], expected[np.isfinite(logs)]
    peak = np.maximum.accumulate(expected)
    slack = 4 * case.n * EPS * np.arange(1, len(logs) + 1) * np.exp(np.clip(2 * peak - expected, 0, 30))
    assert np.all(np.abs(logs - expected) <= slack)


def test_reference_values():
    transient = power_norms([[0.9, 10.0], [0.0, 0.8]])
    assert transient.argmax() == 6
    np.testing.assert_allclose(np.exp(transient.max()), 26.9362184494, rtol=0, atol=half_unit(10))
    defective = power_norms([[0.9, 1.0], [0.0, 0.9]])
    assert defective.argmax() == 9
    np.testing.assert_allclose(np.exp(defective[[9, 50]]), [3.9125670784, 0.2864135828], rtol=0, atol=half_unit(10))
    G = grcar(32)
    radius = np.abs(np.linalg.eigvals(G)).max()
    logs = power_norms(G / (1.05 * radius))
    assert logs.argmax() == 37
    np.testing.assert_allclose(np.exp(logs.max()), 432.204565573, rtol=0, atol=half_unit(9))
    chain = power_norms(1.02 * np.eye(256, k=1), 300)
    np.testing.assert_allclose(np.exp(chain[100]), 7.244646118252348, rtol=100 * EPS)
    assert np.all(np.isneginf(chain[256:]))
    assert np.isfinite(chain[255])


@pytest.mark.parametrize("norm", ["spectral", "frobenius"])
def test_eigenvectors_take_over_and_agree_with_products(norm):
    W = gaussian(40)
    logs = power_norms(W, 1500, norm=norm)
    expected = powers.power_norms(W, 1500, 2 if norm == "spectral" else "fro")
    condition = np.linalg.cond(np.linalg.eig(W)[1])
    assert np.all(np.abs(logs - expected) <= 4 * 40 * EPS * condition * np.arange(1, 1502))


@pytest.mark.parametrize("norm", ["spectral", "frobenius"])
def test_ill_conditioned_eigenvectors_are_not_trusted(norm):
    # κ(V) of this Grcar matrix is 1e5 and of the Jordan block infinite.
    for W in (jordan(0.99, 3), grcar(24) / 2.3):
        expected = powers.power_norms(W, 400, 2 if norm == "spectral" else "fro")
        np.testing.assert_allclose(power_norms(W, 400, norm=norm), expected, atol=1e4 * 400 * EPS)


@pytest.mark.parametrize("norm", ["spectral", "frobenius"])
def test_equal_moduli_keep_every_eigenvector(norm):
    # Nothing dies out: all moduli are one and the eigenvectors are oblique.
    rng = np.random.default_rng(1)
    S = np.eye(8) + 0.2 * rng.standard_normal((8, 8))
    W = S @ haar_orthogonal(8, np.random.default_rng(1)) @ np.linalg.inv(S)
    logs = power_norms(W, 300, norm=norm)
    expected = powers.power_norms(W, 300, 2 if norm == "spectral" else "fro")
    np.testing.assert_allclose(logs, expected, atol=64 * 8 * EPS * 300)


def test_ten_thousand_steps_neither_overflow_nor_underflow():
    seen = []
    for scale in (1e-300, 1e300):
        logs = power_norms(scale * gaussian(12), 10_000, progress=lambda done, total: seen.append((done, total)))
        assert np.isfinite(logs).all()
        slope = (logs[-1] - logs[-101]) / 100
        radius = np.abs(np.linalg.eigvals(scale * gaussian(12))).max()
        # The norm follows ρᵗ but for the beat of a complex pair, which its eigenvectors bound.
        assert abs(slope - np.log(radius)) < 0.1
    assert seen[-1] == (10_000, 10_000)


def test_a_normal_weight_needs_its_eigenvalues_only():
    W = 1.01 * haar_orthogonal(20, np.random.default_rng(0))
    t = np.arange(10_001)
    np.testing.assert_allclose(power_norms(W, 10_000), t * np.log(1.01), atol=40 * EPS * 10_000)
    frobenius = power_norms(W, 10_000, norm="frobenius")
    np.testing.assert_allclose(frobenius, t * np.log(1.01) + 0.5 * np.log(20), atol=40 * EPS * 10_000)
    np.testing.assert_array_equal(power_norms(np.zeros((3, 3)), 20)[1:], -np.inf)


def test_a_tiny_departure_from_normality_is_seen():
    # [[1, δ], [0, 1]]ᵗ = [[1, tδ], [0, 1]]: σ₁ = asinh(tδ/2) above 0, linear in δ, while the commutator is δ².
    delta = 1e-9
    logs = power_norms([[1.0, delta], [0.0, 1.0]], 10_000)
    np.testing.assert_allclose(logs, np.arcsinh(np.arange(10_001) * delta / 2), atol=2 * EPS * 10_000)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.floats(0.01, 100))
def test_laws(seed, n, scale):
    W = gaussian(n, seed)
    logs = power_norms(W, 12)
    np.testing.assert_allclose(power_norms(scale * W, 12), logs + np.arange(13) * np.log(scale), atol=1e4 * n * EPS)
    assert logs[0] == 0.0
    # Submultiplicative, and never below the eigenvalues.
    assert logs[12] <= logs[5] + logs[7] + 64 * n * EPS
    assert logs[12] >= 12 * np.log(np.abs(np.linalg.eigvals(W)).max()) - 1e4 * n * EPS


def test_libraries_dtypes_and_batches(library):
    _, asarray = library
    W = asarray(np.array([[[0.5, 0.0], [0.0, 0.25]], [[0.0, 1.0], [0.0, 0.0]]], dtype=np.float32))
    logs = power_norms(W, 2)
    assert type(logs) is type(W)
    with np.errstate(divide="ignore"):
        expected = np.log([[1, 0.5, 0.25], [1, 1, 0]])
    np.testing.assert_allclose(np.asarray(logs), expected, rtol=8 * np.finfo(np.float32).eps)
    assert power_norms(np.zeros((0, 2, 2)), 3).shape == (0, 4)
    assert power_norms([[2.0]], 0).tolist() == [0.0]


def test_misuse():
    with pytest.raises(ArgumentError, match="steps must be a whole number, at least 0; got -1"):
        power_norms([[1.0]], -1)
    with pytest.raises(ArgumentError, match="whole number"):
        power_norms([[1.0]], 2.5)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UnknownNameError, match=r"Did you mean 'spectral'.*frobenius, spectral"):
        power_norms([[1.0]], 2, norm="spectrl")  # pyright: ignore[reportArgumentType]


def fibonacci(t):
    a, b = 0, 1
    for _ in range(t):
        a, b = b, a + b
    return a


def test_fibonacci_exactly_by_squaring():
    F = np.array([[1, 1], [1, 0]])
    for t in range(92):
        power = matrix_power(F, t)
        assert power.dtype == np.int64
        assert power[0, 1] == fibonacci(t)
    assert matrix_power(np.array([[True, True], [True, False]]), 10)[0, 1] == 55
    with pytest.raises(ArgumentError, match=r"fits 64-bit integers.*floats"):
        matrix_power(F, 93)
    assert abs(matrix_power(F.astype(float), 93)[0, 1] / fibonacci(93) - 1) < 93 * EPS


def test_fibonacci_by_the_golden_ratio():
    golden = (1 + 5**0.5) / 2
    power = matrix_power(np.array([[1, 1], [1, 0]]), 70, method="eigen")
    np.testing.assert_allclose(power[0, 1], golden**70 / 5**0.5, rtol=4 * 70 * EPS)


@pytest.mark.parametrize("complex_", [False, True])
def test_both_methods_agree(complex_):
    W = gaussian(6) + (1j * gaussian(6, 1) if complex_ else 0)
    batch = np.stack([W, 0.5 * W])
    squared, eigen = matrix_power(batch, 13), matrix_power(batch, 13, method="eigen")
    assert squared.dtype == eigen.dtype == W.dtype
    scale = np.abs(squared).max()
    condition = np.linalg.cond(np.linalg.eig(W)[1])
    np.testing.assert_allclose(eigen, squared, atol=32 * 6 * EPS * condition * scale)
    np.testing.assert_allclose(squared[0], np.linalg.multi_dot([W] * 13), atol=13 * 6 * EPS * scale * 8)


def test_powers_out_of_range_are_not_finite_and_misuse_is_refused():
    assert np.isinf(matrix_power([[2.0]], 2000)).all()
    assert matrix_power([[3]], 0).tolist() == [[1]]
    with pytest.raises(ArgumentError, match="without a basis of eigenvectors"):
        matrix_power([[1.0, 1.0], [0.0, 1.0]], 3, method="eigen")
    with pytest.raises(ArgumentError, match="whole number, at least 0"):
        matrix_power([[1.0]], -2)
    with pytest.raises(ArgumentError, match="64 bits"):
        matrix_power(np.array([[2**63]], dtype=np.uint64), 2)
    with pytest.raises(UnknownNameError, match="eigen, squaring"):
        matrix_power([[1.0]], 2, method="schur")  # pyright: ignore[reportArgumentType]


def test_power_in_each_library(library):
    _, asarray = library
    W = asarray(np.array([[1.0, 1.0], [1.0, 0.0]], dtype=np.float32))
    power = matrix_power(W, 5)
    assert type(power) is type(W)
    np.testing.assert_array_equal(np.asarray(power), [[8, 5], [5, 3]])


def test_what_is_measured_by_default():
    W = np.array([[0.9, 10.0], [0.0, 0.8]])
    assert power_norms(W).shape == (65,)
    np.testing.assert_array_equal(power_norms(W), power_norms(W, 64, norm="spectral"))
    assert power_norms(W, 0, norm="frobenius") == pytest.approx(np.log(2) / 2)
    rounds = []
    power_norms(np.stack([W, 2 * W]), 5, progress=lambda done, total: rounds.append((done, total)))
    assert rounds.count((5, 5)) == 2


@pytest.mark.parametrize("norm", ["spectral", "frobenius"])
def test_norms_near_the_largest_number_do_not_depend_on_the_number_of_steps(norm):
    largest = np.full((4, 4), np.finfo(float).max)
    short, long = (power_norms(largest, steps, norm=norm) for steps in (3, 200))
    np.testing.assert_allclose(short, long[:4], rtol=4 * EPS)
    np.testing.assert_allclose(long[1:], np.arange(1, 201) * (np.log(np.finfo(float).max) + np.log(4)))
    np.testing.assert_allclose(power_norms(np.full((4, 4), 5e-324), 20)[20], 20 * (np.log(5e-324) + np.log(4)))


def exact_log_norms(A, steps):
    """log ‖Aᵗ‖_F in integer arithmetic."""
    unit = max(Fraction(float(x)).denominator for x in A.ravel())
    exact = np.array([[int(Fraction(float(x)) * unit) for x in row] for row in A], dtype=object)
    power, logs = np.eye(len(A), dtype=int).astype(object), []
    for t in range(steps + 1):
        square = sum(int(x) ** 2 for x in power.ravel())
        with mpmath.workdps(40):
            logs.append(float(mpmath.log(square) / 2 - t * mpmath.log(unit)) if square else -np.inf)
        power = exact @ power
    return np.array(logs)


@pytest.mark.parametrize("coupling", [0, 10, 20, 30])
@pytest.mark.parametrize("seed", range(4))
def test_the_error_is_bounded_however_ill_conditioned_the_products(coupling, seed):
    rng = np.random.default_rng(seed)
    n = 5
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    A = Q @ (np.diag(rng.uniform(-1, 1, n)) + np.triu(rng.standard_normal((n, n)), 1) * 2.0**coupling) @ Q.T
    logs, errors = power_norms(A, 150, norm="frobenius", errors=True)
    assert np.all(np.abs(logs - exact_log_norms(A, 150)) <= errors)
    if coupling == 0:
        assert errors[40] < 1e-9
    if coupling == 30:
        assert errors[40] == np.inf


def test_the_error_is_bounded_for_normal_and_diagonalisable_weights():
    for A in (np.array([[0.6, -0.8], [0.8, 0.6]]), gaussian(5), np.eye(4, k=1)):
        logs, errors = power_norms(A, 150, norm="frobenius", errors=True)
        exact = exact_log_norms(A, 150)
        finite = np.isfinite(exact)
        assert np.array_equal(finite, np.isfinite(logs))
        assert np.all(np.abs(logs[finite] - exact[finite]) <= errors[finite])
        assert errors[:4].max() < 1e-12
    logs, errors = power_norms(np.stack([np.eye(2), np.zeros((2, 2))]), 3, errors=True)
    assert errors.shape == logs.shape == (2, 4)


@pytest.mark.parametrize("dtype", [float, complex])
def test_a_power_beyond_the_range_is_infinite_and_never_nan(dtype):
    A = np.array([[1e200, 0.0, 1e200], [-1e200, 1e-3, 0.0], [0.0, 0.0, -1e200]], dtype)
    for t in (2, 3, 5, 1000):
        power = matrix_power(A, t)
        assert not np.isnan(power).any()
        assert power[0, 0] == np.inf
        assert (power[0, 1], power[1, 2].real) == (0.0, -np.inf)
    with pytest.raises(ArgumentError, match="within the range"):
        matrix_power(A, 3, method="eigen")


@pytest.mark.parametrize("t", [0, 1, 2, 7, 64, 999])
@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_the_norm_of_one_power_is_that_of_the_sequence(t, scale):
    rng = np.random.default_rng(0)
    W = scale * (rng.standard_normal((12, 12)) + 1j * rng.standard_normal((12, 12))) / 4
    # Both multiply by W up to t times: relative errors of n eps a product, and rounding of the sum of the exponents.
    bound = 10 * np.finfo(float).eps * (12 * (t + 1) + abs(float(power_norms(W, 999)[t])))
    assert power_norm(W, t) == pytest.approx(float(power_norms(W, 999)[t]), rel=0, abs=bound)


def test_the_norm_of_one_power_that_is_zero_and_of_a_batch():
    assert power_norm(np.diag([1.0, 1.0], 1), 3) == -np.inf
    assert power_norm(np.zeros((2, 2)), 0) == 0.0
    with pytest.raises(ShapeError, match="W must be one square matrix"):
        power_norm(np.ones((2, 3, 3)), 1)
