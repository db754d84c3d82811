import numpy as np
import pytest

from unitcircle import initializers as uci
from unitcircle.errors import CertificateError, NotFiniteError, ShapeError
from unitcircle.initializers import Certificate
from unitcircle.initializers._certificate import random_law


def test_a_certificate_says_whether_it_holds():
    kept, broken = Certificate("W = 0", 1.0, 2.0), Certificate("W = 0", 3.0, 2.0)
    assert kept.require() is kept
    assert str(kept) == "W = 0: holds (residual 1.00e+00, tolerance 2.00e+00)"
    assert not broken.holds
    assert not Certificate("W = 0", float("nan"), 2.0).holds
    with pytest.raises(CertificateError, match="DOES NOT HOLD"):
        broken.require()


def test_the_worst_of_a_batch_counts():
    W = uci.Orthogonal().sample(8, rng=0, size=3)
    W[1] *= 2
    certificate = uci.Orthogonal().certificate(W)
    assert not certificate.holds
    assert certificate.residual == pytest.approx(3.0, rel=16 * 2**-52, abs=0)


def test_kolmogorov_smirnov_distance_agrees_with_scipy():
    from scipy import stats

    sample = np.random.default_rng(0).uniform(size=(3, 50))
    certificate = random_law("", sample, lambda x: x, 0.0)
    assert certificate.residual == pytest.approx(max(stats.kstest(x, "uniform").statistic for x in sample))
    # The tolerance bounds the exact probability at five standard errors from above, not wildly.
    assert 1e-9 < stats.kstwo.sf(certificate.tolerance, 50) <= 5.733e-7


@pytest.mark.parametrize("init", [uci.Gaussian(std=0.1), uci.Uniform(std=0.1)], ids=str)
def test_random_laws_are_told_apart_by_scale_and_by_shape(init):
    W = init.sample(256, rng=0)
    assert init.certificate(W).holds
    assert not init.certificate(1.06 * W).holds
    assert not init.certificate(W + 0.01).holds
    other = uci.Uniform(std=0.1) if isinstance(init, uci.Gaussian) else uci.Gaussian(std=0.1)
    assert not other.certificate(W).holds


def test_a_weight_of_the_wrong_kind_is_refused():
    with pytest.raises(NotFiniteError, match="W must be finite"):
        uci.Eigen().certificate([[np.nan]])
    with pytest.raises(ShapeError, match="W must be square"):
        uci.Eigen().certificate(np.ones((2, 3)))
    with pytest.raises(ShapeError, match="W must have at least 2 axes"):
        uci.Orthogonal().certificate(np.ones(3))
    with pytest.raises(ShapeError, match="W must have at least 1 axes"):
        uci.Chrono().certificate(np.ones(()))
