import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.cases import CASES, grcar, haar_orthogonal
from tests.printed import half_unit

from unitcircle.errors import ShapeError
from unitcircle.spectra import departure_from_normality, horizon, power_norms, spectrum

EPS = np.finfo(float).eps


def test_reference_values():
    # Grcar(32): -1 on the subdiagonal, 1 on diagonals 0..3.
    s = spectrum(grcar(32))
    np.testing.assert_allclose(s.radius, 2.24944777653, rtol=0, atol=half_unit(11))
    np.testing.assert_allclose(s.eigenvalues.real.max(), 1.6574333511, rtol=0, atol=half_unit(10))
    np.testing.assert_allclose(s.norm, 3.2223184959, rtol=0, atol=half_unit(10))
    np.testing.assert_allclose(s.departure_from_normality, 6.0070862348, rtol=0, atol=half_unit(10))
    np.testing.assert_allclose(s.smallest_singular_value, 0.951104993129, rtol=0, atol=half_unit(12))
    assert spectrum(1.02 * np.eye(256, k=1)).radius == 0.0


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_labelled_matrices(case):
    s = spectrum(case.matrix)
    if case.norm is not None:
        # The table gives 11 digits of Grcar's norm, all of the others.
        np.testing.assert_allclose(s.norm, case.norm, rtol=half_unit(10) if case.name == "grcar" else 8 * case.n * EPS)
    assert s.asymptotics.verdict is case.verdict
    assert s.radius <= s.norm + 8 * case.n * EPS * s.norm
    assert s.smallest_singular_value == s.singular_values[-1] >= 0
    assert str(case.verdict) in str(s)


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.floats(-10, 10).filter(lambda c: abs(c) > 1e-3))
def test_laws(seed, n, scale):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((n, n))
    S = np.eye(n) + 0.1 * rng.standard_normal((n, n)) / n**0.5
    s = spectrum(W)
    # Eigenvalues move by κ(V)·κ(S)·n·eps, unless they are defective, which chance does not make.
    slack = 64 * n * EPS * s.norm * s.eigenvector_condition
    np.testing.assert_allclose(spectrum(S @ W @ np.linalg.inv(S)).radius, s.radius, atol=4 * slack)
    np.testing.assert_allclose(spectrum(scale * W).radius, abs(scale) * s.radius, atol=abs(scale) * slack)
    np.testing.assert_allclose(spectrum(scale * W).norm, abs(scale) * s.norm, rtol=8 * n * EPS)


def test_it_is_lazy_frozen_and_computed_once():
    s = spectrum(haar_orthogonal(4, np.random.default_rng(0)))
    assert set(vars(s)) == {"weight"}
    assert s.eigenvalues is s.eigenvalues
    assert {name for name in vars(s) if name[0] != "_"} == {"weight", "eigenvalues"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        s.weight = None  # pyright: ignore[reportAttributeAccessIssue]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(s)).eigenvalues, s.eigenvalues)
    with pytest.raises(ShapeError):
        spectrum([1.0, 2.0])


def test_words():
    text = str(spectrum([[0.9, 10.0], [0.0, 0.8]]))
    assert text.splitlines()[0] == "spectrum of a real 2 × 2 weight"
    assert "vanishes" in text
    assert "spectral radius ρ         0.9" in text
    batch = spectrum(np.stack([0.5 * np.eye(2), 1j * np.eye(2)]))
    assert repr(batch) == "<Spectrum of a batch (2,) of 2 × 2 weights>"
    assert "spectral radius ρ         0.5 to 1" in str(batch)
    assert repr(spectrum([[1j]])) == "<Spectrum of a complex 1 × 1 weight>"


def test_libraries_dtypes_and_batches(library):
    _, asarray = library
    W = asarray(np.stack([0.5 * np.eye(3), np.eye(3, k=1)]).astype(np.float32))
    s = spectrum(W)
    for values, expected in (
        (s.radius, [0.5, 0]),
        (s.norm, [0.5, 1]),
        (s.smallest_singular_value, [0.5, 0]),
        (s.departure_from_normality, [0, 2**0.5]),
        (s.eigenvector_condition, [1, np.inf]),
        (s.horizon(2.0), [1, 3]),
    ):
        assert type(values) is type(W)
        np.testing.assert_allclose(np.asarray(values), expected, rtol=8 * np.finfo(np.float32).eps)
    assert s.singular_values.shape == s.eigenvalues.shape == (2, 3)
    assert type(spectrum(W[0, ...]).radius) is float


def test_its_properties_are_the_functions():
    W = np.random.default_rng(0).standard_normal((5, 5))
    s = spectrum(W)
    assert s.departure_from_normality == departure_from_normality(W)
    assert s.horizon(3.0) == horizon(W, 3.0)
    transient = spectrum([[0.9, 10.0], [0.0, 0.8]])
    assert transient.horizon(2.0, direction="down") == horizon([[0.9, 10.0], [0.0, 0.8]], 2.0, direction="down") > 1
    assert transient.horizon(2.0) == transient.horizon(2.0, direction="up") == 1


def test_the_norms_of_powers_are_computed_once_for_each_length():
    W = np.random.default_rng(0).standard_normal((3, 5, 5))
    s = spectrum(W)
    assert s.power_norms(7) is s.power_norms(7)
    np.testing.assert_array_equal(s.power_norms(7), power_norms(W, 7))
    np.testing.assert_array_equal(s.power_norms(3), power_norms(W, 3))


@pytest.mark.parametrize("kind", ["Gaussian", "nearly normal", "complex", "float32", "defective", "tiny", "huge"])
def test_the_departure_from_the_eigenvalues_is_that_of_the_schur_form(kind):
    rng = np.random.default_rng(2)
    G, Q = rng.standard_normal((20, 20)), haar_orthogonal(20, rng)
    W = {
        "Gaussian": G,
        "nearly normal": Q + 1e-9 * G,
        "complex": G + 1j * G.T,
        "float32": G.astype(np.float32),
        "defective": np.eye(20, k=1) + np.eye(20),
        "tiny": 1e-200 * G,
        "huge": 1e200 * G,
    }[kind]
    expected = departure_from_normality(W)
    size = np.linalg.norm(W / np.abs(W).max()) * float(np.abs(W).max())
    assert abs(spectrum(W).departure_from_normality - expected) <= 8 * 20 * EPS * size


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e300])
def test_radius_and_departure_need_no_order_of_the_eigenvalues(scale):
    W = scale * np.random.default_rng(5).standard_normal((3, 12, 12))
    s = spectrum(W)
    np.testing.assert_array_equal(s.radius, [spectrum(each).radius for each in W])
    assert np.isfinite(s.departure_from_normality).all()
    assert "_eigenvalues" not in s.__dict__
    np.testing.assert_array_equal(s.radius, np.abs(s.eigenvalues).max(axis=-1))
    np.testing.assert_array_equal(s._moduli.max(axis=-1), s.radius)
