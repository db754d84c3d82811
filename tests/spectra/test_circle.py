import numpy as np
import pytest
from scipy.linalg import block_diag, null_space
from tests.cases import grcar, haar_orthogonal, jordan

from unitcircle.spectra._circle import Side, circle_distance, eigenvalue_groups
from unitcircle.spectra._nilpotent import nilpotency_index
from unitcircle.spectra._triangular import triangular_parts

EPS = np.finfo(float).eps


def distance_by_svd(T: np.ndarray) -> float:
    """Return min over 2000 points of the unit circle of σ_min(T − zI), one singular value decomposition for each."""
    circle = np.exp(2j * np.pi * np.arange(2000) / 2000)
    return min(np.linalg.svd(T - z * np.eye(len(T)), compute_uv=False)[-1] for z in circle)


class TestCircleDistance:
    @pytest.mark.parametrize("T", [jordan(0.7, 6), jordan(1.3j, 4), np.triu(grcar(12)) / 3], ids=["in", "out", "wide"])
    def test_agrees_with_singular_values(self, T):
        # The grid of the oracle is 1-Lipschitz: it overshoots by at most half its spacing.
        found, oracle = circle_distance(T.astype(complex)), distance_by_svd(T)
        assert found <= 1.01 * oracle
        assert found >= oracle - np.pi / 2000

    def test_one_eigenvalue(self):
        assert circle_distance(np.array([[0.75j]])) == 0.25

    def test_an_eigenvalue_on_the_circle(self):
        assert circle_distance(jordan(1, 3).astype(complex)) == 0.0


class TestNilpotencyIndex:
    @pytest.mark.parametrize("sizes", [(1,), (1, 1, 1), (3,), (2, 2), (4, 2, 1), (3, 3, 1)])
    def test_dense(self, sizes):
        n = sum(sizes)
        Q = haar_orthogonal(n, np.random.default_rng(n))
        N = Q @ block_diag(*(jordan(0, size) for size in sizes)) @ Q.T
        assert nilpotency_index(N, tolerance=10 * n * EPS) == max(sizes)

    def test_as_written(self):
        assert nilpotency_index(3.0 * np.eye(50, k=1), tolerance=EPS) == 50

    def test_not_nilpotent(self):
        assert nilpotency_index(np.diag([0.0, 1e-3]), tolerance=1e-12) == 0

    def test_not_clear(self):
        assert nilpotency_index(np.array([[0.0, 5e-12], [0.0, 0.0]]), tolerance=1e-12) == 0


class TestTriangularParts:
    def reducible(self) -> np.ndarray:
        rng = np.random.default_rng(0)
        A, B, C = (rng.standard_normal((n, n)) for n in (3, 4, 1))
        W = block_diag(A, B, C, rng.standard_normal((2, 2)))
        W[:3, 3:7] = rng.standard_normal((3, 4))
        W[3:7, 7] = 1.0
        order = rng.permutation(len(W))
        return W[np.ix_(order, order)]

    def test_blocks_are_the_irreducible_ones(self):
        W = self.reducible()
        parts = triangular_parts(W, eps=EPS)
        assert sorted(tuple(len(block.T) for block in part.blocks) for part in parts) == [(2,), (3, 4, 1)]
        found = np.concatenate([part.eigenvalues for part in parts])
        expected = np.linalg.eigvals(W)
        assert all(np.abs(found - z).min() <= 100 * len(W) * EPS for z in expected)

    def test_whole_is_similar_and_triangular(self):
        part = max(triangular_parts(self.reducible(), eps=EPS), key=lambda part: len(part.W))
        T = part.whole.T
        assert np.array_equal(T, np.triu(T))
        singular = [np.linalg.svd(M, compute_uv=False) for M in (T, part.W, T @ T, part.W @ part.W)]
        scale = 100 * len(T) * EPS
        assert np.abs(singular[0] - singular[1]).max() <= scale * singular[1][0]
        assert np.abs(singular[2] - singular[3]).max() <= scale * singular[3][0]

    def test_conditions_are_those_of_the_eigenvectors(self):
        W = np.random.default_rng(1).standard_normal((9, 9))
        (part,) = triangular_parts(W, eps=EPS)
        for z, condition, modulus_condition in zip(
            part.eigenvalues, part.condition, part.modulus_condition, strict=True
        ):
            shifted = W - z * np.eye(9)
            (x, y) = (null_space(M, rcond=100 * 9 * EPS)[:, 0] for M in (shifted, shifted.conj().T))
            assert condition == pytest.approx(abs(np.vdot(y, x)), rel=1e3 * 9 * EPS)
            # Over real E of unit norm, max d|λ| is the nuclear norm of the real gradient.
            gradient = np.real(z.conj() / abs(z) * np.outer(y.conj(), x) / np.vdot(y, x))
            assert 1 / modulus_condition == pytest.approx(np.linalg.norm(gradient, "nuc"), rel=1e3 * 9 * EPS)

    def test_compression_to_an_invariant_subspace(self):
        W = np.random.default_rng(2).standard_normal((8, 8))
        (part,) = triangular_parts(W, eps=EPS)
        members = np.argsort(np.abs(part.eigenvalues))[-3:]
        T, condition, block = part.compression(members)
        rounding = 100 * 8 * EPS
        moduli = np.sort(np.abs(part.eigenvalues[members]))
        assert np.sort(np.abs(np.diagonal(T))) == pytest.approx(moduli, rel=rounding)
        values, X = np.linalg.eig(W)
        inside = [np.abs(part.eigenvalues[members] - z).min() < rounding for z in values]
        projector = (X * np.array(inside)) @ np.linalg.inv(X)
        # LAPACK's condition is 1 / √(1 + ‖R‖_F²), a lower bound of 1 / ‖P‖ = 1 / √(1 + ‖R‖₂²) by at most √3.
        assert 1 / np.linalg.norm(projector, 2) >= condition * (1 - rounding)
        assert condition >= 1 / np.linalg.norm(projector, 2) / 3**0.5
        assert block is part.blocks[0]


def test_every_eigenvalue_is_placed_once():
    W = block_diag(jordan(1, 3), 0.5 * np.eye(2), haar_orthogonal(4, np.random.default_rng(0)), [[3.0]])
    Q = haar_orthogonal(10, np.random.default_rng(1))
    (part,) = triangular_parts(Q @ W @ Q.T, eps=EPS)
    groups = eigenvalue_groups(part)
    members = np.concatenate([group.members for group in groups])
    assert np.array_equal(np.sort(members), np.arange(10))
    counts = {side: sum(len(group.members) for group in groups if group.side is side) for side in Side}
    assert counts == {Side.INSIDE: 2, Side.ON: 7, Side.OUTSIDE: 1, Side.UNRESOLVED: 0}
