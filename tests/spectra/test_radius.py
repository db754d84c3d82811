import pickle

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, aslinearoperator
from tests.cases import CASES, grcar, haar_orthogonal, jordan
from tests.oracles.radius import hidden_triangle, reservoir

from unitcircle.errors import ArgumentError, DtypeError, NotFiniteError, ShapeError
from unitcircle.spectra import RadiusStatus, _arnoldi, _radius, spectral_radius

EPS = np.finfo(float).eps
KNOWN = 5e-12  # half a unit of the last digit of Grcar's radius in the table
TOL = 1e-6  # the default of spectral_radius
FORMS = {
    "dense": np.asarray,
    "matrix": sparse.csc_matrix,
    "array": sparse.coo_array,
    "operator": lambda A: aslinearoperator(np.asarray(A)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_labelled_matrix_in_every_form(case, form):
    found = spectral_radius(FORMS[form](case.matrix))
    assert found.lower - KNOWN <= case.radius <= found.upper + KNOWN
    assert found.lower <= found.value <= found.upper
    assert found.error == max(found.upper - found.value, found.value - found.lower)
    assert found.converged
    assert float(found) == pytest.approx(case.radius, rel=TOL, abs=0.0)


@pytest.mark.parametrize(
    ("W", "radius"),
    [
        (np.eye(3000, k=1), 0.0),
        (1.02 * sparse.eye_array(100_000, k=1), 0.0),
        (sparse.csr_array((100_000, 100_000)), 0.0),
        (sparse.diags_array([np.full(999, 5.0), np.linspace(-2, 1, 1000)], offsets=[1, 0]), 2.0),
        (0.9 * sparse.eye_array(50_000, format="csr")[np.roll(np.arange(50_000), 1)], 0.9),
        (np.kron(np.eye(100), [[0.0, 4.0], [-1.0, 0.0]]), 2.0),
        ([[-3]], 3.0),
        ([[0]], 0.0),
    ],
    ids=["chain", "sparse chain", "sparse zero", "triangular", "ring", "equal moduli", "negative", "nothing"],
)
def test_structure_is_exact(W, radius):
    found = spectral_radius(W)
    assert found.method == "structure"
    assert found.lower <= radius <= found.upper
    assert found.error <= 50_000 * EPS * radius
    assert found.matvecs == 0


def test_a_triangle_of_blocks_costs_its_largest_block_only():
    rng = np.random.default_rng(0)
    big, small = rng.standard_normal((400, 400)), 0.01 * rng.standard_normal((400, 400))
    W = sparse.block_array([[small, sparse.random_array((400, 400), rng=rng)], [None, big]], format="csr")
    found = spectral_radius(W)
    alone = spectral_radius(big)
    assert found.converged
    assert abs(found.value - alone.value) <= found.error + alone.error
    assert found.matvecs <= 1.5 * alone.matvecs


@pytest.mark.parametrize("kind", ["sparse", "dense", "operator"])
def test_sparse_reservoirs_agree_with_lapack(kind):
    for seed in range(3):
        W = reservoir(500, 0.1, seed)
        reference = np.abs(np.linalg.eigvals(W.toarray())).max()
        found = spectral_radius({"sparse": W, "dense": W.toarray(), "operator": aslinearoperator(W)}[kind])
        assert found.converged
        assert found.method == "arnoldi"
        assert found.lower <= reference <= found.upper
        assert abs(found.value - reference) <= TOL * reference


def test_a_non_negative_reservoir_has_a_certain_bracket():
    W = abs(reservoir(400, 0.1, 0))
    found = spectral_radius(W)
    assert found.method == "positive vector"
    assert found.converged
    assert found.lower <= np.abs(np.linalg.eigvals(W.toarray())).max() <= found.upper


def test_a_slow_non_negative_matrix_goes_on_to_the_krylov_space():
    W = sparse.eye_array(300, k=1) + sparse.eye_array(300, k=-1)  # ρ = 2 cos(π / 301)
    found = spectral_radius(W)
    assert found.method == "arnoldi"
    assert found.converged
    assert found.lower <= 2 * np.cos(np.pi / 301) <= found.upper


@pytest.mark.parametrize("n", [40, 400])
def test_an_isometry_of_any_gain(n):
    Q = haar_orthogonal(n, np.random.default_rng(n))
    for W in (1e-3 * Q, (0.95 * Q).astype(np.complex64)):
        found = spectral_radius(W, tol=1e-5)
        gain = 1e-3 if W.dtype == np.float64 else 0.95
        assert found.converged
        # complex64 entries are off by their own rounding, which the bound of the matrix as given cannot know.
        assert abs(found.value - gain) <= found.error + np.finfo(np.float32).eps * 10 * (gain == 0.95)


@pytest.mark.parametrize("scale", [1e-300, 1e300])
def test_no_scale_overflows(scale):
    W = np.random.default_rng(1).standard_normal((20, 20))
    plain, scaled = spectral_radius(W), spectral_radius(W * scale)
    assert scaled.converged
    assert scaled.value / scale == pytest.approx(plain.value, rel=20 * EPS * 100)


def test_a_defective_dense_matrix_is_not_converged_and_says_so():
    Q = haar_orthogonal(5, np.random.default_rng(2))
    found = spectral_radius(Q @ jordan(1.0, 5) @ Q.T)
    assert found.status is RadiusStatus.NOT_CONVERGED
    assert found.method == "eigenvalues, powers"
    assert found.lower <= 1 + 100 * 5 * EPS
    assert found.upper >= 1.0
    assert "not converged" in str(found)
    assert str(found).endswith(RadiusStatus.NOT_CONVERGED.message)
    batch = spectral_radius(np.stack([Q @ jordan(1.0, 5) @ Q.T, Q]))
    assert batch.status is RadiusStatus.NOT_CONVERGED
    assert str(batch).endswith(RadiusStatus.NOT_CONVERGED.message)


def test_grcar_is_resolved_while_double_precision_can():
    small, large = spectral_radius(grcar(32)), spectral_radius(grcar(200))
    assert small.converged
    assert not large.converged
    assert large.lower <= 2.263 <= large.upper  # between its values at n = 100 and n = ∞ in extended precision


def test_a_krylov_space_that_ends_too_soon_hands_over_to_lapack(monkeypatch):
    monkeypatch.setattr(_arnoldi, "LARGEST_BASIS", 64)
    W = reservoir(300, 0.1, 0)
    limited, found = spectral_radius(W, max_cost=150), spectral_radius(W)
    assert not limited.converged
    assert limited.method == "arnoldi"
    assert limited.matvecs <= 150
    assert found.converged
    assert found.method == "eigenvalues"
    assert limited.lower <= found.value <= limited.upper


@pytest.mark.parametrize("coupling", [0.1, 1.0, 10.0])
def test_never_silently_wrong_as_an_operator(coupling):
    rng = np.random.default_rng(8)
    eigenvalues = rng.uniform(0.9, 1, 300)
    found = spectral_radius(aslinearoperator(hidden_triangle(eigenvalues, coupling, rng)))
    assert found.lower - 300 * EPS <= eigenvalues.max() <= found.upper


@pytest.mark.parametrize("max_cost", [8, 9, 40])
def test_the_cost_is_kept(max_cost):
    rng = np.random.default_rng(9)
    signed = sparse.block_diag([reservoir(300, 0.1, 1), reservoir(300, 0.1, 2)])
    for W in (signed, abs(signed), abs(reservoir(300, 0.1, 3)), aslinearoperator(rng.standard_normal((100, 100)))):
        calls = []
        counted = W
        if isinstance(W, LinearOperator):
            counted = LinearOperator(W.shape, lambda x, W=W, c=calls: c.append(1) or W @ x, dtype=np.float64)
        found = spectral_radius(counted, max_cost=max_cost, tol=1e-12)
        assert found.matvecs <= max_cost
        assert len(calls) in {0, found.matvecs}
        dense = W @ np.eye(W.shape[0])
        reference = np.abs(np.linalg.eigvals(np.asarray(dense))).max()
        assert found.lower <= reference <= found.upper


def test_a_batch_has_arrays_in_its_own_library(library):
    name, asarray = library
    rng = np.random.default_rng(10)
    W = rng.standard_normal((2, 3, 8, 8))
    found = spectral_radius(asarray(W))
    assert found.converged
    assert type(found.value) is type(asarray(W))
    single = np.finfo(np.float32).eps if name == "jax" else 0.0
    reference = np.abs(np.linalg.eigvals(W)).max(axis=-1)
    assert np.asarray(found.value).shape == (2, 3)
    assert np.all(np.abs(np.asarray(found.value) - reference) <= np.asarray(found.error) + 100 * single)
    assert "6 weights" in str(found)
    one = spectral_radius(asarray(W[0, 0]))
    assert isinstance(one.value, float)


def test_a_batch_with_one_failure_is_not_converged():
    Q = haar_orthogonal(5, np.random.default_rng(2))
    found = spectral_radius(np.stack([np.eye(5), Q @ jordan(1.0, 5) @ Q.T]))
    assert not found.converged
    assert found.method == "structure, eigenvalues, powers"
    assert found.error[0] == 0.0


def test_the_same_start_gives_the_same_result():
    W = reservoir(300, 0.1, 4)
    assert spectral_radius(W).value == spectral_radius(W, rng=0).value == spectral_radius(W, rng=0).value
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    other = spectral_radius(W, rng=np.random.default_rng(1))
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002
    assert abs(other.value - spectral_radius(W).value) <= other.error + spectral_radius(W).error


def test_an_operator_may_be_complex_or_integer():
    rng = np.random.default_rng(11)
    W = rng.standard_normal((300, 300)) + 1j * rng.standard_normal((300, 300))
    found = spectral_radius(aslinearoperator(W))
    assert found.lower <= np.abs(np.linalg.eigvals(W)).max() <= found.upper
    assert found.converged
    assert spectral_radius(aslinearoperator(np.array([[0, 2], [2, 0]]))).value == 2.0


def test_the_text_says_value_error_and_cost():
    assert str(spectral_radius([[-3.0]])) == "ρ = 3 ± 0.0e+00, by structure (0 products)"


@pytest.mark.parametrize(
    ("W", "error", "message"),
    [
        (np.ones((2, 3)), ShapeError, "square"),
        (np.ones((0, 0)), ShapeError, "at least one unit"),
        (sparse.csr_array((2, 3)), ShapeError, "square"),
        (sparse.csr_array((0, 0)), ShapeError, "at least one unit"),
        (sparse.coo_array(np.ones(3)), ShapeError, "square"),
        (aslinearoperator(np.ones((2, 3))), ShapeError, "square"),
        (np.array([[None]]), DtypeError, "numbers"),
        (np.array([[np.nan]]), NotFiniteError, "1 entries of 1"),
        (sparse.csr_array(np.array([[np.inf, 0], [0, 1]])), NotFiniteError, "1 stored entries of 2"),
        (aslinearoperator(np.array([[np.nan]])), NotFiniteError, "finite products"),
        (aslinearoperator(np.full((300, 300), np.nan)), NotFiniteError, "finite products"),
    ],
)
def test_misuse_is_refused_in_words(W, error, message):
    with pytest.raises(error, match=message):
        spectral_radius(W)


@pytest.mark.parametrize("options", [{"tol": 0.0}, {"tol": -1.0}, {"tol": np.nan}, {"max_cost": 7}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ArgumentError, match=next(iter(options))):
        spectral_radius(np.eye(2), **options)


def test_a_sparse_argument_is_left_as_it_was():
    W = sparse.csr_array(np.array([[0.0, 1.0], [1.0, 0.0]]))
    W.data[0] = 0.0  # a stored zero: the graph has lost an arc
    assert spectral_radius(W).value == 0.0
    assert W.nnz == 2


def test_lapack_is_not_tried_beyond_its_limit(monkeypatch):
    monkeypatch.setattr(_radius, "LARGEST_DIRECT", 299)
    found = spectral_radius(sparse.csr_array(grcar(300)))
    assert found.method == "arnoldi"
    assert not found.converged


def test_a_status_is_its_value_and_says_what_to_do():
    assert {status.value for status in RadiusStatus} == {"converged", "not converged"}
    assert RadiusStatus("converged") is RadiusStatus.CONVERGED
    assert pickle.loads(pickle.dumps(RadiusStatus.NOT_CONVERGED)) is RadiusStatus.NOT_CONVERGED
    assert "raise max_cost" in RadiusStatus.NOT_CONVERGED.message
    assert RadiusStatus.CONVERGED.message not in str(spectral_radius(np.eye(2)))


def test_what_is_asked_for_by_default():
    W = reservoir(400, 0.05, 0)
    default, again, same = spectral_radius(W), spectral_radius(W), spectral_radius(W, tol=TOL, rng=0)
    assert (default.lower, default.upper, default.matvecs) == (again.lower, again.upper, again.matvecs)
    assert (default.lower, default.upper, default.matvecs) == (same.lower, same.upper, same.matvecs)
    assert spectral_radius(W, tol=1e-3).matvecs < default.matvecs
    assert spectral_radius(W, rng=1).lower != default.lower
