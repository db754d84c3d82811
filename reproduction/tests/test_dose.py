"""The modulus as a dose, and other transitions of one modulus: optimum, laws and verdicts against made-up answers."""

import numpy as np
import pytest
import torch

from unitcircle.initializers import Gaussian
from unitcircle_reproduction import Verdict
from unitcircle_reproduction import _transition as transition
from unitcircle_reproduction.eigen import _dose as dose

EPS = float(np.finfo(float).eps)
LABELS = list(dose.LAWS)


@pytest.mark.parametrize("best", [0.9, 0.95, 1.05])
def test_the_optimum_of_a_parabola_is_its_vertex(best):
    losses = 1 + 3 * (np.log(dose.MODULI) - np.log(best)) ** 2
    found, interval = dose.optimum(np.tile(losses[:, None], 8))
    assert found == pytest.approx(best, rel=1e5 * EPS)
    assert interval.low == pytest.approx(best, rel=1e5 * EPS)


def test_the_interval_of_the_optimum_holds_it_as_often_as_it_says():
    losses = 1 + 3 * (np.log(dose.MODULI) - np.log(0.97)) ** 2
    rng, held = np.random.default_rng(0), 0
    for k in range(60):
        _, interval = dose.optimum(losses[:, None] + rng.normal(0, 0.02, (len(losses), 8)), seed=k)
        held += interval.low <= 0.97 <= interval.high
    # Percentiles of eight seeds are too narrow: 88 to 95 %. P(Binomial(60, .88) < 46) is below .01.
    assert held >= 46


def test_without_a_minimum_within_the_doses_the_better_end_is_the_optimum():
    assert dose.optimum(np.tile(np.linspace(2, 1, 5)[:, None], 4))[0] == pytest.approx(1.2)
    assert dose.optimum(np.tile(-np.square(np.linspace(-1, 2, 5))[:, None], 4))[0] == pytest.approx(1.2)


def test_kept_eigenvectors_are_those_that_were_drawn():
    W = transition._transition("kept(0.9)", 12, np.random.default_rng(4))
    drawn = Gaussian().sample(12, rng=np.random.default_rng(4))
    values, vectors = np.linalg.eig(drawn)
    found = np.linalg.solve(vectors, W @ vectors)
    cond = np.linalg.cond(vectors)
    assert np.abs(found - np.diag(0.9 * values / np.abs(values))).max() < 100 * 12 * EPS * cond**2
    # It is not normal, which rotations are.
    assert np.linalg.norm(W @ W.T - W.T @ W) > 0.1


@pytest.mark.parametrize("cell", dose.CELLS)
def test_states_and_their_dimension_are_those_of_the_recurrence_written_out(cell):
    task = dose.CELLS[cell]
    draw = transition._draw(task, "orthogonal", 3)
    inputs = task.sample(np.random.default_rng(45), 500)[0].astype(float)
    h = np.zeros((500, task.units))
    for x in inputs:
        h = h @ draw["V"].T + np.maximum(x @ draw["U"].T, 0)
        h = np.tanh(h) if cell == "tanh" else h
    parameters = {name: torch.from_numpy(value[None]) for name, value in draw.items()}
    found = transition.hidden(parameters, torch.from_numpy(inputs[None]), cell)[-1, 0].numpy()
    np.testing.assert_allclose(found, h, rtol=0, atol=1e4 * EPS)
    values = np.linalg.eigvalsh(np.cov(h.T))
    wanted = values.sum() ** 2 / np.square(values).sum()
    assert transition.dimensions(task, ["orthogonal"], [3])[0, 0] == pytest.approx(wanted, rel=1e5 * EPS)


def _made_up(optimum, others, noise=0.002):
    rng = np.random.default_rng(9)
    moduli = 0.5 + 8 * (np.log(dose.MODULI) - np.log(optimum)) ** 2
    means = np.concatenate([moduli, np.full(len(dose.OTHERS), others)])
    count = len(LABELS)
    arrays = {
        "scores": means[:, None] + rng.normal(0, noise, (count, dose.SEEDS)), "rates": np.full(count, 0.01),
        "edge": np.arange(count) == 0, "dimensions": np.full((count, dose.SEEDS), 7.0),
    }  # fmt: skip
    return {task.name: arrays for task in dose.CELLS.values()}


def test_the_dose_is_judged_by_the_interval_of_its_optimum():
    assert dose.dose(_made_up(0.95, 1.0)).verdict is Verdict.HOLDS
    claim = dose.dose(_made_up(1.08, 1.0))
    assert claim.verdict is Verdict.FAILS
    assert (len(claim.table), claim.table[0]["rate"], claim.table[1]["rate"]) == (10, "0.01 (edge)", "0.01")
    # What nobody has learned tells nothing.
    nothing = {name: arrays | {"scores": np.full((len(LABELS), 8), 9.0)} for name, arrays in _made_up(1, 1).items()}
    assert dose.dose(nothing).verdict is Verdict.TOO_FEW


@pytest.mark.parametrize(
    ("others", "expected"),
    [(1.2, Verdict.HOLDS), (0.3, Verdict.FAILS), (0.502, Verdict.NO_DIFFERENCE)],
)
def test_rotations_are_judged_against_each_other_transition(others, expected):
    claim = dose.structure(_made_up(0.95, others))
    assert claim.verdict is expected
    assert "effective dimension" in claim.measured
    assert len(claim.table) == 2 * (1 + len(dose.OTHERS))


def test_every_law_of_the_doses_can_be_drawn():
    for law in dose.LAWS.values():
        assert transition._transition(law, 8, np.random.default_rng(0)).shape == (8, 8)
