"""Goals of the performance table: Lyapunov exponents against a compiled scan."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from benchmarks._goal import Goal, least_time
from unitcircle.dynamics import lyapunov_exponents

GB_A_SECOND = 1e10


def exponents() -> Iterator[Goal]:
    """A jitted JAX scan with a QR factorization at every step: a tanh network's first exponents, all of an LSTM."""
    import jax

    jax.config.update("jax_enable_x64", True)
    torch.manual_seed(0)
    plain = nn.RNN(1, 200).double()
    with torch.no_grad():
        plain.weight_hh_l0.normal_(std=1.2 / 200**0.5)
    lstm = nn.LSTM(1, 100).double()
    for module, k, steps, goal, reason in (
        (plain, 1, 300, 0.5, "two products with W a step, called from Python, take 3 ms, all before and after 2.7"),
        (plain, 10, 300, 0.7, "each step is called from Python"),
        (
            lstm,
            200,
            100,
            1.0,
            "LAPACK's QR of 200 columns at every step, 95 ms, is most of both sides",
        ),
    ):
        inputs = torch.randn(steps, 1, 1, dtype=torch.float64)
        scan = jitted(module, inputs, k)
        theirs, ours = least_time(
            2, scan, lambda module=module, inputs=inputs, k=k: lyapunov_exponents(module, inputs, k=k)
        )
        size = module.weight_hh_l0.numel()
        yield Goal(
            f"lyapunov_exponents, {module.mode.partition('_')[0]}, state of 200, k = {k}, against a jitted scan "
            "(ours also: errors, a check)",
            theirs / ours,
            goal,
            "x",
            f"one read of W a step: {1e3 * steps * size * 8 / GB_A_SECOND:.2g} ms at 10 GB/s",
            reason,
        )


def jitted(module: nn.RNNBase, inputs: torch.Tensor, k: int):
    """Return the mean of log|R_ii| as JAX compiles it: the step's derivative on k directions, then QR."""
    import jax
    import jax.numpy as jnp

    parts = (module.weight_hh_l0, module.weight_ih_l0, module.bias_hh_l0 + module.bias_ih_l0)
    W, U, b = (jnp.asarray(part.detach().numpy()) for part in parts)
    xs = jnp.asarray(inputs[:, 0].numpy())
    n = module.hidden_size
    gated = isinstance(module, nn.LSTM)

    def step(W, U, b, state, x):
        if not gated:
            return jnp.tanh(W @ state + U @ x + b)
        i, f, g, o = jnp.split(W @ state[:n] + U @ x + b, 4)
        c = jax.nn.sigmoid(f) * state[n:] + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jnp.concatenate([jax.nn.sigmoid(o) * jnp.tanh(c), c])

    @jax.jit
    def scan(W, U, b, xs):
        def advance(carry, x):
            state, Q = carry
            after, push = jax.linearize(lambda s: step(W, U, b, s, x), state)
            Q, R = jnp.linalg.qr(jax.vmap(push, in_axes=1, out_axes=1)(Q))
            return (after, Q), jnp.log(jnp.abs(jnp.diagonal(R)))

        size = 2 * n if gated else n
        return jax.lax.scan(advance, (jnp.zeros(size), jnp.eye(size, k)), xs)[1].mean(0)

    return lambda: scan(W, U, b, xs).block_until_ready()
