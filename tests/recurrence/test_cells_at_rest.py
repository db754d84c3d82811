"""Cells whose state enters their gates, and S4: against differences of one step, written naively, and exact cases."""

import math

import numpy as np
import pytest

from unitcircle.errors import ArgumentError
from unitcircle.recurrence import LINEAR_FAMILIES, from_linear

EPS = float(np.finfo(float).eps)
STEP = 1e-5
"""Of central differences: they err by 1e-10, and lose eps / 1e-5 to cancellation."""
CLOSE = 1e-8
RNG = np.random.default_rng(4)


def sigma(x):
    return 1 / (1 + math.exp(-x))


def jacobian(step, state):
    """Return the derivative of a step by each entry of a state, in columns."""
    columns = []
    for k in range(len(state)):
        moved = [np.array(state, dtype=float) for _ in range(2)]
        moved[0][k] += STEP
        moved[1][k] -= STEP
        columns.append((np.array(step(moved[0])) - np.array(step(moved[1]))) / (2 * STEP))
    return np.stack(columns, axis=1)


def same_set(found, expected, close=CLOSE):
    found, expected = np.ravel(found).astype(complex), np.ravel(expected).astype(complex)
    assert found.shape == expected.shape
    left = list(expected)
    for value in found:
        nearest = min(left, key=lambda other: abs(other - value))
        assert abs(nearest - value) < close
        left.remove(nearest)


HEADS, UNITS = 2, 3


def slstm_step(R, b, head, c, n, m):
    """Return c', n', m' of one head without input; R ``(heads, in, gates, out)``, b ``(heads, gates, units)``, i f z o.

    The equations 8 to 18 of arXiv 2405.04517 with a sigmoid forget gate; m is the stabilizer.
    """
    h = [sigma(b[head, 3, u]) * c[u] / n[u] for u in range(UNITS)]
    raw = [[b[head, g, u] + sum(R[head, v, g, u] * h[v] for v in range(UNITS)) for u in range(UNITS)] for g in range(4)]
    new = []
    for u in range(UNITS):
        log_f = math.log(sigma(raw[1][u])) + m[u]
        top = max(raw[0][u], log_f)
        i, f = math.exp(raw[0][u] - top), math.exp(log_f - top)
        new.append((f * c[u] + i * math.tanh(raw[2][u]), f * n[u] + i, top))
    return map(list, zip(*new, strict=True))


@pytest.fixture(scope="module")
def slstm():
    return RNG.normal(0, 0.8, (HEADS, UNITS, 4, UNITS)), RNG.normal(0, 0.7, (HEADS, 4, UNITS))


def test_slstm_at_rest_is_the_jacobian_of_its_cell_state(slstm):
    R, b = slstm
    layer = from_linear(
        "sLSTM",
        {"fgate_bias": b[:, 1], "gate_biases": b[:, [0, 2, 3]], "recurrent_kernel": R.transpose(0, 2, 3, 1)},
    )
    assert layer.linear.size == "2 heads x 3"
    for head in range(HEADS):
        n, m = [0.5] * UNITS, [0.0] * UNITS
        for _ in range(300):  # the normalizer comes to rest, in the scale of its stabilizer
            _, n, m = slstm_step(R, b, head, [0.0] * UNITS, n, m)
        scale = np.exp(m)
        assert n * scale == pytest.approx([math.exp(i) / (1 - sigma(f)) for i, f in zip(*b[head, :2], strict=True)])

        def unscaled(c, head=head, n=n, m=m):
            new, _, after = slstm_step(R, b, head, c, n, m)
            return np.array(new) * np.exp(np.array(after) - m)

        J = jacobian(unscaled, [0.0] * UNITS) * (scale / scale[:, None]).T  # from c exp(-m) to c
        same_set(np.exp(layer.linear.log_eigenvalues[head]), np.linalg.eigvals(J))


def test_a_fresh_slstm_decays_by_its_forget_gate():
    b = np.zeros((1, 3, UNITS))
    f = np.array([[5.0, 0.0, -7.0]])
    layer = from_linear("sLSTM", {"fgate_bias": f, "gate_biases": b, "recurrent_kernel": np.zeros((1, 4, 3, 3))})
    # 2 eps measured.
    np.testing.assert_allclose(layer.diagonal, [sigma(x) for x in f[0]], rtol=64 * EPS)


def legs(N):
    """Return Λ and P of the normal plus low-rank form of HiPPO-LegS, one of each conjugate pair."""
    P = np.sqrt(np.arange(N) + 0.5)
    A = -np.array([[math.sqrt((2 * n + 1) * (2 * k + 1)) * (n > k) + (n + 1) * (n == k) for k in range(N)]
                   for n in range(N)])  # fmt: skip
    S = A + np.outer(P, P)
    w, V = np.linalg.eig(S)
    keep = w.imag < 0
    return w[keep], (np.linalg.inv(V) @ P)[keep], A


def test_s4_has_the_eigenvalues_of_hippo():
    # Those of HiPPO-LegS are −1, ..., −N; the bilinear rule takes a to (1 + Δa/2) / (1 − Δa/2).
    N, steps = 6, [0.01, 0.2]
    w, P, _ = legs(N)
    P = np.stack([P.real, P.imag], -1)[None, None]
    for imaginary in ({"A_imag": -w.imag[None]}, {"w_imag": w.imag[None]}):
        layer = from_linear("S4", {"log_A_real": np.log(-w.real)[None], "P": P, "log_dt": np.log(steps)[:, None],
                                   **imaginary})  # fmt: skip
        expected = [(1 - d * k / 2) / (1 + d * k / 2) for d in steps for k in range(1, N + 1)]
        # The matrix is far from normal: 2e-13 measured.
        same_set(layer.diagonal, expected, 1e-10)
        assert layer.linear.size == "2 channels x 6"


def test_s4_of_jax_has_a_column_for_each_channel():
    N, H = 4, 2
    w = -RNG.uniform(0.3, 1, (N, H)) + 1j * RNG.normal(0, 3, (N, H))
    P = RNG.normal(size=(N, H)) + 1j * RNG.normal(size=(N, H))
    log_step = np.log([[0.05, 0.3]])
    layer = from_linear("S4", {"Lambda_re": w.real, "Lambda_im": w.imag, "P": P, "log_dt": log_step})
    for channel in range(H):
        A, half = (
            np.diag(w[:, channel]) - np.outer(P[:, channel], P[:, channel].conj()),
            np.exp(log_step[0, channel]) / 2,
        )
        one = np.linalg.solve(np.eye(N) - half * A, np.eye(N) + half * A)
        same_set(np.exp(layer.linear.log_eigenvalues[channel]), np.linalg.eigvals(one), 1e-12)


def ltc_parameters(n, m, rng):
    return {
        "gleak": rng.uniform(0.001, 1, n), "vleak": rng.uniform(-0.2, 0.2, n), "cm": rng.uniform(0.4, 0.6, n),
        "w": rng.uniform(0.001, 1, (n, n)), "sigma": rng.uniform(3, 8, (n, n)), "mu": rng.uniform(0.3, 0.8, (n, n)),
        "erev": rng.choice([-1.0, 1.0], (n, n)), "sparsity_mask": rng.choice([0.0, 1.0], (n, n)),
        "sensory_w": rng.uniform(0.001, 1, (m, n)), "sensory_sigma": rng.uniform(3, 8, (m, n)),
        "sensory_mu": rng.uniform(0.3, 0.8, (m, n)), "sensory_erev": rng.choice([-1.0, 1.0], (m, n)),
        "input_b": rng.normal(size=m),
    }  # fmt: skip


def ltc_step(p, state, unfolds=6):
    """Return the state after one second without input: implicit steps, neuron by neuron."""
    v = list(state)
    for _ in range(unfolds):
        after = []
        for j in range(len(v)):
            above, below = (
                p["cm"][j] * unfolds * v[j] + p["gleak"][j] * p["vleak"][j],
                p["cm"][j] * unfolds + p["gleak"][j],
            )
            for kind, source, mask in (("", v, p["sparsity_mask"]), ("sensory_", p["input_b"], None)):
                for i, x in enumerate(source):
                    w = p[f"{kind}w"][i, j] * sigma(p[f"{kind}sigma"][i, j] * (x - p[f"{kind}mu"][i, j]))
                    w *= 1 if mask is None else mask[i, j]
                    above, below = above + w * p[f"{kind}erev"][i, j], below + w
            after.append(above / (below + 1e-8))
        v = after
    return v


def test_ltc_at_rest_is_the_jacobian_of_its_token():
    p = ltc_parameters(4, 2, RNG)
    layer = from_linear("LTC", p)
    same_set(layer.diagonal, np.linalg.eigvals(jacobian(lambda v: ltc_step(p, v), [0.0] * 4)))
    positive = {name: np.logaddexp(p[name], 0) for name in ("w", "sensory_w", "cm", "gleak")}
    implicit = from_linear("LTC", p | {"implicit": np.ones(1)})
    same_set(implicit.diagonal, np.linalg.eigvals(jacobian(lambda v: ltc_step(p | positive, v), [0.0] * 4)))
    three = from_linear("LTC", p | {"unfolds": np.array(3)})
    same_set(three.diagonal, np.linalg.eigvals(jacobian(lambda v: ltc_step(p, v, 3), [0.0] * 4)))


def linear(p, name, x):
    return [b + sum(w * v for w, v in zip(row, x, strict=True))
            for row, b in zip(p[f"{name}.weight"], p[f"{name}.bias"], strict=True)]  # fmt: skip


def silu(x):
    return x * sigma(x)


def cfc_step(p, state, inputs, layers, kind="CfC", function=lambda v: 1.7159 * math.tanh(0.666 * v)):
    x = [0.0] * inputs + list(state)
    for k in range(layers):
        x = [function(v) for v in linear(p, f"backbone.{k}", x)]
    mask = p.get("sparsity_mask", np.ones_like(p["ff1.weight"]))
    q = {name: value * mask if name in {"ff1.weight", "ff2.weight"} else value for name, value in p.items()}
    one = linear(q, "ff1", x)
    if kind == "pure":
        return [A * (1 - math.exp(-abs(w) - abs(f)) * f) for A, w, f in zip(p["A"][0], p["w_tau"][0], one, strict=True)]
    two, a, b = (linear(q, name, x) for name in ("ff2", "time_a", "time_b"))
    if kind == "CfC":
        gate = [sigma(u + v) for u, v in zip(a, b, strict=True)]
        return [math.tanh(f) * (1 - s) + s * math.tanh(g) for f, g, s in zip(one, two, gate, strict=True)]
    gate = [sigma(v - u) for u, v in zip(a, b, strict=True)]
    return [f * (1 if kind == "no_gate" else 1 - s) + s * g for f, g, s in zip(one, two, gate, strict=True)]


def cfc_parameters(layers, heads=("ff1", "ff2", "time_a", "time_b"), units=3, inputs=2, width=5):
    size = width if layers else inputs + units
    p = {f"{head}.{part}": RNG.normal(0, 0.6, (units, size) if part == "weight" else units)
         for head in heads for part in ("weight", "bias")}  # fmt: skip
    for k in range(layers):
        p |= {f"backbone.{k}.weight": RNG.normal(0, 0.5, (width, width if k else inputs + units)),
              f"backbone.{k}.bias": RNG.normal(size=width)}  # fmt: skip
    return p


@pytest.mark.parametrize("layers", [0, 1, 2])
def test_cfc_at_rest_is_the_jacobian_of_its_token(layers):
    p = cfc_parameters(layers)
    if not layers:
        p["sparsity_mask"] = RNG.choice([0.0, 1.0], p["ff1.weight"].shape)
    layer = from_linear("CfC", p)
    J = jacobian(lambda h: cfc_step(p, h, 2, layers), [0.0] * 3)
    same_set(layer.diagonal, np.linalg.eigvals(J))


@pytest.mark.parametrize("layers", [0, 2])
@pytest.mark.parametrize(("kind", "family"), [
    ("default", "CfC of Keras"), ("no_gate", "CfC of Keras"), ("pure", "CfC, pure"),
])  # fmt: skip
def test_the_cfcs_of_keras_at_rest_are_the_jacobian_of_their_token(layers, kind, family):
    p = cfc_parameters(layers, ("ff1",)) if kind == "pure" else cfc_parameters(layers)
    if kind == "pure":
        p |= {"w_tau": RNG.normal(size=(1, 3)), "A": RNG.normal(size=(1, 3))}
    flags = {"activation silu": np.ones(1)} | ({"no_gate": np.ones(1)} if kind == "no_gate" else {})
    J = jacobian(lambda h: cfc_step(p, h, 2, layers, kind, silu), [0.0] * 3)
    same_set(from_linear(family, p | flags).diagonal, np.linalg.eigvals(J))


@pytest.mark.parametrize("slope", [1 / 5, 1 / 6])
def test_a_convolutional_lstm_with_a_cut_sigmoid(slope):
    layer = from_linear("ConvLSTM", {"forget_bias": np.array([-4.0, -1.0, 0.0, 1.0, 4.0]), "slope": np.array(slope)})
    np.testing.assert_allclose(layer.diagonal, [0, 0.5 - slope, 0.5, 0.5 + slope, 1], atol=4 * EPS)


B, V = RNG.normal(size=3), RNG.normal(size=3)
GATED = {
    # u cand + (1 − u) h with no input to the gates; c' of a ConvLSTM likewise; SRU and IndRNN with the state in them.
    "RSSM": ({"update_bias": B},
             lambda h: [sigma(b - 1) * 0.3 + (1 - sigma(b - 1)) * x for b, x in zip(B, h, strict=True)]),
    "ConvLSTM": ({"forget_bias": B}, lambda c: [sigma(b) * x + 0.2 for b, x in zip(B, c, strict=True)]),
    "SRU": ({"forget_bias": B},
            lambda c: [sigma(v * x + b) * x + (1 - sigma(v * x + b)) * 0.0 for b, v, x in zip(B, V, c, strict=True)]),
    "IndRNN": ({"recurrent_weight": V}, lambda h: [math.tanh(v * x) for v, x in zip(V, h, strict=True)]),
}  # fmt: skip


@pytest.mark.parametrize("family", GATED)
def test_gated_cells_at_rest(family):
    parameters, step = GATED[family]
    same_set(from_linear(family, parameters).diagonal, np.linalg.eigvals(jacobian(step, [0.0] * 3)))


def test_nonlinear_cells_are_marked_and_what_does_not_fit_is_refused():
    marked = {name for name, family in LINEAR_FAMILIES.items() if family.nonlinear}
    assert marked == {"sLSTM", "RSSM", "ConvLSTM", "SRU", "IndRNN", "LTC", "CfC", "CfC of Keras", "CfC, pure"}
    with pytest.raises(ArgumentError, match="must fit together as in sLSTM"):
        from_linear("sLSTM", {"fgate_bias": np.zeros((2, 3)), "gate_biases": np.zeros((2, 3, 2)),
                              "recurrent_kernel": np.zeros((2, 4, 3, 3))})  # fmt: skip


def test_what_is_not_finite_is_nan_and_raises_nothing():
    kernel = np.zeros((2, 4, 3, 3))
    kernel[1, 2, 0, 0] = np.nan
    f = np.zeros((2, 3))
    layer = from_linear("sLSTM", {"fgate_bias": f, "gate_biases": np.zeros((2, 3, 3)), "recurrent_kernel": kernel})
    assert np.isnan(layer.linear.log_eigenvalues[1]).all()
    np.testing.assert_allclose(np.exp(layer.linear.log_eigenvalues[0]), 0.5)
