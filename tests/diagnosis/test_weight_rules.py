"""Each rule over weights fires on the defect it names, and on nothing near it."""

import numpy as np
import pytest
from scipy import stats

from unitcircle import initializers
from unitcircle.diagnosis import Severity, diagnose
from unitcircle.recurrence import Source, from_diagonal, from_low_rank, from_torch

N = 48
GATES = {"rnn_tanh": 1, "gru": 3, "lstm": 4}


def layer(weight, cell="lstm", *, bias=None, dtype="float32", name="rnn", tensor="weight_hh_l0"):
    source = Source(tensors=(tensor,), layout="torch", dtype=dtype)
    weight = np.asarray(weight, dtype=np.float32)
    return from_torch(weight, cell=cell, bias_hh=bias, name=name, source=source)


def stack(spec, k, seed=0, n=N):
    rng = np.random.default_rng(seed)
    return np.concatenate([initializers.parse(spec).sample(n, rng=rng) for _ in range(k)])


def codes(*layers, only, **kwargs):
    return [f.code for f in diagnose(layers, select=[only], **kwargs).findings]


def stacked_orthogonal(k, seed=0):
    return initializers.Orthogonal().sample((k * N, N), rng=seed)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("seed", range(3))
def test_uc101_names_a_stack_that_is_orthogonal_only_as_a_stack(cell, seed):
    (finding,) = diagnose([layer(stacked_orthogonal(GATES[cell], seed), cell)], select=["UC101"]).findings
    assert finding.severity is Severity.WARNING
    k = GATES[cell]
    radii = finding.evidence["radius"].values()
    # A truncated Haar block has spectral radius 1/√k, up to O(n^-1/2).
    assert all(abs(radius - k**-0.5) < 0.2 for radius in radii)
    assert finding.place.tensor == "weight_hh_l0"


@pytest.mark.parametrize("cell", GATES)
@pytest.mark.parametrize("spec", ["orthogonal", "gaussian(radius=1)", "xavier_uniform", "eigen", "identity"])
def test_uc101_is_silent_on_gates_initialized_one_by_one(cell, spec):
    assert codes(layer(stack(spec, GATES[cell]), cell), only="UC101") == []


@pytest.mark.parametrize(
    ("layout", "call"),
    [
        ("torch", "unitcircle.torch.initialize_(model, recurrent='orthogonal')"),
        ("onnx", "unitcircle.torch.initialize_(model, recurrent='orthogonal')"),
        ("keras-cudnn", "unitcircle.keras.initialize_(model, recurrent='orthogonal')"),
        ("flax", "unitcircle.jax.initialize_(model, recurrent='orthogonal', key=0)"),
        ("flax-tree", "params, done = unitcircle.jax.initialize(params, recurrent='orthogonal', key=0)"),
    ],
)
def test_the_remedy_is_a_call_of_the_framework_the_weights_came_from(layout, call):
    stacked = from_torch(stacked_orthogonal(4), cell="lstm", source=Source(layout=layout))
    (finding,) = diagnose([stacked], select=["UC101"]).findings
    assert finding.remedy == f"initialize gate by gate: {call}"


def test_uc101_survives_half_precision_storage():
    import ml_dtypes

    weight = stacked_orthogonal(4).astype(ml_dtypes.bfloat16).astype(np.float32)
    assert codes(layer(weight, dtype="bfloat16"), only="UC101") == ["UC101"]


def test_uc102_names_the_gates_that_eye_on_a_stack_leaves_zero():
    (finding,) = diagnose([layer(np.eye(4 * N, N))], select=["UC102"]).findings
    assert finding.severity is Severity.ERROR
    assert finding.evidence == {"zero": ["f", "g", "o"], "identity": ["i"]}
    assert finding.place.gate == "f,g,o"


@pytest.mark.parametrize("weight", [np.zeros((4 * N, N)), np.tile(np.eye(N), (4, 1))], ids=["all zero", "all identity"])
def test_uc102_needs_a_gate_that_is_zero_and_one_that_is_not(weight):
    assert codes(layer(weight), only="UC102") == []


def test_uc103_names_gates_and_layers_that_are_equal():
    one = stack("gaussian", 1)
    twice = layer(np.concatenate([one, one, stack("gaussian", 2, seed=1)]))
    other = layer(one, "rnn_tanh", name="other", tensor="weight_hh_l1")
    findings = diagnose([twice, other], select=["UC103"]).findings
    assert [(str(f.place), f.evidence["same_as"]) for f in findings] == [("rnn[f]", "rnn[i]"), ("other[h]", "rnn[i]")]


def test_uc103_is_silent_on_shared_tensors_identities_and_distinct_draws():
    weight = stack("gaussian", 4)
    assert codes(layer(weight), layer(weight, name="alias"), only="UC103") == []
    assert codes(layer(np.tile(np.eye(N), (4, 1))), only="UC103") == []
    assert codes(layer(weight), layer(stack("gaussian", 4, seed=1), tensor="weight_hh_l1"), only="UC103") == []


@pytest.mark.parametrize(("cell", "severity"), [("rnn_tanh", Severity.WARNING), ("lstm", Severity.NOTE)])
def test_uc104_names_the_default_of_torch(cell, severity):
    weight = np.random.default_rng(0).uniform(-1, 1, (GATES[cell] * N, N)) / np.sqrt(N)
    (finding,) = diagnose([layer(weight, cell)], select=["UC104"]).findings
    assert finding.severity is severity
    # Circular law; at n = 48 the radius of a draw scatters by a few hundredths.
    assert max(finding.evidence["radius"].values()) == pytest.approx(3**-0.5, abs=0.1)


def test_uc104_tests_as_scipy_does():
    bound = N**-0.5
    weight = np.random.default_rng(1).uniform(-bound, bound, (4 * N, N)).astype(np.float32)
    (finding,) = diagnose([layer(weight)], select=["UC104"]).findings
    expected = stats.kstest(weight.ravel().astype(float), stats.uniform(-bound, 2 * bound).cdf, method="asymp").pvalue
    # √n·D, whose logarithmic derivative is below 4, is computed from n = 9216 entries.
    assert finding.evidence["ks_p_value"] == pytest.approx(expected, rel=4 * 9216**0.5 * np.finfo(float).eps)


@pytest.mark.parametrize("spec", ["orthogonal", "xavier_uniform", "gaussian(std=0.05)", "kaiming_uniform"])
def test_uc104_is_silent_on_other_laws(spec):
    assert codes(layer(stack(spec, 4)), only="UC104") == []


def test_uc104_is_silent_on_a_weight_that_training_moved():
    rng = np.random.default_rng(0)
    weight = rng.uniform(-1, 1, (4 * N, N)) / np.sqrt(N) + 0.02 * rng.standard_normal((4 * N, N))
    assert codes(layer(weight), only="UC104") == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_uc105_names_what_is_not_finite_and_stops_every_other_rule(value):
    weight = stack("gaussian", 4)
    weight[N + 3, 2] = value
    diagnosis = diagnose([layer(weight)])
    (finding,) = diagnosis.findings
    assert (finding.code, finding.severity) == ("UC105", Severity.ERROR)
    assert finding.evidence["not_finite"] == {"recurrent weight f": 1}
    assert "not finite" in str(diagnosis)


def test_uc109_names_units_that_are_never_read_and_units_that_receive_nothing():
    weight = stack("gaussian", 4)
    weight[:, 5] = 0
    weight[7::N] = 0
    findings = diagnose([layer(weight)], select=["UC109"]).findings
    assert [f.evidence["units"] for f in findings] == [[5], [7]]


def test_uc109_names_a_lost_rank():
    left, right = np.random.default_rng(0).standard_normal((2, N, 10))
    (finding,) = diagnose([layer(left @ right.T, "rnn_tanh")], select=["UC109"]).findings
    assert finding.evidence["rank"] == {"h": 10}


def test_uc109_lets_a_low_rank_rnn_have_its_rank():
    m, n = np.random.default_rng(0).standard_normal((2, N, 2))
    assert codes(from_low_rank(m, n), only="UC109") == []
    assert codes(layer(stack("gaussian", 4)), only="UC109") == []


def test_uc111_names_a_ring_that_bfloat16_has_closed():
    import ml_dtypes

    rng = np.random.default_rng(0)
    ring = np.diag(initializers.parse("ring(r_min=0.9, r_max=0.9995)").sample(64, rng=rng))
    parts = np.stack([ring.real, ring.imag]).astype(ml_dtypes.bfloat16).astype(float)
    damaged = parts[0] + 1j * parts[1]
    damaged[0] = 1.0  # what bfloat16 makes of 0.9985, a memory of 670 steps
    assert codes(from_diagonal(damaged, source=Source(dtype="bfloat16")), only="UC111") == ["UC111"]
    assert codes(from_diagonal(damaged), only="UC111") == ["UC111"]  # cast up, it stays damaged
    assert codes(from_diagonal(ring), only="UC111") == []


def test_uc111_is_silent_on_exact_numbers_and_on_moduli_far_from_one():
    assert codes(layer(np.eye(N), "rnn_tanh"), only="UC111") == []
    import ml_dtypes

    far = (0.5 * stack("orthogonal", 1)).astype(ml_dtypes.bfloat16).astype(float)
    assert codes(layer(far, "rnn_tanh", dtype="bfloat16"), only="UC111") == []


@pytest.mark.parametrize("stored", ["bfloat16", "float16"])
def test_half_precision_storage_alone_is_neither_uc101_nor_uc109(stored):
    import ml_dtypes

    kind = {"bfloat16": ml_dtypes.bfloat16, "float16": np.float16}[stored]
    weight = (0.1 * np.random.default_rng(0).standard_normal((4 * 128, 128))).astype(kind).astype(np.float32)
    assert codes(layer(weight, dtype=stored), only="UC101") == []
    assert codes(layer(weight, dtype=stored), only="UC109") == []
    left, right = np.random.default_rng(0).standard_normal((2, 128, 10))
    lost = (left @ right.T / 10).astype(kind).astype(np.float32)
    assert codes(layer(lost, "rnn_tanh", dtype=stored), only="UC109") == ["UC109"]
