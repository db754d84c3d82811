"""A marimo notebook: `marimo edit examples/notebooks/explore.py`, or run it as a script, as the documentation does."""

import marimo

app = marimo.App()


@app.cell
def _():
    import marimo as mo

    import unitcircle as uc

    return mo, uc


@app.cell
def _(mo):
    modulus = mo.ui.slider(0.8, 1.2, step=0.05, value=0.95, label="modulus of every eigenvalue")
    modulus  # noqa: B018  (a notebook shows the last expression)
    return (modulus,)


@app.cell
def _(modulus, uc):
    weight = uc.initializers.parse(f"eigen(modulus={modulus.value})").sample(128, rng=0)
    uc.spectrum(weight)
    return (weight,)


@app.cell
def _(uc, weight):
    uc.report.plot_power_norms({"eigen": weight}, steps=64)


if __name__ == "__main__":
    app.run()
