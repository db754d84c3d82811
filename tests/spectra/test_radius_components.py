import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from tests.oracles.radius import strong_components

from unitcircle.spectra._components import Components, may_be_reducible

EPS = np.finfo(float).eps


@given(st.integers(0, 10**6), st.integers(2, 12), st.floats(0.02, 0.4))
def test_blocks_are_the_components_of_the_closure(seed, n, density):
    rng = np.random.default_rng(seed)
    A = np.where(rng.random((n, n)) < density, rng.standard_normal((n, n)), 0.0)
    components = Components.of(sparse.csr_array(A))
    naive = strong_components(A)
    dense = {frozenset(units) for units in naive if np.count_nonzero(A[np.ix_(list(units), list(units))]) > len(units)}
    assert {frozenset(units.tolist()) for units in components.units} == dense
    assert list(components.bounds) == sorted(components.bounds, reverse=True)
    radii = [float(np.abs(np.linalg.eigvals(block)).max()) for _, block in components.blocks(A)]
    assert all(radius <= bound * (1 + 10 * n * EPS) for radius, bound in zip(radii, components.bounds, strict=True))
    # The spectrum is the union of the blocks' spectra; LAPACK on each is well conditioned enough at this size.
    rest = [
        np.abs(np.linalg.eigvals(A[np.ix_(list(units), list(units))])).max() for units in naive if units not in dense
    ]
    # An eigenvalue of a cycle of k units moves by the k-th root of a perturbation, had it been defective; it is not.
    assert components.known.value == pytest.approx(max(rest, default=0.0), rel=1e4 * n * EPS, abs=1e4 * n * EPS)


def test_a_sparse_block_stays_sparse_and_equals_the_dense_one():
    A = np.kron(np.eye(2), np.ones((3, 3)))
    A[0, 5] = 7.0
    pairs = zip(
        Components.of(sparse.csr_array(A)).blocks(A),
        Components.of(sparse.csr_array(A)).blocks(sparse.csr_array(A)),
        strict=True,
    )
    for (bound, block), (sparse_bound, sparse_block) in pairs:
        assert sparse.issparse(sparse_block)
        assert 3.0 <= bound == sparse_bound <= 3.0 * (1 + 7 * EPS)
        assert np.array_equal(sparse_block.toarray(), block)


def test_a_cycle_has_the_geometric_mean_for_radius():
    weights = np.array([2.0, -8.0, 0.5, 4.0j])
    A = np.zeros((4, 4), complex)
    A[np.arange(4), [1, 2, 3, 0]] = weights
    known = Components.of(sparse.csr_array(A)).known
    assert known.lower <= 32**0.25 <= known.upper
    assert known.error <= 32 * EPS


@pytest.mark.parametrize(("zeros", "answer"), [(0, False), (3, False), (4, True)])
def test_fewer_than_n_minus_1_zeros_leave_no_room_for_a_block(zeros, answer):
    A = np.ones((5, 5))
    A[0, 1 : 1 + zeros] = 0.0
    assert may_be_reducible(A) is answer


def test_one_unit_is_reducible_only_if_zero():
    assert may_be_reducible(np.zeros((1, 1)))
    assert not may_be_reducible(np.ones((1, 1)))
