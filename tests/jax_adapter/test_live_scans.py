"""The states of scans inside a function: against torch on the same weights, and against exact values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax import lax
from torch import nn

from unitcircle import dynamics
from unitcircle.errors import ArgumentError
from unitcircle.jax import live_scans, lyapunov_exponents

EPS = 2.0**-52
T, B, M, N = 12, 3, 2, 5
ROUNDING = 100 * T * N * EPS
"""A gradient is a product of T matrices of size N, and its logarithm has their relative error; 100 for constants."""


def normal(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).standard_normal(shape)


def run_rnn(params, xs, *, reverse=False):
    """Return all states ``(T, B, n)`` of a tanh network."""

    def step(h, x):
        h = jnp.tanh(x @ params["U"].T + h @ params["W"].T)
        return h, h

    return lax.scan(step, jnp.zeros((xs.shape[1], len(params["W"]))), xs, reverse=reverse)[1]


def test_two_layers_of_two_directions_have_the_gradients_of_torch():
    twin = nn.RNN(M, N, num_layers=2, bidirectional=True, bias=False).double()
    params = {
        f"l{layer}{side}": {
            name: jnp.asarray(getattr(twin, f"weight_{kind}_l{layer}{side}").detach().numpy(), jnp.float32)
            for name, kind in (("U", "ih"), ("W", "hh"))
        }
        for layer in (0, 1)
        for side in ("", "_reverse")
    }
    with torch.no_grad():
        for name, parts in params.items():
            getattr(twin, f"weight_ih_{name}").copy_(torch.tensor(np.array(parts["U"])))
            getattr(twin, f"weight_hh_{name}").copy_(torch.tensor(np.array(parts["W"])))

    def function(params, xs):
        for layer in (0, 1):
            sides = [run_rnn(params[f"l{layer}{side}"], xs, reverse=bool(side)) for side in ("", "_reverse")]
            xs = jnp.concatenate(sides, -1)
        return xs[-1].sum()

    xs = normal(T, B, M)
    found = live_scans(function, params, xs)
    flow = dynamics.gradient_flow(twin, torch.from_numpy(xs), lambda output: output[0][-1].sum())
    assert [scan.reverse for scan in found.scans] == [False, True, False, True]
    for scan in found.scans:
        (name,) = {parameter.partition(".")[0] for parameter in scan.parameters}
        expected = flow.log_norms[:, flow.layers.index(name)]
        np.testing.assert_allclose(scan.log_gradient, expected, rtol=0, atol=ROUNDING)


def test_a_complex_linear_recurrence_has_its_exact_gradient_and_exponents():
    radius, angle = np.linspace(0.5, 0.99, N), np.linspace(0.1, 3, N)
    params = {"log_radius": np.log(radius), "angle": angle, "B": normal(N, M) + 1j * normal(N, M, seed=1)}
    c = normal(N)

    def function(params, xs):
        decay = jnp.exp(params["log_radius"] + 1j * params["angle"])

        def step(h, x):
            return decay * h + x @ params["B"].T, None

        h, _ = lax.scan(step, jnp.zeros((B, N), params["B"].dtype), xs)
        return (h @ jnp.asarray(c, h.dtype)).real.sum()

    found = live_scans(function, params, normal(T, B, M))
    (scan,) = found.scans
    assert scan.parameters == ("B", "angle", "log_radius")
    assert found.double
    exact = [0.5 * np.log(np.sum((radius**lag * c) ** 2)) for lag in range(T + 1)]
    np.testing.assert_allclose(scan.log_gradient, np.array(exact)[:, None] + np.zeros(B), rtol=0, atol=ROUNDING)
    # The Frobenius norm of its Jacobian, of which the diagonal's random signs show every entry exactly
    exact = [0.5 * np.log(2 * np.sum(radius ** (2 * lag))) for lag in range(T + 1)]
    np.testing.assert_allclose(scan.log_jacobian, np.array(exact)[:, None] + np.zeros(B), rtol=0, atol=ROUNDING)
    with jax.enable_x64(True):
        exponents = lyapunov_exponents(scan.step, scan.inputs, scan.initial).exponents
    np.testing.assert_allclose(exponents, np.repeat(np.log(radius)[::-1], 2 * B), rtol=0, atol=ROUNDING)


@pytest.mark.parametrize("loss", [None, jnp.sum])
def test_with_as_many_probes_as_entries_the_jacobian_is_exact(loss):
    params, xs = {"U": normal(N, M), "W": normal(N, N) / 2}, normal(T, B, M)
    drawn = loss is None  # the gradient of a random cotangent takes one
    (scan,) = live_scans(lambda p, xs: run_rnn(p, xs)[-1], params, xs, loss=loss, probes=N + drawn).scans
    product = np.broadcast_to(np.eye(N), (B, N, N))
    for lag in range(T + 1):
        expected = np.log(np.linalg.norm(product, axis=(1, 2)))
        np.testing.assert_allclose(scan.log_jacobian[lag], expected, rtol=0, atol=ROUNDING)
        product = product @ ((1 - scan.states[0][T - lag] ** 2)[:, :, None] * params["W"])
    np.testing.assert_allclose(scan.log_gradient[0], 0.5 * np.log(N), rtol=0, atol=ROUNDING)


def test_gates_computed_outside_the_loop_still_make_a_state():
    params = {"Wz": normal(N, M), "Wh": normal(N, M)}
    xs = normal(T, B, M)

    def min_gru(params, xs):
        z, candidate = jax.nn.sigmoid(xs @ params["Wz"].T), xs @ params["Wh"].T

        def step(h, x):
            return (1 - x[0]) * h + x[0] * x[1], None

        return lax.scan(step, jnp.zeros((B, N)), (z, candidate))[0].sum()

    (scan,) = live_scans(min_gru, params, xs).scans
    assert scan.parameters == ()  # none acts on the state itself
    kept = 1 / (1 + np.exp(xs @ params["Wz"].T))
    products = np.cumprod(np.concatenate([np.ones((1, B, N)), kept[::-1]]), 0)
    np.testing.assert_allclose(scan.log_gradient, np.log(np.linalg.norm(products, axis=-1)), rtol=0, atol=ROUNDING)


def test_each_sequence_is_counted_back_from_the_end_that_a_masked_loss_reads():
    params = {"U": normal(N, M), "W": normal(N, N) / 2}
    xs, lengths = normal(T, B, M), np.array([T, 7, 7])

    def function(params, xs, lengths):
        states = run_rnn(params, xs)
        return states[lengths - 1, jnp.arange(len(lengths))].sum()

    (scan,) = live_scans(function, params, xs, lengths).scans
    assert scan.lengths.tolist() == lengths.tolist()
    (alone,) = live_scans(function, params, xs[:7, 1:], lengths[1:]).scans
    np.testing.assert_allclose(scan.log_gradient[:8, 1:], alone.log_gradient, rtol=0, atol=ROUNDING)
    np.testing.assert_allclose(scan.log_jacobian[0], 0.5 * np.log(N), rtol=0, atol=ROUNDING)  # ‖∂h/∂h‖_F
    assert np.isnan(scan.log_gradient[8:, 1:]).all()


def test_a_state_that_a_mask_holds_over_padding_ends_where_the_data_do():
    params, lengths = {"U": normal(N, M), "W": normal(N, N) / 2}, np.array([T, 7, 4])

    def function(params, xs, lengths):
        def step(carry, x):
            t, h = carry
            after = jnp.tanh(x @ params["U"].T + h @ params["W"].T)
            return (t + 1, jnp.where(t < lengths[:, None], after, h)), None

        return lax.scan(step, (0, jnp.zeros((B, N))), xs)[0][1].sum()

    (scan,) = live_scans(function, params, normal(T, B, M), lengths).scans
    assert scan.lengths.tolist() == lengths.tolist()
    # At its own end each state has the gradient of a sum, and one step earlier another.
    np.testing.assert_allclose(scan.log_gradient[0], 0.5 * np.log(N), rtol=0, atol=ROUNDING)
    assert (np.abs(scan.log_gradient[1] - scan.log_gradient[0]) > ROUNDING).all()


def test_counters_sums_constants_and_write_only_outputs_are_no_state():
    params = {"U": normal(N, M), "W": normal(N, N) / 2}

    @jax.jit
    def cell(params, h, x):
        return jax.nn.relu(x @ params["U"].T + h @ params["W"].T)

    def function(params, xs):
        def step(carry, x):
            t, weights, h, loss, _ = carry
            h = jax.checkpoint(cell)(weights, h, x)
            return (t + 1, weights, h, loss + (h**2).sum(), h.sum()), None

        start = (0, params, jnp.zeros((B, N)), 0.0, 0.0)
        (_, _, h, loss, _), _ = lax.scan(step, start, xs)
        return loss + h.sum()

    xs = normal(T, B, M)
    (scan,) = live_scans(function, params, xs).scans
    assert [leaf.shape for leaf in scan.states] == [(T + 1, B, N)]
    assert scan.parameters == ("U", "W")
    # Autograd, state by state
    U, W = (torch.tensor(params[name]) for name in "UW")
    states = [torch.zeros(B, N, dtype=torch.float64, requires_grad=True)]
    for x in torch.from_numpy(xs):
        states.append(torch.relu(x @ U.T + states[-1] @ W.T))
    loss = sum((h**2).sum() for h in states[1:]) + states[-1].sum()
    norms = [grad.norm(dim=-1) for grad in torch.autograd.grad(loss, states)]
    np.testing.assert_allclose(scan.log_gradient, torch.stack(norms).flip(0).log(), rtol=0, atol=ROUNDING)


def test_a_scan_over_layers_gives_one_recurrence_for_each():
    params = {"U": normal(2, N, N) / 2, "W": normal(2, N, N) / 2}

    def deep(params, xs):
        return lax.scan(lambda xs, layer: (run_rnn(layer, xs), None), xs, params)[0][-1].sum()

    def unrolled(params, xs):
        for layer in range(2):
            xs = run_rnn({name: value[layer] for name, value in params.items()}, xs)
        return xs[-1].sum()

    xs = normal(T, B, N)
    found, expected = live_scans(deep, params, xs), live_scans(unrolled, params, xs)
    assert [scan.parameters for scan in found.scans] == [("U", "W")] * 2
    for one, other in zip(found.scans, expected.scans, strict=True):
        np.testing.assert_array_equal(one.log_gradient, other.log_gradient)


def test_a_rule_of_custom_vjp_is_kept_and_measured_in_its_own_precision():
    @jax.custom_vjp
    def straight_through(h):
        return jnp.sign(h)

    straight_through.defvjp(lambda h: (jnp.sign(h), None), lambda _, g: (g,))
    params = {"W": jnp.asarray(0.9 * np.eye(N), jnp.float32)}

    def function(params, xs):
        def step(h, x):
            return jnp.asarray(straight_through(h @ params["W"].T + x), jnp.float32), None

        return lax.scan(step, jnp.zeros((B, N), jnp.float32), xs)[0].sum()

    found = live_scans(function, params, normal(T, B, N).astype(np.float32))
    assert not found.double
    (scan,) = found.scans
    exact = 0.5 * np.log(N) + np.arange(T + 1) * np.log(np.float32(0.9))
    bound = 100 * T * N * np.finfo(np.float32).eps
    np.testing.assert_allclose(scan.log_gradient, exact[:, None] + np.zeros(B), rtol=0, atol=bound)


def test_what_is_not_measured_is_said():
    params = {"W": normal(N, N)}

    def loop(params, xs):
        h = jnp.zeros((B, N))
        for x in xs:
            h = jnp.tanh(h @ params["W"].T + x)
        return lax.while_loop(lambda c: c[0] < 3, lambda c: (c[0] + 1, 2 * c[1]), (0, h))[1].sum()

    xs = normal(4, B, N)
    found = live_scans(lambda p, x: lax.stop_gradient(loop(p, x)), params, xs)
    assert found.scans == ()
    assert found.unrolled == {"W": 4}
    assert "while_loop" in found.unread[0]


def test_the_value_and_measurements_of_other_parameters_need_no_trace():
    traces = []

    def function(params, xs):
        traces.append(1)
        return run_rnn(params, xs)[-1].sum()

    first, second = ({"U": normal(N, M), "W": normal(N, N, seed=seed) / 2} for seed in (1, 2))
    xs = normal(T, B, M)
    found = live_scans(function, first, xs)
    again = found.again(second, 8, jax.random.key(0))
    count = len(traces)
    anew = live_scans(function, second, xs)
    assert len(traces) > count == 1
    np.testing.assert_array_equal(again.scans[0].log_gradient, anew.scans[0].log_gradient)
    with jax.enable_x64(True):
        assert again.value == pytest.approx(float(function(second, jnp.asarray(xs))), rel=ROUNDING)


def test_a_loss_that_is_no_scalar_is_refused():
    with pytest.raises(ArgumentError, match="real scalar"):
        live_scans(run_rnn, {"U": normal(N, M), "W": normal(N, N)}, normal(T, B, M), loss=lambda states: states[-1])


def in_two(params, xs, *, link=lambda h: h):
    first = run_rnn(params, xs[:5])
    return jnp.concatenate([first, go_on(params, xs[5:], link(first[-1]))])


def go_on(params, xs, h):
    return lax.scan(lambda h, x: (jnp.tanh(x @ params["U"].T + h @ params["W"].T),) * 2, h, xs)[1]


def in_chunks(params, xs):
    def chunk(h, part):
        h, hs = lax.scan(lambda h, x: (jnp.tanh(x @ params["U"].T + h @ params["W"].T),) * 2, h, part)
        return h, hs

    return lax.scan(chunk, jnp.zeros((B, N)), xs.reshape(4, 3, B, M))[1].reshape(T, B, N)


def into_a_buffer(params, xs):
    def step(carry, x):
        h, made, t = carry
        h = jnp.tanh(x @ params["U"].T + h @ params["W"].T)
        return (h, made.at[t].set(h), t + 1), None

    return lax.scan(step, (jnp.zeros((B, N)), jnp.zeros((T, B, N)), 0), xs)[0][1]


@pytest.mark.parametrize("run", [in_chunks, in_two, into_a_buffer])
def test_chunks_and_outputs_in_a_buffer_are_the_one_recurrence_that_they_are(run):
    params, xs, last = {"U": normal(N, M), "W": normal(N, N) / 2}, normal(T, B, M), np.array([11, 2, 6])
    results = []
    for make in (run_rnn, run):
        (scan,) = live_scans(
            lambda p, xs, make=make: jnp.sum(make(p, xs)[last, np.arange(B)] ** 2), params, xs, probes=N
        ).scans
        results.append((scan.log_gradient, scan.log_jacobian, scan.lengths, *scan.states))
    for ours, whole in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(ours, whole, rtol=0, atol=ROUNDING)
    with jax.enable_x64(True):  # the recurrence as a step
        h = scan.initial
        for x in zip(*jax.tree.leaves(scan.inputs), strict=True):
            h = scan.step(jax.tree.unflatten(jax.tree.structure(scan.inputs), x), h)
    np.testing.assert_allclose(h[0], scan.states[0][-1], rtol=0, atol=ROUNDING)


def test_a_link_that_is_detached_cuts_the_recurrence():
    params, xs = {"U": normal(N, M), "W": normal(N, N) / 2}, normal(T, B, M)
    (scan,) = live_scans(lambda p, xs: jnp.sum(in_two(p, xs, link=lax.stop_gradient)[-1]), params, xs).scans
    assert scan.detached
    assert np.isneginf(scan.log_gradient[7:]).all()
    assert np.isfinite(scan.log_gradient[:7]).all()


def test_scans_with_other_weights_or_other_starts_are_recurrences_of_their_own():
    params, xs = {"U": normal(N, M), "W": normal(N, N) / 2}, normal(T, B, M)
    other = params | {"V": normal(N, N, seed=3)}
    of_other = live_scans(
        lambda p, xs: jnp.sum(go_on({"U": p["U"], "W": p["V"]}, xs, run_rnn(p, xs)[-1])[-1]), other, xs
    )
    changed = live_scans(lambda p, xs: jnp.sum(go_on(p, xs, 2 * run_rnn(p, xs)[-1])[-1]), params, xs)
    assert [len(found.scans) for found in (of_other, changed)] == [2, 2]


@pytest.mark.parametrize(("steps", "layers"), [(T, B), (B, 2)])
def test_the_batch_is_the_axis_along_which_nothing_acts(steps, layers):
    params, xs = {"W": normal(layers, N + M, N) / 3}, normal(steps, B, M)

    def stack(p, xs):
        def step(hs, x):
            below, new = x, []
            for W, h in zip(p["W"], hs, strict=True):
                below = jnp.tanh(jnp.concatenate([below[:, :M], h], -1) @ W)
                new.append(below)
            return jnp.stack(new), None

        return lax.scan(step, jnp.zeros((layers, B, N)), xs)[0][-1]

    (scan,) = live_scans(lambda p, xs: jnp.sum(stack(p, xs) ** 2), params, xs).scans
    assert scan.axes == (1,)
    for b in range(B):
        (alone,) = live_scans(lambda p, xs, b=b: jnp.sum(stack(p, xs)[b] ** 2), params, xs).scans
        np.testing.assert_allclose(scan.log_gradient[:, b], alone.log_gradient[:, b], rtol=0, atol=ROUNDING)
