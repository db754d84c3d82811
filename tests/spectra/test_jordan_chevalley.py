"""The diagonalizable and the nilpotent part, against matrices whose Jordan form is known in integers."""

import math

import numpy as np
import pytest
from scipy.linalg import block_diag
from tests.cases import CASES, grcar, jordan

from unitcircle.errors import ShapeError
from unitcircle.spectra import jordan_chevalley

EPS = np.finfo(float).eps
BLOCKS = [
    [(2, 2)],
    [(1, 3), (-1, 2)],
    [(3, 3), (3, 1), (-2, 2), (0, 1)],
    [(1, 5), (4, 1)],
    [(2, 1), (2, 1), (5, 1)],
]


def unimodular(n, rng):
    """Return an integer matrix and its integer inverse: products of shears."""
    S, inverse = np.eye(n, dtype=int), np.eye(n, dtype=int)
    for _ in range(2 * n):
        i, j = rng.choice(n, 2, replace=False)
        shear, back = np.eye(n, dtype=int), np.eye(n, dtype=int)
        shear[i, j], back[i, j] = 1, -1
        S, inverse = S @ shear, back @ inverse
    return S, inverse


def known(blocks, seed):
    """Return W, D, N in integers, exactly, and the condition of the similarity."""
    J = block_diag(*(jordan(value, size) for value, size in blocks)).astype(int)
    S, inverse = unimodular(len(J), np.random.default_rng(seed))
    return S @ J @ inverse, S @ np.diag(np.diag(J)) @ inverse, np.linalg.cond(S.astype(float))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("blocks", BLOCKS, ids=str)
def test_parts_are_those_of_an_integer_jordan_form(blocks, seed):
    W, D, condition = known(blocks, seed)
    found = jordan_chevalley(W)
    allowed = 64 * len(W) * EPS * condition**2 * np.linalg.norm(W, 2)
    assert found.diagonalizable == pytest.approx(D, abs=allowed)
    assert found.nilpotent == pytest.approx(W - D, abs=allowed)
    assert found.index == max(size for _, size in blocks)
    totals = {value: sum(size for other, size in blocks if other == value) for value, _ in blocks}
    assert found.eigenvalues == pytest.approx(sorted(totals), abs=allowed)
    assert found.multiplicities.tolist() == [totals[value] for value in sorted(totals)]


@pytest.mark.parametrize("case", [case for case in CASES if case.single and case.n <= 32], ids=lambda case: case.name)
def test_the_evidence_is_rounding(case):
    found = jordan_chevalley(case.matrix)
    rounding = 64 * case.n * EPS * found.condition
    assert found.diagonalizable + found.nilpotent == pytest.approx(case.matrix, abs=4 * EPS * np.abs(case.matrix).max())
    assert found.commutator <= rounding
    assert found.nilpotency <= rounding
    assert np.iscomplexobj(found.diagonalizable) == np.iscomplexobj(case.matrix)


@pytest.mark.parametrize("t", [1, 2, 7, 30])
def test_powers_are_the_binomial_sum(t):
    W, _, condition = known([(1, 3), (-1, 2)], 0)
    found = jordan_chevalley(W)
    power = sum(
        math.comb(t, k)
        * np.linalg.matrix_power(found.nilpotent, k)
        @ np.linalg.matrix_power(found.diagonalizable, t - k)
        for k in range(min(found.index, t + 1))
    )
    exact = np.linalg.matrix_power(W, t)
    assert power == pytest.approx(exact, abs=64 * t * EPS * condition**2 * np.abs(exact).max())


def test_a_diagonalizable_weight_has_no_nilpotent_part():
    found = jordan_chevalley(grcar(8))
    assert found.index == 1
    assert np.linalg.norm(found.nilpotent, 2) <= 64 * 8 * EPS * found.condition * np.linalg.norm(grcar(8), 2)


def test_decoupled_and_permuted_blocks_come_back_in_their_places():
    order = np.array([3, 0, 4, 1, 2])
    J, D = block_diag(jordan(2, 3), jordan(1, 2)), np.diag([2.0, 2.0, 2.0, 1.0, 1.0])
    found = jordan_chevalley(J[np.ix_(order, order)])
    assert np.array_equal(found.diagonalizable, D[np.ix_(order, order)])
    assert found.index == 3


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_the_scale_does_not_matter(scale):
    found = jordan_chevalley(scale * jordan(1, 3))
    assert np.array_equal(found.diagonalizable, scale * np.eye(3))
    assert (found.index, found.eigenvalues.tolist()) == (3, [scale])


def test_an_open_structure_is_said():
    # Coupled by little more than rounding: neither zero nor clear of it.
    found = jordan_chevalley(np.array([[1.0, 300 * EPS], [0.0, 1.0]]))
    assert found.index is None


def test_the_callers_library_comes_back():
    torch = pytest.importorskip("torch")
    found = jordan_chevalley(torch.tensor([[3.0, 1.0], [-1.0, 1.0]]))
    assert isinstance(found.diagonalizable, torch.Tensor)
    assert found.diagonalizable.numpy() == pytest.approx(2 * np.eye(2), abs=64 * float(np.finfo(np.float32).eps))


def test_a_batch_is_refused():
    with pytest.raises(ShapeError, match="one square matrix"):
        jordan_chevalley(np.ones((2, 3, 3)))
