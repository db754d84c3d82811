"""Eigenvalues at rest of every linear family: against the Jacobian of one step, written naively token by token."""

import math

import numpy as np
import pytest

from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.recurrence import LINEAR_FAMILIES, from_linear

EPS = float(np.finfo(float).eps)

RNG = np.random.default_rng(20)
HEADS, KEYS, VALUES = 3, 4, 2


def log1pexp(x):
    return math.log(1 + math.exp(x))


def sigma(x):
    return 1 / (1 + math.exp(-x))


def uniform(low, high, *shape):
    return RNG.uniform(low, high, shape)


def jacobian_eigenvalues(step, size):
    """Return the eigenvalues of a linear step on states of some size, from its columns."""
    columns = [step(np.eye(size, dtype=complex)[k]) - step(np.zeros(size, dtype=complex)) for k in range(size)]
    return np.linalg.eigvals(np.stack(columns, axis=1))


def diagonal_step(decays):
    """Return a step that multiplies each entry of the state by its own number, and adds an input."""
    return lambda h: np.array([decay * entry + 0.3 for decay, entry in zip(decays, h, strict=True)])


def delta_step(decays, key, beta):
    """Return one head's step of a gated delta rule on a state ``(keys,)``: S' = (I − β k kᵀ) diag(α) S + β v k."""

    def step(s):
        s = np.array([a * entry for a, entry in zip(decays, s, strict=True)])
        read = sum(k * entry for k, entry in zip(key, s, strict=True))
        return np.array([entry + beta * (0.7 - read) * k for entry, k in zip(s, key, strict=True)])

    return step


A, B = np.log(uniform(1, 16, HEADS)), np.log(np.expm1(uniform(0.001, 0.1, HEADS)))
A2, B2 = np.log(uniform(1, 16, HEADS, KEYS)), np.log(np.expm1(uniform(0.001, 0.1, HEADS)))
A3, B3 = np.log(uniform(1, 16, HEADS, 2, KEYS)), np.log(np.expm1(uniform(0.001, 0.1, HEADS, 2)))
BC = np.log(np.expm1(uniform(0.001, 0.1, HEADS, KEYS)))
W = uniform(-6, 1, HEADS * KEYS)
GATE, LAMBDA, BOUND = uniform(-2, 4, HEADS), uniform(-6, 0, HEADS), uniform(0, 0.9, HEADS)
STEP, PHASE = np.log(uniform(0.001, 0.1, HEADS)), uniform(0, 9, HEADS, KEYS)

DIAGONAL = {
    "Mamba": ({"A_log": A2, "dt_bias": B2},
              [math.exp(-log1pexp(b) * math.exp(a)) for row, b in zip(A2, B2, strict=True) for a in row]),
    "Zamba": ({"A_log": A3, "dt_bias": B3},
              [math.exp(-log1pexp(B3[h, d]) * math.exp(a)) for h in range(HEADS) for d in range(2) for a in A3[h, d]]),
    "Mamba-2": ({"A_log": A, "dt_bias": B},
                [math.exp(-log1pexp(b) * math.exp(a)) for a, b in zip(A, B, strict=True)]),
    "Mamba-3": ({"dt_bias": B}, [math.exp(-log1pexp(b) * (1 + 0)) for b in B]),
    "RWKV-4": ({"time_decay": W}, [math.exp(-math.exp(w)) for w in W]),
    "RWKV-5": ({"time_decay": W.reshape(HEADS, KEYS)}, [math.exp(-math.exp(w)) for w in W]),
    "RWKV-6": ({"time_decay": W.reshape(1, 1, -1)}, [math.exp(-math.exp(w + math.tanh(0) * 2)) for w in W]),
    "RetNet": ({"units": np.zeros(HEADS)}, [1 - 1 / 2 ** (5 + h) for h in range(HEADS)]),
    "lightning attention": ({"slope_rate": uniform(0, 1, HEADS, 1, 1)}, None),
    "GLA": ({"gate_bias": GATE}, [math.exp(math.log(sigma(b)) / 16) for b in GATE]),
    "HGRN": ({"lower_bound": BOUND}, [low + (1 - low) * sigma(0) for low in BOUND]),
    "RG-LRU": ({"recurrent_param": LAMBDA, "gate_bias": GATE.reshape(1, -1)},
               [math.exp(-8 * sigma(g) * log1pexp(x)) for x, g in zip(LAMBDA, GATE, strict=True)]),
    "mLSTM": ({"fgate_bias": GATE}, [sigma(b) for b in GATE]),
    "mLSTM, capped": ({"fgate_bias": GATE}, [sigma(15 * math.tanh(b / 15)) for b in GATE]),
    "simple GLA": ({"gate_bias": GATE}, [sigma(b) ** (1 / 16) for b in GATE]),
    "MesaNet": ({"gate_bias": GATE}, [sigma(b) for b in GATE]),
    "Rodimus": ({"g_bias": GATE, "tau_bias": LAMBDA},
                [math.exp(-log1pexp(g) * sigma(t)) for g, t in zip(GATE, LAMBDA, strict=True)]),
    "minGRU": ({"gate_bias": GATE}, [1 - sigma(b) for b in GATE]),
    "minLSTM": ({"forget_bias": GATE, "input_bias": LAMBDA},
                [sigma(f) / (sigma(f) + sigma(i)) for f, i in zip(GATE, LAMBDA, strict=True)]),
    "LRU": ({"nu_log": LAMBDA, "theta_log": GATE},
            [np.exp(complex(-math.exp(n), math.exp(t))) for n, t in zip(LAMBDA, GATE, strict=True)]),
    "S4D": ({"log_A_real": A2, "A_imag": PHASE, "log_dt": STEP},
            [np.exp(math.exp(STEP[h]) * complex(-math.exp(A2[h, k]), PHASE[h, k])) for h in range(HEADS)
             for k in range(KEYS)]),
    "S5": ({"Lambda": -np.exp(A) + 2j, "log_step": STEP[:, None]},
           [np.exp(math.exp(s) * complex(-math.exp(a), 2)) for a, s in zip(A, STEP, strict=True)]),
}  # fmt: skip
SLOPE = DIAGONAL["lightning attention"][0]["slope_rate"]
DIAGONAL["lightning attention"] = ({"slope_rate": SLOPE}, [math.exp(-s) for s in SLOPE.ravel()])
DELTA = {
    "Gated DeltaNet": ({"A_log": A, "dt_bias": B},
                       [[math.exp(-math.exp(A[h]) * log1pexp(B[h]))] for h in range(HEADS)]),
    "DeltaNet": ({"units": np.zeros(HEADS)}, [[1.0]] * HEADS),
    "KDA": ({"A_log": A.reshape(1, 1, -1, 1), "dt_bias": BC.ravel()},
            [[math.exp(-math.exp(A[h]) * log1pexp(b)) for b in BC[h]] for h in range(HEADS)]),
    "KDA, bounded": ({"dt_bias": BC.ravel(), "A_log": 0 * A},
                     [[math.exp(-5 * sigma(b)) for b in BC[h]] for h in range(HEADS)]),
    "RWKV-7": ({"w0": W.reshape(1, 1, -1)}, [[math.exp(-math.exp(-0.5) * sigma(w)) for w in W]]),
}  # fmt: skip
MEASURED = {"Mamba-2/GDN", "Gated DeltaProduct"}
"""Families that share the equation of another, or whose spectrum depends on the angles of the keys."""


def test_every_family_is_checked_here_or_in_test_cells_at_rest():
    elsewhere = {name for name, family in LINEAR_FAMILIES.items() if family.nonlinear or family.coupled}
    assert DIAGONAL.keys() | DELTA.keys() | MEASURED | elsewhere == LINEAR_FAMILIES.keys()


@pytest.mark.parametrize("family", DIAGONAL)
def test_eigenvalues_at_rest_are_those_of_one_step(family):
    parameters, decays = DIAGONAL[family]
    layer = from_linear(family, parameters)
    found = np.sort_complex(jacobian_eigenvalues(diagonal_step(decays), len(decays)))
    # 5 eps measured.
    np.testing.assert_allclose(np.sort_complex(layer.diagonal), found, rtol=64 * EPS)
    # The logarithm loses as many eps as there are steps of memory, up to 359: 48 measured.
    np.testing.assert_allclose(layer.linear.memory.ravel(), -1 / np.log(np.abs(np.ravel(decays))), rtol=1000 * EPS)


@pytest.mark.parametrize("family", DELTA)
def test_a_gated_delta_rule_at_rest(family):
    parameters, decays = DELTA[family]
    layer = from_linear(family, parameters)
    expected = np.concatenate([np.resize(one, KEYS) if len(one) == 1 else one for one in decays])
    stored = layer.diagonal if layer.diagonal.size == expected.size else np.repeat(layer.diagonal, KEYS)
    # 3 eps measured.
    np.testing.assert_allclose(stored, expected, rtol=64 * EPS)
    if layer.linear.along_key is None:
        return
    # A key that is one of the channels is an eigenvector of both factors; with one decay a head every key is.
    for h in range(HEADS):
        own = np.resize(decays[h], KEYS)
        key = np.eye(KEYS)[1] if len(decays[h]) > 1 else np.full(KEYS, 0.5)
        found = np.sort(np.abs(jacobian_eigenvalues(delta_step(own, key, sigma(0)), KEYS)))
        alone = [own[1] / 2] if len(decays[h]) > 1 else [layer.linear.along_key[h]]
        kept = np.delete(own, 1) if len(decays[h]) > 1 else own[1:]
        # 4 eps measured.
        np.testing.assert_allclose(found, np.sort([*alone, *kept]), rtol=64 * EPS)


def test_rwkv_7_may_turn_the_sign_along_its_key_and_gates_in_0_1_may_not():
    assert LINEAR_FAMILIES["RWKV-7"].range[0] == pytest.approx(math.exp(-0.60653066) - 1)
    assert LINEAR_FAMILIES["Gated DeltaNet"].range == (0, 1)


def derivative(step, state):
    h = 1e-6
    return (step(state + h) - step(state - h)) / (2 * h)


def test_no_bound_is_stated_for_a_family_whose_state_enters_its_gates():
    assert {f.name for f in LINEAR_FAMILIES.values() if f.range is None} == {
        f.name for f in LINEAR_FAMILIES.values() if f.nonlinear
    }
    # One unit each with plain weights, beside every interval that a gate in (0, 1) or a tanh seems to give.
    assert derivative(lambda h: max(2.5 * h, 0.0), 1.0) == pytest.approx(2.5)  # IndRNN with a ReLU
    assert derivative(lambda c: sigma(8 * c) * c + (1 - sigma(8 * c)) * -3, 0.0) > 5  # SRU, Wx = −3
    assert derivative(lambda h: sigma(9 * h) + (1 - sigma(9 * h)) * h, 0.0) > 2  # RSSM, tanh(...) = 1


def test_sizes_are_heads_or_channels():
    assert from_linear("Mamba", {"A_log": A2, "dt_bias": B2}).linear.size == "3 channels x 4"
    assert from_linear("Gated DeltaNet", {"A_log": A, "dt_bias": B}).linear.size == "3 heads"
    assert from_linear("KDA", {"A_log": A, "dt_bias": BC.ravel()}).linear.size == "3 heads x 4"


def test_half_precision_storage_moves_the_memory_and_not_the_modulus():
    layer = from_linear("Mamba-2", {"A_log": A, "dt_bias": B}, dtypes={"A_log": "bfloat16", "dt_bias": "float32"})
    expected = np.abs(A) * 2.0**-8
    # A difference of logarithms that nearly cancel: 135 eps measured.
    np.testing.assert_allclose(layer.linear.rounding, expected, rtol=1000 * EPS)
    assert not from_linear("Mamba-2", {"A_log": A, "dt_bias": B}).linear.rounding.any()


def test_a_head_that_never_decays_has_an_infinite_memory():
    layer = from_linear("Mamba-2", {"A_log": [-np.inf, 0.0], "dt_bias": [0.0, 0.0]})
    assert layer.linear.memory[0] == np.inf


def test_what_does_not_fit_is_refused():
    with pytest.raises(UnknownNameError, match="Mamba-2"):
        from_linear("Mamba 2", {})
    with pytest.raises(ArgumentError, match="must hold A_log, dt_bias of Mamba"):
        from_linear("Mamba", {"A_log": A2})
    with pytest.raises(ArgumentError, match=r"must fit together.*A_log \(3, 4\), dt_bias \(4,\)"):
        from_linear("Mamba", {"A_log": A2, "dt_bias": np.zeros(4)})
