from collections import Counter
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from tests.cases import CASES, grcar, haar_orthogonal, jordan, rotation
from tests.oracles.integer_powers import integer_asymptotics
from tests.oracles.labelled import FAMILIES, dense_similarity
from tests.printed import half_unit

from unitcircle.errors import ArgumentError, DtypeError, NotFiniteError, ShapeError
from unitcircle.spectra import Asymptotics, asymptotics

BY_NAME = {case.name: case for case in CASES}
EPS = np.finfo(float).eps


def verdict(W) -> str:
    return asymptotics(W).verdict.value


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
class TestLabelledTable:
    def test_the_table_is_right(self, case):
        radius = np.abs(np.linalg.eigvals(case.matrix)).max()
        assert abs(radius - case.radius) <= 1e2 * EPS**0.5 * max(case.radius, 1)  # the table has double roots
        D = case.matrix - np.trace(case.matrix) / case.n * np.eye(case.n)  # as normal as W, and not masked by its size
        commutator = np.linalg.norm(D @ D.conj().T - D.conj().T @ D)
        assert (commutator <= 10 * case.n * EPS * np.linalg.norm(D) ** 2) == case.normal
        if case.norm is not None:
            assert np.linalg.norm(case.matrix, 2) == pytest.approx(
                case.norm, rel=half_unit(10)
            )  # Grcar's is known to 11 digits

    def test_in_double_precision(self, case):
        result = asymptotics(case.matrix)
        assert result.verdict is case.verdict
        assert result.limit_rank == case.limit_rank
        low, high = result.radius
        assert low - 5e-12 <= case.radius <= high + 5e-12  # Grcar's radius is known to 12 digits
        if case.growth_degree is not None:
            assert result.growth_degree == case.growth_degree
        for other in (case.matrix.T, case.matrix[::-1, ::-1], case.matrix.astype(complex)):
            assert asymptotics(other).verdict is case.verdict

    def test_in_every_library(self, case, library):
        name, convert = library
        if name == "jax" and not case.single:
            pytest.skip("JAX makes it single, where rounding hides the perturbation")
        assert asymptotics(convert(case.matrix.copy())).verdict is case.verdict

    def test_in_single_precision(self, case):
        single = case.matrix.astype(np.complex64 if case.is_complex else np.float32)
        result = asymptotics(single)
        if case.single:
            assert result.verdict is case.verdict
        else:  # 1e-9 is below the roundoff: the verdict is that of a matrix the two cannot be told from
            assert result.tolerance > 1e-9


def confusion(families, *, draws: int, seed: int, condition: float) -> Counter[str]:
    rng = np.random.default_rng(seed)
    counts: Counter[str] = Counter()
    for label, draw in families.values():
        for i in range(draws):
            # Half orthogonal; half general, log-uniform in condition number.
            kappa = float(condition ** rng.uniform(0.15, 1)) if i % 2 else 1.0
            found = asymptotics(dense_similarity(draw(rng), rng, condition=kappa)).verdict
            counts["right" if found is label else "undecided" if found is Asymptotics.UNDECIDED else "wrong"] += 1
    return counts


@pytest.mark.slow
def test_dense_similarities_of_held_out_families():
    counts = confusion(FAMILIES, draws=20, seed=20250, condition=100)
    assert counts.total() == 500
    assert counts["wrong"] <= 0.03 * 500
    assert counts["right"] + counts["wrong"] >= 0.80 * 500


@pytest.mark.slow
def test_dense_similarities_of_the_labelled_table():
    # The table holds what no dense matrix can show (1e-9 beside a defective eigenvalue, Jordan blocks at 0.999).
    table = {case.name: (case.verdict, lambda _, case=case: case.matrix) for case in CASES if 1 < case.n < 100}
    counts = confusion(table, draws=6, seed=31, condition=30)
    assert counts["wrong"] <= 0.03 * counts.total()
    assert counts["right"] + counts["wrong"] >= 0.80 * counts.total()


@pytest.mark.parametrize("n", [2, 3, 4])
def test_integer_matrices_agree_with_their_exact_powers(n):
    rng = np.random.default_rng(n)
    seen = Counter()
    for _ in range(120):
        # Mostly zeros, or nearly every draw explodes.
        W = rng.integers(-1, 2, (n, n)) * (rng.random((n, n)) < 1.6 / n)
        seen[integer_asymptotics(W)] += 1
        assert asymptotics(W).verdict is integer_asymptotics(W), W
    assert len(seen) == 5


class TestToleranceFollowsTheTypeThatArrived:
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    @pytest.mark.parametrize("n", [2, 17, 120])
    def test_orthogonal(self, dtype, n):
        Q = haar_orthogonal(n, np.random.default_rng(n))
        assert verdict(Q.astype(dtype)) == "bounded"
        assert verdict((0.9 * Q).astype(dtype)) == "vanishes"
        assert verdict((1.1 * Q).astype(dtype)) == "explodes"

    def test_bfloat16(self):
        torch = pytest.importorskip("torch")
        Q = torch.asarray(haar_orthogonal(9, np.random.default_rng(9))).to(torch.bfloat16)
        assert verdict(Q) == "bounded"
        assert verdict(Q / 2) == "vanishes"

    @pytest.mark.parametrize(("dtype", "verdict_"), [(np.float32, "bounded"), (np.float64, "vanishes")])
    def test_a_radius_short_of_one_by_1e_7(self, dtype, verdict_):
        assert verdict(((1 - 1e-7) * rotation(1.0)).astype(dtype)) == verdict_

    def test_gaussian_weights_in_single_precision(self):
        G = np.random.default_rng(5).standard_normal((150, 150))
        G /= np.abs(np.linalg.eigvals(G)).max()
        assert verdict((0.98 * G).astype(np.float32)) == "vanishes"
        assert verdict((1.02 * G).astype(np.float32)) == "explodes"

    def test_non_normal_weights_in_single_precision(self):
        # One by one the eigenvalues could be anywhere; together they cannot cross the circle.
        W = dense_similarity(BY_NAME["grcar_0.95"].matrix, np.random.default_rng(32), condition=8).astype(np.float32)
        assert verdict(W) == "vanishes"


class TestUndecided:
    @pytest.mark.parametrize(
        "W",
        [
            pytest.param(jordan(0.999, 5), id="a Jordan block that rounding carries over the circle"),
            pytest.param(np.array([[1, 1], [0, 1 - 1e-9]]), id="a defective eigenvalue that is none"),
        ],
    )
    def test_what_dense_rounding_hides(self, W):
        assert verdict(W) != "undecided"
        result = asymptotics(dense_similarity(W, np.random.default_rng(3), condition=1))
        assert result.verdict is Asymptotics.UNDECIDED
        assert "cannot be placed" in str(result)
        assert result.growth_degree is None
        assert result.limit_rank is None

    def test_between_the_identity_and_a_rotation(self):
        # Distances from 1, in roundoffs: inside the error bound of 18, clear of it, and between.
        assert [verdict(rotation(k * EPS)) for k in (10, 1000, 60)] == ["converges", "bounded", "undecided"]

    def test_a_complex_pair_beside_a_defective_eigenvalue(self):
        # 1 ± 3.2e-5 i with modulus 1 + 5e-10: det tells in a real matrix, in a complex one nothing does.
        W = BY_NAME["defective_around"].matrix
        rng = np.random.default_rng(0)
        U, _ = np.linalg.qr(rng.standard_normal((2, 2)) + 1j * rng.standard_normal((2, 2)))
        assert verdict(dense_similarity(W, rng, condition=1)) == "explodes"
        assert verdict(U @ W @ U.conj().T) == "undecided"

    def test_separate_eigenvalues_that_may_be_fragments_of_a_defective_one(self):
        def pair(x: float) -> np.ndarray:  # e^{±iφ} with φ² about x, in a basis whose angle is φ too
            return np.array([[1, 1], [-x, 1 - x]])

        # Backward error allowed for: 30 roundoffs.
        assert [verdict(pair(k * EPS)) for k in (1, 60, 1e5)] == ["grows", "undecided", "bounded"]

    def test_a_graded_matrix_beyond_double_precision(self):
        assert verdict(np.array([[1, 1e300], [1e-300, 0.5]])) == "undecided"


class TestStructure:
    @pytest.mark.parametrize("n", [64, 300])
    def test_large_jordan_block_as_written(self, n):
        assert asymptotics(jordan(1, n)).growth_degree == n - 1

    def test_equal_eigenvalues_grow_only_where_coupled(self):
        coupled = np.array([[1.0, 0.5, 3.0], [0.0, 0.5, 2.0], [0.0, 0.0, 1.0]])
        # The path through 0.5 carries 0.5 · 2 / (1 − 0.5) = 2: a direct entry of −2 cancels it.
        cancelled = np.array([[1.0, 0.5, -2.0], [0.0, 0.5, 2.0], [0.0, 0.0, 1.0]])
        apart = np.diag([1.0, 0.5, 1.0])
        assert [verdict(W) for W in (coupled, cancelled, apart)] == ["grows", "converges", "converges"]

    def test_zeros_hidden_by_a_permutation(self):
        order = np.random.default_rng(0).permutation(40)
        for W, expected in ((jordan(0.999, 40), "vanishes"), (jordan(1, 40), "grows"), (5 * jordan(0, 40), "vanishes")):
            assert verdict(W[np.ix_(order, order)]) == expected

    def test_irreducible_blocks_that_share_an_eigenvalue(self):
        R, Z = rotation(2.0), np.zeros((2, 2))
        assert asymptotics(np.block([[R, R, Z], [Z, R, R], [Z, Z, R]])).growth_degree == 2

    def test_non_normal_but_stable(self):
        W = grcar(48) / (1.05 * np.abs(np.linalg.eigvals(grcar(48))).max())
        assert np.linalg.norm(np.linalg.matrix_power(W, 40), 2) > 1e3
        assert verdict(W) == "vanishes"

    def test_dense_nilpotent_of_256_units(self):
        Q = haar_orthogonal(256, np.random.default_rng(256))
        W = Q @ BY_NAME["chain"].matrix @ Q.T
        assert np.abs(np.linalg.eigvals(W)).max() > 0.5  # rounding: in exact arithmetic all are zero
        assert verdict(W) == "vanishes"

    @pytest.mark.parametrize("scale", [1e-300, 1e300])
    def test_extreme_scales(self, scale):
        Q = haar_orthogonal(6, np.random.default_rng(6))
        assert verdict(scale * Q) == ("vanishes" if scale < 1 else "explodes")
        assert verdict(np.array([[1.0, scale], [0.0, 0.5]])) == "converges"


class TestResult:
    def test_batch(self):
        batch = np.stack([np.eye(2), 0.5 * np.eye(2), 2 * np.eye(2), jordan(1, 2)]).reshape(2, 2, 2, 2)
        found = asymptotics(batch)
        assert found.shape == (2, 2)
        assert [result.verdict.value for result in found.flat] == ["converges", "vanishes", "explodes", "grows"]
        assert asymptotics(np.zeros((0, 3, 3))).shape == (0,)

    def test_words_and_numbers(self):
        result = asymptotics(jordan(1, 2))
        assert str(result) == (
            "the powers grow polynomially (spectral radius 1; 2 eigenvalues on the unit circle; "
            "1 has a Jordan block of size 2)"
        )
        assert result.unit_eigenvalues == 2
        assert 1e6 < result.trust_horizon < 1e9  # a split by √(18 roundoffs) shows after its inverse
        assert asymptotics(0.5 * np.eye(2)).trust_horizon == np.inf
        assert "0.540302" in str(asymptotics(BY_NAME["rotation_jordan"].matrix))
        with pytest.raises(FrozenInstanceError):
            result.verdict = Asymptotics.BOUNDED

    def test_radius_of_a_dense_jordan_block_holds_the_true_one(self):
        W = dense_similarity(jordan(0.9, 4), np.random.default_rng(2), condition=1)
        low, high = asymptotics(W).radius
        assert low <= 0.9 <= high
        assert high - low < 0.05

    @pytest.mark.parametrize(
        ("W", "error"),
        [
            (np.ones((2, 3)), ShapeError),
            (np.zeros((0, 0)), ShapeError),
            (np.array([[np.nan]]), NotFiniteError),
            (np.array([[object()]]), DtypeError),
            (np.full((9, 9), 1e305), ArgumentError),
        ],
    )
    def test_misuse(self, W, error):
        with pytest.raises(error, match="W"):
            asymptotics(W)
