"""Every damage of the zoo is told in a layer of each family or cannot be; training and draws are not damages."""

import math

import numpy as np
import pytest
from tests.oracles.decays import BUFFERS, DRAWS, LAYER, ORDER, TRAINED, TRAINING, damaged, stored, undecidable

from unitcircle.diagnosis import Severity, diagnose
from unitcircle.recurrence import from_linear

HEADS = 16
LAWS = ["Mamba", "Mamba-2/GDN", "KDA", "RWKV-6", "RWKV-7", "RG-LRU", "mLSTM", "LRU", "S4D", "sLSTM"]
"""Families that together have every parameter and kind of law."""


def layer(family, parameters, dtype="float32"):
    with np.errstate(all="ignore"):
        return from_linear(family, parameters, name="layers.0", dtypes=dict.fromkeys(parameters, dtype))


def lost(one, select=("UC105", "UC114", "UC116", "UC118")):
    return [f for f in diagnose([one], select=list(select)).findings if f.severity > Severity.NOTE or f.code == "UC114"]


@pytest.mark.parametrize("family", LAWS)
def test_what_is_lost_is_found_or_a_correct_layer_has_it_too(family):
    rng = np.random.default_rng(3)
    right = DRAWS[family](rng, HEADS, 0.4)
    assert lost(layer(family, right)) == []
    missed = []
    for damage, parameter, parameters in damaged(family, right, rng):
        found = lost(layer(family, parameters))
        if not found and not undecidable(family, parameter, right, parameters[parameter], HEADS):
            missed.append((damage, parameter))
    assert missed == []


@pytest.mark.parametrize(
    ("family", "parameter", "damage", "why"),
    [
        ("Mamba-2", "dt_bias", "root of the step", TRAINING),  # half of dt_bias, as weight decay leaves it
        ("Mamba-2", "dt_bias", "all ones", ""),
        ("Mamba-2", "dt_bias", "times ten", ""),
        ("Mamba-2", "A_log", "noise N(0, .02)", ""),
        ("Mamba", "dt_bias", "root of the step", ""),  # A_log is log(1, ..., N): it was not trained
        ("Zamba", "dt_bias", "transposed", ORDER),
        ("RWKV-6", "time_decay", "curve of RWKV-6", LAYER),
        ("RWKV-6", "time_decay", "rolled by one", ""),
        ("LRU", "nu_log", "minus ten", ""),
    ],
)
def test_the_oracle_says_why_a_file_does_not_show_a_damage_and_not_where_it_does(family, parameter, damage, why):
    rng = np.random.default_rng(3)
    right = DRAWS[family](rng, 64, 0.4)
    lost = {(name, one): values for name, one, values in damaged(family, right, rng)}[damage, parameter]
    assert undecidable(family, parameter, right, lost[parameter], 64) == why


def test_evenly_spaced_rates_from_1_are_a_start_and_their_log_1_is_no_loss():
    right = DRAWS["Mamba-2"](np.random.default_rng(3), HEADS, 0.4) | {
        "A_log": np.log(np.linspace(1, 16, HEADS + 1))[:-1]
    }
    assert lost(layer("Mamba-2", right)) == []
    (finding,) = lost(layer("Mamba-2", right | {"dt_bias": right["dt_bias"] + 4}), ["UC114"])  # it was not trained
    assert finding.evidence["symptom"] == "off its law"


def test_as_many_standard_normal_numbers_as_none_trains_to_are_a_warning_and_fewer_a_note():
    rng = np.random.default_rng(3)
    for size, severity in ((64, Severity.NOTE), (1024, Severity.WARNING)):
        right = DRAWS["Mamba-2"](rng, size, 0.4) | {"dt_bias": rng.standard_normal(size)}
        (finding,) = lost(layer("Mamba-2", right), ["UC114"])
        assert (finding.severity, finding.evidence["symptom"]) == (severity, "standard normal")


@pytest.mark.parametrize("family", sorted(set(DRAWS) - set(BUFFERS)))
def test_trained_pruned_and_clamped_layers_are_not_called_lost(family):
    for kind, train in TRAINED.items():
        rng = np.random.default_rng(4)
        parameters = train(DRAWS[family](rng, HEADS, 0.4), rng)
        for dtype in ("float32", "bfloat16"):
            found = lost(layer(family, stored(parameters, dtype), dtype), ["UC114"])
            assert [f.message for f in found if f.severity > Severity.NOTE] == [], kind


@pytest.mark.parametrize(
    ("family", "change", "symptom", "sure"),
    [
        ("Mamba", lambda p: p["dt_bias"].__setitem__(2, 1.0), "overwritten", True),
        ("Mamba-2", lambda p: p["dt_bias"].__setitem__(2, 0.0), "constant in part", False),
        ("Mamba", lambda p: p["dt_bias"].__setitem__(2, 0.0), "constant in part", True),  # A_log is log(1, ..., N)
        ("Mamba", lambda p: p["dt_bias"].__setitem__(slice(None), np.log(np.expm1(np.linspace(0.1, 0.5, HEADS)))),
         "off its law", True),
        ("Mamba-2", lambda p: p["A_log"].__setitem__(2, 50.0), "out of reach", True),
        ("KDA", lambda p: p["dt_bias"].__setitem__(slice(64, None), p["dt_bias"][:64].copy()), "repeated", True),
        ("RWKV-6", lambda p: p["time_decay"].__imul__(0.3), "another curve", True),
        ("RWKV-6", lambda p: p["time_decay"].ravel().__setitem__(slice(0, 9), 1.5), "lost in part", True),
        ("RWKV-7", lambda p: p["w0"].ravel().__setitem__(slice(None), np.random.default_rng(1).normal(size=128)),
         "order", True),
        ("Mamba", lambda p: p["A_log"].__setitem__(2, 0.0), "lost in part", True),
        ("Mamba-2", lambda p: p["dt_bias"].__setitem__(slice(None), np.trunc(p["dt_bias"])), "truncated", True),
        ("S4D", lambda p: p["log_A_real"].__setitem__(slice(None), 0.0), "off its law", True),
        ("Mamba", lambda p: p["dt_bias"].__setitem__(2, -10.4), "off its law", True),  # a step of 3e-5
        ("mLSTM", lambda p: p["fgate_bias"].__setitem__(slice(None), np.log(np.linspace(3, 6, HEADS))),
         "logarithm taken twice", True),
        ("LRU", lambda p: p["nu_log"].__isub__(12), "scale", True),
        ("RWKV-6", lambda p: p["time_decay"].ravel().__setitem__(slice(2, 18), p["time_decay"].ravel()[17:1:-1].copy()),
         "order", True),
    ],
)  # fmt: skip
def test_a_mark_has_its_symptom_and_what_clamping_or_pruning_explains_is_a_note(family, change, symptom, sure):
    right = DRAWS[family](np.random.default_rng(3), HEADS, 0.4)
    change(right)
    (finding,) = diagnose([layer(family, right)], select=["UC114"]).findings
    assert finding.evidence["symptom"] == symptom
    assert (finding.severity > Severity.NOTE) == sure
    assert "<-" in finding.remedy


def test_several_draws_may_be_one_number_of_half_precision():
    rng = np.random.default_rng([19, HEADS, 1])
    right = DRAWS["RG-LRU"](rng, HEADS, rng.uniform())
    values = stored(right, "bfloat16")
    assert np.unique(values["recurrent_param"], return_counts=True)[1].max() == 4
    assert lost(layer("RG-LRU", values, "bfloat16")) == []


def test_half_precision_may_round_a_bias_to_1():
    moved = np.linspace(3, 6, HEADS) + np.random.default_rng(4).normal(size=HEADS)
    trained = stored({"fgate_bias": np.append(moved[:-1], 1.0)}, "bfloat16")
    assert lost(layer("mLSTM", trained, "bfloat16")) == []
    assert math.isclose(float(trained["fgate_bias"][-1]), 1)
