"""The families of recurrences with a decay: transition, parameters, eigenvalues at rest and over inputs, sources."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from unitcircle.recurrence import _cells_at_rest as at_rest
from unitcircle.recurrence import _closed_form as closed_form
from unitcircle.recurrence._activations import ACTIVATIONS

Parameters = Mapping[str, np.ndarray]
_STEP = "inverse softplus of log-uniform(.001, .1)"
_RATE = "log U(1, 16) in float32"


def _no_laws() -> Mapping[str, str]:
    return MappingProxyType({})


@dataclass(frozen=True)
class LinearFamily:
    """A family of linear recurrences.

    Attributes
    ----------
    name
        The name in the field.
    transition
        How a token takes the state S to the next one.
    parameters
        What a layer stores of its decay.
    log_rest
        Parameters in double precision → log λ (nats per token) with every input-dependent pre-activation at 0.
    range
        Smallest and largest real eigenvalue of the transition over all inputs; None for a nonlinear family, where
        weights and state decide and no bound holds.
    source
        The file of the authors or of a library that the equation was taken from.
    unit
        ``"head"`` or ``"channel"``: what the first axis of λ counts.
    laws
        Parameter → the law from which its authors draw it, where it is spread over heads or channels.
    delta
        Whether the transition also holds the delta rule ``I − β k kᵀ``, of eigenvalue α(1 − β) along the key.
    rotates
        Whether the eigenvalues are complex, or become so with the inputs.
    fixed
        Whether the decay at rest is no parameter.
    constant
        Whether the transition does not depend on the input.
    shut
        Whether the gate may be shut at rest by design, so that only inputs make a head decay.
    nonlinear
        Whether the state enters its own gates, or an activation: λ is that of the Jacobian at rest.
    coupled
        Whether λ are the eigenvalues of matrices, so that none belongs to one entry of a parameter.
    layout
        Name of the convention in :class:`Source`.

    Examples
    --------
    >>> from unitcircle.recurrence import LINEAR_FAMILIES
    >>> family = LINEAR_FAMILIES["Mamba"]
    >>> family.parameters, family.range, family.rotates
    (('A_log', 'dt_bias'), (0.0, 1.0), False)
    """

    name: str
    transition: str
    parameters: tuple[str, ...]
    log_rest: Callable[[Parameters], np.ndarray] = field(repr=False)
    range: tuple[float, float] | None
    source: str
    unit: str = "head"
    laws: Mapping[str, str] = field(default_factory=_no_laws)
    delta: bool = False
    rotates: bool = False
    fixed: bool = False
    constant: bool = False
    shut: bool = False
    nonlinear: bool = False
    coupled: bool = False
    layout: str = "linear"

    def __reduce__(self) -> tuple[Callable[[str], LinearFamily], tuple[str]]:
        return _family_of, (self.name,)  # its equation is a function, often without a name


def _family_of(name: str) -> LinearFamily:
    return LINEAR_FAMILIES[name]


_softplus, _sigmoid = (ACTIVATIONS[name].value for name in ("softplus", "sigmoid"))


def _selective(p: Parameters) -> np.ndarray:
    """Return −exp(A_log) softplus(dt_bias); a step belongs to all the modes of its channel."""
    rates, bias = np.exp(p["A_log"]), p["dt_bias"]
    if bias.shape != rates.shape[: bias.ndim]:
        raise ValueError
    return -rates * _softplus(bias).reshape(*bias.shape, *(1,) * (rates.ndim - bias.ndim))


def _mamba3(p: Parameters) -> np.ndarray:
    """Return −h(0) softplus(dt_bias), where h is the heavy-tail activation, h(0) = 1, or another."""
    rate = float(p["rate"].item()) if "rate" in p else 1.0
    return -rate * _softplus(p["dt_bias"])


def _per_channel(p: Parameters) -> tuple[np.ndarray, np.ndarray]:
    """Return exp(A_log) ``(heads, 1)`` and dt_bias ``(heads, channels)``."""
    heads = p["A_log"].size
    return np.exp(p["A_log"]).reshape(heads, 1), p["dt_bias"].reshape(heads, -1)


def _kda(p: Parameters) -> np.ndarray:
    rates, bias = _per_channel(p)
    return -rates * _softplus(bias)


def _bounded_kda(p: Parameters) -> np.ndarray:
    rates, bias = _per_channel(p) if "A_log" in p else (np.ones((1, 1)), np.atleast_1d(np.squeeze(p["dt_bias"])))
    bound = float(p["gate_bound"].item()) if "gate_bound" in p else -5.0
    return bound * _sigmoid((rates * bias).reshape(bias.shape))


def _rwkv(p: Parameters) -> np.ndarray:
    w = np.squeeze(p["time_decay"]) if p["time_decay"].ndim > 2 else p["time_decay"]
    return -np.exp(np.atleast_1d(w))


def _hgrn(p: Parameters) -> np.ndarray:
    return np.log((1 + p["lower_bound"].ravel()) / 2)


def _rg_lru(p: Parameters) -> np.ndarray:
    scale = p["recurrent_param"].ravel()
    return -8.0 * _sigmoid(p["gate_bias"].reshape(scale.shape)) * _softplus(scale)


def _forget(p: Parameters) -> np.ndarray:
    """Return the logarithm of a forget gate, a sigmoid or min(max(k b + 1/2, 0), 1) of a stated slope k."""
    bias = p["forget_bias"].ravel()
    return np.log(np.clip(p["slope"].item() * bias + 0.5, 0, 1)) if "slope" in p else _log_sigmoid(bias)


def _log_sigmoid(x: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0.0, -x)


def _log(x: np.ndarray) -> np.ndarray:
    """Return log x, with a phase of π where x is negative."""
    return np.log(x.astype(np.complex128) if (x < 0).any() else x)


def _share(forget: np.ndarray, keep: np.ndarray) -> np.ndarray:
    """Return log (f / (f + i)) of two gates by their pre-activations."""
    return -np.logaddexp(0.0, _log_sigmoid(keep) - _log_sigmoid(forget))


def _s4d(p: Parameters) -> np.ndarray:
    step, A = np.exp(p["log_dt"]), -np.exp(p["log_A_real"]) + 1j * p["A_imag"]
    return _times_step(step, A)


def _s5(p: Parameters) -> np.ndarray:
    A = p["Lambda"] if "Lambda_im" not in p else p["Lambda"] + 1j * p["Lambda_im"]
    return _times_step(np.exp(p["log_step"].ravel()), A.ravel())


def _times_step(step: np.ndarray, A: np.ndarray) -> np.ndarray:
    """Return Δ A with one step for each mode, or for each row of modes; one row of modes may serve all steps."""
    if step.shape == A.shape or step.size == 1:
        return step.reshape(step.shape if step.shape == A.shape else ()) * A
    if A.ndim != 2 or step.size % len(A):
        raise ValueError
    return step.reshape(-1, 1) * np.repeat(A, step.size // len(A), axis=0)


_MAMBA_LAWS = {"dt_bias": _STEP, "A_log": _RATE}
_UNIT, _KEY = (0.0, 1.0), (-1.0, 1.0)
_KERNEL = "S' = α S (I − β k kᵀ) + β v kᵀ"
_FAMILIES = (
    LinearFamily(
        "Mamba", "h' = exp(−Δ exp(A_log)) h + Δ B x, Δ = softplus(W x + dt_bias)", ("A_log", "dt_bias"), _selective,
        _UNIT, "state-spaces/mamba mamba_ssm/modules/mamba_simple.py", "channel",
        {"dt_bias": _STEP, "A_log": "log(1, ..., N) in each channel"}, layout="mamba",
    ),
    LinearFamily(
        "Zamba", "as Mamba, with heads", ("A_log", "dt_bias"), _selective, _UNIT,
        "huggingface/transformers models/zamba/modeling_zamba.py", "head",
        {"dt_bias": _STEP, "A_log": "log(1, ..., N) in each channel"}, layout="mamba",
    ),
    LinearFamily(
        "Mamba-2", "S' = α S + Δ x Bᵀ, α = exp(−Δ exp(A_log)), Δ = softplus(W x + dt_bias)", ("A_log", "dt_bias"),
        _selective, _UNIT, "state-spaces/mamba mamba_ssm/modules/mamba2.py", laws=_MAMBA_LAWS, layout="mamba",
    ),
    LinearFamily(
        "Mamba-2/GDN", "α = exp(−exp(A_log) softplus(a + dt_bias)): Mamba-2 or Gated DeltaNet", ("A_log", "dt_bias"),
        _selective, _UNIT, "state-spaces/mamba mamba_ssm/modules/mamba2.py; fla-org fla/layers/gated_deltanet.py",
        laws=_MAMBA_LAWS, layout="mamba",
    ),
    LinearFamily(
        "Mamba-3", "α = exp(−softplus(dt + dt_bias) max(h(A), floor)), times a rotation", ("dt_bias",), _mamba3, _KEY,
        "state-spaces/mamba mamba_ssm/modules/mamba3.py (h(0) = 1; softplus(0) before its pull request 962)",
        laws={"dt_bias": _STEP}, rotates=True, layout="mamba",
    ),
    LinearFamily(
        "Gated DeltaNet", f"{_KERNEL}, α = exp(−exp(A_log) softplus(a + dt_bias))", ("A_log", "dt_bias"), _selective,
        _UNIT, "fla-org/flash-linear-attention fla/layers/gated_deltanet.py", laws=_MAMBA_LAWS, delta=True,
        layout="mamba",
    ),
    LinearFamily(
        "Gated DeltaProduct", "S' = α S Π (I − βⱼ kⱼ kⱼᵀ) + ...", ("A_log", "dt_bias"), _selective, _KEY,
        "fla-org/flash-linear-attention fla/layers/gated_deltaproduct.py", laws=_MAMBA_LAWS, rotates=True,
        layout="mamba",
    ),
    LinearFamily(
        "DeltaNet", "S' = S (I − β k kᵀ) + β v kᵀ", ("units",), lambda p: np.zeros(p["units"].size), _UNIT,
        "fla-org/flash-linear-attention fla/layers/delta_net.py", delta=True, fixed=True,
    ),
    LinearFamily(
        "KDA", "S' = S diag(α) (I − β k kᵀ) + β v kᵀ, α = exp(−exp(A_log) softplus(f + dt_bias))",
        ("A_log", "dt_bias"), _kda, _UNIT, "fla-org/flash-linear-attention fla/ops/kda/gate.py", laws=_MAMBA_LAWS,
        delta=True,
    ),
    LinearFamily(
        "KDA, bounded", "as KDA, α = exp(−5 σ(exp(A_log) (f + dt_bias)))", ("dt_bias",), _bounded_kda,
        _UNIT, "fla-org/flash-linear-attention fla/ops/kda/gate.py", laws={"dt_bias": _STEP},
        delta=True, shut=True,
    ),
    LinearFamily(
        "RWKV-4", "h' = exp(−exp(w)) h + exp(k) v", ("time_decay",), _rwkv, _UNIT,
        "BlinkDL/RWKV-LM RWKV-v4neo/src/model.py", "channel",
        {"time_decay": "-5 + 8 (c / (C − 1))^(.7 + 1.3 l / (L − 1))"}, constant=True,
    ),
    LinearFamily(
        "RWKV-5", "S' = diag(exp(−exp(w))) S + k vᵀ", ("time_decay",), _rwkv, _UNIT,
        "BlinkDL/RWKV-LM RWKV-v5/src/model.py", "head",
        {"time_decay": "-6 + 5 (c / (C − 1))^(.7 + 1.3 l / (L − 1))"}, constant=True,
    ),
    LinearFamily(
        "RWKV-6", "S' = diag(exp(−exp(w + tanh(x W1) W2))) S + k vᵀ", ("time_decay",), _rwkv, _UNIT,
        "BlinkDL/RWKV-LM RWKV-v5/src/model.py", "channel",
        {"time_decay": "-6 + 5 (c / (C − 1))^(.7 + 1.3 l / (L − 1))"},
    ),
    LinearFamily(
        "RWKV-7", "S' = S (diag(d) − kᵀ (a k)) + v kᵀ, d = exp(−exp(−1/2) σ(w0 + ...))", ("w0",),
        lambda p: -math.exp(-0.5) * _sigmoid(p["w0"].ravel()), (math.exp(-math.exp(-0.5)) - 1, 1.0),
        "BlinkDL/RWKV-LM RWKV-v7/train_temp/src/model.py; fla/layers/rwkv7.py", "channel",
        {"w0": "-5.5 + 6 (c / (C − 1))^(1 + (l / (L − 1))^.3) + 2.5 z |z|, z from -1 to 1 in each head"},
    ),
    LinearFamily(
        "RetNet", "S' = γ S + k vᵀ, γ = 1 − 2^(−5 − h)", ("units",),
        lambda p: np.log1p(-(2.0 ** (-5.0 - np.arange(p["units"].size)))), _UNIT,
        "fla-org/flash-linear-attention fla/ops/retention/naive.py", fixed=True, constant=True,
    ),
    LinearFamily(
        "lightning attention", "S' = exp(−slope_rate) S + k vᵀ", ("slope_rate",),
        lambda p: -p["slope_rate"].ravel(), _UNIT, "huggingface/transformers models/minimax/modeling_minimax.py",
        fixed=True, constant=True,
    ),
    LinearFamily(
        "GLA", "S' = diag(σ(x W + b)^(1/16)) S + k vᵀ", ("gate_bias",),
        lambda p: _log_sigmoid(p["gate_bias"].ravel()) / 16, _UNIT,
        "fla-org/flash-linear-attention fla/layers/gla.py", "channel",
    ),
    LinearFamily(
        "HGRN", "h' = f h + (1 − f) i, f = l + (1 − l) σ(W x)", ("lower_bound",), _hgrn, _UNIT,
        "fla-org/flash-linear-attention fla/layers/hgrn.py", "channel",
    ),
    LinearFamily(
        "RG-LRU", "h' = a h + (1 − a²)^(1/2) i x, a = exp(−8 σ(W x + b) softplus(Λ))",
        ("recurrent_param", "gate_bias"), _rg_lru, _UNIT,
        "huggingface/transformers models/recurrent_gemma/modeling_recurrent_gemma.py", "channel",
        {"recurrent_param": "inverse softplus of −(log u) / 2, u ~ U(.9², .999²)"},
    ),
    LinearFamily(
        "mLSTM", "S' = σ(f) S + exp(i) v kᵀ", ("fgate_bias",), lambda p: _log_sigmoid(p["fgate_bias"].ravel()),
        _UNIT, "NX-AI/xlstm xlstm/blocks/mlstm/cell.py", laws={"fgate_bias": "linspace(3, 6, heads)"},
    ),
    LinearFamily(
        "mLSTM, capped", "S' = σ(15 tanh(f / 15)) S + exp(i) v kᵀ", ("fgate_bias",),
        lambda p: _log_sigmoid(15 * np.tanh(p["fgate_bias"].ravel() / 15)), _UNIT,
        "huggingface/transformers models/xlstm/modeling_xlstm.py", laws={"fgate_bias": "linspace(3, 6, heads)"},
    ),
    LinearFamily(
        "simple GLA", "S' = σ(x W + b)^(1/16) S + k vᵀ", ("gate_bias",),
        lambda p: _log_sigmoid(p["gate_bias"].ravel()) / 16, _UNIT,
        "fla-org/flash-linear-attention fla/layers/simple_gla.py",
    ),
    LinearFamily(
        "MesaNet", "S' = σ(x W + b) S + β v kᵀ, and the same of k kᵀ", ("gate_bias",),
        lambda p: _log_sigmoid(p["gate_bias"].ravel()), _UNIT,
        "fla-org/flash-linear-attention fla/layers/mesa_net.py",
    ),
    LinearFamily(
        "Rodimus", "S' = diag(exp(−softplus(g) σ(τ))) S + k vᵀ", ("g_bias", "tau_bias"),
        lambda p: -_softplus(p["g_bias"].ravel()) * _sigmoid(p["tau_bias"].ravel()), _UNIT,
        "fla-org/flash-linear-attention fla/layers/rodimus.py", "channel",
    ),
    LinearFamily(
        "minGRU", "h' = (1 − z) h + z g, z = σ(W x + b)", ("gate_bias",),
        lambda p: _log_sigmoid(-p["gate_bias"].ravel()), _UNIT,
        "lucidrains/minGRU-pytorch minGRU_pytorch/minGRU.py; Feng et al., arXiv 2410.01201", "channel", fixed=True,
    ),
    LinearFamily(
        "minLSTM", "h' = f / (f + i) h + i / (f + i) g, f = σ(W x + b), i = σ(U x + c)", ("forget_bias", "input_bias"),
        lambda p: _share(p["forget_bias"].ravel(), p["input_bias"].ravel()), _UNIT,
        "lucidrains/minGRU-pytorch minGRU_pytorch/minLSTM.py; Feng et al., arXiv 2410.01201", "channel", fixed=True,
    ),
    LinearFamily(
        "LRU", "h' = exp(−exp(ν) + i exp(θ)) h + exp(γ) B x", ("nu_log", "theta_log"),
        lambda p: -np.exp(p["nu_log"]) + 1j * np.exp(p["theta_log"]), _KEY,
        "Orvieto et al., ICML 2023, section 3.3", "channel",
        {"nu_log": "ring(r_min=0.9, r_max=0.999)", "theta_log": "log U(0, 2π)"}, rotates=True, constant=True,
        layout="lru",
    ),
    LinearFamily(
        "S4D", "h' = exp(Δ A) h + ..., A = −exp(log_A_real) + i A_imag, Δ = exp(log_dt)",
        ("log_A_real", "A_imag", "log_dt"), _s4d, _KEY, "state-spaces/s4 models/s4/s4d.py", "channel",
        {"log_dt": "log-uniform(.001, .1), as its logarithm", "log_A_real": "log 1/2", "A_imag": "π (0, ..., N − 1)"},
        rotates=True, constant=True, layout="s4d",
    ),
    LinearFamily(
        "S5", "h' = exp(Δ Λ) h + ..., Δ = exp(log_step)", ("Lambda", "log_step"), _s5, _KEY,
        "lindermanlab/S5 s5/ssm.py", "mode", {"log_step": "log-uniform(.001, .1), as its logarithm"}, rotates=True,
        constant=True, layout="s4d",
    ),
    LinearFamily(
        "S4", "h' = (I − Δ A / 2)⁻¹ (I + Δ A / 2) h + ..., A = diag(Λ) − P P*, Δ = exp(log_dt)", ("P", "log_dt"),
        at_rest.s4, _KEY, "state-spaces/s4 models/s4/s4.py; srush/annotated-s4 s4/s4.py", "channel",
        {"log_dt": "log-uniform(.001, .1), as its logarithm"}, rotates=True, constant=True, coupled=True, layout="s4d",
    ),
    LinearFamily(
        "sLSTM", "c' = f c + i z, n' = f n + i, h = o c / n, each gate of W x + R h + b, f = σ, i = exp",
        ("fgate_bias", "gate_biases", "recurrent_kernel"), at_rest.slstm, None,
        "NX-AI/xlstm xlstm/blocks/slstm/cell.py; Beck et al., arXiv 2405.04517, equations 8 to 18",
        laws={"fgate_bias": "5 − 12 (c / (C − 1))^(.3 + 1.3 l / (L − 1)) in each head"}, nonlinear=True, coupled=True,
    ),
    LinearFamily(
        "RSSM", "h' = u tanh(σ(r) g) + (1 − u) h, u = σ(W [x, h] + b − 1)", ("update_bias",),
        lambda p: _log_sigmoid(1 - p["update_bias"].ravel()), None, "danijar/dreamerv3 dreamerv3/rssm.py", "channel",
        fixed=True, nonlinear=True,
    ),
    LinearFamily(
        "ConvLSTM", "c' = f c + i g, f = σ(W * x + R * h + b)", ("forget_bias",), _forget, None,
        "Shi et al., NeurIPS 2015, equation 3; ndrplz/ConvLSTM_pytorch convlstm.py", "channel", fixed=True,
        nonlinear=True,
    ),
    LinearFamily(
        "SRU", "c' = f c + (1 − f) W x, f = σ(U x + v c + b)", ("forget_bias",),
        lambda p: _log_sigmoid(p["forget_bias"].ravel()), None, "asappresearch/sru sru/modules.py", "channel",
        fixed=True, nonlinear=True,
    ),
    LinearFamily(
        "IndRNN", "h' = φ(W x + u h + b), at slope 1 of φ", ("recurrent_weight",),
        lambda p: _log(p["recurrent_weight"].ravel()), None, "Li et al., CVPR 2018, arXiv 1803.04831, equation 2",
        "channel", nonlinear=True,
    ),
    LinearFamily(
        "LTC", "v' = (c v + g v_leak + Σ w σ(s (v − μ)) e) / (c + g + Σ w σ(s (v − μ))), six times a token",
        ("cm", "gleak", "vleak", "w", "sigma", "mu", "erev"), at_rest.ltc, None,
        "mlech26l/ncps ncps/torch/ltc_cell.py; Hasani et al., AAAI 2021, algorithm 1", "mode", nonlinear=True,
        coupled=True,
    ),
    LinearFamily(
        "CfC", "h' = (1 − s) tanh f₁ + s tanh f₂, s = σ(t_a + t_b), each linear in a backbone of [x, h]",
        ("ff1.weight", "ff2.weight", "time_a.weight", "time_b.weight"), closed_form.of_torch, None,
        "mlech26l/ncps ncps/torch/cfc_cell.py; Hasani et al., Nature Machine Intelligence 2022", "mode",
        nonlinear=True, coupled=True,
    ),
    LinearFamily(
        "CfC of Keras", "h' = (1 − s) f₁ + s f₂, s = σ(t_b − t_a), each linear in a backbone of [x, h]",
        ("ff1.weight", "ff2.weight", "time_a.weight", "time_b.weight"), closed_form.of_keras, None,
        "mlech26l/ncps ncps/keras/cfc_cell.py", "mode", nonlinear=True, coupled=True,
    ),
    LinearFamily(
        "CfC, pure", "h' = A (1 − exp(−|w| − |f|) f), f linear in a backbone of [x, h]",
        ("ff1.weight", "w_tau", "A"), closed_form.pure, None,
        "mlech26l/ncps ncps/torch/cfc_cell.py and ncps/keras/cfc_cell.py", "mode", nonlinear=True, coupled=True,
    ),
)  # fmt: skip

LINEAR_FAMILIES: Mapping[str, LinearFamily] = MappingProxyType({family.name: family for family in _FAMILIES})
"""The families of recurrences with a decay by name, the nonlinear ones at the end."""
