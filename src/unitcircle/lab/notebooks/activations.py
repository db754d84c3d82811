"""Activation and input scale: where the hidden states are, and how fast they forget."""

import marimo

app = marimo.App(app_title="unitcircle lab: activations")

with app.setup:
    import marimo as mo

    from unitcircle import lab

    CUBE = ", [-1, 1, 1, -1, -1], [-1, -1, 1, 1, -1], '-'"
    VIEWS = ["hidden states", "saturation", "leading exponent"]


@app.function
def lines(view="hidden states", activation="tanh", n=128, gain=1.0, input_std=0.5, seed=0):
    """The lines of a view of a driven plain cell."""
    model = f"model = torch.nn.RNN(3, {n}, nonlinearity='{activation}')\n"
    init = f"uc.torch.initialize_(model, recurrent='orthogonal(gain={gain})', input='gaussian(std={input_std / 3**0.5:.4g})', bias='zeros', rng={seed})\n"
    inputs = f"x = torch.randn(64, 8, 3, generator=torch.Generator().manual_seed({seed}))\n"
    field = (
        f"[uc.ensembles.MeanField(activation='{activation}', gain=g, input_std={input_std}).exponent for g in gains]"
    )
    return {
        "hidden states": model
        + init
        + inputs
        + f"h = uc.dynamics.hidden_states(model, x).states[-16:].reshape(-1, {n})\n"
        "ax.set(xlabel='state h of unit 1', ylabel='state h of unit 2', title='the last 16 states in the hypercube')\n"
        f"ax.plot(h[:, 0], h[:, 1], '.'{CUBE if activation == 'tanh' else ''})",
        "saturation": model
        + init
        + inputs
        + "ax.set(xlabel='unit', ylabel='share of the steps with |h| > .95', ylim=(0, 1), title='saturated units')\n"
        "ax.plot(sorted(uc.dynamics.hidden_states(model, x).saturation))",
        "leading exponent": model
        + init
        + inputs.replace("64, 8", "64, 1")
        + "leading = uc.dynamics.lyapunov_exponents(model, x, k=1, burn_in=16).exponents\n"
        "gains = np.linspace(0.5, 2.0, 31)\n"
        "ax.set(xlabel='gain', ylabel='leading exponent (nats per step)', title='mean field, and this net')\n"
        f"ax.plot(gains, {field}, [{gain}], [leading.max()], 'o')",
    }[view]


@app.cell
def _():
    view = mo.ui.dropdown(VIEWS, value="hidden states", label="view")
    activation = mo.ui.dropdown(["tanh", "relu"], value="tanh", label="activation")
    n = mo.ui.slider(8, 256, step=8, value=128, label="units n", show_value=True)
    gain = mo.ui.slider(0.5, 2.0, step=0.05, value=1.0, label="gain of the recurrent weight", show_value=True)
    input_std = mo.ui.slider(0.05, 3.0, step=0.05, value=0.5, label="standard deviation of the input", show_value=True)
    seed = mo.ui.slider(0, 20, value=0, label="draw", show_value=True)
    mo.vstack([mo.md("# Activation and input"), mo.hstack([view, activation], wrap=True), n, gain, input_std, seed])
    return activation, gain, input_std, n, seed, view


@app.cell
def _(activation, gain, input_std, n, seed, view):
    lab.view(lines(view.value, activation.value, n.value, gain.value, input_std.value, seed.value))


if __name__ == "__main__":
    app.run()
