"""Powers of a weight: Fibonacci three ways, Jordan blocks, transients, pseudospectra."""

import marimo

app = marimo.App(app_title="unitcircle lab: powers")

with app.setup:
    import marimo as mo

    from unitcircle import lab

    VIEWS = ["norm of the powers", "powers", "pseudospectrum", "in words", "Fibonacci"]


@app.function
def lines(view="norm of the powers", n=8, eigenvalue=0.9, coupling=1.0, t=40):
    """The lines of a view of a Jordan block, or of a Fibonacci number."""
    block = f"W = {eigenvalue} * np.eye({n}) + {coupling} * np.eye({n}, k=1)\n"
    return {
        "norm of the powers": block + f"uc.report.plot_power_norms(W, steps={t}, ax=ax)",
        "powers": block + f"uc.report.plot_powers(W, steps={t}, ax=ax)",
        "pseudospectrum": block + "uc.report.plot_pseudospectrum(W, points=40, ax=ax)",
        "in words": block + f"uc.report.describe(W, steps={t})",
        "Fibonacci": "F = np.array([[1, 1], [1, 0]], dtype=object)\n"
        f"products = np.linalg.multi_dot([F] * {max(t, 2)})[0, 1]\n"
        f"squaring = uc.spectra.matrix_power(F.astype(np.int64), {max(t, 2)})[0, 1]\n"
        f"eigen = uc.spectra.matrix_power(F.astype(float), {max(t, 2)}, method='eigen')[0, 1]\n"
        'f"by products {products}\\nby squaring {squaring}\\nby eigenvalues {eigen:.17g}"',
    }[view]


@app.cell
def _():
    view = mo.ui.dropdown(
        VIEWS,
        value="norm of the powers",
        label="view",
    )
    n = mo.ui.slider(2, 16, value=8, label="size of the Jordan block", show_value=True)
    eigenvalue = mo.ui.slider(0.0, 1.1, step=0.02, value=0.9, label="eigenvalue", show_value=True)
    coupling = mo.ui.slider(0.0, 2.0, step=0.05, value=1.0, label="coupling", show_value=True)
    t = mo.ui.slider(2, 90, value=40, label="power t", show_value=True)
    mo.vstack([mo.md("# Powers"), view, n, eigenvalue, coupling, t])
    return coupling, eigenvalue, n, t, view


@app.cell
def _(coupling, eigenvalue, n, t, view):
    lab.view(lines(view.value, n.value, eigenvalue.value, coupling.value, t.value))


if __name__ == "__main__":
    app.run()
