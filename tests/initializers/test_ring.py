import numpy as np
import pytest
from scipy import stats

from unitcircle import initializers as uci

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
