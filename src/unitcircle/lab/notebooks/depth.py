"""The norm of the gradient through a deep stack, with its bound by the Jacobians."""

import marimo

app = marimo.App(app_title="unitcircle lab: depth")

with app.setup:
    import marimo as mo

    from unitcircle import lab

    VIEWS = ["orthogonal", "gaussian", "raw QR"]


@app.function
def lines(weight="orthogonal", activation="relu", depth=16, n=64, gain=1.4, seed=0):
    """The lines of the view."""
    layer = {"relu": "torch.nn.ReLU()", "tanh": "torch.nn.Tanh()", "linear": "torch.nn.Identity()"}[activation]
    draw = {
        "gaussian": f"uc.initializers.Gaussian(std={gain / n**0.5:.4g}).sample({n}, rng=k)",
        "orthogonal": f"uc.initializers.Orthogonal(gain={gain}).sample({n}, rng=k)",
        "raw QR": f"{gain} * np.linalg.qr(np.random.default_rng(k).standard_normal(({n}, {n})))[0]",
    }[weight]
    return (
        f"net = torch.nn.Sequential(*[m for _ in range({depth}) for m in (torch.nn.Linear({n}, {n}, bias=False), {layer})])\n"
        f"for k, p in enumerate(net.parameters(), {100 * seed}): p.data = torch.tensor({draw}, dtype=torch.float32)\n"
        f"flow = uc.dynamics.depth_flow(net, torch.randn(1, {n}, generator=torch.Generator().manual_seed({seed})))\n"
        "ax.set(xlabel='layers back from the output', ylabel='log norm of the gradient (nats)', title='gradient, and bound (dashed)')\n"
        "ax.plot(flow.log_norms.mean(1) - flow.log_norms[0].mean(), '.-')\n"
        "ax.plot(flow.log_bound.mean(1) - flow.log_norms[0].mean(), '--')"
    )


@app.cell
def _():
    weight = mo.ui.dropdown(VIEWS, value="orthogonal", label="weight")
    activation = mo.ui.dropdown(["relu", "tanh", "linear"], value="relu", label="activation")
    depth = mo.ui.slider(2, 32, value=16, label="layers", show_value=True)
    n = mo.ui.slider(8, 128, step=8, value=64, label="units n", show_value=True)
    gain = mo.ui.slider(0.5, 2.0, step=0.05, value=1.4, label="gain", show_value=True)
    seed = mo.ui.slider(0, 20, value=0, label="draw", show_value=True)
    mo.vstack([mo.md("# Depth"), mo.hstack([weight, activation], wrap=True), depth, n, gain, seed])
    return activation, depth, gain, n, seed, weight


@app.cell
def _(activation, depth, gain, n, seed, weight):
    lab.view(lines(weight.value, activation.value, depth.value, n.value, gain.value, seed.value))


if __name__ == "__main__":
    app.run()
