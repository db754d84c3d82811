"""The first line of a diagnosis answers the question."""

import numpy as np
import pytest

from unitcircle import initializers
from unitcircle.checkpoints import Coverage, Entry, Layers
from unitcircle.diagnosis import diagnose
from unitcircle.recurrence import from_diagonal, from_linear, from_torch

N = 16
ROTATION = initializers.Orthogonal().sample(N, rng=0)


def plain(scale, cell="linear", name="rnn", **options):
    return from_torch(scale * ROTATION, cell=cell, name=name, **options)


@pytest.mark.parametrize(
    ("layers", "verdict", "words"),
    [
        ([plain(1.0)], "yes", "linear: {} yes: ×1 is left"),
        # 0.5^10 < 1/1000 < 0.5^9
        ([plain(0.5)], "no", "linear: {} no: 1/1000 is left after 10 steps"),
        # 2^10 > 1000 > 2^9
        ([plain(2.0)], "no", "linear: {} no: it grows 1000 times within 10 steps"),
        ([plain(0.5), plain(0.8)], "no", "linear, 2 layers: {} no: 1/1000 is left after 31 steps at best"),
        ([plain(0.5), plain(1.0)], "partly", "linear, 2 layers: {} 1 of 2 layers do: ×1 is left at best"),
        (
            [plain(1.0), plain(2.0, "rnn_tanh", name="b", weight_ih=np.ones((N, 1)), unknown={"leak"})],
            "unknown",
            "1 linear, 1 rnn_tanh: {} cannot tell: b: its leak is unknown; name it with --leak or leak=, 1 for none",
        ),
        ([from_diagonal([0.5, 0.1])], "no", "diagonal: {} no: 1/1000 is left after 10 steps"),
        ([from_diagonal([0.99, 0.1])], "yes", "diagonal: {} yes: ×0.669 is left"),
        ([from_diagonal([2.0])], "no", "diagonal: {} no: it grows 1000 times within 10 steps"),
        ([from_diagonal([0.0])], "no", "diagonal: {} no: 1/1000 is left after 1 steps"),
        ([], "unknown", "nothing was analysed: no layers were given"),
    ],
)
def test_the_answer(layers, verdict, words):
    diagnosis = diagnose(layers, steps=40)
    words = words.format("carries a signal over 40 steps?")
    assert diagnosis.answer.sentence == words
    assert diagnosis.answer.verdict == verdict
    assert " ".join(str(diagnosis).split()).startswith(words)
    assert diagnosis.to_dict()["answer"]["sentence"] == words


def test_a_file_in_which_nothing_was_analysed_says_so(tmp_path):
    coverage = Coverage(
        skipped=(Entry("w", (4, 4), "square"),), other=2, unread=("this looks like RWKV-7 (w0, w1, w2, k_k): not read",)
    )
    diagnosis = diagnose(Layers([], coverage=coverage, format="safetensors", path=tmp_path / "m.safetensors"))
    text = str(diagnosis).splitlines()
    assert "no findings" not in str(diagnosis)
    assert text[0] == "nothing was analysed: none of 3 tensors was recognised as a recurrent weight"
    assert any(line.startswith("unread: this looks like RWKV-7") for line in text)
    assert diagnosis.to_dict()["coverage"]["unread"] == list(coverage.unread)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"cell": "lstm", "unknown": {"bias"}}, "its biases are unknown; name them in tensors="),
        ({"cell": "rnn", "activations": {"h": "ScaledTanh"}}, "its activation ScaledTanh is not known"),
        ({"cell": "rnn_tanh", "unknown": {"activation"}}, "its activation is unknown"),
    ],
)
def test_a_part_that_decides_and_is_unknown_is_not_assumed(options, reason):
    rows = 4 * N if options["cell"] == "lstm" else N
    layer = from_torch(np.ones((rows, N)), name="cell", **options)
    diagnosis = diagnose([layer], steps=9)
    assert diagnosis.layers[0].driven is None
    assert diagnosis.layers[0].unmeasured == reason
    assert f"not measured: {reason}" in " ".join(str(diagnosis).split())


def test_a_plain_cell_with_unknown_biases_is_driven_and_the_assumption_said():
    layer = plain(0.9, "rnn_tanh", weight_ih=np.ones((N, 2)), unknown={"bias"})
    assert "with biases of 0 because they are unknown" in " ".join(str(diagnose([layer])).split())


def test_a_cell_that_is_not_linear_is_not_judged_by_its_rest():
    cell = from_linear("SRU", {"forget_bias": [0.0, 1.0]}, name="sru")
    result = diagnose([cell], steps=100)
    assert result.answer.verdict == "unknown"
    assert "cannot tell: sru: what it keeps depends on its state and inputs; memory at rest" in result.answer.sentence
    assert result.findings == ()


def test_the_evidence_of_training_is_named_after_its_layer_where_others_have_another():
    rng = np.random.default_rng(0)
    uniform = from_torch(rng.uniform(-0.2, 0.2, (24, 24)), cell="rnn_tanh", name="first")
    orthogonal = from_torch(np.linalg.qr(rng.standard_normal((24, 24)))[0], cell="rnn_tanh", name="second")
    both, alone = (" ".join(str(diagnose(layers)).split()) for layers in ([uniform, orthogonal], [uniform, uniform]))
    assert "there are no biases (first; other layers by other evidence)" in both
    assert "other layers" not in alone
