"""What an LSTM or a GRU remembers before it is trained."""

import marimo

app = marimo.App(app_title="unitcircle lab: gates")

with app.setup:
    import marimo as mo

    from unitcircle import lab

    VIEWS = ["LSTM", "GRU"]


@app.function
def lines(cell="LSTM", bias="forget_bias", value=1.0, length=64, n=64, seed=0):
    """The lines of the view."""
    spec = {"none": "zeros", "forget_bias": f"forget_bias(value={value})", "chrono": f"chrono(max_steps={length})"}[
        bias
    ]
    return (
        f"model = torch.nn.{cell}(3, {n})\n"
        f"uc.torch.initialize_(model, recurrent='orthogonal', input='xavier_normal', bias='{spec}', rng={seed})\n"
        f"flow = uc.dynamics.gradient_flow(model, torch.randn({length}, 4, 3, generator=torch.Generator().manual_seed({seed})))\n"
        "ax.set(xlabel='steps back from the end', ylabel='log norm of the gradient (nats)', title='what is remembered')\n"
        "ax.plot(flow.log_norms.mean((1, 2)) - flow.log_norms[0].mean())"
    )


@app.cell
def _():
    cell = mo.ui.dropdown(VIEWS, value="LSTM", label="cell")
    bias = mo.ui.dropdown(["none", "forget_bias", "chrono"], value="forget_bias", label="bias")
    value = mo.ui.slider(-2.0, 6.0, step=0.25, value=1.0, label="forget bias", show_value=True)
    length = mo.ui.slider(8, 256, step=8, value=64, label="length", show_value=True)
    n = mo.ui.slider(8, 128, step=8, value=64, label="units n", show_value=True)
    seed = mo.ui.slider(0, 20, value=0, label="draw", show_value=True)
    mo.vstack([mo.md("# Gates"), mo.hstack([cell, bias], wrap=True), value, length, n, seed])
    return bias, cell, length, n, seed, value


@app.cell
def _(bias, cell, length, n, seed, value):
    lab.view(lines(cell.value, bias.value, value.value, length.value, n.value, seed.value))


if __name__ == "__main__":
    app.run()
