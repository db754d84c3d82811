"""The door to the array libraries: element types, checks, and results that go back where they came from."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from unitcircle._array import complex_dtype, dtype_name, gaussian, library, to_numpy, weight
from unitcircle.errors import DtypeError, NotFiniteError, ShapeError


def test_a_measurement_of_one_weight_is_a_python_number():
    for W in (np.eye(2), torch.eye(2), jnp.eye(2), [[1.0]]):
        assert type(weight(W).restore(np.float64(2.0))) is float
        assert type(weight(W).restore(np.complex128(2j))) is complex
    batch = weight(torch.ones((3, 2, 2)))
    assert (batch.n, batch.batch) == (2, (3,))
    assert isinstance(batch.restore(np.ones(3)), torch.Tensor)


@pytest.mark.parametrize(
    ("W", "eps"),
    [
        (np.eye(2), 2.0**-52),
        (np.eye(2, dtype=np.float32), 2.0**-23),
        (np.eye(2, dtype=np.float16), 2.0**-10),
        (np.eye(2, dtype=np.complex64), 2.0**-23),
        (np.eye(2, dtype=int), 2.0**-52),
        ([[1.0]], 2.0**-52),
        (torch.eye(2, dtype=torch.bfloat16), 2.0**-7),
        (torch.eye(2, dtype=torch.float16), 2.0**-10),
        (jnp.eye(2, dtype=jnp.bfloat16), 2.0**-7),
    ],
)
def test_a_weight_is_as_exact_as_the_type_it_arrived_in(W, eps):
    assert weight(W).eps == eps
    assert weight(W).value.dtype in {np.dtype(np.float64), np.dtype(np.complex128)}


def test_a_copy_on_the_host_keeps_its_element_type():
    assert to_numpy(np.eye(2, dtype=np.float16)).dtype == np.float16
    # NumPy has no bfloat16: its values are exact in float32.
    for W in (torch.full((2,), 1.5, dtype=torch.bfloat16), jnp.full((2,), 1.5, dtype=jnp.bfloat16)):
        assert to_numpy(W).dtype == np.float32
        np.testing.assert_array_equal(to_numpy(W), 1.5)
    assert to_numpy(torch.ones(2, requires_grad=True)).tolist() == [1, 1]
    with pytest.raises(DtypeError, match="bias must be a rectangular array"):
        to_numpy([[1.0], [1.0, 2.0]], argument="bias")
    with pytest.raises(DtypeError, match="W must hold real or complex numbers"):
        to_numpy(["a"])


def test_shapes_that_a_weight_may_have():
    assert weight(np.ones((2, 3)), square=False).value.shape == (2, 3)
    assert weight(np.ones(3), axes=1, square=False).batch == ()
    for W, rule in ((np.ones((2, 3)), "square"), (np.ones(3), "square"), (np.zeros((0, 0)), "at least one unit")):
        with pytest.raises(ShapeError, match=rule):
            weight(W)
    with pytest.raises(ShapeError, match="at least 2 axes"):
        weight(np.ones(3), square=False)
    with pytest.raises(NotFiniteError, match="U must be finite; got 1 entries of 4"):
        weight([[1.0, np.nan], [0.0, 1.0]], argument="U")


def test_half_precision_is_computed_in_single_and_goes_out_in_half():
    for z in (np.ones((2, 2), np.float16), torch.ones((2, 2), dtype=torch.bfloat16)):
        array, restore = gaussian(z)
        assert dtype_name(array) == "float32"
        assert dtype_name(restore(array)) == dtype_name(z)
        is_complex = array + 0j if library(z) == "numpy" else array.to(torch.complex64)
        assert dtype_name(restore(is_complex)) == "complex64"
    z = np.ones((2, 2))
    assert gaussian(z)[0] is z
    assert gaussian(z)[1](z) is z
    assert gaussian(np.ones(3), axes=1)[0].shape == (3,)
    with pytest.raises(ShapeError, match=r"shape \(..., m, n\)"):
        gaussian(np.ones(3))
    with pytest.raises(DtypeError, match="floating-point"):
        gaussian(np.ones((2, 2), int))


def test_names_of_libraries_and_types():
    assert [library(x) for x in (np.ones(1), torch.ones(1), jnp.ones(1))] == ["numpy", "torch", "jax"]
    assert dtype_name(torch.ones(1)) == dtype_name(jnp.ones(1)) == dtype_name(np.ones(1, np.float32)) == "float32"
    assert complex_dtype(np, np.dtype("float32")) == complex_dtype(np, np.dtype("complex64")) == np.complex64
    assert complex_dtype(torch, torch.float64) == torch.complex128
