"""Randomness: a seed, torch's generator or NumPy's, everywhere; never torch's global state."""

import numpy as np
import pytest
import torch
from torch import nn

from unitcircle.dynamics import calibrate_, depth_flow, fixed_points, gradient_flow, hidden_states
from unitcircle.errors import ArgumentError

INPUTS = torch.randn(6, 3, 2, generator=torch.Generator().manual_seed(0))


def rnn():
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return nn.RNN(2, 5)


def head():
    with torch.random.fork_rng():
        torch.manual_seed(2)
        return nn.Sequential(nn.Flatten(0, 1), nn.Linear(2, 4))


def calibrated(rng):
    model = rnn()
    with torch.no_grad():
        model.weight_hh_l0.copy_(torch.linalg.qr(model.weight_hh_l0)[0])
    return calibrate_(model, 0.1 * INPUTS, rng=rng, grid=5, probes=2).layers[0].values


# Numbers that depend on the random draws of one call.
MEASUREMENTS = {
    "gradient_flow": lambda rng: gradient_flow(rnn(), INPUTS, norm="jacobian", probes=2, rng=rng).log_norms,
    "depth_flow": lambda rng: depth_flow(head(), INPUTS, rng=rng).log_norms,
    "hidden_states": lambda rng: hidden_states(rnn(), INPUTS, rng=rng).input_share,
    "fixed_points": lambda rng: fixed_points(rnn(), starts=3, iterations=0, tolerance=np.inf, rng=rng).states,
    "calibrate_": calibrated,
}


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_every_kind_of_randomness_is_taken_and_reproduced(name):
    measure = MEASUREMENTS[name]
    before = torch.random.get_rng_state()
    for kind in (int, np.int64, np.random.default_rng, lambda seed: torch.Generator().manual_seed(seed)):
        rng = kind(3)
        first = measure(rng)
        assert np.array_equal(first, measure(kind(3)))
        if not isinstance(rng, int | np.integer):
            # A generator goes on: the next call draws other numbers.
            assert not np.array_equal(first, measure(rng))
    assert np.array_equal(measure(3), measure(np.int64(3)))
    assert not np.array_equal(measure(3), measure(4))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", MEASUREMENTS)
def test_a_seed_of_another_kind_is_refused_in_words(name):
    with pytest.raises(ArgumentError, match=r"rng must be a seed .* or a numpy\.random\.Generator"):
        MEASUREMENTS[name]("three")


@pytest.mark.parametrize("name", [name for name in MEASUREMENTS if name != "calibrate_"])
def test_a_seed_is_that_of_torchs_generator(name):
    # A calibration measures many gains with the same numbers, and so draws one seed from a generator.
    measure = MEASUREMENTS[name]
    assert np.array_equal(measure(3), measure(torch.Generator().manual_seed(3)))


def test_the_old_name_of_the_seed_of_a_calibration_is_accepted_with_a_warning():
    with pytest.warns(DeprecationWarning, match=r"calibrate_\(seed=\) is now rng="):
        old = calibrate_(rnn(), INPUTS, seed=4, grid=5, probes=2)
    assert np.array_equal(old.layers[0].values, calibrate_(rnn(), INPUTS, rng=4, grid=5, probes=2).layers[0].values)
