import array_api_strict
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from scipy import stats

from unitcircle import initializers as uci
from unitcircle._array import dtype_name, to_numpy
from unitcircle.errors import ArgumentError, DtypeError, NotFiniteError, ShapeError
from unitcircle.recurrence import from_lru, lru_gamma_log

LEVEL = 1e-3


@pytest.mark.parametrize(("r_min", "r_max", "max_phase"), [(0, 1, 2 * np.pi), (0.9, 0.999, 0.5), (0.4, 0.5, np.pi)])
def test_area_and_phase_are_uniform_and_independent(r_min, r_max, max_phase):
    W = uci.Ring(r_min=r_min, r_max=r_max, max_phase=max_phase).sample(2000, rng=0)
    eigenvalues = W.diagonal()
    area, phase = np.abs(eigenvalues) ** 2, np.angle(eigenvalues) % (2 * np.pi)
    assert stats.kstest(area, stats.uniform(r_min**2, r_max**2 - r_min**2).cdf).pvalue > LEVEL
    assert stats.kstest(phase, stats.uniform(0, max_phase).cdf).pvalue > LEVEL
    assert stats.spearmanr(area, phase).pvalue > LEVEL
    assert not (W - np.diag(eigenvalues)).any()


def test_more_than_one_turn_wraps():
    init = uci.Ring(max_phase=9.0)
    W = init.sample(1000, rng=0)
    assert init.certificate(W).holds
    assert not uci.Ring().certificate(W).holds
    assert not uci.Ring(max_phase=4.0).certificate(W).holds


def test_the_certificate_sees_what_is_not_diagonal():
    W = uci.Ring().sample(10, rng=0)
    W[0, 1] = 1e-9
    assert uci.Ring().certificate(W).residual == np.inf
    # Areas are one promise, phases the other.
    assert not uci.Ring(r_min=0.9).certificate(uci.Ring().sample(100, rng=0)).holds
    assert not uci.Ring().certificate(uci.Ring(max_phase=1).sample(100, rng=0)).holds


@pytest.mark.parametrize(("r_min", "r_max", "max_phase"), [(0, 1, 2 * np.pi), (0.9, 0.999, 0.5), (0.4, 0.5, 9.0)])
def test_the_parameters_of_an_lru_have_the_eigenvalues_of_the_weight(r_min, r_max, max_phase):
    init = uci.Ring(r_min=r_min, r_max=r_max, max_phase=max_phase)
    z = np.random.default_rng(0).standard_normal((3, 40, 40))
    made = init.lru(z)
    expected = np.diagonal(init(z), axis1=-2, axis2=-1)
    for nu_log, theta_log, gamma_log, eigenvalues in zip(*made.values(), expected, strict=True):
        layer = from_lru(nu_log, theta_log, B=np.ones((40, 1)), gamma_log=gamma_log)
        found = layer.diagonal
        # Exponentials of logarithms: a phase of up to 9 rad is rounded to 9 eps.
        np.testing.assert_allclose(found, eigenvalues, rtol=0, atol=20 * 2**-52)
        # White inputs of variance 1 give a stationary state of variance 1: γ² Σ |λ|^2t = 1.
        variance = layer.inputs["h"][:, 0] ** 2 / (1 - np.abs(found) ** 2)
        np.testing.assert_allclose(variance, 1, rtol=8 * 2**-52 / (1 - np.abs(found).max() ** 2))


def test_the_normalization_is_that_of_forty_digits():
    mpmath = pytest.importorskip("mpmath")
    nu_log = np.array([-60.0, -35.0, -12.0, -0.3, 2.0, 5.0])
    with mpmath.workdps(60):
        expected = [float(mpmath.log(1 - mpmath.exp(-2 * mpmath.exp(nu))) / 2) for nu in nu_log]
    # An absolute error of a logarithm is a relative one of γ.
    np.testing.assert_allclose(lru_gamma_log(nu_log), expected, rtol=4 * 2**-52, atol=4 * 2**-52)


def test_no_eigenvalue_of_an_lru_reaches_the_circle():
    # Of normal numbers up to 8 every r² rounds to 1 in single precision, and 1 − r² to 0.
    z = np.diag(np.linspace(5.5, 8, 12)).astype(np.float32)
    init = uci.Ring()
    assert (np.abs(np.diagonal(init(z))) == 1).all()
    made = init.lru(z)
    upper = stats.norm.sf(np.diagonal(z).astype(float))
    # ν = log(−½ log(1 − u)) and γ² = 1 − |λ|² = u; logarithms of single precision are off by eps of their size.
    np.testing.assert_allclose(made["nu_log"], np.log(upper / 2), rtol=20 * 2**-23)
    np.testing.assert_allclose(made["gamma_log"], np.log(upper) / 2, rtol=20 * 2**-23)


@pytest.mark.parametrize("library", [np.asarray, torch.from_numpy, jnp.asarray, array_api_strict.asarray])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_parameters_of_an_lru_in_every_library(library, dtype):
    if library is array_api_strict.asarray and dtype is np.float16:
        pytest.skip("has no half precision")
    z = np.random.default_rng(0).standard_normal((16, 16)).astype(dtype)
    given, init = library(z), uci.Ring(r_min=0.5)
    for name, value in init.lru(given).items():
        assert type(value) is type(given)
        assert dtype_name(value) == np.dtype(dtype).name
        exact = init.lru(z.astype(float))[name]
        slack = 4 * np.finfo(dtype).eps + 200 * 2**-23
        np.testing.assert_allclose(to_numpy(value).astype(float), exact, rtol=slack, atol=slack)


def test_what_an_lru_cannot_have_is_refused():
    with pytest.raises(ArgumentError, match=r"^r_max must be at most 1 in an LRU, .*; got 1.1"):
        uci.Ring(r_max=1.1).lru(np.zeros((3, 3)))
    with pytest.raises(ShapeError, match="square"):
        uci.Ring().lru(np.zeros((3, 4)))
    with pytest.raises(DtypeError, match="real"):
        uci.Ring().lru(np.zeros((3, 3), dtype=complex))
    with pytest.raises(NotFiniteError, match=r"^nu_log must be finite"):
        lru_gamma_log(np.array([0.0, -np.inf]))
