"""The sentences say what the numbers say."""

import math

import numpy as np
import pytest

from unitcircle.report import describe, factor

ROTATION = np.array([[0.0, -1.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("W", "start"),
    [
        (0.5 * ROTATION, "Vanishes"),
        (0.9999 * ROTATION, "Decays slowly"),
        (np.eye(3), "Converges to a limit that is not zero"),
        (ROTATION, "Stays bounded"),
        (np.array([[1.0, 1.0], [0.0, 1.0]]), "Grows polynomially"),
        (1.1 * ROTATION, "Explodes"),
        (np.array([[0.99, 10.0], [0.0, 0.98]]), "Vanishes eventually, but"),
    ],
)
def test_fate_comes_first(W, start):
    assert describe(W).startswith(start)


def test_transient_growth_is_named_with_its_step():
    # Oracle: max ‖Wᵗ‖ = 26.936 at t = 6 (40 digits, shared/oracles/matrix.json, transient_2x2).
    assert "×26.9 at step 6" in describe(np.array([[0.9, 10.0], [0.0, 0.8]]))


def test_horizon_is_where_the_norm_crosses():
    # 0.5^10 = 1/1024 is the first power below 1/1000.
    assert "from step 10 on" in describe(0.5 * ROTATION)


@pytest.mark.parametrize(
    ("nats", "text"), [(0.0, "×1"), (-math.inf, "×0"), (math.log(2.5), "×2.5"), (-5000.0, "×10^-2171")]
)
def test_factors_in_print(nats, text):
    assert factor(nats) == text
