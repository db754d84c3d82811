"""Fixed points and cycles of maps whose fixed points and cycles are known."""

import numpy as np
import pytest
import torch
from torch import nn

from unitcircle.dynamics import FixedPoints, as_recurrence, fixed_points
from unitcircle.errors import ArgumentError

EPS = np.finfo(float).eps
ROOT = 0.9575040240773  # tanh(2 r) = r
TEN_DECIMALS = 0.5e-10
"""Rounding of reference numbers that are written with ten decimals."""


def tanh_cell(w, n=3):
    cell = nn.RNNCell(1, n, bias=False).double()
    with torch.no_grad():
        cell.weight_hh.copy_(w * torch.eye(n))
        cell.weight_ih.fill_(1.0)
    return cell


@pytest.mark.parametrize(("w", "root", "slope"), [(2.0, ROOT, 0.1663720878), (1.5, 0.8585596366, 0.3943130255)])
def test_all_27_points_with_all_their_unstable_directions(w, root, slope):
    result = fixed_points(tanh_cell(w), starts=512)
    assert len(result) == 27
    assert np.bincount(result.unstable_dimension).tolist() == [8, 12, 6, 1]
    assert result.stable.sum() == 8
    moduli = np.abs(result.states[:, 0])
    assert np.abs(moduli - np.where(moduli < 0.1, 0.0, root)).max() <= TEN_DECIMALS
    for eigenvalue in result.eigenvalues.ravel():
        assert min(abs(eigenvalue - w), abs(eigenvalue - slope)) <= TEN_DECIMALS + 64 * EPS
    assert result.residual.max() <= result.tolerance * 3
    assert result.starts == result.converged == 512


def test_memories_may_be_cycles():
    fixed = fixed_points(tanh_cell(-2.0))
    assert len(fixed) == 1
    assert np.abs(fixed.states).max() <= fixed.tolerance
    assert not fixed.stable.any()
    cycles = fixed_points(tanh_cell(-2.0), period=2)
    # F² has the 27 points of W = 2I; all but 0 have period 2 and lie on 13 orbits.
    assert len(cycles) == 13
    assert cycles.period == 2
    assert np.abs(cycles.states[:, 0] + cycles.states[:, 1]).max() <= 16 * EPS
    assert cycles.stable.sum() == 4
    stable = cycles.states[cycles.stable]
    assert np.abs(np.abs(stable) - ROOT).max() <= 1e-3 * TEN_DECIMALS + 64 * EPS
    assert np.abs(cycles.eigenvalues[cycles.stable] - 0.0276796716).max() <= TEN_DECIMALS + 64 * EPS
    assert "13 cycles of period 2, 4 stable" in str(cycles)


def henon(x, s):
    return torch.stack([1 - 1.4 * s[0] ** 2 + s[1], 0.3 * s[0]])


def test_henon_fixed_point_and_period_2_orbit():
    state = torch.zeros(2, dtype=torch.float64)
    result = fixed_points(henon, state=state)
    inside = result.states[:, 0, 0] > 0
    assert result.states[inside][0, 0] == pytest.approx([0.6313544771, 0.1894063431], abs=TEN_DECIMALS + 64 * EPS)
    assert np.log(np.abs(result.eigenvalues[inside][0])) == pytest.approx(
        [0.6542706144, -1.8582434187], abs=TEN_DECIMALS + 64 * EPS
    )
    orbit = fixed_points(henon, state=state, period=2)
    assert len(orbit) == 1
    rates = np.log(np.abs(orbit.eigenvalues[0])) / 2
    assert rates == pytest.approx([0.5509867613, -1.7549595656], abs=TEN_DECIMALS + 1e3 * EPS)


def test_constant_input_moves_the_fixed_point():
    cell = tanh_cell(0.5)
    result = fixed_points(cell, torch.tensor([0.7], dtype=torch.float64))
    assert len(result) == 1
    h = result.states[0, 0]
    assert np.abs(np.tanh(0.5 * h + 0.7) - h).max() <= 4 * EPS
    assert result.stable.all()


def test_gated_cells_and_starts_that_are_kept():
    torch.manual_seed(0)
    module = nn.LSTM(2, 5)
    starts = np.random.default_rng(0).standard_normal((20, 10))
    original = starts.copy()
    result = fixed_points(module, torch.ones(2), starts=starts)
    assert np.array_equal(starts, original)
    recurrence = as_recurrence(module)
    x = torch.ones(len(result), 2, dtype=torch.float64)
    s = torch.as_tensor(result.states[:, 0])
    assert len(result) >= 1
    assert (recurrence.step(x, s) - s).abs().max() <= result.tolerance * (1 + s.norm())
    assert all(p.requires_grad and p.grad is None for p in module.parameters())
    drawn = fixed_points(module, torch.ones(2), starts=30)
    assert np.abs(drawn.states[0] - result.states[0]).max() <= 1e4 * EPS


def test_a_map_without_fixed_points_has_none():
    result = fixed_points(lambda x, s: s + 1.0, state=torch.zeros(2, dtype=torch.float64), starts=8, iterations=20)
    assert len(result) == 0
    assert result.converged == 0
    assert result.starts == 8
    assert result.states.shape == (0, 1, 2)


def test_iterations_and_tolerance_are_those_given():
    zero, starts = torch.zeros(1, dtype=torch.float64), np.array([[0.5]])
    accepted = fixed_points(lambda x, s: 0.5 * s, state=zero, starts=starts, iterations=0, tolerance=1.0)
    assert accepted.tolerance == 1.0
    np.testing.assert_array_equal(accepted.states, [starts])
    assert fixed_points(lambda x, s: 0.5 * s, state=zero, starts=starts, iterations=0).converged == 0
    assert fixed_points(lambda x, s: 0.5 * s, state=zero, starts=starts).tolerance == 16 * EPS


@pytest.mark.parametrize("suffix", [".npz", ".json"])
@pytest.mark.parametrize("w", [2.0, None])
def test_saved_and_read_back_number_by_number(tmp_path, suffix, w):
    if w is None:
        result = fixed_points(lambda x, s: s + 1.0, state=torch.zeros(2, dtype=torch.float64), starts=2, iterations=2)
    else:
        result = fixed_points(tanh_cell(w), starts=64)
    path = tmp_path / f"points{suffix}"
    result.save(path)
    again = FixedPoints.load(path)
    for name in ("states", "residual", "eigenvalues"):
        assert np.array_equal(getattr(result, name), getattr(again, name))
    assert (len(again), again.starts, again.converged) == (len(result), result.starts, result.converged)
    assert (again.tolerance, again.period) == (result.tolerance, result.period)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fixed_points(nn.RNN(1, 2), period=0), "period"),
        (lambda: fixed_points(nn.RNN(1, 2), starts=np.zeros((3, 4))), "starts"),
        (lambda: fixed_points(nn.RNN(1, 2), starts=0), "starts"),
        (lambda: fixed_points(tanh_cell(0.5), starts=2).save("points.pkl"), "must end in"),
        (lambda: FixedPoints.load("points.pkl"), "must end in"),
    ],
)
def test_misuse_is_refused_in_words(call, words):
    with pytest.raises(ArgumentError, match=words):
        call()
