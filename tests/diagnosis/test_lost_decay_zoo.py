"""Every damage of the zoo is told in a layer of each family or listed as untold; training and draws are not damages."""

import math

import numpy as np
import pytest
from tests.oracles.decays import BUFFERS, DAMAGES, DRAWS, HALF, TRAINED, UNTOLD, damaged, stored

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
def test_what_is_lost_is_found_or_listed_as_untold(family):
    rng = np.random.default_rng(3)
    right = DRAWS[family](rng, HEADS, 0.4)
    assert lost(layer(family, right)) == []
    missed = []
    for damage, parameter, parameters in damaged(family, right, rng):
        if not lost(layer(family, parameters)) and parameter not in UNTOLD.get(damage, (frozenset(), ""))[0]:
            missed.append((damage, parameter))
    assert missed == []


@pytest.mark.parametrize("family", sorted(set(DRAWS) - set(BUFFERS)))
def test_trained_pruned_and_clamped_layers_are_not_called_lost(family):
    for kind, train in TRAINED.items():
        rng = np.random.default_rng(4)
        parameters = train(DRAWS[family](rng, HEADS, 0.4), rng)
        for dtype in ("float32", "bfloat16"):
            found = lost(layer(family, stored(parameters, dtype), dtype), ["UC114"])
            assert [f.message for f in found if f.severity > Severity.NOTE] == [], kind


def test_the_zoo_names_only_damages_that_there_are():
    assert set(UNTOLD) <= set(DAMAGES)
    assert set(HALF) == {"bfloat16", "float16"}


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
