"""Random recurrent weights: where their eigenvalues are, and what becomes of a signal."""

import marimo

app = marimo.App(app_title="unitcircle lab: ensembles")

with app.setup:
    import marimo as mo

    from unitcircle import lab

    VIEWS = ["eigenvalues", "singular values", "powers", "norm of the powers", "law of the radius", "horizon"]


@app.function
def lines(view="eigenvalues", ensemble="eigen", n=128, std=1.0, modulus=0.95, angles="uniform", seed=0):
    """The three lines of a view; std is in units of 1/√n."""
    specs = {
        "eigen": f"eigen(modulus={modulus}, angles='{angles}')",
        "orthogonal": f"orthogonal(gain={modulus})",
        "gaussian": f"gaussian(std={std / n**0.5:.4g})",
    }
    begin = f'init = uc.initializers.parse("{specs[ensemble]}")\nW = init.sample({n}, rng={seed})\n'
    return {
        "eigenvalues": begin + "uc.report.plot_eigenvalues(W, ax=ax)",
        "singular values": begin + "uc.report.plot_singular_values(W, ax=ax)",
        "powers": begin + "uc.report.plot_powers(W, steps=64, ax=ax)",
        "norm of the powers": begin + "uc.report.plot_power_norms(W, steps=64, ax=ax)",
        "law of the radius": f"law = uc.ensembles.SpectralRadius({n}, {std / n**0.5:.4g})\n"
        f"rho = uc.ensembles.sample_radii(uc.initializers.Gaussian(std=law.entry_std), {n}, {max(4, 640 // n)}, rng={seed})\n"
        "uc.report.plot_radius_law(law, samples=rho, ax=ax)",
        "horizon": begin + "f\"1/1000 is left after {uc.horizon(W, 1000.0, direction='down'):g} steps\"",
    }[view]


@app.cell
def _():
    view = mo.ui.dropdown(
        VIEWS,
        value="eigenvalues",
        label="view",
    )
    ensemble = mo.ui.dropdown(["eigen", "orthogonal", "gaussian"], value="eigen", label="ensemble")
    n = mo.ui.slider(2, 256, step=2, value=128, label="units n", show_value=True)
    std = mo.ui.slider(0.5, 2.0, step=0.05, value=1.0, label="std (gaussian), in 1/√n", show_value=True)
    modulus = mo.ui.slider(0.5, 1.5, step=0.01, value=0.95, label="modulus or gain", show_value=True)
    angles = mo.ui.dropdown(["uniform", "haar"], value="uniform", label="angles (eigen)")
    seed = mo.ui.slider(0, 20, value=0, label="draw", show_value=True)
    mo.vstack([mo.md("# Random weights"), mo.hstack([view, ensemble, angles], wrap=True), n, std, modulus, seed])
    return angles, ensemble, modulus, n, seed, std, view


@app.cell
def _(angles, ensemble, modulus, n, seed, std, view):
    lab.view(lines(view.value, ensemble.value, n.value, std.value, modulus.value, angles.value, seed.value))


if __name__ == "__main__":
    app.run()
