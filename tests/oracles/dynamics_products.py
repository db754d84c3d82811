"""Naive twins for products of Jacobians: every step by autograd, QR at every step, or 60-digit arithmetic."""

import mpmath
import numpy as np
import torch

DIGITS = 60


def autograd_jacobians(step, xs, state):
    """Jacobians ``(T, N, N)`` of ``step(x, s)`` along the trajectory of one sample, by torch's own autograd."""
    found = []
    for x in xs:
        found.append(torch.autograd.functional.jacobian(lambda s, x=x: step(x, s), state).numpy())
        state = step(x, state).detach()
    return np.stack(found)


def torch_step(module):
    """torch's own fused layer, one step at a time, over the flat state (h of all layers, then c)."""
    layers, p = module.num_layers, module.proj_size or module.hidden_size

    def step(x, state):
        h = state[: layers * p].reshape(layers, 1, p)
        c = state[layers * p :].reshape(layers, 1, module.hidden_size) if isinstance(module, torch.nn.LSTM) else None
        x = x.reshape(1, 1, -1)
        x = x.transpose(0, 1) if module.batch_first else x
        _, new = module(x, h if c is None else (h, c))
        return new.reshape(-1) if c is None else torch.cat([part.reshape(-1) for part in new])

    return step


def exponents(jacobians):
    """Lyapunov exponents, QR at every step from Q = I, in descending order."""
    Q, total = np.eye(jacobians.shape[-1]), 0.0
    for J in jacobians:
        Q, R = np.linalg.qr(J @ Q)
        total = total + np.log(np.abs(np.diag(R)))
    return np.sort(total / len(jacobians))[::-1]


def log_singular_values(jacobians):
    """Log singular values of the product, formed and decomposed with 60 digits: trust them down to 1e-25 of the top."""
    with mpmath.workdps(DIGITS):
        product = mpmath.eye(jacobians.shape[-1])
        for J in jacobians:
            product = mpmath.matrix(J.tolist()) * product
        return np.array([float(mpmath.log(value)) for value in mpmath.svd_r(product, compute_uv=False)])
