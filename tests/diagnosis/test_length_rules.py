"""Rules over the length: judged on the real Jacobian, with the numbers of analytic cases."""

import math

import numpy as np
import pytest
from scipy.special import expit
from tests.printed import half_unit

from unitcircle import initializers
from unitcircle.diagnosis import Severity, diagnose, drive
from unitcircle.recurrence import Source, from_diagonal, from_keras, from_torch, jvp, step

N = 16
EPS = np.finfo(float).eps


def linear(W, cell="linear"):
    return from_torch(np.asarray(W, dtype=float), cell=cell, name="rnn")


def lstm(bias_ih=None, bias_hh=None, weight=None, n=N, **options):
    zeros = np.zeros((4 * n, n))
    weight = zeros if weight is None else weight
    return from_torch(weight, cell="lstm", bias_ih=bias_ih, bias_hh=bias_hh, name="lstm", **options)


def forget(value, n=N):
    return np.repeat([0.0, value, 0.0, 0.0], n)


def findings(layer, only, **kwargs):
    return list(diagnose([layer], select=[only], **kwargs).findings)


def test_a_driven_lstm_without_recurrent_weights_forgets_like_its_forget_gate():
    # With W = 0 the Jacobian is block triangular: c keeps σ(b) a step, h keeps nothing.
    driven = drive(lstm(forget(1.0)), steps=40)
    assert driven.growth_rate == pytest.approx(math.log(expit(1.0)), abs=40 * EPS)  # 40 logarithms of norms are added


def test_a_driven_rotation_keeps_the_norm_exactly():
    W = initializers.Orthogonal().sample(N, rng=0)
    driven = drive(linear(W), steps=50)
    np.testing.assert_allclose(driven.log_growth, 0, atol=50 * N * EPS)


def test_a_dead_layer_has_growth_minus_infinity():
    driven = drive(linear(np.zeros((N, N))), steps=3)
    assert driven.log_growth.tolist() == [0.0, -np.inf, -np.inf, -np.inf]
    assert driven.growth_rate == -np.inf


def test_growth_is_the_frobenius_norm_of_the_product():
    rng = np.random.default_rng(0)
    W = rng.standard_normal((N, N)) / 4
    driven = drive(linear(W), steps=6, rng=1)
    exact = [math.log(np.linalg.norm(np.linalg.matrix_power(W, t)) / math.sqrt(N)) for t in range(7)]
    # 32 probes of 16 entries: the relative error of a probed Frobenius norm is about 1/√(32·(stable rank)) < 0.15.
    np.testing.assert_allclose(driven.log_growth, exact, atol=0.3)


def test_uc106_gives_the_lag_where_the_gradient_is_lost():
    W = 0.8 * initializers.Orthogonal().sample(N, rng=0)
    (finding,) = findings(linear(W, "rnn_tanh"), "UC106", steps=60)
    # Without input from the zero state tanh is linear, so the product is 0.8^t: below 1/1000 from t = 31 on.
    assert finding.evidence["lag"] == 31
    assert finding.severity is Severity.WARNING


def test_without_a_length_the_first_line_answers_and_there_is_no_finding():
    W = 0.8 * initializers.Orthogonal().sample(N, rng=0)
    assert findings(linear(W, "rnn_tanh"), "UC106") == []
    assert findings(from_diagonal(np.full(4, 0.2)), "UC112") == []
    answer = diagnose([linear(W, "rnn_tanh")]).answer
    assert answer.reach == 31
    assert answer.sentence == "rnn_tanh: carries a signal over 64 steps? no: 1/1000 is left after 31 steps"


def test_uc106_names_an_explosion():
    W = np.diag(np.full(N, 3.0))
    (finding,) = findings(from_torch(W, cell="rnn_relu", bias_hh=np.ones(N), name="rnn"), "UC106", steps=30)
    assert "rises above 1000 at lag 7" in finding.message  # 3^7 = 2187


def test_uc106_does_not_shout_at_gates_with_a_large_spectral_radius():
    # Saturated gates: ρ of every block is 3, and the cell state is simply kept (f ≈ 1, i ≈ 0).
    weight = np.concatenate([3 * initializers.Orthogonal().sample(N, rng=k) for k in range(4)])
    bias = np.repeat([-12.0, 12.0, 0.0, 0.0], N)
    assert findings(lstm(bias, weight=weight), "UC106", steps=40) == []


def test_uc107_names_transient_growth_with_its_step():
    # Oracle (40 digits): max ‖Wᵗ‖ = 26.9362184494 at t = 6, to 10 decimals here.
    (finding,) = findings(linear([[0.9, 10.0], [0.0, 0.8]], "rnn_tanh"), "UC107", steps=64)
    assert finding.evidence["peak_step"] == 6
    assert finding.evidence["peak_norm_log"] == pytest.approx(math.log(26.9362184494), abs=half_unit(10) / 26.9)


def test_uc107_is_silent_on_normal_and_on_gated_weights():
    assert findings(linear(0.9 * np.eye(4)), "UC107") == []
    assert findings(lstm(weight=np.tile([[0.9, 10.0], [0.0, 0.8]], (4, 1)), n=2), "UC107") == []


def test_uc108_names_a_defective_eigenvalue_on_the_circle():
    (finding,) = findings(linear([[1.0, 1.0], [0.0, 1.0]], "rnn_relu"), "UC108")
    assert finding.severity is Severity.WARNING
    assert findings(linear(np.eye(2)), "UC108") == []


@pytest.mark.parametrize(
    ("ih", "hh", "words"),
    [
        (forget(0.0), None, "no forget bias"),
        (forget(0.0), forget(0.0), "no forget bias"),
        (forget(1.0), forget(1.0), "both torch biases of the forget gate are 1: together they act as 2"),
    ],
)
def test_uc110_names_a_missing_and_a_doubled_forget_bias(ih, hh, words):
    (finding,) = findings(lstm(ih, hh), "UC110")
    assert words in finding.message


@pytest.mark.parametrize(
    ("layout", "before", "after"),
    [("torch", "torch", ""), ("onnx", "torch", ""), ("keras", "keras", ""), ("flax", "jax", ", key=0")],
)
def test_the_remedy_of_a_length_is_a_call_of_the_framework_the_weights_came_from(layout, before, after):
    source = Source(layout=layout)
    gated = lstm(forget(0.0), source=source)
    (finding,) = findings(gated, "UC110", steps=100)
    call = f"unitcircle.{before}.initialize_(model, bias='chrono(max_steps=100)'{after})"
    assert finding.remedy == f"{call}, or 'forget_bias'"
    plain = from_torch(0.1 * np.eye(N), cell="rnn_tanh", weight_ih=np.eye(N), name="rnn", source=source)
    remedies = [finding.remedy for finding in diagnose([plain], steps=100).findings]
    assert f"unitcircle.{before}.initialize_(model, recurrent='orthogonal'{after})" in remedies


def test_uc110_names_the_default_bias_of_torch():
    rng = np.random.default_rng(0)
    ih, hh = rng.uniform(-0.25, 0.25, (2, 4 * N))
    (finding,) = findings(lstm(ih, hh), "UC110")
    assert "a mean forget bias of" in finding.message


@pytest.mark.parametrize(("ih", "hh"), [(forget(1.0), forget(0.0)), (forget(0.5), forget(0.5) * 1.4)])
def test_uc110_is_silent_on_a_forget_bias_that_is_there_once(ih, hh):
    assert findings(lstm(ih, hh), "UC110") == []


def test_uc110_is_silent_on_trained_biases():
    ih = forget(0.0) + np.random.default_rng(0).standard_normal(4 * N)
    assert findings(lstm(ih, forget(0.0)), "UC110") == []


def test_uc110_does_not_take_an_absent_bias_for_a_bias_of_zero():
    assert findings(lstm(), "UC110") == []
    assert findings(lstm(unknown={"bias"}), "UC110") == []


def test_uc110_retention_is_the_sigmoid_of_the_bias():
    (finding,) = findings(lstm(forget(0.0)), "UC110")
    assert finding.evidence["retention"] == 0.5
    assert "after 10 steps" in finding.message  # 2^-10 < 1/1000


@pytest.mark.parametrize(
    ("moduli", "severity", "words"),
    [
        ([0.5, 1.01], Severity.ERROR, "1 of 2 eigenvalues lie outside"),
        ([0.5, 0.2], Severity.WARNING, "1/1000 is left after 10 of 100 steps"),
        ([0.5, 0.99], None, ""),
        ([1.0, 0.5], None, ""),
    ],
)
def test_uc112_judges_linear_recurrences_by_their_eigenvalues(moduli, severity, words):
    diagonal = np.asarray(moduli) * np.exp(1j * np.array([0.3, 2.0]))
    for layer in (from_diagonal(diagonal), linear(np.diag(moduli))):
        reported = findings(layer, "UC112", steps=100)
        assert [finding.severity for finding in reported] == ([severity] if severity else [])
        assert all(words in finding.message for finding in reported)


def test_uc113_names_swapped_activations():
    kernel = np.zeros((4, 16))
    swapped = from_keras(kernel, cell="lstm", activation="sigmoid", recurrent_activation="tanh", name="k")
    right = from_keras(kernel, cell="lstm", activation="tanh", recurrent_activation="sigmoid", name="k")
    assert [f.code for f in findings(swapped, "UC113")] == ["UC113"]
    assert findings(right, "UC113") == []


def test_a_complex_diagonal_recurrence_is_driven_with_its_complex_inputs():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((3, 2)) + 1j * rng.standard_normal((3, 2))
    driven = drive(from_diagonal(np.array([0.9, 0.9j, -0.9]), B=inputs), steps=20)
    np.testing.assert_allclose(driven.log_growth, math.log(0.9) * np.arange(21), atol=8 * 20 * EPS)


def test_uc112_says_how_far_an_explosion_goes_without_overflowing():
    (finding,) = findings(from_diagonal(np.full(8, 2.0)), "UC112", steps=1100)
    assert "×10^331 after 1100 steps" in finding.message  # 1100 log₁₀ 2 = 331.1


def test_uc110_takes_a_forget_gate_that_is_shut():
    (finding,) = findings(lstm(np.repeat([0.0, -50.0, 0.0, 0.0], N)), "UC110")
    assert "1/1000 is left after 0 steps" in finding.message


def test_a_relu_layer_without_inputs_is_not_driven():
    # At the origin the slope of ReLU is a convention, and the probe would die whatever the weight is.
    W = 3 * np.eye(8)
    assert drive(from_torch(W, cell="rnn_relu", name="rnn"), steps=5) is None
    assert drive(from_torch(W, cell="rnn_relu", bias_hh=np.ones(8), name="rnn"), steps=5) is not None


def test_a_state_that_overflows_is_an_explosion_not_a_warning():
    layer = from_torch(3 * np.eye(8), cell="rnn_relu", bias_hh=np.ones(8), name="rnn")
    driven = drive(layer, steps=1000)
    assert driven.growth_rate == np.inf
    assert [f.evidence["lag"] for f in findings(layer, "UC106", steps=1000)] == [1]


def test_remedies_can_be_read_whatever_the_length():
    (finding,) = findings(lstm(forget(0.0)), "UC110", steps=2)
    assert "chrono(max_steps=3)" in finding.remedy
    assert initializers.parse("chrono(max_steps=3)").max_steps == 3


@pytest.mark.parametrize("cell", ["rnn_tanh", "gru", "lstm"])
def test_jacobians_at_once_push_as_one_step_after_the_other(cell):
    rng, steps = np.random.default_rng(0), 40
    k = {"rnn_tanh": 1, "gru": 3, "lstm": 4}[cell]
    layer = from_torch(rng.standard_normal((k * 4, 4)), cell=cell, weight_ih=rng.standard_normal((k * 4, 3)))
    driven = drive(layer, steps=steps, rng=5)
    rng = np.random.default_rng(5)
    inputs = rng.standard_normal((2 * steps, 4, 3))
    state, tangents, logs = np.zeros((4, layer.state_size)), rng.standard_normal((4, layer.state_size, 8)), [0.0]
    start = np.linalg.norm(tangents, axis=(1, 2))
    for t, x in enumerate(inputs):
        if t >= steps:
            tangents = jvp(layer, x, state, tangents)
            logs.append(np.log(np.linalg.norm(tangents, axis=(1, 2)) / start).mean())
        state = step(layer, x, state)
    np.testing.assert_allclose(driven.log_growth, logs, rtol=0, atol=steps * 64 * EPS)
