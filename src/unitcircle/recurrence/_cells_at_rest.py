"""Cells whose state enters their own gates, and state spaces that are not diagonal: their Jacobian at rest."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from unitcircle.recurrence._activations import ACTIVATIONS

Parameters = Mapping[str, np.ndarray]
UNFOLDS = 6
"""Steps of the solver of an LTC in one token, which lasts one second, unless its parameters say another number."""
_EPSILON = 1e-8
"""What an LTC adds to the divisor, unless its parameters say another number."""
_sigmoid = ACTIVATIONS["sigmoid"].value


def slstm(p: Parameters) -> np.ndarray:
    """Return log λ ``(heads, units)`` of the cell state of an sLSTM, at c = 0, its normalizer n at rest, no input."""
    # With h = o c / n and n = i / (1 − f) there, ∂c'/∂c = diag(f) + diag(i) (diag(1 − z²) R_z + diag(z) R_i) diag(o/n),
    # one block for each head; what f gets from h is multiplied by c = 0.
    forget, others, kernel = p["fgate_bias"], p["gate_biases"], p["recurrent_kernel"]
    heads, units = forget.shape
    if others.shape != (heads, 3, units) or kernel.shape != (heads, 4, units, units):
        raise ValueError
    f, z, o = _sigmoid(forget), np.tanh(others[:, 1]), _sigmoid(others[:, 2])
    drive = (1 - z**2)[..., None] * kernel[:, 2] + z[..., None] * kernel[:, 0]
    out = (o * (1 - f))[:, None, :] * np.exp(others[:, 0, :, None] - others[:, 0, None, :])  # i_a (o/n)_b
    return log_eigenvalues(np.eye(units) * f[..., None] + drive * out)


def s4(p: Parameters) -> np.ndarray:
    """Return log λ ``(channels, modes)`` of a diagonal matrix plus one of low rank, A = Λ − P P*, made discrete."""
    # The bilinear rule takes an eigenvalue a of A to (1 + Δa/2) / (1 − Δa/2). Of conjugate pairs one is stored.
    P, step = p["P"], np.exp(p["log_dt"])
    P = P if np.iscomplexobj(P) else P[..., 0] + 1j * P[..., 1]
    if "Lambda_re" in p:  # columns of modes, one for each channel
        diagonal = np.atleast_2d((np.minimum(p["Lambda_re"], -1e-4) + 1j * p["Lambda_im"]).T)
        P, step = P.T.reshape(1, *diagonal.shape), step.reshape(-1, 1)
    else:
        imaginary = p["w_imag"] if "w_imag" in p else -p["A_imag"]
        diagonal = np.atleast_2d(-np.exp(p["log_A_real"]) + 1j * imaginary)
        P, step = P.reshape(-1, *diagonal.shape), step.reshape(len(step), -1)
        diagonal, P = (np.concatenate([x, x.conj()], axis=-1) for x in (diagonal, P))
    low_rank = np.einsum("rsn,rsm->snm", P, P.conj())
    rates = _eigenvalues(np.eye(diagonal.shape[-1]) * diagonal[..., None] - low_rank)
    if step.shape[1] != 1 or len(step) % len(rates):
        raise ValueError
    half = np.repeat(rates, len(step) // len(rates), axis=0) * step / 2
    return np.log1p(half) - np.log1p(-half)


def ltc(p: Parameters) -> np.ndarray:
    """Return log λ ``(units,)`` of a liquid time-constant cell from v = 0 without input."""
    if "implicit" in p:  # what must be positive passes a softplus first
        p = {**p, **{name: np.logaddexp(p[name], 0.0) for name in ("w", "sensory_w", "cm", "gleak")}}
    inputs = p["input_b"] if "input_b" in p else np.zeros(len(p["sensory_w"]))
    outside = _synapses(p, "sensory_", inputs)
    unfolds = int(p["unfolds"].item()) if "unfolds" in p else UNFOLDS
    epsilon = p["epsilon"].item() if "epsilon" in p else _EPSILON
    conductance = p["cm"] * unfolds
    v, jacobian = np.zeros_like(p["cm"]), np.eye(p["cm"].size)
    for _ in range(unfolds):
        w = _synapses(p, "", v)
        below = conductance + p["gleak"] + w.sum(0) + outside.sum(0) + epsilon
        above = conductance * v + p["gleak"] * p["vleak"] + (w * p["erev"]).sum(0)
        after = (above + (outside * p["sensory_erev"]).sum(0)) / below
        gate = _sigmoid(p["sigma"] * (v[:, None] - p["mu"]))
        slope = (w * (1 - gate) * p["sigma"] * (p["erev"] - after)).T + np.diag(conductance)
        jacobian, v = (slope / below[:, None]) @ jacobian, after
    return log_eigenvalues(jacobian)


def _synapses(p: Parameters, kind: str, v: np.ndarray) -> np.ndarray:
    """Return w σ(s (v − μ)), from the row to the column, of synapses that are there."""
    w = p[f"{kind}w"] * _sigmoid(p[f"{kind}sigma"] * (v[:, None] - p[f"{kind}mu"]))
    return w * p[f"{kind}sparsity_mask"] if f"{kind}sparsity_mask" in p else w


def _eigenvalues(matrices: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of matrices ``(..., n, n)``, by decreasing modulus; NaN where an entry is not finite."""
    finite = np.asarray(np.isfinite(matrices).all((-2, -1), keepdims=True))
    values = np.linalg.eigvals(np.where(finite, matrices, 0))
    values = np.where(finite[..., 0], values, np.nan)
    return np.take_along_axis(values, np.argsort(-np.abs(values), axis=-1, kind="stable"), axis=-1)


def log_eigenvalues(matrices: np.ndarray, /) -> np.ndarray:
    """Return the logarithms of the eigenvalues of matrices ``(..., n, n)``, complex where one is negative."""
    values = _eigenvalues(matrices)
    if np.isrealobj(values) and (values < 0).any():
        values = values.astype(np.complex128)
    return np.log(values)
