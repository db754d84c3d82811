"""Initializers tried on copies of a model, and their ranking."""

import copy
import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from tests.diagnosis.test_live import N, T, batch, found, reader, scaled
from torch import nn

from unitcircle.diagnosis import Trial, diagnose
from unitcircle.diagnosis._trial import WEIGHTS, rank_trials
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.initializers import Orthogonal


def trial(name, *rows):
    return Trial(name, "", dict(zip(WEIGHTS, map(np.array, rows), strict=True)))


def test_scores_are_weighted_ranks_among_all_draws():
    baseline = trial("as it is", [-9.0], [-20.0], [1.0])
    good = trial("good", [-1.0, 0.5], [-2.0, -3.0], [4.0, 3.0])
    trials = rank_trials([baseline, good])
    assert [t.name for t in trials.ranking] == ["good", "as it is"]
    a, b, c = WEIGHTS.values()
    expected = np.array([0.5 * a + b + c, a + 0.5 * b + 0.5 * c]) / (a + b + c)
    np.testing.assert_allclose(trials.ranking[0].scores, expected, rtol=8 * np.finfo(float).eps)
    assert trials.as_it_is.scores.tolist() == [0.0]


def test_better_is_better_beyond_the_interval():
    baseline = trial("as it is", [-5.0], [-5.0], [2.0])
    clear = trial("clear", *([[-1.0, -1.1, -0.9]] * 2), [4.0, 4.1, 3.9])
    mixed = trial("mixed", [-0.5, -6.0, -6.5], [-0.5, -6.0, -6.5], [5.0, 1.0, 1.5])
    assert [t.name for t in rank_trials([baseline, mixed, clear]).better] == ["clear"]


def test_a_gradient_that_explodes_is_as_bad_as_one_that_vanishes():
    baseline = trial("as it is", [-5.0], [0.0], [1.0])
    other = trial("other", [5.0], [0.0], [1.0])
    assert rank_trials([baseline, other], {"flow": 1.0}).ranking[0].mean() == 0.5


def test_intervals_are_students():
    values = np.array([1.0, 2.0, 4.0, 3.0, 2.5])
    measured = trial("x", values, values, values)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    # The mean and the deviation of 5 values, and one quantile.
    assert measured.interval("flow") == pytest.approx((expected.low, expected.high), rel=32 * np.finfo(float).eps)
    assert all(math.isnan(end) for end in trial("x", [1.0], [1.0], [1.0]).interval("flow"))
    assert math.isnan(trial("x", [1.0, -math.inf], [0, 0], [0, 0]).interval("flow")[0])


def test_weights_are_replaceable_and_checked():
    baseline = trial("as it is", [-9.0], [-1.0], [1.0])
    other = trial("other", [-1.0], [-9.0], [1.0])
    assert rank_trials([baseline, other], {"flow": 1.0}).ranking[0].name == "other"
    assert rank_trials([baseline, other], {"typical_direction": 1.0}).ranking[0].name == "as it is"
    with pytest.raises(UnknownNameError, match="flow"):
        rank_trials([baseline], {"radius": 1.0})
    for weights in ({"flow": -1.0}, {"flow": 0.0}):
        with pytest.raises(ArgumentError, match="weight"):
            rank_trials([baseline], weights)


def test_what_could_not_be_measured_does_not_count():
    baseline = trial("as it is", [-9.0], [math.nan], [1.0])
    other = trial("other", [-1.0], [math.nan], [2.0])
    assert rank_trials([baseline, other]).ranking[0].mean() == 1.0
    lost = trial("lost", [math.nan], [0.0], [0.0])
    assert rank_trials([lost, baseline], {"flow": 1.0}).ranking[-1].name == "lost"


def test_the_popular_lstm_gets_a_remedy_that_was_measured_to_be_better():
    model = scaled(reader(nn.LSTM), 1.0)
    diagnosis = diagnose(model, batch(), try_initializers=["remedies"])
    trials = diagnosis.examination.trials
    assert {t.name for t in trials.ranking} >= {
        "as it is",
        f"chrono(max_steps={T})",
        f"orthogonal + chrono(max_steps={T})",
    }
    best = trials.better[0]
    assert "chrono" in best.name
    assert best.seeds == 5
    assert trials.as_it_is.mean("flow") < 3 * best.interval("flow")[0] < 0
    finding = found(diagnosis, "UC201")
    assert best.call in finding.remedy
    assert "measured over 5 seeds" in finding.remedy


def test_plain_networks_get_plain_remedies():
    trials = diagnose(reader(nonlinearity="relu"), batch(), try_initializers="remedies").examination.trials
    assert {t.name.partition("(")[0] for t in trials.ranking} == {
        "as it is", "orthogonal", "block_rotation", "identity", "critical",
    }  # fmt: skip


def test_where_nothing_is_better_the_finding_says_so():
    model = scaled(reader(), 0.5)
    diagnosis = diagnose(model, batch(), try_initializers=["zeros"])
    assert diagnosis.examination.trials.better == ()
    assert "no initializer that was tried is better" in found(diagnosis, "UC201").remedy


def test_candidates_may_be_texts_initializers_or_arguments():
    tried = [Orthogonal(gain=0.9), "orthogonal + forget_bias(value=2)", {"recurrent": {"g": "eigen"}, "bias": "zeros"}]
    trials = diagnose(reader(nn.LSTM), batch(), try_initializers=tried, weights={"flow": 1}).examination.trials
    calls = {t.name: t.call for t in trials.ranking}
    assert "recurrent='orthogonal', bias='forget_bias(value=2)'" in calls["orthogonal + forget_bias(value=2)"]
    assert "recurrent={'g': 'eigen'}" in calls["recurrent={'g': 'eigen'}, bias=zeros"]
    assert calls["orthogonal(gain=0.9)"].endswith("recurrent='orthogonal(gain=0.9)')")


def test_a_spectrum_that_would_take_too_long_is_left_out(monkeypatch):
    monkeypatch.setattr("unitcircle.diagnosis._live_states.SPECTRUM_COST", 0)
    diagnosis = diagnose(reader(), batch(), try_initializers=["orthogonal"])
    best = diagnosis.examination.trials.ranking[0]
    assert math.isnan(best.mean("typical_direction"))
    assert best.name == "orthogonal"
    assert max(best.scores) > 0.9
    assert "not measured" in str(diagnosis)


def test_bad_candidates_are_refused():
    model, data = reader(nn.LSTM), batch()
    with pytest.raises(ArgumentError, match="at least 5"):
        diagnose(model, data, try_initializers=["orthogonal"], seeds=4)
    with pytest.raises(ArgumentError, match="one recurrent"):
        diagnose(model, data, try_initializers=["orthogonal + eigen"])
    with pytest.raises(UnknownNameError):
        diagnose(model, data, try_initializers=["orthogonol"])


@pytest.mark.parametrize("measurements", [0, 2, 7])
def test_an_interrupt_leaves_what_was_tried_before_it(monkeypatch, measurements):
    done = itertools.count()

    def advance(_self):
        if next(done) == 3 + measurements:  # run, layer and loops come first
            raise KeyboardInterrupt

    monkeypatch.setattr("unitcircle.report.Progress.advance", advance)
    model = reader(nn.LSTM)
    before = copy.deepcopy(model.state_dict())
    diagnosis = diagnose(model, batch(), try_initializers=["orthogonal", "eigen(modulus=1.0)", "identity"])
    tried = {trial.name for trial in diagnosis.examination.trials.ranking}
    assert tried == {"as it is"} | ({"orthogonal"} if measurements >= 5 else set())
    (text,) = diagnosis.coverage.unread
    assert text.startswith("interrupted: ")
    assert text.endswith("eigen(modulus=1.0), identity not tried")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("after", "measured"), [(0, [False, False]), (1, [True, False]), (2, [True, True])])
def test_an_interrupt_leaves_the_layers_that_were_measured(monkeypatch, after, measured):
    done = itertools.count()

    def advance(_self):
        if next(done) == after:
            raise KeyboardInterrupt

    monkeypatch.setattr("unitcircle.report.Progress.advance", advance)
    data = batch()[0]
    model = nn.LSTM(data.shape[-1], N, num_layers=2, batch_first=True)
    diagnosis = diagnose(model, data, try_initializers=["orthogonal"])
    assert [layer.live is not None for layer in diagnosis.layers] == measured
    assert diagnosis.examination.trials is None
    unread = " ".join(diagnosis.coverage.unread)
    assert unread.count("was not measured") == measured.count(False)
    assert "no loop was sought" in unread
    assert "no initializer was tried" in unread
    assert diagnosis.answer.sentence
