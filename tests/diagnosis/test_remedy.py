"""One remedy at the end: it can be run, it differs from what the model is, and it was seen to help."""

import numpy as np
import pytest
import torch
from torch import nn

import unitcircle as uc
from unitcircle import initializers
from unitcircle.diagnosis import diagnose
from unitcircle.recurrence import Source, from_diagonal, from_mamba, from_s4d, from_torch

N = 16
TRAINED = {"bias_ih": np.random.default_rng(1).standard_normal(4 * N)}


def test_findings_of_one_layer_are_merged_into_one_call():
    torch.manual_seed(0)
    diagnosis = diagnose(nn.LSTM(2, 32), steps=400)
    assert {finding.code for finding in diagnosis.findings} == {"UC104", "UC106", "UC110"}
    assert diagnosis.remedy.text == (
        "unitcircle.torch.initialize_(model, recurrent='orthogonal', bias='chrono(max_steps=400)')"
    )
    assert set(diagnosis.remedy.codes) == {"UC104", "UC106", "UC110"}
    text = " ".join(str(diagnosis).split())
    assert text.count("initialize_(") == 1
    assert "fix:" not in text


def test_the_call_does_what_the_report_says_it_was_seen_to_do():
    torch.manual_seed(0)
    lstm = nn.LSTM(2, 32)
    before = diagnose(lstm, steps=400)
    assert "instead of" in before.remedy.effect
    eval(before.remedy.text, {"unitcircle": uc, "model": lstm})
    after = diagnose(lstm, steps=400)
    assert after.findings == ()
    assert after.answer.verdict == "yes"
    assert before.answer.verdict == "no"


def test_a_trained_model_is_not_told_to_initialize_itself():
    W = np.concatenate([0.1 * initializers.Orthogonal().sample(N, rng=k) for k in range(4)])
    diagnosis = diagnose([from_torch(W, cell="lstm", name="lstm", **TRAINED)], steps=400)
    assert {finding.code for finding in diagnosis.findings} == {"UC106"}
    assert diagnosis.remedy.text.startswith("before the next training run: unitcircle.torch.initialize_(")
    assert "would erase what they learned" in diagnosis.remedy.effect


def test_no_initializer_is_proposed_that_leaves_no_more():
    # Saturated by inputs of scale 100, an orthogonal weight forgets at once, and so does every other.
    W = initializers.Orthogonal().sample(N, rng=0)
    layer = from_torch(W, cell="rnn_tanh", weight_ih=100 * np.ones((N, 1)), name="rnn")
    (finding,) = diagnose([layer], steps=50).findings
    assert finding.code == "UC106"
    assert not finding.action
    assert finding.remedy.endswith("of the states are saturated: scale inputs and input weights down")


def test_a_layer_without_biases_is_not_told_to_fill_them():
    layer = from_torch(np.zeros((4 * N, N)), cell="lstm", weight_ih=np.ones((4 * N, 1)), name="lstm")
    (finding,) = [f for f in diagnose([layer], steps=50).findings if f.code == "UC106"]
    assert finding.remedy == "create the layer with biases (bias=True), which a longer memory of its gates needs"


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (from_mamba(np.zeros((2, 2)), np.zeros(2)), "lower dt_bias"),
        (from_s4d(np.full((2, 2), -1.0), np.zeros(2)), "lower log_dt"),
        (from_diagonal([0.1], source=Source(layout="lru")), "draw nu_log from ring(r_min=0.9, r_max=0.998)"),
        (from_diagonal([0.1]), "draw moduli closer to 1: a memory of 500 steps needs 0.998"),
        (from_torch([[0.1]], cell="linear"), "unitcircle.torch.initialize_(model, recurrent='orthogonal')"),
    ],
)
def test_the_remedy_of_a_linear_recurrence_names_what_it_has(layer, words):
    (finding,) = diagnose([layer], steps=500, select=["UC112"]).findings
    assert words in finding.remedy


def test_the_best_of_what_was_tried_on_copies_is_the_remedy():
    torch.manual_seed(0)
    batch = (torch.randn(100, 8, 2), torch.randn(100, 8, 32))
    model = nn.LSTM(2, 32)

    def loss(output, target):
        return (output[0][-1] - target[-1]).square().mean()

    diagnosis = diagnose(model, batch, loss=loss, try_initializers=["chrono(max_steps=100)"])
    assert diagnosis.remedy.text == "unitcircle.torch.initialize_(model, bias='chrono(max_steps=100)')"
    assert diagnosis.remedy.effect.startswith("measured over 5 seeds: the gradient over 100 steps changes by 10^")
