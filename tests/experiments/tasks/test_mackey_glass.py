"""The Mackey-Glass series against solutions found in other ways."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks import MackeyGlass
from unitcircle.experiments.tasks._mackey_glass import TRAIN, VALIDATION, _series, integrate

SOLVER = 1e-11
"""Local error that SciPy's solution may have: beside the 2e-6 of the method it is nothing."""


def production(x):
    return 0.2 * x / (1 + x**10)


def test_until_the_first_delay_it_is_the_closed_form():
    start, tau = np.array([0.3, 0.9, 1.5]), 17
    found = integrate(start, tau, tau=tau)
    t, level = np.arange(tau + 1), production(start)[:, None] / 0.1
    expected = level + (start[:, None] - level) * np.exp(-0.1 * t)
    # The local error of the method is (0.1 h)⁵/120 a step, h = 0.1; it decays as the deviation: most after 100 steps.
    bound = 2 * 100 * 0.01**5 / 120 / np.e * np.abs(start[:, None] - level)
    assert np.all(np.abs(found - expected) <= bound + 16 * np.finfo(float).eps)


@pytest.mark.parametrize("tau", [3, 17])
def test_it_is_the_solution_by_the_method_of_steps(tau):
    """Each stretch of one delay is an ordinary equation with a forcing that is known: SciPy solves it."""
    pieces = [lambda t: np.full_like(np.asarray(t, float), 0.7)]
    for stretch in range(5):
        before = pieces[-1]
        solution = solve_ivp(
            lambda t, x, before=before: production(before(t - tau)) - 0.1 * x,
            (stretch * tau, (stretch + 1) * tau),
            [pieces[-1](stretch * tau)],
            method="DOP853",
            rtol=SOLVER,
            atol=SOLVER / 10,
            dense_output=True,
        ).sol
        pieces.append(lambda t, solution=solution: solution(t)[0])
    found = integrate(np.array([0.7]), 5 * tau, tau=tau)[0]
    expected = [pieces[max(1, -(-t // tau))](float(t)) for t in range(5 * tau + 1)]
    # A global error of order h⁴ times derivatives of x(1 + x¹⁰)⁻¹: 7e-6 units⁻⁴ times h⁴ measured.
    assert np.abs(found - expected).max() <= 1e-4 * 0.1**4


def test_its_order_is_four():
    fine = integrate(np.array([0.7]), 40, tau=5, substeps=64)[0]
    errors = [np.abs(integrate(np.array([0.7]), 40, tau=5, substeps=s)[0] - fine).max() for s in (2, 4, 8)]
    assert np.log2(np.divide(errors[:-1], errors[1:])).min() > 3.5


def test_windows_and_answers_are_of_one_series():
    task = MackeyGlass(tau=5, horizon=3, length=4)
    series = _series(task)
    rng, held_out = np.random.default_rng(0), series[TRAIN + VALIDATION :]
    for part, batch in ((series[:TRAIN], task.sample(rng, 100)), (held_out, next(task.held_out("test")))):
        for row, answer in zip(batch.inputs[:, :, 0].T[:100], batch.targets[:, 0], strict=False):
            # Two different series may pass through the same float32 number: one of the places is right.
            places = np.argwhere(part[:, : -4 - 3 + 1] == row[0])
            assert any((part[i, t : t + 4] == row).all() and part[i, t + 6] == answer for i, t in places)


def test_training_series_are_scaled_and_the_better_of_last_value_and_mean_is_the_baseline():
    task = MackeyGlass(tau=17, horizon=84, length=10)
    rng = np.random.default_rng(0)
    values = np.concatenate([task.sample(rng, 2000).inputs[0].ravel() for _ in range(5)])
    # Windows within a series are correlated: 512 series of some ten periods.
    assert values.mean() == pytest.approx(0, abs=0.05)
    assert values.std() == pytest.approx(1, abs=0.05)
    batches = list(task.held_out("test"))
    last = np.concatenate([batch.inputs[-1] for batch in batches])
    answers = np.concatenate([batch.targets for batch in batches])
    expected = min(np.mean((last - answers) ** 2), np.mean(answers**2))
    # Means in single precision, pairwise: equal here.
    assert task.baseline == pytest.approx(expected, rel=16 * float(np.finfo(np.float32).eps))
    assert task.baseline == pytest.approx(1, abs=0.15)
    near = MackeyGlass(tau=17, horizon=1, length=10)
    assert near.baseline < 0.05


@pytest.mark.parametrize("name", ["tau", "horizon", "length"])
def test_parameters_below_one_are_refused(name):
    with pytest.raises(ArgumentError, match=f"{name} must be at least 1; got 0"):
        MackeyGlass(**{name: 0})
