"""Norms of powers for figures: those of double precision to 0.001, and in it where single precision loses them."""

import numpy as np
import pytest

from unitcircle import initializers as uci
from unitcircle.spectra import power_norms, spectrum
from unitcircle.spectra._drawn_powers import AGREES, in_single

N, STEPS = 128, 64


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr("unitcircle.spectra._drawn_powers.SINGLE", N)


def weights():
    rng = np.random.default_rng(0)
    gaussian = rng.standard_normal((N, N))
    turn = np.linalg.qr(rng.standard_normal((N, N)))[0]
    return {
        "uniform": rng.uniform(-1, 1, (N, N)) / N**0.5,
        "explodes": 1e3 * gaussian,
        "tiny": 1e-200 * gaussian,
        "orthogonal": uci.Orthogonal().sample(N, rng=1),
        "chain": uci.Chain().sample(N, rng=0),
        "triangular": np.triu(gaussian, 1) / N**0.5,
        "graded": gaussian * np.logspace(0, -12, N),
        "complex": (gaussian + 1j * rng.standard_normal((N, N))) / (2 * N) ** 0.5,
        "nilpotent, turned": turn @ np.triu(gaussian, 1) @ turn.T / N**0.5,
        "zero": np.zeros((N, N)),
    }


@pytest.mark.parametrize("name", weights())
def test_norms_are_those_of_double_precision(name):
    W = weights()[name]
    ours, exact = spectrum(W).drawn_power_norms(STEPS), power_norms(W, STEPS)
    assert (np.isneginf(ours) == np.isneginf(exact)).all()
    ends = np.isfinite(exact)
    assert np.abs(ours[ends] - exact[ends]).max() <= AGREES


def test_powers_that_lose_their_digits_are_done_again():
    found = {name: in_single(spectrum(W).weight, STEPS) is None for name, W in weights().items()}
    assert {name for name, again in found.items() if again} == {"nilpotent, turned", "zero"}


def test_what_is_known_in_double_precision_is_not_computed_again(monkeypatch):
    known = spectrum(weights()["uniform"])
    exact = known.power_norms(STEPS)
    monkeypatch.setattr("unitcircle.spectra._spectrum.in_single", None)
    assert known.drawn_power_norms(STEPS) is exact
