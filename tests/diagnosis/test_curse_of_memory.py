import math

import numpy as np
import pytest
from tests.diagnosis.test_decay_rules import correct, layer

from unitcircle.diagnosis import Severity, diagnose
from unitcircle.recurrence import LINEAR_FAMILIES, from_diagonal

SIGMAS = 4


def curse(one, **options):
    return diagnose([one], select=["UC119"], **options).findings


def states(parameter, to_eigenvalue, steps, runs, rng):
    """Return h_T of runs of white noise, for each parameter."""
    inputs = rng.standard_normal((steps, runs))
    h = np.zeros((len(parameter), runs))
    lam = to_eigenvalue(np.asarray(parameter))[:, None]
    for x in inputs:
        h = lam * h + x
    return h


@pytest.mark.parametrize("modulus", [0.994, 0.999])
def test_the_steepness_is_that_of_simulated_states(modulus):
    (finding,) = curse(from_diagonal([0.5, modulus]))
    gap = 1e-6
    runs = 4000
    low, middle, high = states(
        [modulus - gap, modulus, modulus + gap], lambda p: p, 8000, runs, np.random.default_rng(0)
    )
    derivative = (high - low) / (2 * gap)
    ratio = math.sqrt((derivative**2).mean() / (middle**2).mean())
    # Both are means of squares of normal variables: 2/runs each.
    assert finding.evidence["steepness"] == pytest.approx(ratio, rel=SIGMAS * math.sqrt(1 / runs))
    assert finding.severity is Severity.NOTE
    assert finding.evidence["steep"] == 1


def test_nu_heals_what_lambda_suffers():
    modulus = 0.999
    (finding,) = curse(from_diagonal([modulus]))
    nu, gap, runs = math.log(-math.log(modulus)), 1e-4, 4000
    low, middle, high = states(
        [nu - gap, nu, nu + gap], lambda p: np.exp(-np.exp(p)), 8000, runs, np.random.default_rng(1)
    )
    ratio = math.sqrt((((high - low) / (2 * gap)) ** 2).mean() / (middle**2).mean())
    assert finding.evidence["steepness_of_nu"] == pytest.approx(ratio, rel=SIGMAS * math.sqrt(1 / runs))
    assert finding.evidence["steepness_of_nu"] == pytest.approx(0.5**0.5, rel=1 - modulus)
    assert "exp(-exp(ν))" in finding.remedy


def test_over_a_given_length_the_steepness_is_bounded():
    one = from_diagonal([0.999999])
    assert curse(one)[0].evidence["steepness"] > 1e5
    assert curse(one, steps=300)[0].evidence["steepness"] == pytest.approx(300 / math.sqrt(3))
    assert curse(one, steps=100) == ()
    assert curse(from_diagonal([1.0])) == ()
    assert curse(from_diagonal([1.0]), steps=300)[0].evidence["steepness"] == pytest.approx(300 / math.sqrt(3))


def test_fresh_recurrences_are_not_under_the_curse():
    rng = np.random.default_rng(3)
    count = 0
    for family in LINEAR_FAMILIES:
        for _ in range(200 if family in {"LRU", "S4D", "Mamba"} else 4):
            one = layer(family, correct(family, rng))
            assert curse(one) == curse(one, steps=4096) == (), family
            count += 1
    assert count >= 600


def test_a_rate_that_is_stored_as_it_is_falls_under_it_as_it_nears_zero():
    fresh = correct("S5", np.random.default_rng(0))
    trained = fresh | {"Lambda": fresh["Lambda"].real * 2e-3 + 1j * fresh["Lambda"].imag}
    (finding,) = curse(layer("S5", trained))
    assert finding.evidence["parameter"] == "Lambda"
    assert finding.evidence["steepness"] > 500
    slow = correct("LRU", np.random.default_rng(0))
    assert curse(layer("LRU", slow | {"nu_log": np.full(slow["nu_log"].shape, -12.0)})) == ()
