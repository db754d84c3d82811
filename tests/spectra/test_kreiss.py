import pickle

import numpy as np
import pytest
from tests.cases import CASES, grcar
from tests.oracles import powers
from tests.printed import half_unit

from unitcircle.errors import ShapeError
from unitcircle.spectra import Asymptotics, KreissStatus, kreiss_constant, power_norms

EPS = np.finfo(float).eps
# The search ends with points 1e-3 apart in log(|z| - 1): the place is right to the square of that.
PLACE = 2 * 1e-3**2


def nearest(n):
    """Return twice the least distance from the circle that is searched, n·eps / √(n·eps): the relative error there."""
    return 2 * (n * EPS) ** 0.5


def test_reference_values():
    transient = kreiss_constant([[0.9, 10.0], [0.0, 0.8]])
    np.testing.assert_allclose(transient.value, 17.17228715, rtol=0, atol=half_unit(8))
    np.testing.assert_allclose(transient.z, 1.14166175, atol=0.1417 * PLACE)
    # [[0.9, 1], [0, 0.9]]: 13/5 at z = 1 + 13/120.
    defective = kreiss_constant([[0.9, 1.0], [0.0, 0.9]])
    np.testing.assert_allclose(defective.value, 2.6, rtol=1e4 * EPS)
    np.testing.assert_allclose(defective.z, 1 + 13 / 120, atol=13 / 120 * PLACE)
    G = kreiss_constant(grcar(32) / (1.05 * 2.24944777653))
    np.testing.assert_allclose(G.value, 132.671592, rtol=0, atol=half_unit(6))
    np.testing.assert_allclose(abs(G.z), 1.02524438, atol=0.0252 * PLACE)
    assert transient.status is defective.status is G.status is KreissStatus.CONVERGED


@pytest.mark.parametrize("case", [case for case in CASES if case.n < 100], ids=lambda case: case.name)
def test_labelled_matrices(case):
    result = kreiss_constant(case.matrix)
    assert float(result) == result.value
    if case.verdict in {Asymptotics.GROWS, Asymptotics.EXPLODES}:
        assert result.value == np.inf
        assert np.isnan(result.z)
        assert result.status is KreissStatus.INFINITE
        return
    if case.name == "defective_split":
        assert result.status is KreissStatus.LOWER_BOUND
        return
    assert result.status is KreissStatus.CONVERGED
    if case.normal:
        assert 1.0 <= result.value <= 1.0 + nearest(case.n)
        return
    # Kreiss's theorem, with the supremum over the steps looked at.
    peak = np.exp(power_norms(case.matrix, 4000).max())
    assert result.value <= peak * (1 + nearest(case.n))
    assert peak <= np.e * case.n * result.value
    if case.n <= 4:
        assert result.value >= powers.kreiss_constant(case.matrix, 60, 180) * (1 - nearest(case.n))


def test_random_weights_against_a_dense_grid():
    rng = np.random.default_rng(0)
    for complex_ in (False, True):
        W = rng.standard_normal((2, 5, 5)) + (1j * rng.standard_normal((2, 5, 5)) if complex_ else 0)
        for weight in W:
            scaled = 0.97 * weight / np.abs(np.linalg.eigvals(weight)).max()
            value, brute = kreiss_constant(scaled).value, powers.kreiss_constant(scaled, 100, 360)
            # The grid's own spacing (23 % in |z| − 1, one degree) costs it at most this.
            assert brute * (1 - 100 * 5 * EPS * value) <= value <= brute * 1.05


def test_where_it_is_attained():
    W = grcar(30) / 2.4
    result = kreiss_constant(W)
    z = result.z
    sigma = np.linalg.svd(z * np.eye(30) - W, compute_uv=False)[-1]
    np.testing.assert_allclose((abs(z) - 1) / sigma, result.value, rtol=1e4 * EPS)
    assert np.isinf(kreiss_constant(0.5 * np.eye(3)).z)


def test_what_rounding_hides_is_a_lower_bound():
    # ‖Wᵗ‖ rises to 1e9, over 1e9 steps: the resolvent has to be seen at 1e-9 from the circle, with σ_min = 1e-18.
    result = kreiss_constant([[1.0, 1.0], [0.0, 1 - 1e-9]])
    assert result.status is KreissStatus.LOWER_BOUND
    assert 1e7 < result.value < 1e9
    # A limit at the circle itself is a value like any other: the norm of the projection.
    oblique = kreiss_constant([[1.0, 3.0], [0.0, 0.0]])
    assert oblique.status is KreissStatus.CONVERGED
    np.testing.assert_allclose(oblique.value, 10**0.5, rtol=nearest(2))


def test_only_one_weight(library):
    _, asarray = library
    W = asarray(np.array([[0.9, 1.0], [0.0, 0.9]], dtype=np.float32))
    np.testing.assert_allclose(kreiss_constant(W).value, 2.6, rtol=100 * np.finfo(np.float32).eps)
    with pytest.raises(ShapeError, match="Loop over the batch"):
        kreiss_constant(np.zeros((2, 2, 2)))


def test_a_status_is_its_value_and_says_what_to_do():
    assert [str(status) for status in KreissStatus] == ["converged", "infinite", "lower bound"]
    assert KreissStatus.LOWER_BOUND == "lower bound"
    assert KreissStatus("infinite") is KreissStatus.INFINITE
    assert pickle.loads(pickle.dumps(KreissStatus.INFINITE)) is KreissStatus.INFINITE
    assert "Scale the weight" in KreissStatus.INFINITE.message
    assert str(kreiss_constant([[1.1]])) == f"K = inf, infinite: {KreissStatus.INFINITE.message}"
    assert str(kreiss_constant([[0.9, 1.0], [0.0, 0.9]])).startswith("K = 2.6, converged: ")
