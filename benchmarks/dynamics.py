"""Measuring a live network costs about what a training step costs."""

import numpy as np
import torch
from torch import nn

from benchmarks._row import Row, best_of, least_time
from unitcircle.dynamics import as_recurrence, gradient_flow, lyapunov_exponents

BATCH = 32
STEPS = 784
EXPONENT_STEPS = 300


def _loss(result):
    # Every output counts: a gradient that vanishes on the way would slow float32 down by subnormal numbers.
    return result[0].square().mean()


def _training_step(module, inputs):
    optimizer = torch.optim.Adam(module.parameters())

    def step():
        optimizer.zero_grad()
        _loss(module(inputs)).backward()
        optimizer.step()

    return step


def _flow_rows(layer, size, steps, batch):
    torch.manual_seed(0)
    module, trained, inputs = layer(1, size), layer(1, size), torch.randn(steps, batch, 1)
    double, wide = layer(1, size).double(), inputs.double()

    def forward():
        with torch.no_grad():
            double(wide)

    training, ours, single, limit = least_time(
        3,
        _training_step(trained, inputs),
        lambda: gradient_flow(module, inputs, _loss),
        lambda: gradient_flow(module, inputs, _loss, dtype=None),
        forward,
    )
    claim = f"gradient_flow, nn.{layer.__name__}, n = {size}, T = {steps}, batch {batch}"
    baseline = (
        f"one training step of the same fused layer (Adam, float32); torch forward in float64: {1e3 * limit:.3g} ms"
    )
    for name, seconds in (("float64", ours), ("float32, dtype=None", single)):
        ours_text = f"gradient_flow ({name}): {seconds / training:.3g} steps, goal at most 2.5"
        yield Row(f"{claim}, {name}", baseline, ours_text, training, seconds, 1 / 2.5)


def _backward_per_lag_row(size=128, sample=8):
    torch.manual_seed(0)
    module, inputs = nn.LSTM(1, size).double(), torch.randn(STEPS, BATCH, 1, dtype=torch.float64)

    def per_lag():
        # A sample of the lags, evenly spaced, so that the sum stands for all of them.
        for cut in np.linspace(0, STEPS - 1, sample).astype(int):
            with torch.no_grad():
                _, (h, c) = module(inputs[: max(cut, 1)])
            leaves = h.requires_grad_(), c.requires_grad_()
            output, _ = module(inputs[cut:], leaves)
            torch.autograd.grad(output[-1].square().mean(), leaves)

    some, ours = best_of(1, per_lag, lambda: gradient_flow(module, inputs))
    return Row(
        f"gradient_flow of nn.LSTM, n = {size}, T = {STEPS}, in one pass",
        f"one backward pass per lag, fused layer ({sample} of {STEPS} lags timed, the rest in proportion)",
        "gradient_flow",
        some * STEPS / sample,
        ours,
        50,
    )


def _driven(n):
    torch.manual_seed(0)
    module = nn.RNN(1, n).double()
    with torch.no_grad():
        module.weight_hh_l0.normal_(std=1.2 / n**0.5)
    return module, torch.randn(EXPONENT_STEPS, 1, 1, dtype=torch.float64)


def _hand_written(W, u):
    def loop():
        n = len(W)
        h, Q, total = np.zeros(n), np.eye(n), np.zeros(n)
        for u_t in u:
            h = np.tanh(W @ h + u_t)
            J = (1 - h**2)[:, None] * W
            Q, R = np.linalg.qr(J @ Q)
            total += np.log(np.abs(np.diag(R)))
        return np.sort(total / len(u))[::-1]

    return loop


def _autograd(module, inputs, steps):
    def loop():
        n = module.hidden_size
        h, Q, total = torch.zeros(n, dtype=torch.float64), torch.eye(n, dtype=torch.float64), torch.zeros(n)
        for x in inputs[:steps]:

            def step(h, x=x):
                return module(x.unsqueeze(0), h.reshape(1, 1, n))[1].reshape(n)

            J = torch.autograd.functional.jacobian(step, h)
            h = step(h).detach()
            Q, R = torch.linalg.qr(J @ Q)
            total = total + R.diagonal().abs().log()
        return total

    return loop


def _exponent_rows(n=100, sampled=30):
    module, inputs = _driven(n)
    W = module.weight_hh_l0.detach().numpy()
    cell = as_recurrence(module).cells[0]
    u = cell.drive(inputs)[:, 0].numpy()
    hand, autograd = _hand_written(W, u), _autograd(module, inputs, sampled)
    numpy_s, autograd_s, ours = best_of(3, hand, autograd, lambda: lyapunov_exponents(module, inputs))
    claim = f"lyapunov_exponents, full spectrum, n = {n}, {EXPONENT_STEPS} steps"
    yield Row(
        claim,
        f"autograd Jacobian and QR at every step ({sampled} of {EXPONENT_STEPS} steps timed, the rest in proportion)",
        "lyapunov_exponents, with errors and the determinant check",
        autograd_s * EXPONENT_STEPS / sampled,
        ours,
        10,
    )
    yield Row(
        claim,
        "a plain NumPy loop with the Jacobian written by hand, QR at every step",
        "lyapunov_exponents: at most twice as long",
        numpy_s,
        ours,
        1 / 2,
    )


def rows():
    """Claims of issue 4: gradient flow, and Lyapunov exponents."""
    yield from _exponent_rows()
    yield _backward_per_lag_row()
    for size in (64, 256):
        for layer in (nn.RNN, nn.GRU, nn.LSTM):
            yield from _flow_rows(layer, size, 1000, 8)
    yield from _flow_rows(nn.GRU, 128, STEPS, BATCH)
