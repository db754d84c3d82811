"""What holds for every initializer, in every array library and element type."""

import array_api_strict
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import torch

from unitcircle import initializers as uci
from unitcircle._array import dtype_name, to_numpy
from unitcircle.errors import DtypeError, ShapeError

CLASSES = sorted(set(uci.Initializer.registry.values()), key=lambda cls: cls.name)
INITIALIZERS = [cls() for cls in CLASSES] + [
    uci.Gaussian(std=0.3),
    uci.Gaussian(radius=0.9),
    uci.Uniform(limit=0.3),
    uci.Uniform(std=0.3),
    uci.Constant(0.5),
    uci.Identity(-0.01),
    uci.Orthogonal(gain=1.3),
    uci.Critical(input_std=0.3),
    uci.Eigen(modulus=1.1, angles="uniform"),
    uci.Eigen(angles=0.3),
    uci.BlockRotation(modulus=0.9, phases="cayley"),
    uci.BlockRotation(phases=1.0),
    uci.Chain(gain=0.99, feedback=0.04),
    uci.Ring(r_min=0.9, r_max=0.999, max_phase=0.3),
    uci.Sparse(density=0.4, radius=1.2),
    uci.LowRank(rank=3, gain=2.0),
    uci.Antisymmetric(step=0.1, damping=0.0, std=2.0),
]
COMPLEX_RESULT = {"ring", "unitary_evolution"}
DOUBLE_IN_JAX = {"eigen", "orthogonal", "ring", "uniform"}
"""Those that name an element type, or call a function of JAX's own; the others only add and multiply."""
OWN_CONDITION = {"orthogonal_svd", "sparse"}
"""Singular vectors are unique up to their signs; a leading eigenvalue can be ill-conditioned."""
LIBRARIES = {
    "numpy": np.asarray,
    "torch": torch.from_numpy,
    "jax": jnp.asarray,
    "strict": array_api_strict.asarray,
}
N = 16
every = pytest.mark.parametrize("init", INITIALIZERS, ids=str)


def draw(init, *, batch=(2,), n=N, dtype=np.float64):
    return np.random.default_rng(0).standard_normal((*batch, *(n,) * init.axes)).astype(dtype)


def eps(dtype):
    return {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}[dtype]


def relative_distance(A, B):
    A, B = (to_numpy(X).astype(complex) for X in (A, B))
    return np.abs(A - B).max() / max(np.abs(B).max(), 1e-300)


@every
@pytest.mark.parametrize("library", LIBRARIES)
def test_shape_library_type_and_promise_in_every_library(init, library):
    z = draw(init, dtype=np.float32)
    W = init(LIBRARIES[library](z))
    assert type(W) is type(LIBRARIES[library](z))
    assert tuple(W.shape) == z.shape
    assert dtype_name(W) == ("complex64" if init.name in COMPLEX_RESULT else "float32")
    certificate = init.certificate(W)
    assert certificate.holds, certificate
    assert init.residual(W) == certificate.residual
    if init.name not in OWN_CONDITION:
        assert relative_distance(W, init(z)) <= 20 * N * eps("float32")


@every
def test_double_precision_refines_single(init):
    z = draw(init, dtype=np.float32)
    W = init(z.astype(np.float64))
    assert dtype_name(W) == ("complex128" if init.name in COMPLEX_RESULT else "float64")
    assert init.certificate(W).holds
    if init.name not in OWN_CONDITION:
        assert relative_distance(init(z), W) <= 20 * N * eps("float32")


@every
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("library", ["torch", "jax"])
def test_half_precision_is_computed_high_and_cast_last(init, library, dtype):
    z = torch.from_numpy(draw(init)).to(getattr(torch, dtype))
    z = z if library == "torch" else jnp.asarray(z.float().numpy()).astype(dtype)
    W = init(z)
    if init.name in COMPLEX_RESULT:
        assert dtype_name(W) == "complex64"
    else:
        assert dtype_name(W) == dtype
        high = init(z.float() if library == "torch" else z.astype("float32"))
        assert relative_distance(W, high) <= eps(dtype)
    assert init.certificate(W).holds


@every
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_of_numpy(init, dtype):
    if dtype is ml_dtypes.bfloat16 and init.name in COMPLEX_RESULT:
        pytest.skip("covered by float16: both are computed in float32")
    z = draw(init).astype(dtype)
    W = init(z)
    assert W.dtype == (np.complex64 if init.name in COMPLEX_RESULT else dtype)
    assert init.certificate(W).holds


@every
def test_complex_numbers_where_the_law_has_them(init):
    rng = np.random.default_rng(0)
    shape = (2, *(N,) * init.axes)
    z = (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2)
    if init.field == "real":
        with pytest.raises(DtypeError, match=f"must be real for {init.name}"):
            init(z)
        return
    for library, convert in LIBRARIES.items():
        if library == "jax" and init.name not in {"orthogonal", "gaussian"}:
            continue  # the same additions and multiplications, compiled again
        W = init(convert(z.astype(np.complex64)))
        assert dtype_name(W) == "complex64"
        assert init.certificate(W).holds


TRACED = [cls() for cls in CLASSES if not cls.elementwise] + [uci.Uniform(), uci.Eigen(angles=0.3)]


@pytest.mark.parametrize("init", TRACED, ids=str)
def test_jit_agrees_with_eager(init):
    z = jnp.asarray(draw(init, dtype=np.float32))
    assert relative_distance(jax.jit(init)(z), init(z)) <= 20 * N * eps("float32")


@pytest.mark.parametrize("init", [init for init in TRACED if init.name in DOUBLE_IN_JAX], ids=str)
def test_double_precision_of_jax(init):
    with jax.enable_x64(True):
        z = draw(init)
        W = jax.jit(init)(jnp.asarray(z))
        assert dtype_name(W) == ("complex128" if init.name in COMPLEX_RESULT else "float64")
        assert relative_distance(W, init(z)) <= 20 * N * eps("float64")


@every
def test_a_batch_is_its_weights(init):
    z = draw(init, batch=(2, 3))
    W = init(z)
    for index in np.ndindex(2, 3):
        assert relative_distance(W[index], init(z[index])) <= 20 * N * eps("float64")


@every
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy, array_api_strict.asarray])
def test_the_argument_is_left_alone(init, convert):
    z = draw(init, dtype=np.float32)
    given = convert(z.copy())
    init(given)
    np.testing.assert_array_equal(to_numpy(given), z)


@every
@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_smallest_weights(init, n):
    z = draw(init, batch=(), n=n)
    least = {"unitary_evolution": 4, "uniform_gate": 2, "low_rank": 2 * getattr(init, "rank", 0)}.get(init.name, 1)
    if n < least:
        with pytest.raises(ShapeError, match=f"n = {n}"):
            init(z)
    elif init.name == "sparse":
        W = init(np.full((n, n), -3.0) - np.arange(n) * np.eye(n))
        assert init.certificate(W).holds
    else:
        W = init(z)
        assert W.shape == z.shape
        assert np.isfinite(W).all()
        if init.name != "low_rank":
            assert init.certificate(W).holds


@every
def test_sampling_is_the_call_on_numpys_normal_numbers(init):
    if init.name == "sparse":
        pytest.skip("samples sparse arrays: test_sparse")
    z = np.random.default_rng(7).standard_normal((3, *(N,) * init.axes))
    np.testing.assert_array_equal(init.sample(N, rng=7, size=3), init(z))
    np.testing.assert_array_equal(init.sample(N, rng=np.random.default_rng(7), size=(3,)), init(z))


@every
def test_rectangles_where_they_make_sense(init):
    if init.axes == 1:
        return
    z = np.random.default_rng(0).standard_normal((2, 12, 20))
    if init.square:
        with pytest.raises(ShapeError, match=f"square in its last two axes for {init.name}"):
            init(z)
        return
    for rectangle in (z, np.swapaxes(z, -1, -2)):
        for convert in (np.asarray, torch.from_numpy):
            W = init(convert(rectangle.astype(np.float32)))
            assert tuple(W.shape) == rectangle.shape
            assert init.certificate(W).holds


@every
def test_a_wrong_weight_has_no_certificate(init):
    W = init(draw(init, batch=(), n=96))
    assert init.certificate(W).holds
    # Every promise knows the scale but LowRank's, which is one of rank.
    wrong = np.eye(96) if init.name == "low_rank" else 2 * W + 0.1
    certificate = init.certificate(wrong)
    assert not certificate.holds, certificate


@every
@pytest.mark.parametrize(
    ("z", "error"),
    [(np.ones(()), ShapeError), (np.ones((0, 0)), ShapeError), (np.ones((4, 4), dtype=int), DtypeError)],
    ids=["no axes", "no unit", "integers"],
)
def test_what_is_not_a_normal_array_is_refused(init, z, error):
    with pytest.raises(error, match=r"^z must"):
        init(z)


def test_nested_lists_are_numpy():
    np.testing.assert_array_equal(uci.Gaussian(std=2.0)([[1.0, 2.0], [3.0, 4.0]]), [[2.0, 4.0], [6.0, 8.0]])


def test_every_public_class_is_registered():
    public = {getattr(uci, name) for name in uci.__all__}
    assert set(CLASSES) <= public
