from math import pi, sqrt

import numpy as np
import pytest
from scipy.special import ndtr

from unitcircle import initializers as uci
from unitcircle.errors import ArgumentError, DtypeError, NotFiniteError, ShapeError

OUT, IN = 200, 300


@pytest.mark.parametrize(
    ("init", "std"),
    [
        (uci.Gaussian(), 1 / sqrt(IN)),
        (uci.Gaussian(std=0.2), 0.2),
        (uci.Gaussian(radius=0.9), 0.9 / sqrt(IN)),
        (uci.Uniform(), 1 / sqrt(3 * IN)),
        (uci.Uniform(limit=0.6), 0.6 / sqrt(3)),
        (uci.Uniform(std=0.2), 0.2),
        (uci.LeCunNormal(), 1 / sqrt(IN)),
        (uci.LeCunUniform(), 1 / sqrt(IN)),
        (uci.XavierNormal(gain=2), 2 * sqrt(2 / (IN + OUT))),
        (uci.XavierUniform(), sqrt(2 / (IN + OUT))),
        (uci.KaimingNormal(), sqrt(2 / IN)),
        (uci.KaimingUniform(gain=1), 1 / sqrt(IN)),
    ],
    ids=str,
)
def test_the_standard_deviation_of_the_entries(init, std):
    W = init.sample((OUT, IN), rng=0)
    count = W.size
    # Five standard errors of a mean, and of a mean square (kurtosis 3, or 9/5 for the uniform law).
    assert abs(W.mean()) <= 5 * std / sqrt(count)
    kurtosis = 9 / 5 if init.uniform else 3
    assert abs((W**2).mean() / std**2 - 1) <= 5 * sqrt((kurtosis - 1) / count)
    if init.uniform:
        assert np.abs(W).max() <= sqrt(3) * std


def test_torch_makes_the_same_laws():
    import torch

    generator = torch.Generator().manual_seed(0)
    theirs = {
        uci.XavierUniform(gain=1.5): lambda w: torch.nn.init.xavier_uniform_(w, gain=1.5, generator=generator),
        uci.XavierNormal(gain=1.5): lambda w: torch.nn.init.xavier_normal_(w, gain=1.5, generator=generator),
        uci.KaimingUniform(): lambda w: torch.nn.init.kaiming_uniform_(w, nonlinearity="relu", generator=generator),
        uci.KaimingNormal(): lambda w: torch.nn.init.kaiming_normal_(w, nonlinearity="relu", generator=generator),
    }
    for init, fill in theirs.items():
        certificate = init.certificate(fill(torch.empty(OUT, IN)))
        assert certificate.holds, f"{init}: {certificate}"


def test_uniform_is_the_default_of_torchs_recurrent_layers():
    import torch

    torch.manual_seed(0)
    layer = torch.nn.LSTM(3, 128)
    assert uci.Uniform().certificate(layer.weight_hh_l0).holds


def test_biases_too():
    W = uci.Uniform(limit=0.5).sample((1, 5000), rng=0)[0]
    assert uci.Uniform(limit=0.5).certificate(W).holds
    assert uci.Gaussian()(np.ones(4)).tolist() == [0.5] * 4


@pytest.mark.parametrize(
    ("at", "unit"), [("mean", 3.3632219052023684), ("median", 3.3082254769804558), (0.99, 4.822011791900804)]
)
def test_gaussian_at_puts_the_exact_law_where_it_was_asked(at, unit):
    # m(10), 40 digits (shared/oracles/ginibre.json, real, n = 10).
    W = uci.Gaussian(radius=0.9, at=at)(np.ones((10, 10)))
    np.testing.assert_allclose(W, 0.9 / unit, rtol=100 * 10 * 2**-52)  # a root of a law that is summed over 10 units


def test_gaussian_at_is_text_too():
    init = uci.Gaussian(radius=0.9, at=0.99)
    assert uci.parse(str(init)) == init
    assert uci.parse("gaussian(at=mean)") == uci.Gaussian(at="mean")


@pytest.mark.parametrize("arguments", [{"std": 1.0, "at": "mean"}, {"at": "mode"}, {"at": 1.0}, {"at": 0.0}])
def test_gaussian_at_refuses(arguments):
    with pytest.raises(ArgumentError, match="at "):
        uci.Gaussian(**arguments)


def test_gaussian_at_needs_a_square_real_weight():
    with pytest.raises(ShapeError, match="square"):
        uci.Gaussian(at="mean")(np.ones((4, 3)))
    with pytest.raises(DtypeError, match="real"):
        uci.Gaussian(at="mean")(np.ones((3, 3), dtype=complex))


def test_uniform_entries_are_the_distribution_function_of_their_normal_numbers():
    z = np.random.default_rng(0).standard_normal((40, 50))
    limit = sqrt(6 / 90)
    expected = limit * (2 * ndtr(z) - 1)
    assert uci.XavierUniform()(z) == pytest.approx(expected, abs=4 * np.finfo(float).eps * limit)
    tiny = np.full((1, 1), 1e-20)  # 2 ndtr − 1 would be 0
    assert uci.Uniform(limit=1.0)(tiny)[0, 0] == pytest.approx(1e-20 * sqrt(2 / pi), rel=8 * np.finfo(float).eps)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 2e6, -2e6])
@pytest.mark.parametrize("field", [float, complex, np.float32])
def test_numbers_that_no_normal_law_gives_are_refused(bad, field):
    z = np.zeros((3, 3), field)
    z[1, 2] = bad
    with pytest.raises(NotFiniteError, match="a NaN, an infinity or a larger number"):
        uci.Gaussian()(z)
    assert uci.Gaussian()(np.empty((0, 3, 3), field)).shape == (0, 3, 3)
