"""The gates of a file of yours; nothing in it is executed, and it does not leave this machine."""

import marimo

app = marimo.App(app_title="unitcircle lab: file")

with app.setup:
    import marimo as mo

    from unitcircle import lab

    VIEWS = ["eigenvalues", "singular values", "powers", "norm of the powers", "in words"]


@app.function
def lines(view="eigenvalues", path="", layer=0, gate="", steps=64):
    """The lines of a view of one gate of a file."""
    begin = f"layer = uc.read({path!r})[{layer}]\nW = layer.gates[{gate!r}]\n"
    return {
        "eigenvalues": begin + "uc.report.plot_eigenvalues(W, ax=ax)",
        "singular values": begin + "uc.report.plot_singular_values(W, ax=ax)",
        "powers": begin + f"uc.report.plot_powers(W, steps={steps}, ax=ax)",
        "norm of the powers": begin + f"uc.report.plot_power_norms(W, steps={steps}, ax=ax)",
        "in words": begin + f"uc.report.describe(W, steps={steps})",
    }[view]


@app.cell
def _():
    upload = mo.ui.file(label="a file of weights", kind="area")
    view = mo.ui.dropdown(
        VIEWS,
        value="eigenvalues",
        label="view",
    )
    steps = mo.ui.slider(8, 256, step=8, value=64, label="steps", show_value=True)
    mo.vstack([mo.md("# Your own file"), upload, view, steps])
    return steps, upload, view


@app.cell
def _(upload):
    from pathlib import Path
    from tempfile import mkdtemp

    import unitcircle as uc

    mo.stop(not upload.value, mo.md("Drop a file above: .safetensors, .pt, .h5, .keras, .onnx, .npz, .npy and others."))
    path = Path(mkdtemp(prefix="unitcircle-lab-")) / Path(upload.value[0].name).name
    path.write_bytes(upload.value[0].contents)
    try:
        layers = [(k, layer) for k, layer in enumerate(uc.read(path)) if layer.gates]
        problem = "" if layers else f"{path.name} has no recurrent layer with gates."
    except uc.errors.UnitcircleError as error:
        layers, problem = [], str(error)
    mo.stop(bool(problem), mo.md(problem))
    gates = {f"{layer.label}[{gate}]": (k, gate) for k, layer in layers for gate in layer.gates}
    place = mo.ui.dropdown(gates, value=next(iter(gates)), label="gate")
    place  # noqa: B018  (a notebook shows the last expression)
    return path, place


@app.cell
def _(path, place, steps, view):
    lab.view(lines(view.value, str(path), *place.value, steps.value))


if __name__ == "__main__":
    app.run()
