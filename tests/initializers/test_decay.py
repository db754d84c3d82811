"""Laws of the parameters of a decay: promises, libraries and types, and modules filled by them."""

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn

import unitcircle as uc
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.initializers import DecayLaw, decay_law, legs_frequencies
from unitcircle.jax import initialize
from unitcircle.recurrence import LINEAR_FAMILIES, lru_gamma_log
from unitcircle.torch import initialize_

TEXTS = (
    "step", "step(low=0.0001, high=0.01)", "step(stored='log')", "log_rate", "log_rate(low=0, high=16)", "log_modes",
    "s4d_lin", "legs", "decay_curve", "decay_curve(start=-5, rise=8, power=2)", "moduli", "moduli(stored='softplus')",
    "log_phase", "level", "level(value=0)", "zigzag_curve", "zigzag_curve(head=8)",
)  # fmt: skip
EPS = 2.0**-23
every = pytest.mark.parametrize("text", TEXTS)


@every
def test_a_law_is_its_text_and_keeps_its_promise_in_every_library(text):
    law = DecayLaw.parse(text)
    assert DecayLaw.parse(str(law)) == law
    z = np.random.default_rng(0).standard_normal((3, 24)).astype(np.float32)
    expected = law(z.astype(np.float64))
    for convert in (np.asarray, torch.from_numpy, jnp.asarray, array_api_strict.asarray):
        values = law(convert(z.copy()))
        assert type(values) is type(convert(z))
        assert law.certificate(values).holds
        # The logarithm of a small phase loses digits of the normal number.
        np.testing.assert_allclose(np.asarray(values, dtype=float), expected, rtol=100 * EPS, atol=100 * EPS)
    for dtype in (torch.bfloat16, torch.float16):
        assert law.certificate(law(torch.from_numpy(z).to(dtype))).holds
    assert law.certificate(law.sample(1, rng=0)).holds
    assert not law.certificate(2 * law.sample(96, rng=0) + 0.1).holds


def test_the_shapes_of_parameters():
    z = np.random.default_rng(0).standard_normal((1, 1, 12))
    curve = decay_law("-6 + 5 (c / (C − 1))^(.7 + 1.3 l / (L − 1))")
    np.testing.assert_array_equal(curve.shaped(z.reshape(3, 4)).ravel(), curve.shaped(z).ravel())
    np.testing.assert_allclose(curve.shaped(z).ravel()[[0, -1]], [-6, -1], rtol=4 * EPS)
    modes = decay_law("log(1, ..., N) in each channel")
    np.testing.assert_allclose(np.exp(modes.shaped(z.reshape(3, 4))), [[1, 2, 3, 4]] * 3, rtol=4 * EPS)
    assert DecayLaw.parse("level").shaped(np.array(0.3)).shape == ()
    with pytest.raises(UnknownNameError, match="law"):
        decay_law("N(0, 1)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("step(low=0.1, high=0.1)", "low must be below high"),
        ("step(stored=square)", "stored"),
        ("moduli(r_max=1)", "r_max must be positive and below 1"),
        ("decay_curve(rise=0)", "rise must not be 0"),
        ("ring", "ring"),
    ],
)
def test_what_is_no_law_is_refused(text, message):
    with pytest.raises((ArgumentError, UnknownNameError), match=message):
        DecayLaw.parse(text)


def test_the_curve_of_rwkv_7_is_that_of_its_authors():
    # Channel by channel, as RWKV-LM RWKV-v7/train_temp/src/model.py and fla/layers/rwkv7.py write it.
    channels, head, layer, layers = 192, 64, 2, 5
    expected = np.zeros(channels)
    for n in range(channels):
        zigzag = ((n % head) - (head - 1) / 2) / ((head - 1) / 2)
        curve = -6 + 6 * (n / (channels - 1)) ** (1 + (layer / (layers - 1)) ** 0.3)
        expected[n] = curve + 0.5 + zigzag * abs(zigzag) * 2.5
    law = decay_law(LINEAR_FAMILIES["RWKV-7"].laws["w0"], layer=layer, layers=layers)
    np.testing.assert_allclose(law.sample(channels, rng=0), expected, rtol=100 * 2.0**-52, atol=100 * 2.0**-52)
    assert len(np.unique(law.sample(16, rng=0).round(9))) == 16  # fewer channels than a head


@pytest.mark.parametrize("modes", [1, 2, 8, 32])
def test_the_frequencies_of_hippo(modes):
    # HiPPO-LegS itself, with the rank-one term that makes it normal.
    n = 2 * modes
    A, p = np.zeros((n, n)), np.zeros(n)
    for i in range(n):
        p[i] = (i + 0.5) ** 0.5
        for k in range(n):
            A[i, k] = -((2 * i + 1) ** 0.5) * (2 * k + 1) ** 0.5 if i > k else -(i + 1) if i == k else 0
    values = np.linalg.eigvals(A + np.outer(p, p))
    np.testing.assert_allclose(values.real, -0.5, rtol=n**3 * 2.0**-52)
    positive = np.sort(values.imag[values.imag > 0])
    np.testing.assert_allclose(legs_frequencies(modes), positive, rtol=n**2 * 2.0**-52)


def test_every_law_of_a_family_is_known():
    for family in LINEAR_FAMILIES.values():
        for text in family.laws.values():
            law = decay_law(text, layer=1, layers=3)
            assert law.certificate(law.sample(32, rng=0)).holds


SHAPES = {
    "layers.0.mixer": {"A_log": (6, 4), "dt_proj.bias": (6,)},
    "layers.1.mixer": {"A_log": (8,), "dt_bias": (8,), "in_proj.weight": (16, 8)},
    "layers.2.attn": {"A_log": (4,), "dt_bias": (32,), "b_proj.weight": (4, 8)},
    "layers.3.att": {"time_decay": (4, 8), "time_faaaa": (4, 8)},
    "layers.4.lru": {"nu_log": (8,), "theta_log": (8,), "gamma_log": (8,)},
    "layers.5.s4": {"log_A_real": (6, 4), "A_imag": (6, 4), "log_dt": (6,)},
    "layers.6.rg_lru": {"recurrent_param": (8,), "recurrent_gate_bias": (8,)},
    "layers.7.cell": {"fgate.bias": (4,), "igate.weight": (4, 8)},
}
FILLED = 14


class Names(nn.Module):
    """Parameters under the names that a file would have."""

    def __init__(self):
        super().__init__()
        for path, parts in SHAPES.items():
            for leaf, shape in parts.items():
                *modules, name = f"{path}.{leaf}".split(".")
                holder = self
                for part in modules:
                    if not hasattr(holder, part):
                        holder.add_module(part, nn.Module())
                    holder = getattr(holder, part)
                holder.register_parameter(name, nn.Parameter(torch.ones(shape)))


def test_a_torch_module_is_filled_and_its_findings_vanish():
    model = Names()
    before = {f.place.layer for f in uc.diagnose(model, select=["UC114"]).findings}
    assert len(before) == len(SHAPES)
    result = initialize_(model, decay="authors", rng=0)
    assert len(result.filled) == FILLED
    assert all(filled.certificate.holds for filled in result.filled)
    assert not [f for f in uc.diagnose(model).findings if f.severity > 1]
    state = model.state_dict()
    torch.testing.assert_close(state["layers.4.lru.gamma_log"], lru_gamma_log(state["layers.4.lru.nu_log"]))
    assert (state["layers.6.rg_lru.recurrent_gate_bias"] == 1).all()
    again = Names()
    initialize_(again, decay="authors", rng=0)
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())


def test_a_tree_of_jax_is_filled():
    tree = {}
    for path, parts in SHAPES.items():
        for leaf, shape in parts.items():
            holder = tree
            *keys, name = f"{path}.{leaf}".split(".")
            for part in keys:
                holder = holder.setdefault(part, {})
            holder[name] = jnp.ones(shape)
    made, result = initialize(tree, decay="authors", key=0)
    assert len(result.filled) == FILLED
    assert not [f for f in uc.diagnose(made).findings if f.severity > 1]
    lru = made["layers"]["4"]["lru"]
    np.testing.assert_allclose(lru["gamma_log"], lru_gamma_log(lru["nu_log"]))
    assert made["layers"]["6"]["rg_lru"]["recurrent_gate_bias"] is tree["layers"]["6"]["rg_lru"]["recurrent_gate_bias"]
    with pytest.raises(ArgumentError, match=r"outside jax\.jit"):
        jax.jit(lambda params: initialize(params, decay="authors", key=0)[0])(tree)


def test_laws_of_ones_own():
    model = Names()
    result = initialize_(model, decay={"dt_bias": "step(low=1e-05, high=0.0001)"}, rng=0)
    assert {filled.tensor for filled in result.filled} == {
        "layers.0.mixer.dt_proj.bias", "layers.1.mixer.dt_bias", "layers.2.attn.dt_bias",
    }  # fmt: skip
    assert (model.state_dict()["layers.1.mixer.A_log"] == 1).all()
    with pytest.raises(UnknownNameError, match="dt_bais"):
        initialize_(model, decay={"dt_bais": "step"})
    with pytest.raises(ArgumentError, match="must be 'authors', or map parameters to laws"):
        initialize_(model, decay="step")
    with pytest.raises(ArgumentError, match="must hold a linear recurrence"):
        initialize_(nn.LSTM(3, 4), decay="authors")


@pytest.mark.parametrize("rows", [False, True], ids=["gates last", "rows of gates"])
def test_the_forget_gates_of_an_slstm_are_a_part_of_one_bias(rows):
    heads, units = 2, 4
    kernel = (heads, 4 * units, units) if rows else (heads, units, 4 * units)
    cell = nn.Module()
    cell._recurrent_kernel_ = nn.Parameter(torch.zeros(kernel))
    cell._bias_ = nn.Parameter(torch.full((4 * heads * units,), 0.25))
    curve = 5 - 12 * (np.arange(units) / (units - 1)) ** 0.3
    (filled,) = initialize_(nn.ModuleDict({"slstm_cell": cell}), decay="authors").filled
    assert filled.certificate.holds
    whole = np.asarray(cell._bias_.detach()).reshape((4, heads, units) if rows else (heads, 4, units))
    gates = whole if rows else whole.swapaxes(0, 1)
    np.testing.assert_allclose(gates[1], [curve] * heads, atol=8 * EPS)
    assert (gates[[0, 2, 3]] == 0.25).all()
    names = {"_recurrent_kernel_": jnp.zeros(kernel), "_bias_": jnp.full(4 * heads * units, 0.25)}
    made, _ = initialize({"slstm_cell": names}, decay="authors", key=jax.random.key(0))
    np.testing.assert_allclose(made["slstm_cell"]["_bias_"], whole.ravel(), atol=8 * EPS)
    with torch.no_grad():
        cell._bias_.fill_(1.0)
    model = nn.ModuleDict({"slstm_cell": cell})
    uc.diagnose(model).apply_(model)
    assert [finding for finding in uc.diagnose(model).findings if finding.code == "UC114"] == []
    assert (cell._bias_ == 1).sum() == 3 * heads * units
