"""Arnoldi's recurrence, term by term."""

import numpy as np
import pytest

from unitcircle.errors import NotFiniteError, ShapeError
from unitcircle.spectra import KrylovBasis

N, STEPS = 40, 12


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_the_recurrence_holds_and_the_basis_is_orthonormal(dtype):
    rng = np.random.default_rng(0)
    A, start = rng.standard_normal((N, N)).astype(dtype), rng.standard_normal(N).astype(dtype)
    if dtype is np.complex128:
        A = A + 1j * rng.standard_normal((N, N))
    basis = KrylovBasis(start, STEPS + 1)
    for _ in range(STEPS):
        assert basis.extend(A @ basis.last)
    Q, H, following = basis.vectors, basis.hessenberg, basis.last
    assert (Q.shape, H.shape, Q.dtype) == ((N, STEPS), (STEPS + 1, STEPS), dtype)
    tolerance = 8 * N * np.finfo(dtype).eps
    whole = np.column_stack([Q, following])
    assert np.abs(whole.conj().T @ whole - np.eye(STEPS + 1)).max() < tolerance
    assert np.abs(A @ Q - whole @ H).max() < tolerance * np.linalg.norm(A, 2)
    assert np.allclose(np.tril(H, -2), 0, atol=0)
    # The space is that of the powers: A³ v is in the span of the first four vectors.
    power = A @ (A @ (A @ start))
    assert np.linalg.norm(power - Q[:, :4] @ (Q[:, :4].conj().T @ power)) < tolerance * np.linalg.norm(power)


def test_an_invariant_space_ends_it():
    A = np.diag([1.0, 2.0, 3.0, 4.0, 5.0])
    basis = KrylovBasis(np.array([1.0, 1.0, 1.0, 0.0, 0.0]), 5)
    assert [basis.extend(A @ basis.last) for _ in range(3)] == [True, True, False]
    assert np.sort(np.linalg.eigvals(basis.hessenberg[:-1])) == pytest.approx([1.0, 2.0, 3.0])


def test_misuse():
    with pytest.raises(ShapeError, match="start must be one vector"):
        KrylovBasis(np.ones((3, 3)), 2)
    with pytest.raises(ShapeError, match="steps must be a whole number, at least 1"):
        KrylovBasis(np.ones(3), 0)
    for start in (np.zeros(3), np.array([1.0, np.nan]), np.array([1.0, np.inf])):
        with pytest.raises(NotFiniteError, match="start must be finite and not zero"):
            KrylovBasis(start, 2)
    basis = KrylovBasis(np.arange(1.0, 5.0), 1)
    with pytest.raises(ShapeError, match="w must be one of at most 1 vectors"):
        basis.extend(np.ones(3))
    assert basis.extend(np.ones(4))
    with pytest.raises(ShapeError, match="w must be one of at most 1 vectors"):
        basis.extend(np.ones(4))
