"""The geometry of hidden states on recurrences whose states are known."""

import numpy as np
import pytest
import torch
from torch import nn

from unitcircle.dynamics import as_recurrence, hidden_states, input_share
from unitcircle.errors import ArgumentError

EPS = np.finfo(float).eps


def drive(steps=6, batch=400, n=3):
    return torch.randn(steps, batch, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_states_are_those_of_torchs_own_layer():
    torch.manual_seed(1)
    module = nn.LSTM(3, 4, batch_first=True)
    x = torch.randn(5, 7, 3)
    result = hidden_states(module, x)
    reference = module.double()(x.double())[0].detach().transpose(0, 1).numpy()
    assert np.abs(result.states - reference).max() <= 64 * 7 * EPS
    assert result.distance == pytest.approx(np.sqrt((reference**2).mean(-1)), rel=(64 * 7 + 1e3) * EPS, abs=0)


@pytest.mark.parametrize("inputs", [torch.randn(6, 5, 3), 6])
def test_the_last_state_alone_is_measured_as_the_last_of_all(inputs):
    torch.manual_seed(1)
    module = nn.LSTM(3, 4)
    every = hidden_states(module, inputs, replicas=2)
    last = hidden_states(module, inputs, replicas=2, last_only=True)
    assert len(every.states) == 6
    for name in ("states", "input_share", "distance", "saturation", "effective_dimension"):
        assert np.array_equal(getattr(last, name), getattr(every, name)[-1:], equal_nan=True), name
    assert isinstance(inputs, int) or 0 < last.input_share[0] < 1
    assert str(last)


def test_effective_dimension_is_the_number_of_equal_independent_directions():
    def step(x, s):
        return torch.cat([x, x[:1], torch.zeros(1, dtype=x.dtype)])  # five units, the fourth a copy of the first

    result = hidden_states(step, drive(batch=4000).unbind(1)[0], initial=torch.zeros(5, dtype=torch.float64))
    assert np.isnan(result.effective_dimension).all()
    assert np.isnan(result.input_share).all()

    def batched(x, s):
        return torch.cat([x, x[:, :1], 0 * x[:, :1]], -1)

    result = hidden_states(batched, drive(batch=4000), initial=torch.zeros(4000, 5, dtype=torch.float64))
    # Variances 2, 1, 1 along three directions: (2 + 1 + 1)² / (4 + 1 + 1); sampling error 1/√4000.
    assert result.effective_dimension == pytest.approx(np.full(6, 16 / 6), rel=4 / 4000**0.5)
    constant = hidden_states(lambda x, s: 0 * s, drive(batch=3), initial=torch.zeros(3, 2, dtype=torch.float64))
    assert (constant.effective_dimension == 0).all()
    assert (constant.input_share == 0).all()


@pytest.mark.parametrize(("keep", "expected"), [(0.0, [1.0] * 6), (1.0, None)])
def test_input_share_is_that_of_the_variance(keep, expected):
    def step(x, s):
        return keep * s + x

    result = hidden_states(step, drive(), initial=torch.zeros(400, 3, dtype=torch.float64), replicas=40)
    if expected is None:
        # A random walk from h_0 of the visited size: variance t of the input against that of the initial state.
        visited = (result.states**2).mean()
        t = np.arange(1, 7)
        expected = t / (t + visited)
        # 40 initial states of 3 units know their variance to √(2/117).
        assert result.input_share == pytest.approx(expected, abs=4 * 0.25 * (2 / 117) ** 0.5)
    else:
        assert result.input_share == pytest.approx(expected, abs=16 * EPS)


def test_saturation_exploration_and_orthants():
    module = nn.RNN(1, 2, bias=False)
    with torch.no_grad():
        module.weight_hh_l0.zero_()
        module.weight_ih_l0.copy_(torch.tensor([[9.0], [0.01]]))
    x = torch.tensor([1.0, -1.0, 1.0, -1.0]).reshape(4, 1, 1)
    result = hidden_states(module, x)
    assert (result.saturation == 0.5).all()
    assert result.orthants == 2
    # The first unit visits the two end cells of ten, the second the two around 0.
    assert result.exploration == pytest.approx(0.2, abs=EPS)
    unbounded = nn.RNN(1, 2, nonlinearity="relu", bias=False)
    with torch.no_grad():
        unbounded.weight_hh_l0.zero_()
        unbounded.weight_ih_l0.fill_(5.0)
    assert hidden_states(unbounded, torch.ones(4, 1, 1)).exploration == 0.0


def test_replicas_must_scatter():
    with pytest.raises(ArgumentError, match="replicas"):
        hidden_states(nn.RNN(1, 2), torch.zeros(3, 2, 1), replicas=1)


def test_autonomous_recurrences_have_no_input_to_explain_anything():
    result = hidden_states(lambda x, s: s.roll(1, -1), 4, initial=torch.eye(3, dtype=torch.float64))
    assert result.states.shape == (4, 3, 3)
    assert (result.input_share == 0).all()


def test_a_unit_is_saturated_from_the_threshold_on():
    states = torch.tensor([0.2, 0.8], dtype=torch.float64)
    saturation = [hidden_states(lambda x, s: s, 3, initial=states, threshold=level).saturation for level in (0.1, 0.5)]
    np.testing.assert_array_equal(saturation, [[1.0] * 3, [0.5] * 3])
    np.testing.assert_array_equal(hidden_states(lambda x, s: s, 3, initial=states).saturation, [0.0] * 3)


def test_replicas_are_as_many_as_asked():
    initial = torch.zeros(5, 3, dtype=torch.float64)
    shares = [
        hidden_states(lambda x, s: s + x, drive(batch=5), initial=initial, replicas=r).input_share for r in (2, 3)
    ]
    assert (shares[0] != shares[1]).all()


@pytest.mark.parametrize("gain", [0.5, 1.5])
def test_the_share_at_the_end_is_the_last_of_all(gain):
    torch.manual_seed(4)
    module = nn.RNN(2, 24).double()
    with torch.no_grad():
        module.weight_hh_l0.normal_(std=gain / 24**0.5)
    x = 0.1 * torch.randn(60, 5, 2, dtype=torch.float64)
    recurrence = as_recurrence(module)
    xs, states = recurrence.trajectory(x)
    last = input_share(recurrence, xs, states, rng=3)
    assert last == hidden_states(module, x, rng=3).input_share[-1]
    assert (last == 1) == (gain < 1)  # one is measured to the end; the other has forgotten long before
    still = torch.zeros_like(xs)
    assert input_share(recurrence, still, recurrence.run(still, 0 * states[:1])[:, 0]) < 1


def test_a_share_needs_sequences_and_replicas():
    recurrence = as_recurrence(nn.RNN(2, 4))
    xs, states = recurrence.trajectory(torch.randn(6, 1, 2))
    assert np.isnan(input_share(recurrence, xs, states))
    with pytest.raises(ArgumentError, match="replicas"):
        input_share(recurrence, xs, states, replicas=1)


def test_one_sequence_is_said_to_be_too_few_for_a_dimension():
    words = str(hidden_states(nn.RNN(3, 4).double(), drive(batch=1)))
    assert "6 steps, 1 sequence: " in words
    assert "need a batch of two or more" in words
    assert "nan" not in words
