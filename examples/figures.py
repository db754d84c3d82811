"""Every kind of figure that we draw, as SVG and PNG in out/figures: ``python examples/figures.py [FOLDER]``."""

import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import unitcircle as uc
from unitcircle.dynamics import calibrate_, plot_calibration
from unitcircle.ensembles import SpectralRadius, sample_radii
from unitcircle.experiments.comparison import (
    compare,
    plot_learning_curves,
    plot_learning_rates,
    plot_seeds,
    study_figure,
)
from unitcircle.experiments.studies import Experiment, Store, Study, execute
from unitcircle.report import (
    panel,
    plot_eigenvalues,
    plot_power_norms,
    plot_powers,
    plot_pseudospectrum,
    plot_radius_law,
    plot_singular_values,
    save_figure,
    style,
    weight_overview,
)

UNITS = 64


def of_a_weight() -> Iterator[tuple[str, Callable[..., Axes]]]:
    """Yield what is drawn of one weight."""
    W = uc.initializers.Eigen(modulus=0.95).sample(UNITS, rng=0)
    jordan = 0.9 * np.eye(8) + 0.5 * np.eye(8, k=1)
    law = SpectralRadius(UNITS, UNITS**-0.5)
    radii = sample_radii(uc.initializers.Gaussian(std=law.entry_std), UNITS, 2000, rng=0)
    yield "eigenvalues", partial(plot_eigenvalues, W)
    yield "singular-values", partial(plot_singular_values, W)
    yield "power-norms", partial(plot_power_norms, jordan, steps=64)
    yield "powers", partial(plot_powers, W[:16, :16], steps=64)
    yield "pseudospectrum", partial(plot_pseudospectrum, jordan)
    yield "radius-law", partial(plot_radius_law, law, samples=radii)


def of_a_model() -> Iterator[tuple[str, Callable[..., Axes]]]:
    """Yield what is drawn of a live model."""
    torch.manual_seed(0)
    result = calibrate_(torch.nn.RNN(3, 32), torch.randn(40, 8, 3), rng=0)
    yield "calibration", partial(plot_calibration, result)


def of_a_study(folder: Path) -> dict[str, Figure]:
    """Return what is drawn of a small study: whole, and panel by panel."""
    options = {"optimizer": "sgd", "steps": 40, "evaluate_every": 1}
    experiment = Experiment(
        "deep_linear_map(size=16)", cells=("stack(depth=8)",), sizes=(16,), learning_rates=(0.1, 0.3), options=options
    )
    rows = {"Xavier": "xavier_normal", "orthogonal": "orthogonal"}
    study = Study("gallery", initializers=rows, experiments=(experiment,), seeds=6, tuning_seeds=2)
    execute(study, folder, engine="here")
    comparison = compare(study, Store(folder).get)
    figures = {"study": study_figure(comparison)}
    with style():
        for name, draw in {"learning-curves": plot_learning_curves, "learning-rates": plot_learning_rates}.items():
            figures[name] = Figure(figsize=(4.6, 3.6), layout="constrained")
            draw(comparison.groups[0], ax=figures[name].subplots()).legend()
        figures["seeds"] = Figure(figsize=(4.6, 3.6), layout="constrained")
        plot_seeds(comparison.groups[0], ax=figures["seeds"].subplots())
    return figures


def main(out: Path) -> None:
    figures = {"gates": weight_overview(uc.torch.to_layers(torch.nn.LSTM(3, UNITS))[0].gates)}
    with tempfile.TemporaryDirectory() as folder:
        figures |= of_a_study(Path(folder))
    with style():
        for name, draw in (*of_a_weight(), *of_a_model()):
            figures[name], ax = panel()
            draw(ax=ax)
        for name, figure in sorted(figures.items()):
            for kind in ("svg", "png"):
                print(save_figure(figure, out / f"{name}.{kind}"))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path("out") / "figures")
