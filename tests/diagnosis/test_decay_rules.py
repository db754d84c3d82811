"""Public bugs of decays that were lost, each with its correct twin; the threads are named by repository and number."""

import json
import math
from dataclasses import replace

import jsonschema
import numpy as np
import pytest
from tests.oracles.decays import DRAWS, HALF, rounded, softplus_inverse
from tests.oracles.decays import curve as rwkv_curve
from tests.oracles.decays import steps as inverse_softplus_of_steps
from tests.recurrence.test_cells_at_rest import ltc_parameters

import unitcircle as uc
from unitcircle.diagnosis import RULES, Severity, diagnose
from unitcircle.linting import diagnosis_schema
from unitcircle.recurrence import LINEAR_FAMILIES, from_linear

H, N, D = 16, 16, 24


def correct(family, rng):
    """Return parameters as the authors of a family draw them."""

    def closed_form(*heads):
        return {f"{head}.{part}": rng.uniform(-0.7, 0.7, (6, 9) if part == "weight" else 6)
                for head in heads for part in ("weight", "bias")}  # fmt: skip

    if family in DRAWS:
        return DRAWS[family](rng, H, rng.uniform())
    return {
        "DeltaNet": lambda: {"units": np.zeros(H)},
        "RetNet": lambda: {"units": np.zeros(H)},
        "lightning attention": lambda: {"slope_rate": 2.0 ** (-np.arange(1, H + 1) / 2) * rng.choice([1, 1e-5])},
        "simple GLA": lambda: {"gate_bias": np.zeros(H)},
        "MesaNet": lambda: {"gate_bias": np.zeros(H)},
        "minGRU": lambda: {"gate_bias": np.zeros(D)},
        "minLSTM": lambda: {"forget_bias": np.zeros(D), "input_bias": np.zeros(D)},
        "RSSM": lambda: {"update_bias": np.zeros(D)},
        "ConvLSTM": lambda: {"forget_bias": np.full(D, rng.choice([0.0, 1.0]))},
        "SRU": lambda: {"forget_bias": np.zeros(D)},
        "IndRNN": lambda: {"recurrent_weight": rng.uniform(0, rng.choice([1.0, 2 ** (1 / 784)]), D)},
        "LTC": lambda: ltc_parameters(6, 3, rng),
        "CfC": lambda: closed_form("ff1", "ff2", "time_a", "time_b"),
        "CfC of Keras": lambda: closed_form("ff1", "ff2", "time_a", "time_b"),
        "CfC, pure": lambda: closed_form("ff1") | {"w_tau": np.zeros((1, 6)), "A": np.ones((1, 6))},
    }[family]()  # fmt: skip


def layer(family, parameters, dtype="float32"):
    if dtype in HALF:
        real = {name: not np.iscomplexobj(value) for name, value in parameters.items()}
        parameters = {n: rounded(v, dtype) if real[n] else v for n, v in parameters.items()}
    dtypes = dict.fromkeys(parameters, dtype)
    return from_linear(family, parameters, name="layers.0", dtypes=dtypes)


def found(one, **options):
    return {(f.code, f.place.gate) for f in diagnose([one], **options).findings if f.severity > Severity.NOTE}


def constant(parameter, value):
    return lambda p: p | {parameter: np.full(p[parameter].shape, value)}


def changed(parameter, function):
    return lambda p: p | {parameter: function(p[parameter])}


def entry(parameter, value):
    def put(p):
        values = p[parameter].copy()
        values.flat[3] = value
        return p | {parameter: values}

    return put


def both_zero(p):
    return {name: np.zeros(value.shape) for name, value in p.items()}


def squared_step(values):
    return softplus_inverse(np.log1p(np.exp(values)) ** 2)


def half(values, value):
    """Return values whose first half was overwritten, as where some layers or shards were not loaded."""
    return np.where(np.arange(values.size).reshape(values.shape) < values.size // 2, value, values)


def noise(values):
    """Return what a model's common initialization leaves where it overwrites a decay."""
    return np.random.default_rng(5).normal(0, 0.02, values.shape)


ONES, ZEROS = constant("dt_bias", 1.0), constant("dt_bias", 0.0)
TRANSFORMERS = "huggingface/transformers 5.24 models/"
BUGS = {
    "huggingface/transformers#43717": ("Mamba", ONES, "UC114", "dt_bias"),
    "huggingface/transformers#43778": ("Mamba-2", ONES, "UC114", "dt_bias"),
    TRANSFORMERS + "bamba:922": ("Mamba-2", ONES, "UC114", "dt_bias"),
    TRANSFORMERS + "falcon_h1:1007": ("Mamba-2", ONES, "UC114", "dt_bias"),
    TRANSFORMERS + "granitemoehybrid:1038": ("Mamba-2", ONES, "UC114", "dt_bias"),
    TRANSFORMERS + "lara_mini:896": ("Gated DeltaNet", ONES, "UC114", "dt_bias"),
    TRANSFORMERS + "qwen3_5:930": ("Gated DeltaNet", ONES, "UC114", "dt_bias"),
    TRANSFORMERS + "qwen3_5_moe:1035": ("Gated DeltaNet", ONES, "UC114", "dt_bias"),
    TRANSFORMERS + "qwen3_next:959": ("Gated DeltaNet", ONES, "UC114", "dt_bias"),
    TRANSFORMERS + "qwen4_exp:1347": ("Gated DeltaNet", ONES, "UC114", "dt_bias"),
    "fla-org/flash-linear-attention#739": ("Mamba-2/GDN", ONES, "UC114", "dt_bias"),
    "fla-org/flash-linear-attention#380": ("Gated DeltaNet", both_zero, "UC114", "A_log"),
    "fla-org/flash-linear-attention#754": ("Gated DeltaNet", changed("A_log", np.log), "UC105", ""),  # of A below 1
    "fla-org/flash-linear-attention#754 of KDA": ("KDA", changed("A_log", np.log), "UC114", "A_log"),
    "fla-org/flash-linear-attention#156": ("Mamba-2", entry("dt_bias", math.nan), "UC105", ""),
    "fla-org/flame#9": ("Mamba-2", entry("A_log", math.nan), "UC105", ""),
    "fla-org/flame#42": ("Mamba-2/GDN", both_zero, "UC114", "dt_bias"),
    "mad-lab#3": ("Mamba", ZEROS, "UC114", "dt_bias"),
    "hustvl/Vim#19": ("Mamba", ZEROS, "UC114", "dt_bias"),
    "huggingface/transformers#47831": ("Gated DeltaNet", entry("A_log", -math.inf), "UC105", ""),
    "huggingface/transformers#47842": ("Mamba-2/GDN", entry("A_log", -math.inf), "UC105", ""),
    "pytorch/torchtitan#4178": ("Gated DeltaNet", entry("A_log", math.log(1e-6)), "UC116", ""),
    "spyx#42": ("Mamba", changed("dt_bias", squared_step), "UC114", "dt_bias"),
    "jrz97619761/test-model-thing#3": ("mLSTM", constant("fgate_bias", 0.0), "UC114", "fgate_bias"),
    "kyegomez/xLSTM#1": ("mLSTM", constant("fgate_bias", 0.0), "UC114", "fgate_bias"),
    "andrewgcodes/xlstm#3": ("mLSTM", constant("fgate_bias", 0.0), "UC114", "fgate_bias"),
    "xinding-bot/StreamMind#10": ("Mamba", entry("dt_bias", math.nan), "UC105", ""),
    "state-spaces/mamba#72": ("Mamba", entry("A_log", math.nan), "UC105", ""),
    "state-spaces/mamba#352": ("Mamba", entry("dt_bias", math.nan), "UC105", ""),
    "state-spaces/mamba#529": ("Mamba-2", entry("A_log", math.nan), "UC105", ""),
    "state-spaces/mamba#812": ("Mamba-2", entry("dt_bias", math.inf), "UC105", ""),
}
"""Thread, or file and line → family, what it does to the parameters, the finding, the parameter that it names."""
CASTS = {
    "NVIDIA-NeMo/Automodel#2484": ("Gated DeltaNet", "bfloat16"),
    "NVIDIA/Megatron-LM#3634": ("Gated DeltaNet", "bfloat16"),
    "ml-explore/mlx-lm#1028": ("Mamba-2", "bfloat16"),
    "state-spaces/mamba#923": ("Mamba-2", "bfloat16"),
    "state-spaces/mamba#397": ("Mamba-2", "float16"),
}
"""Threads that ask to keep A_log in float32: a note, because rounding moves a memory by a few percent."""
KINDS = {
    "A, not its logarithm": ("Mamba-2", changed("A_log", np.exp), "UC114", "A_log"),
    "A, not its logarithm, channels": ("Mamba", changed("A_log", np.exp), "UC114", "A_log"),
    "log twice": ("Mamba-2", changed("A_log", lambda x: np.log(np.maximum(x, 1e-3))), "UC114", "A_log"),
    "log twice, channels": ("Mamba", changed("A_log", lambda x: np.log(np.abs(x))), "UC105", ""),
    "sign of A_log": ("Mamba", changed("A_log", np.negative), "UC114", "A_log"),
    "sign of A": ("Mamba-2", changed("A_log", lambda x: -np.exp(x)), "UC114", "A_log"),
    "step without inverse softplus": ("Gated DeltaNet", changed("dt_bias", lambda x: np.log1p(np.exp(x))), "UC114",
                                      "dt_bias"),
    "sign of dt_bias": ("Mamba-3", changed("dt_bias", np.negative), "UC114", "dt_bias"),
    "KDA with ones": ("KDA", ONES, "UC114", "dt_bias"),
    "bounded KDA with zeros": ("KDA, bounded", ZEROS, "UC114", "dt_bias"),
    "time_decay 0": ("RWKV-4", constant("time_decay", 0.0), "UC114", "time_decay"),
    "sign of time_decay": ("RWKV-5", changed("time_decay", np.negative), "UC114", "time_decay"),
    "exp(w) stored": ("RWKV-6", changed("time_decay", np.exp), "UC114", "time_decay"),
    "sign of w0": ("RWKV-7", changed("w0", np.negative), "UC114", "w0"),
    "w0 zeros": ("RWKV-7", constant("w0", 0.0), "UC114", "w0"),
    "Λ constant": ("RG-LRU", constant("recurrent_param", 1.0), "UC114", "recurrent_param"),
    "sign of Λ": ("RG-LRU", changed("recurrent_param", np.negative), "UC114", "recurrent_param"),
    "sign of the forget gate": ("mLSTM, capped", changed("fgate_bias", np.negative), "UC114", "fgate_bias"),
    "ν, not its logarithm": ("LRU", changed("nu_log", np.exp), "UC114", "nu_log"),
    "|λ|, not ν": ("LRU", changed("nu_log", lambda x: np.exp(-np.exp(x))), "UC114", "nu_log"),
    "a, not Λ": ("RG-LRU", changed("recurrent_param", lambda x: np.exp(-4 * np.log1p(np.exp(x)))), "UC114",
                 "recurrent_param"),
    "sign of ν": ("LRU", changed("nu_log", np.negative), "UC114", "nu_log"),
    "Δ, not its logarithm": ("S4D", changed("log_dt", np.exp), "UC114", "log_dt"),
    "sLSTM with one forget bias": ("sLSTM", constant("fgate_bias", 0.0), "UC114", "fgate_bias"),
    "sLSTM with a changed sign": ("sLSTM", changed("fgate_bias", lambda b: -np.abs(b) - 2), "UC114", "fgate_bias"),
    "sLSTM with a NaN": ("sLSTM", entry("recurrent_kernel", math.nan), "UC105", ""),
    "S4 with one step": ("S4", constant("log_dt", 0.0), "UC114", "log_dt"),
    "S4, Δ and not its logarithm": ("S4", changed("log_dt", np.exp), "UC114", "log_dt"),
    "IndRNN with an infinity": ("IndRNN", entry("recurrent_weight", math.inf), "UC105", ""),
    "SRU with a NaN": ("SRU", entry("forget_bias", math.nan), "UC105", ""),
    "half of the steps 0": ("Mamba-2", changed("dt_bias", lambda x: half(x, 0.0)), "UC114", "dt_bias"),
    "half of the steps 1, channels": ("Mamba", changed("dt_bias", lambda x: half(x, 1.0)), "UC114", "dt_bias"),
    "half of the rates 0": ("Gated DeltaNet", changed("A_log", lambda x: half(x, 0.0)), "UC114", "A_log"),
    "half of the channels": ("Mamba", changed("A_log", lambda x: half(x, 1.0)), "UC114", "A_log"),
    "half of a curve": ("RWKV-6", changed("time_decay", lambda x: half(x, 0.0)), "UC114", "time_decay"),
    "steps from N(0, .02)": ("KDA", changed("dt_bias", noise), "UC114", "dt_bias"),
    "curve from N(0, .02)": ("RWKV-7", changed("w0", noise), "UC114", "w0"),
    "forget bias from N(0, .02)": ("mLSTM", changed("fgate_bias", noise), "UC114", "fgate_bias"),
    "half of the forget biases": ("mLSTM", changed("fgate_bias", lambda x: half(x, 0.0)), "UC114", "fgate_bias"),
    "moduli from N(0, .02)": ("LRU", changed("nu_log", noise), "UC114", "nu_log"),
    "Λ from N(0, .02)": ("RG-LRU", changed("recurrent_param", noise), "UC114", "recurrent_param"),
    "softplus twice": ("Mamba-3", changed("dt_bias", lambda x: np.log1p(1 + np.exp(x))), "UC114", "dt_bias"),
    "log Δ twice": ("S4D", changed("log_dt", lambda x: 2 * x), "UC114", "log_dt"),
    "rates squared": ("Zamba", changed("A_log", np.square), "UC114", "A_log"),
    "rates times ten": ("Mamba", changed("A_log", lambda x: 10 * x), "UC114", "A_log"),
    "rates above those drawn": ("Mamba-2", changed("A_log", np.square), "UC114", "A_log"),
    "heads of a curve in another order": ("RWKV-5", changed("time_decay", lambda x: x.T.reshape(x.shape)), "UC114",
                                          "time_decay"),
    "channels of a curve shuffled": ("RWKV-7", changed("w0", np.random.default_rng(5).permuted), "UC114", "w0"),
    "w0, its sigmoid": ("RWKV-7", changed("w0", lambda x: 1 / (1 + np.exp(-x))), "UC114", "w0"),
    "a gate of the sLSTM and not its bias": ("sLSTM", changed("fgate_bias", lambda x: 1 / (1 + np.exp(-x))), "UC114",
                                             "fgate_bias"),
    "a rising curve of the sLSTM": ("sLSTM", changed("fgate_bias", np.negative), "UC114", "fgate_bias"),
    "bounded KDA with rates of ones": ("KDA, bounded", constant("A_log", 1.0), "UC114", "A_log"),
    "log_step 0": ("S5", constant("log_step", 0.0), "UC114", "log_step"),
}  # fmt: skip


@pytest.mark.parametrize("bug", [*BUGS, *KINDS])
def test_a_lost_decay_is_found_and_its_twin_is_not(bug):
    family, damage, code, parameter = (BUGS | KINDS)[bug]
    parameters = correct(family, np.random.default_rng(1))
    assert found(layer(family, parameters)) == set()
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = layer(family, damage(parameters))
    assert (code, parameter) in found(lost)
    for finding in diagnose([lost], select=[code]).findings:
        assert "<-" in finding.remedy


@pytest.mark.parametrize("thread", CASTS)
def test_a_cast_to_half_precision_is_a_note(thread):
    family, dtype = CASTS[thread]
    parameters = correct(family, np.random.default_rng(1))
    findings = diagnose([layer(family, parameters, dtype)], steps=4096, ignore=["UC112", "UC115"]).findings
    assert [(f.code, f.severity) for f in findings] == [("UC117", Severity.NOTE)]
    assert "A_log, dt_bias stored as" in findings[0].message
    assert diagnose([layer(family, parameters)], steps=4096, ignore=["UC112", "UC115"]).findings == ()


def test_the_correct_initializations_of_every_family_have_no_finding_above_a_note():
    rng = np.random.default_rng(7)
    count = 0
    for family in LINEAR_FAMILIES:
        for _ in range(4):
            parameters = correct(family, rng)
            # HiPPO is no correct draw in bfloat16: its eigenvalues move.
            for dtype in ("float32",) if family == "S4" else ("float32", "bfloat16"):
                assert found(layer(family, parameters, dtype)) == set(), (family, dtype)
                count += 1
    assert count >= 200
    first = {"w0": rwkv_curve(64, -6.5, -1.5, 1.3).reshape(1, 1, -1)}  # of RWKV-7 at first
    assert found(layer("RWKV-7", first)) == set()


def test_trained_biases_that_half_precision_made_equal_were_not_lost():
    # Between 4 and 8 the numbers of bfloat16 are 1/32 apart.
    parameters = {"fgate_bias": np.array([3.25, 3.6875, 4.25, 4.25, 4.90625, 5.125, 5.5, 6.0625])}
    assert found(layer("mLSTM", parameters, "bfloat16")) == set()
    assert found(layer("mLSTM", parameters)) == set()  # copied to float32
    finer = {"fgate_bias": parameters["fgate_bias"] + 1e-4}
    assert found(layer("mLSTM", finer)) == {("UC114", "fgate_bias")}


def test_what_clamping_or_pruning_leaves_behind_is_a_note():
    right = correct("Mamba-2", np.random.default_rng(1))
    kept = np.arange(right["dt_bias"].size) % 4 > 0
    trained = right["dt_bias"] + np.random.default_rng(2).normal(size=kept.size)
    clamped = {"dt_bias": np.maximum(trained, np.quantile(trained, 0.3))}
    pruned = {"A_log": right["A_log"] * kept, "dt_bias": right["dt_bias"] * kept}
    for values in (clamped, pruned):
        findings = diagnose([layer("Mamba-2", right | values)], select=["UC114"]).findings
        assert {finding.severity for finding in findings} == {Severity.NOTE}
        assert "unless they were clamped or pruned" in findings[0].message


def test_the_remedies_make_the_findings_vanish():
    for family, damage, code, parameter in (BUGS | KINDS).values():
        right = correct(family, np.random.default_rng(1))
        with np.errstate(divide="ignore", invalid="ignore"):
            lost = damage(right)
        named = {f.place.gate for f in diagnose([layer(family, lost)], select=["UC114"]).findings}
        named |= {parameter} if parameter else {*right} if code in {"UC105", "UC116", "UC118"} else set()
        assert found(layer(family, lost | {name: right[name] for name in named})) == set()


def test_a_head_of_minus_infinity_is_an_error_that_names_the_head():
    parameters = entry("A_log", -math.inf)(correct("Gated DeltaNet", np.random.default_rng(1)))
    (finding,) = diagnose([layer("Gated DeltaNet", parameters)], steps=4096, select=["UC105"]).findings
    assert finding.severity is Severity.ERROR
    assert finding.message == "entries that are NaN or infinite: 1 in A_log (head 3)"
    assert finding.remedy == "A_log <- log U(1, 16) in float32"
    per_channel = entry("dt_bias", math.nan)(correct("KDA", np.random.default_rng(1)))
    (finding,) = diagnose([layer("KDA", per_channel)], select=["UC105"]).findings
    assert "dt_bias (head 0)" in finding.message


def test_a_rounded_memory_is_judged_by_its_own_error():
    # Stored as log_dt of a long memory, bfloat16 moves it by a third; the same in float32 is right.
    slow = {"log_A_real": np.zeros((4, 1)), "A_imag": np.ones((4, 1)), "log_dt": np.full(4, -90.0) - np.arange(4)}
    one = layer("S4D", slow, "bfloat16")
    (finding,) = diagnose([one], select=["UC111"]).findings
    assert "is known to ±36% only: " in finding.message
    assert diagnose([layer("S4D", slow)], select=["UC111"]).findings == ()
    fast = slow | {"log_dt": np.full(4, 90.0)}  # gone within a token, by whatever rate
    assert diagnose([layer("S4D", fast, "bfloat16")], select=["UC111"]).findings == ()
    ordinary = layer("LRU", correct("LRU", np.random.default_rng(1)), "bfloat16")
    assert diagnose([ordinary], select=["UC111"]).findings == ()


def test_memory_is_reported_in_tokens_per_head():
    parameters = {
        "A_log": np.log([1.0, 1e-9, 16.0, 4.0]),
        "dt_bias": softplus_inverse(np.array([0.01, 0.01, 1.0, 0.05])),
    }
    result = diagnose([layer("Gated DeltaNet", parameters)], steps=64)
    assert result.answer.sentence.startswith("Gated DeltaNet: carries a signal over 64 steps?")
    assert result.answer.sentence.endswith("memory at rest: median 52.5 tokens, 0.0625 to 1e+11")
    text = " ".join(str(result).split())
    assert "4 heads" in text
    assert "layers.0: median 52.5, shortest 0.0625 (head 2), longest 1e+11 (head 1)" in text
    assert "1 never decay (head 1); 1 forget in one token (head 2); along the key α(1 − β) = 5.63e-08 to 0.5" in text
    data = json.loads(result.to_json())
    memory = data["layers"][0]["linear"]["memory"]
    assert (memory["endless"], memory["momentary"], memory["unit"]) == ([1], [2], "head")
    assert data["layers"][0]["linear"]["family"] == "Gated DeltaNet"
    assert data["answer"]["memory"]["shortest"] == pytest.approx(1 / 16)


def test_the_remedy_of_a_short_memory_names_the_parameters():
    parameters = correct("Mamba-2", np.random.default_rng(1))
    (finding,) = diagnose([layer("Mamba-2", parameters)], steps=100_000, select=["UC112"]).findings
    assert finding.remedy == (
        "dt_bias <- inverse softplus of log-uniform(.001, .1); A_log <- log U(1, 16) in float32; "
        "a memory of 100000 tokens needs a rate of 1/100000 in some heads"
    )
    plain = replace(layer("Mamba-2", parameters), linear=None)
    assert "lower dt_bias" in diagnose([plain], steps=100_000, select=["UC112"]).findings[0].remedy


def test_a_gate_that_is_shut_at_rest_by_design_is_a_note():
    rng = np.random.default_rng(1)
    parameters = {"A_log": np.log(rng.uniform(1, 16, H)), "dt_bias": inverse_softplus_of_steps(rng, H * 8)}
    (finding,) = diagnose([layer("KDA, bounded", parameters)], select=["UC116"]).findings
    assert finding.severity is Severity.NOTE


RANGES = {
    "Gated DeltaNet": (0, 1), "Mamba": (0, 1), "Mamba-2": (0, 1), "GLA": (0, 1), "RG-LRU": (0, 1), "mLSTM": (0, 1),
    "RWKV-7": (math.exp(-math.exp(-0.5)) - 1, 1), "LRU": None, "S4D": None, "S5": None, "Gated DeltaProduct": None,
}  # fmt: skip


@pytest.mark.parametrize("family", RANGES)
def test_expressivity_is_a_note_of_its_own_kind(family):
    one = layer(family, correct(family, np.random.default_rng(1)))
    found = [f for f in diagnose([one]).findings if f.kind == "expressivity"]
    if RANGES[family] is None:
        assert found == []
        return
    (finding,) = found
    assert (finding.code, finding.severity, finding.to_dict()["kind"]) == ("UC115", Severity.NOTE, "expressivity")
    assert finding.evidence["range"] == pytest.approx(RANGES[family])
    assert ("parity is in its range" in finding.why) == (RANGES[family][0] < 0)
    assert "modulo 3" in finding.why


def test_the_range_is_that_of_the_layer():
    lower = from_linear("HGRN", {"lower_bound": np.array([0.25, 0.5])}, name="layers.0")
    assert lower.linear.range == (0.25, 1.0)
    fixed = from_linear("RetNet", {"units": np.zeros(4)}, name="layers.0")
    assert fixed.linear.range == (1 - 2**-5, 1 - 2**-8)
    gated = layer("Gated DeltaNet", correct("Gated DeltaNet", np.random.default_rng(1)))
    doubled = replace(gated, linear=replace(gated.linear, reflects=True))
    (finding,) = diagnose([doubled], select=["UC115"]).findings
    assert finding.message == "Gated DeltaNet: real eigenvalues from -1 to 1 over all inputs"
    assert (doubled.linear.along_key == 0).all()  # α (1 − 2 σ(0))
    unbounded = from_linear("IndRNN", {"recurrent_weight": np.array([1.5, 0.5])})
    assert unbounded.linear.range is None
    written = json.loads(diagnose([doubled, unbounded]).to_json())
    jsonschema.validate(written, diagnosis_schema())
    assert [one["linear"]["range"] for one in written["layers"]] == [[-1, 1], None]
    assert not RULES["UC115"].on_request
    assert "2411.12537" in uc.diagnosis.explain("UC115")


def test_what_is_fixed_by_design_is_no_endless_memory():
    for family in ("DeltaNet", "RetNet", "lightning attention", "minGRU"):
        assert found(layer(family, correct(family, np.random.default_rng(1))), steps=4096) == set()
